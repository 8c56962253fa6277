//! Stands between a client and its server where the client's role has rules or limits.
//!
//! Says of each message whether it may pass; what a refusal looks like on the wire is
//! `upstream`'s business.

mod names;
mod prepared;
mod refusal;
mod restraint;
mod ruling;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::policy::admission::Admission;
use crate::policy::classification::{Classification, Setting, Statement};
use crate::policy::kind::Kind;
use crate::session::audit::{Event, EventKind, Who};
use crate::session::bench::Bench;
use crate::session::guard::names::Names;
use crate::session::guard::restraint::Restraint;
use crate::session::roster::Client;
use crate::wire::backend::TransactionStatus;
use crate::wire::error_response::ErrorResponse;

use refusal::{breach, limit_reached};
pub(super) use restraint::Fate;

/// Whether a message may pass, or what its client is told instead.
pub(super) type Ruling = Result<(), Box<ErrorResponse>>;

/// A client's guard.
#[derive(Debug)]
pub(super) struct Guard {
    bench: Rc<Bench>,
    client: Rc<Client>,
    admission: Admission,
    who: Rc<Who>,
    /// The policy the admission is from.
    generation: u64,
    /// Texts are judged; else there are only limits to keep.
    judged: bool,
    /// A statement may be judged otherwise when it is run than when it was prepared: because
    /// of the time, or because the rules have changed since the session began.
    rejudges: bool,
    /// The session has prepared statements that no guard has seen.
    inherited: bool,
    /// The message at the front has been looked at before there was a server for it.
    passed: bool,
    /// The session can change how the server reads texts, out of sight: it has run or prepared
    /// what sets a parameter with a computed name.
    may_change_lexing: bool,
    /// Something has been run since the last Sync.
    executed: bool,
    names: Names,
    /// Statements that were let pass at this tick of the bench, by number.
    passed_now: (u64, Vec<u64>),
    /// What the client may still use up.
    pub(super) restraint: Restraint,
}

/// The text of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// All of it, without the zero byte at its end.
    Whole(&'a [u8]),
    /// So many bytes, which is more than are judged.
    TooLong(usize),
}

/// What is asked for, besides the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// `simple`, `extended` or `function`.
    pub(super) protocol: &'static str,
    /// The state of the transaction.
    pub(super) status: TransactionStatus,
    /// It is to run now, and not only to be prepared.
    pub(super) runs: bool,
}

impl Guard {
    /// The guard of a client that was admitted; `None`: there is nothing to guard.
    pub(super) fn new(bench: &Rc<Bench>, client: &Rc<Client>) -> Option<Box<Self>> {
        let admission = client.admission.borrow().clone()?;
        let role = admission.role();
        let needed = admission.is_judged()
            || role.audit.statements
            || role.limits != crate::policy::limits::Limits::default();
        if !needed || client.replication.get() != "none" {
            return None;
        }
        let who = client.who.borrow().clone();
        Some(Box::new(Self {
            restraint: Restraint::new(role, bench.usages.of(&role.name)),
            judged: admission.is_judged(),
            rejudges: role.is_timed() || !admission.maintenance().is_empty(),
            inherited: false,
            passed: false,
            may_change_lexing: false,
            executed: false,
            passed_now: (0, Vec::new()),
            names: Names::default(),
            generation: bench.policy().generation,
            bench: bench.clone(),
            client: client.clone(),
            admission,
            who,
        }))
    }

    /// The guard after the client was admitted anew; `old` is the one it had.
    pub(super) fn renewed(
        old: Option<Box<Self>>,
        bench: &Rc<Bench>,
        client: &Rc<Client>,
    ) -> Option<Box<Self>> {
        let mut new = Self::new(bench, client)?;
        new.rejudges = true;
        match old {
            Some(mut old) => {
                new.inherited = old.inherited || !old.judged;
                new.may_change_lexing = old.may_change_lexing;
                new.executed = old.executed;
                new.names = std::mem::take(&mut old.names);
                new.restraint.take_over(&mut old.restraint);
            }
            None => new.inherited = true,
        }
        Some(new)
    }

    /// Notes that the session has a past which no guard here has seen; `may_change_lexing` as the
    /// guard said that has.
    pub(super) fn knows_little(&mut self, may_change_lexing: bool) {
        self.inherited = true;
        self.may_change_lexing |= self.judged && may_change_lexing;
    }

    /// Longest text that is judged, in bytes.
    pub(super) fn max_text(&self) -> usize {
        self.bench.policy().max_statement
    }

    /// Judges a Query that no server has been found for yet.
    pub(super) fn query_at_the_door(&mut self, text: Text<'_>) -> Ruling {
        let asked = Asked {
            protocol: "simple",
            status: TransactionStatus::Idle,
            runs: true,
        };
        self.passed = false;
        self.query(text, asked)?;
        self.passed = true;
        Ok(())
    }

    /// Notes that there is a server for what has waited for one: its time begins now.
    pub(super) fn served(&mut self, now: Instant) {
        if self.passed {
            self.restraint.restart(&self.client, now);
        }
    }

    /// Notes that a Query which was judged at the door will never run.
    pub(super) fn withdrawn(&mut self) {
        self.passed = false;
        self.restraint.done(&self.client);
    }

