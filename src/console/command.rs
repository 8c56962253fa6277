//! What an operator types, as a value.

mod set;
pub mod table;

use std::borrow::Cow;

use crate::console::command::set::set;
use crate::console::command::table::{Argument, Entry, Kind};
use crate::console::control::ShutdownMode;
use crate::console::show::Show;
use crate::console::token::{Token, tokens};
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// A command; a `Some` names the database it is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// `BEGIN` and `START TRANSACTION`, for drivers that cannot do without.
    Begin,
    /// `COMMIT` and `END`.
    Commit,
    /// Forgets a prepared statement, or all.
    Deallocate(Option<String>),
    /// Lets nobody log in to the database any more.
    Disable(Option<String>),
    /// Forgets all that a client has prepared: how pools of drivers clean a connection.
    DiscardAll,
    /// Nothing, or a comment: what drivers call a ping.
    Empty,
    /// Undoes DISABLE.
    Enable(Option<String>),
    /// Why a role may run a text, or may not.
    ExplainAccess {
        /// The text.
        sql: String,
        /// The role.
        role: String,
    },
    /// A SET that drivers send when they connect. Answered, and nothing done.
    IgnoredSet,
    /// Drops clients and servers and leaves the database paused.
    Kill(Option<String>),
    /// Disconnects the client with this number, if it is one.
    KillClient(String),
    /// SHOW of a parameter that drivers ask for when they connect.
    Parameter(Parameter),
    /// Stops lending servers.
    Pause(Option<String>),
    /// Has servers closed as they come back.
    Reconnect(Option<String>),
    /// Loads the configuration anew.
    Reload,
    /// RESET of what SET has set, which is nothing.
    Reset,
    /// Undoes PAUSE, KILL or SUSPEND.
    Resume(Option<String>),
    /// `ROLLBACK` and `ABORT`.
    Rollback,
    /// `SELECT 1`: what drivers call a ping, too.
    SelectOne,
    /// Changes a setting until the next reload.
    Set {
        /// Its name, PgBouncer's or ours.
        key: String,
        /// What it is to be.
        value: String,
    },
    /// A table.
    Show(Show),
    /// Ends the process.
    Shutdown(ShutdownMode),
    /// Has everything that was read sent, and reads no more.
    Suspend,
    /// Waits until the servers that a RECONNECT or a reload has outdated are closed.
    WaitClose(Option<String>),
}

/// A parameter as a PostgreSQL server would show it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum Parameter {
    ClientEncoding,
    DateStyle,
    DefaultTransactionIsolation,
    StandardConformingStrings,
    TimeZone,
}

impl Command {
    /// Reads a command. Keywords are known in any case; names are taken as they stand.
    ///
    /// # Errors
    /// What to answer to a text that is none.
    pub fn parse(text: &str) -> Result<Self, ErrorResponse> {
        let explains = text
            .get(..7)
            .is_some_and(|word| word.eq_ignore_ascii_case("explain"));
        if text.len() > MAX_COMMAND && !explains {
            return Err(error("bad arguments"));
        }
        let invalid = || error(&format!("invalid command '{text}', use SHOW HELP;"));
        let tokens = tokens(text).ok_or_else(invalid)?;
        let (first, rest) = match tokens.split_first() {
            None => return Ok(Self::Empty),
            Some((Token::Word(first), rest)) => (first.to_ascii_lowercase(), rest),
            Some(_) => return Err(invalid()),
        };
        if let Some(entry) = Entry::of_name(&first) {
            return Self::build(entry, rest).ok_or_else(invalid);
        }
        Ok(match (first.as_str(), rest) {
            ("abort" | "rollback", _) if is_transaction_end(rest) => Self::Rollback,
            ("begin", _) => Self::Begin,
            ("commit" | "end", _) if is_transaction_end(rest) => Self::Commit,
            ("deallocate", _) => Self::Deallocate(statement(rest).ok_or_else(invalid)?),
            ("discard", [Token::Word(all)]) if all.eq_ignore_ascii_case("all") => Self::DiscardAll,
            ("explain", _) => explain(rest)
                .ok_or_else(|| error("invalid command, use EXPLAIN ACCESS 'SQL' FOR ROLE role;"))?,
            ("reset", [Token::Word(_)]) => Self::Reset,
            ("select", [Token::Word(one)]) if one == "1" => Self::SelectOne,
            ("select" | "show", [Token::Word(name)]) => {
                let entry = Entry::of_name(&format!("SHOW {name}"));
                match (entry.map(|entry| entry.kind), Parameter::of_name(name)) {
                    (Some(Kind::Show(show)), _) => Self::Show(show),
                    (_, Some(parameter)) => Self::Parameter(parameter),
                    (_, None) => return Err(invalid()),
                }
            }
            ("show", [Token::Word(time), Token::Word(zone)])
                if time.eq_ignore_ascii_case("time") && zone.eq_ignore_ascii_case("zone") =>
            {
                Self::Parameter(Parameter::TimeZone)
            }
            ("start", [Token::Word(word), ..]) if word.eq_ignore_ascii_case("transaction") => {
                Self::Begin
            }
            _ => return Err(invalid()),
        })
    }

