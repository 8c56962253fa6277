//! PostgreSQL's protocol state, and nothing else of PostgreSQL.
//!
//! Statements are words: `select 5`, `rows 3`, `insert`, `begin`, `commit`, `rollback`, `fail`
//! (when run), `syntax` (when parsed), `notice`, `zone X`, `showzone`, `copyin`, `copybad` (fails
//! at the first data), `copyout`. A last word `@2` tells whose it is.

mod extended;
mod statement;

use std::collections::{HashMap, VecDeque};

use pgwarden::wire::backend::TransactionStatus;

use crate::script::Message;
use crate::script::backend::{self, Failed, Idle, InTransaction};

/// One session of a PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    inbox: Vec<u8>,
    out: Vec<u8>,
    /// By name; the unnamed one has none.
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, Portal>,
    status: TransactionStatus,
    skipping: bool,
    /// Extended-protocol messages have come since the last Sync.
    unsynced: bool,
    copy: Option<CopyIn>,
    /// What is left of a simple Query.
    rest: VecDeque<String>,
    zone: Zone,
    /// Whose statements have come since the server was last idle.
    owner: Option<String>,
    violations: Vec<String>,
}

#[derive(Clone, Debug)]
struct Portal {
    sql: String,
    /// Rows that have been sent.
    at: usize,
    done: bool,
}

#[derive(Clone, Debug)]
struct CopyIn {
    extended: bool,
    fails: bool,
    lines: usize,
}

/// The one parameter there is.
#[derive(Clone, Debug)]
struct Zone {
    now: String,
    /// What a rollback brings back.
    committed: String,
    reported: String,
}

/// An error's code.
type Code = &'static str;

impl Default for Oracle {
    fn default() -> Self {
        let utc = || "UTC".to_owned();
        Self {
            inbox: Vec::new(),
            out: Vec::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            status: Idle,
            skipping: false,
            unsynced: false,
            copy: None,
            rest: VecDeque::new(),
            zone: Zone {
                now: utc(),
                committed: utc(),
                reported: utc(),
            },
            owner: None,
            violations: Vec::new(),
        }
    }
}

impl Oracle {
    /// Takes bytes from the client.
    pub(crate) fn hears(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        while let Some(&[_, a, b, c, d]) = self.inbox.first_chunk() {
            let len = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
            if self.inbox.len() < len {
                return;
            }
            let message: Vec<u8> = self.inbox.drain(..len).collect();
            self.message(message[0], &message[5..]);
        }
    }

    /// What it has to say.
    pub(crate) fn says(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// What it should never have seen.
    pub(crate) fn violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    pub(crate) fn status(&self) -> TransactionStatus {
        self.status
    }

    pub(crate) fn is_skipping(&self) -> bool {
        self.skipping
    }

    pub(crate) fn is_copying(&self) -> bool {
        self.copy.is_some()
    }

    /// Whether the COPY was begun by an Execute.
    pub(crate) fn is_copying_extended(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.extended)
    }

    /// Whether the last group of messages has no Sync yet.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Whether a statement has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.statements.contains_key(name.as_bytes())
    }

    /// Whether it can serve nobody else.
    pub(crate) fn is_held(&self) -> bool {
        self.status != Idle || self.unsynced || self.copy.is_some()
    }

    fn message(&mut self, tag: u8, body: &[u8]) {
        if self.copy.is_some() {
            self.copying(tag, body);
            return;
        }
        if self.skipping && tag != b'S' {
            return;
        }
        match tag {
            b'Q' => self.query(&text(body)),
            b'S' => self.sync(),
            b'H' => self.unsynced = true,
            // What is left of a COPY that is over.
            b'd' | b'c' | b'f' => {}
            _ => {
                self.unsynced = true;
                if let Err(code) = self.extended(tag, body) {
                    self.fails(code);
                    self.skipping = true;
                }
            }
        }
    }

    fn sync(&mut self) {
        self.skipping = false;
        self.unsynced = false;
        self.ready();
    }

    fn query(&mut self, sql: &str) {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
        self.rest = sql.split(';').map(|one| one.trim().to_owned()).collect();
        if self.rest.iter().any(|one| one.starts_with("syntax")) {
            self.rest.clear();
            self.fails("42601");
            self.ready();
            return;
        }
        if let [one] = self.rest.make_contiguous()
            && one.is_empty()
        {
            self.rest.clear();
            self.puts(backend::empty_query());
        }
        self.goes_on();
    }

    /// Runs what is left of a Query.
    fn goes_on(&mut self) {
        while let Some(sql) = self.rest.pop_front() {
            let mut portal = Portal {
                sql,
                at: 0,
                done: false,
            };
            let described = statement::has_rows(&portal.sql);
            if described && self.status != Failed {
                self.puts(backend::columns());
            }
            if let Err(code) = self.runs(&mut portal, 0, false) {
                self.rest.clear();
                self.fails(code);
            }
            if self.copy.is_some() {
                return;
            }
        }
        self.ready();
    }

    fn copying(&mut self, tag: u8, body: &[u8]) {
        let Some(copy) = &mut self.copy else { return };
        let extended = copy.extended;
        let failed = match tag {
            b'd' if copy.fails => "22P02",
            b'd' => {
                copy.lines += body.len();
                return;
            }
            b'c' => {
                let tag = format!("COPY {}", copy.lines);
                self.copy = None;
                self.puts(backend::complete(&tag));
                if !extended {
                    self.goes_on();
                }
                return;
            }
            b'f' => "57014",
            // Ignored while data is read.
            b'S' | b'H' => return,
            _ => "08P01",
        };
        self.copy = None;
        self.rest.clear();
        self.fails(failed);
        if extended {
            self.skipping = true;
        } else {
            self.ready();
        }
    }

    fn fails(&mut self, code: Code) {
        let text = match code {
            "25P02" => IN_FAILED_TRANSACTION,
            code => code,
        };
        self.puts(backend::error(code, text));
        self.portals.clear();
        self.zone.now = self.zone.committed.clone();
        if self.status == InTransaction {
            self.status = Failed;
        }
    }

    fn ready(&mut self) {
        if self.status == Idle {
            self.zone.committed = self.zone.now.clone();
            self.portals.clear();
            self.owner = None;
        }
        if self.zone.now != self.zone.reported {
            self.zone.reported = self.zone.now.clone();
            let report = backend::parameter("TimeZone", &self.zone.now);
            self.puts(report);
        }
        self.puts(backend::ready(self.status));
    }

    fn puts(&mut self, message: Message) {
        self.out.extend(message.bytes);
    }

    /// Checks that nobody else's statement comes before this owner is done.
    fn belongs(&mut self, sql: &str) {
        let Some(owner) = sql.split('@').nth(1) else {
            return;
        };
        match &self.owner {
            Some(other) if other != owner => {
                self.violations
                    .push(format!("{sql:?} in a transaction of client {other}"));
            }
            Some(_) | None => self.owner = Some(owner.to_owned()),
        }
    }
}

/// What pgwarden may have to say in the server's place.
const IN_FAILED_TRANSACTION: &str =
    "current transaction is aborted, commands ignored until end of transaction block";

/// The string at the front of a body.
fn text(body: &[u8]) -> String {
    let front = body.split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(front).into_owned()
}