    /// Judges a Query.
    pub(super) fn query(&mut self, text: Text<'_>, asked: Asked) -> Ruling {
        if std::mem::take(&mut self.passed) && self.generation == self.bench.policy().generation {
            // It may have waited for longer than its window is open.
            let asked = Asked {
                runs: false,
                ..asked
            };
            return if self.rejudges {
                self.judge_text(text, asked).map(drop)
            } else {
                Ok(())
            };
        }
        let classified = self.judge_text(text, asked)?;
        self.start()?;
        self.note_sql_names(classified);
        Ok(())
    }

    /// Whether each statement is written down.
    fn audits(&self) -> bool {
        self.admission.role().audit.statements
    }

    /// Counts an Execute.
    pub(super) fn execute(&mut self) -> Ruling {
        self.executed = true;
        self.start()
    }

    /// Notes a Sync.
    pub(super) fn synced(&mut self) {
        self.executed = false;
    }

    /// Whether nothing may be judged before the server has answered what it was asked: its
    /// parameters decide how it reads what comes next.
    pub(super) fn waits_for_answers(&self) -> bool {
        self.may_change_lexing
    }

    /// Counts a statement that is to run.
    pub(super) fn start(&mut self) -> Ruling {
        match self.restraint.start(&self.client) {
            Ok(()) => Ok(()),
            Err(limit) => Err(self.over(limit)),
        }
    }

    /// Judges a FunctionCall.
    pub(super) fn function_call(&mut self, status: TransactionStatus) -> Ruling {
        if self.judged {
            let statement = Statement {
                command: "a FunctionCall message",
                kinds: Kind::FunctionCall.into(),
                ..Statement::default()
            };
            let asked = Asked {
                protocol: "function",
                status,
                runs: true,
            };
            self.judge(&Ok(Arc::new(of_one(statement))), None, asked)?;
        }
        self.start()
    }

    /// Whether a reported parameter shows that the session has left the mode it was to keep
    /// to; what the client is told then.
    pub(super) fn watch(&self, name: &str, value: &str) -> Option<ErrorResponse> {
        let left = self.judged
            && match name {
                "default_transaction_read_only" => {
                    value == "off" && self.admission.is_read_only(self.bench.now())
                }
                "standard_conforming_strings" => value == "off",
                "client_encoding" => !crate::policy::guarded::is_safe_encoding(value),
                _ => false,
            };
        let observed = self.admission.role().observe || self.bench.policy().observe;
        if !left || observed {
            return None;
        }
        let reason = format!("{name} became {value}");
        let error = breach(&reason);
        let event = Event {
            reason: &reason,
            sqlstate: Some(error.code),
            verdict: "deny",
            ..Event::new(EventKind::Breach, &self.who, self.generation)
        };
        tracing::error!(
            client = self.client.id, user = &*self.who.user, role = &*self.who.role, %reason,
            "breach: session closed"
        );
        // It is closed whether or not that can be written down.
        let _ = self.bench.audit.record(&event);
        Some(error)
    }

    /// Whether a start-up packet may ask for a parameter.
    pub(super) fn startup_setting(&mut self, setting: Setting) -> Ruling {
        if !self.judged {
            return Ok(());
        }
        let changes_identity = matches!(
            setting.name.as_deref(),
            Some("role" | "session_authorization")
        );
        let statement = Statement {
            command: "a start-up parameter",
            // That the parameter is set needs no permission of its own here: every driver does.
            kinds: changes_identity
                .then_some(Kind::SetRole)
                .into_iter()
                .collect(),
            settings: Box::new([setting]),
            ..Statement::default()
        };
        let asked = Asked {
            protocol: "startup",
            status: TransactionStatus::Idle,
            runs: false,
        };
        self.judge(&Ok(Arc::new(of_one(statement))), None, asked)
    }

    /// Notes that the statement that runs has taken too long and is being cancelled.
    pub(super) fn cancel(&mut self, limit: restraint::Limit) {
        let restraint = &self.restraint;
        if !restraint.is_late() && !restraint.is_stopping() && !restraint.has_told() {
            let error = self.over(limit);
            self.restraint.cancel(error);
        }
    }

    /// Counts a row; true if it is one too many and the server has to be told to stop.
    pub(super) fn count_row(&mut self, bytes: usize) -> bool {
        if self.restraint.is_stopping() || self.restraint.has_told() {
            return false;
        }
        let limit = self.restraint.count(bytes);
        let exceeded = limit.is_some();
        if let Some(limit) = limit {
            let error = self.over(limit);
            self.restraint.stop(error);
        }
        exceeded
    }

    /// What the client is told that has reached a limit.
    fn over(&self, limit: restraint::Limit) -> Box<ErrorResponse> {
        let reference = refusal::reference();
        let error = limit_reached(&limit, &self.admission.role().name, reference);
        let event = Event {
            reference,
            reason: limit.name,
            sqlstate: Some(error.code),
            verdict: "deny",
            ..Event::new(EventKind::Limit, &self.who, self.generation)
        };
        let _ = self.bench.audit.record(&event);
        Box::new(error)
    }
}

fn of_one(statement: Statement) -> Classification {
    Classification {
        statements: Box::new([statement]),
    }
}

#[cfg(test)]
mod tests;