    /// A command of one word with what follows it; `None` if that cannot follow it.
    fn build(entry: &Entry, rest: &[Token]) -> Option<Self> {
        let name = match entry.argument {
            // That it is missing is said to who may give the command at all.
            Argument::Client | Argument::Database | Argument::DatabaseOrAll => name(rest)?,
            Argument::None if rest.is_empty() => None,
            Argument::None => return None,
            Argument::Own(_) => None,
        };
        Some(match entry.kind {
            Kind::Disable => Self::Disable(name),
            Kind::Enable => Self::Enable(name),
            Kind::Kill => Self::Kill(name),
            Kind::KillClient => Self::KillClient(name.unwrap_or_default()),
            Kind::Pause => Self::Pause(name),
            Kind::Reconnect => Self::Reconnect(name),
            Kind::Reload => Self::Reload,
            Kind::Resume => Self::Resume(name),
            Kind::Set => set(rest)?,
            Kind::Shutdown => Self::Shutdown(shutdown(rest)?),
            Kind::Suspend => Self::Suspend,
            Kind::WaitClose => Self::WaitClose(name),
            // Two words, or nothing that has a name.
            Kind::Begin
            | Kind::Commit
            | Kind::Deallocate
            | Kind::Discard
            | Kind::Empty
            | Kind::Explain
            | Kind::IgnoredSet
            | Kind::Parameter
            | Kind::Reset
            | Kind::Rollback
            | Kind::SelectOne
            | Kind::Show(_) => return None,
        })
    }

    /// Where it stands in the table of commands. `None`: nobody may give it.
    pub fn entry(&self) -> Option<&'static Entry> {
        Entry::of(self.kind())
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Begin => Kind::Begin,
            Self::Commit => Kind::Commit,
            Self::Deallocate(_) => Kind::Deallocate,
            Self::Disable(_) => Kind::Disable,
            Self::DiscardAll => Kind::Discard,
            Self::Empty => Kind::Empty,
            Self::Enable(_) => Kind::Enable,
            Self::ExplainAccess { .. } => Kind::Explain,
            Self::IgnoredSet => Kind::IgnoredSet,
            Self::Kill(_) => Kind::Kill,
            Self::KillClient(_) => Kind::KillClient,
            Self::Parameter(_) => Kind::Parameter,
            Self::Pause(_) => Kind::Pause,
            Self::Reconnect(_) => Kind::Reconnect,
            Self::Reload => Kind::Reload,
            Self::Reset => Kind::Reset,
            Self::Resume(_) => Kind::Resume,
            Self::Rollback => Kind::Rollback,
            Self::SelectOne => Kind::SelectOne,
            Self::Set { .. } => Kind::Set,
            Self::Show(show) => Kind::Show(*show),
            Self::Shutdown(_) => Kind::Shutdown,
            Self::Suspend => Kind::Suspend,
            Self::WaitClose(_) => Kind::WaitClose,
        }
    }

    /// What it is answered with when it has been done.
    pub fn tag(&self) -> Cow<'static, str> {
        if let Self::Set { key, value } = self {
            return format!("SET {key}={value}").into();
        }
        self.word().into()
    }

    /// The command's own word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Deallocate(None) => "DEALLOCATE ALL",
            Self::Deallocate(Some(_)) => "DEALLOCATE",
            Self::Disable(_) => "DISABLE",
            Self::DiscardAll => "DISCARD ALL",
            Self::Empty => "",
            Self::Enable(_) => "ENABLE",
            Self::ExplainAccess { .. } => "EXPLAIN",
            Self::IgnoredSet | Self::Set { .. } => "SET",
            Self::Kill(_) => "KILL",
            Self::KillClient(_) => "KILL_CLIENT",
            Self::Parameter(_) | Self::Show(_) => "SHOW",
            Self::Pause(_) => "PAUSE",
            Self::Reconnect(_) => "RECONNECT",
            Self::Reload => "RELOAD",
            Self::Reset => "RESET",
            Self::Resume(_) => "RESUME",
            Self::Rollback => "ROLLBACK",
            Self::SelectOne => "SELECT 1",
            Self::Shutdown(_) => "SHUTDOWN",
            Self::Suspend => "SUSPEND",
            Self::WaitClose(_) => "WAIT_CLOSE",
        }
    }
}

