//! What a client says next: random, and legal.

use super::oracle::Oracle;
use super::random::Random;
use crate::script::Message;
use crate::script::backend::{Failed, Idle};
use crate::script::frontend::{
    bind, close_portal, close_statement, copy_data, copy_done, copy_fail, describe_portal,
    describe_statement, execute, flush, parse, query, sync,
};

/// What the generator remembers of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    /// An unnamed Parse or Close was skipped or has failed. PostgreSQL then has the statement of
    /// before or none; pgwarden, asked before it knows, may say so in other words.
    unnamed_undefined: bool,
}

/// Builds what a client sends before it waits for the answers.
pub(super) struct Generator<'a> {
    pub(super) random: &'a mut Random,
    pub(super) oracle: &'a mut Oracle,
    pub(super) knowledge: &'a mut Knowledge,
    pub(super) owner: usize,
    flight: Vec<Message>,
    failed_at_start: bool,
}

impl<'a> Generator<'a> {
    pub(super) fn new(
        random: &'a mut Random,
        oracle: &'a mut Oracle,
        knowledge: &'a mut Knowledge,
        owner: usize,
    ) -> Self {
        let failed_at_start = oracle.status() == Failed;
        Self {
            random,
            oracle,
            knowledge,
            owner,
            flight: Vec::new(),
            failed_at_start,
        }
    }

    /// Something random.
    pub(super) fn anything(mut self) -> Vec<Message> {
        if self.oracle.is_copying() {
            self.copies_on();
            return self.flight;
        }
        if self.is_open() {
            self.group();
            return self.flight;
        }
        match self.random.below(12) {
            0..3 => {
                for _ in 0..=self.random.below(2) {
                    self.simple();
                }
            }
            3 => self.begins_copy(),
            4 => self.deallocates(),
            _ => {
                for _ in 0..=self.random.below(4) {
                    if self.is_open() || self.oracle.is_copying() {
                        break;
                    }
                    self.group();
                }
            }
        }
        self.flight
    }

    /// What ends everything that is open.
    pub(super) fn ending(mut self) -> Vec<Message> {
        if self.oracle.is_copying() {
            let extended = self.oracle.is_copying_extended();
            self.push(copy_fail("enough"));
            if extended {
                self.push(sync());
            }
        } else if self.is_open() {
            self.push(sync());
        } else {
            self.push(query(&format!("rollback @{}", self.owner)));
        }
        self.flight
    }

    /// Whether the last group has no Sync yet.
    fn is_open(&self) -> bool {
        self.oracle.is_unsynced()
    }

    fn push(&mut self, message: Message) {
        self.oracle.hears(&message.bytes);
        self.flight.push(message);
    }

    fn simple(&mut self) {
        if self.oracle.is_copying() {
            return;
        }
        let count = 1 + self.random.below(3);
        let statements: Vec<_> = (0..count)
            .map(|_| {
                let sql = self.random.pick(&SIMPLE);
                format!("{sql} @{}", self.owner)
            })
            .collect();
        let empty = self.random.one_in(20);
        let sql = if empty {
            String::new()
        } else {
            statements.join("; ")
        };
        self.push(query(&sql));
    }

    fn deallocates(&mut self) {
        if self.oracle.status() != Idle {
            // Answered by pgwarden, this Query does not take the unnamed portal.
            return self.push(sync());
        }
        let name = self.random.pick(&NAMES[1..]);
        let sql = match self.random.below(8) {
            0 => "deallocate all".to_owned(),
            1 => "discard all".to_owned(),
            _ => format!("deallocate {name}"),
        };
        self.push(query(&sql));
    }

    /// Messages of the extended protocol up to a Sync or, sometimes, a Flush.
    fn group(&mut self) {
        for _ in 0..=self.random.below(6) {
            self.one();
        }
        let last = if self.random.one_in(8) {
            flush()
        } else {
            sync()
        };
        self.push(last);
    }

    fn one(&mut self) {
        let name = self.random.pick(&NAMES);
        let portal = self.random.pick(&PORTALS);
        let undefined = name.is_empty() && self.knowledge.unnamed_undefined;
        match self.random.below(12) {
            0..4 => self.parses(name),
            4..6 if !undefined => self.push(bind(portal, name)),
            // In a failed transaction a statement cannot be prepared silently to describe it.
            6 if !undefined && self.oracle.status() != Failed => {
                self.push(describe_statement(name));
            }
            7 => self.push(describe_portal(portal)),
            8..10 => {
                let limit = self.random.pick(&[0, 0, 0, 1, 2]);
                self.push(execute(portal, limit));
            }
            10 => self.closes(name),
            11 => self.push(close_portal(portal)),
            _ => {}
        }
    }

    fn parses(&mut self, name: &str) {
        // Whether the transaction has failed is not known to pgwarden before it has answered: it
        // may then say ParseComplete where PostgreSQL refuses. And of a name that is taken it
        // may say that the transaction has failed.
        let failed = self.oracle.status() == Failed;
        let taken = !name.is_empty() && self.oracle.has(name);
        if failed && (!self.failed_at_start || taken) {
            return;
        }
        let mut sql = self.random.pick(&EXTENDED).to_owned();
        if self.random.one_in(2) {
            sql = format!("{sql} @{}", self.owner);
        }
        self.push(parse(name, &sql));
        if name.is_empty() {
            self.knowledge.unnamed_undefined = self.oracle.is_skipping();
        }
        if self.random.one_in(2) {
            self.push(bind("", name));
            self.push(execute("", 0));
        }
    }

    fn closes(&mut self, name: &str) {
        if name.is_empty() && self.oracle.is_skipping() {
            self.knowledge.unnamed_undefined = true;
        }
        self.push(close_statement(name));
    }

    fn begins_copy(&mut self) {
        let sql = format!(
            "{} @{}",
            self.random.pick(&["copyin", "copybad"]),
            self.owner
        );
        match self.random.below(3) {
            0 => self.push(query(&sql)),
            1 => self.push(query(&format!("{sql}; select 1 @{}", self.owner))),
            _ => {
                self.knowledge.unnamed_undefined = false;
                self.push(parse("", &sql));
                self.push(bind("", ""));
                self.push(execute("", 0));
                let last = if self.random.one_in(2) {
                    sync()
                } else {
                    flush()
                };
                self.push(last);
            }
        }
    }

    fn copies_on(&mut self) {
        let extended = self.oracle.is_copying_extended();
        for _ in 0..self.random.below(4) {
            self.push(copy_data(b"line\n"));
        }
        let last = if self.random.one_in(4) {
            copy_fail("no more")
        } else {
            copy_done()
        };
        self.push(last);
        if extended {
            self.push(sync());
        }
    }
}

const NAMES: [&str; 4] = ["", "a", "b", "c"];
const PORTALS: [&str; 3] = ["", "", "p"];
const SIMPLE: [&str; 14] = [
    "select 1",
    "select advisory",
    "rows 3",
    "insert",
    "begin",
    "commit",
    "commit",
    "rollback",
    "fail",
    "syntax",
    "notice",
    "zone Tokyo",
    "showzone",
    "copyout",
];
const EXTENDED: [&str; 14] = [
    "select 1",
    "select 2",
    "select 3",
    "select advisory",
    "rows 3",
    "rows 4",
    "insert",
    "begin",
    "commit",
    "rollback",
    "fail",
    "syntax",
    "zone Paris",
    "showzone",
];