impl Parameter {
    /// Its name and value.
    pub fn name_and_value(self) -> (&'static str, &'static str) {
        match self {
            Self::ClientEncoding => ("client_encoding", "UTF8"),
            Self::DateStyle => ("DateStyle", "ISO"),
            Self::DefaultTransactionIsolation => {
                ("default_transaction_isolation", "read committed")
            }
            Self::StandardConformingStrings => ("standard_conforming_strings", "on"),
            Self::TimeZone => ("TimeZone", "GMT"),
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let all = [
            Self::ClientEncoding,
            Self::DateStyle,
            Self::DefaultTransactionIsolation,
            Self::StandardConformingStrings,
            Self::TimeZone,
        ];
        all.into_iter()
            .find(|parameter| parameter.name_and_value().0.eq_ignore_ascii_case(name))
    }
}

/// `EXPLAIN ACCESS 'SQL' FOR ROLE role`
fn explain(rest: &[Token]) -> Option<Command> {
    let is =
        |token: &Token, word: &str| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word));
    match rest {
        [
            access,
            Token::String(sql),
            by,
            of,
            Token::Word(role) | Token::Quoted(role),
        ] if is(access, "access") && is(by, "for") && is(of, "role") => {
            Some(Command::ExplainAccess {
                sql: sql.clone(),
                role: role.clone(),
            })
        }
        _ => None,
    }
}

/// `SHUTDOWN` alone, or what to wait for.
fn shutdown(rest: &[Token]) -> Option<ShutdownMode> {
    match rest {
        [] => Some(ShutdownMode::Immediate),
        [Token::Word(word)] if word.eq_ignore_ascii_case("wait_for_clients") => {
            Some(ShutdownMode::WaitForClients)
        }
        [Token::Word(word)] if word.eq_ignore_ascii_case("wait_for_servers") => {
            Some(ShutdownMode::WaitForServers)
        }
        _ => None,
    }
}

/// An optional name and nothing else.
fn name(rest: &[Token]) -> Option<Option<String>> {
    match rest {
        [] => Some(None),
        [Token::Word(name) | Token::Quoted(name)] => Some(Some(name.clone())),
        _ => None,
    }
}

/// `DEALLOCATE [PREPARE] { name | ALL }`; a name is folded as PostgreSQL folds it.
fn statement(rest: &[Token]) -> Option<Option<String>> {
    match rest {
        [Token::Word(prepare), rest @ ..]
            if prepare.eq_ignore_ascii_case("prepare") && !rest.is_empty() =>
        {
            statement(rest)
        }
        [Token::Word(all)] if all.eq_ignore_ascii_case("all") => Some(None),
        [Token::Word(name)] => Some(Some(name.to_ascii_lowercase())),
        [Token::Quoted(name)] => Some(Some(name.clone())),
        _ => None,
    }
}

/// `COMMIT`, `COMMIT WORK`, `END TRANSACTION`; not `COMMIT PREPARED` or `ROLLBACK TO`.
fn is_transaction_end(rest: &[Token]) -> bool {
    match rest {
        [] => true,
        [Token::Word(word)] => {
            word.eq_ignore_ascii_case("work") || word.eq_ignore_ascii_case("transaction")
        }
        _ => false,
    }
}

fn error(message: &str) -> ErrorResponse {
    ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, message)
}

/// No command is longer; PgBouncer's parts have limits of their own of this order.
const MAX_COMMAND: usize = 1024;

#[cfg(test)]
mod tests;
