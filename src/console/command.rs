//! What an operator types, as a value.

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
    /// Forgets all that a client has prepared: how pools of drivers clean a connection.
    DiscardAll,
    /// Nothing, or a comment: what drivers call a ping.
    Empty,
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
    /// Undoes PAUSE or KILL.
    Resume(Option<String>),
    /// `ROLLBACK` and `ABORT`.
    Rollback,
    /// `SELECT 1`: what drivers call a ping, too.
    SelectOne,
    /// A SET of anything else.
    Set,
    /// A table.
    Show(Show),
    /// Ends the process.
    Shutdown(ShutdownMode),
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
        // Where a word decides and not only names something.
        let keyword = match rest {
            [Token::Word(word)] => Some(word.to_ascii_lowercase()),
            _ => None,
        };
        Ok(match (first.as_str(), rest) {
            ("abort" | "rollback", _) if is_transaction_end(rest) => Self::Rollback,
            ("begin", _) => Self::Begin,
            ("commit" | "end", _) if is_transaction_end(rest) => Self::Commit,
            ("deallocate", _) => Self::Deallocate(statement(rest).ok_or_else(invalid)?),
            ("discard", [Token::Word(all)]) if all.eq_ignore_ascii_case("all") => Self::DiscardAll,
            ("explain", _) => explain(rest)
                .ok_or_else(|| error("invalid command, use EXPLAIN ACCESS 'SQL' FOR ROLE role;"))?,
            ("kill", _) => Self::Kill(database(rest).ok_or_else(invalid)?),
            ("kill_client", _) => {
                Self::KillClient(database(rest).ok_or_else(invalid)?.unwrap_or_default())
            }
            ("pause", _) => Self::Pause(database(rest).ok_or_else(invalid)?),
            ("reconnect", _) => Self::Reconnect(database(rest).ok_or_else(invalid)?),
            ("reload", []) => Self::Reload,
            ("reset", [Token::Word(_)]) => Self::Reset,
            ("resume", _) => Self::Resume(database(rest).ok_or_else(invalid)?),
            ("select", [Token::Word(one)]) if one == "1" => Self::SelectOne,
            ("select" | "show", [Token::Word(_)]) => {
                let name = keyword.as_deref().unwrap_or_default();
                match (Show::of_name(name), Parameter::of_name(name)) {
                    (Some(show), _) => Self::Show(show),
                    (None, Some(parameter)) => Self::Parameter(parameter),
                    (None, None) => return Err(invalid()),
                }
            }
            ("show", [Token::Word(time), Token::Word(zone)])
                if time.eq_ignore_ascii_case("time") && zone.eq_ignore_ascii_case("zone") =>
            {
                Self::Parameter(Parameter::TimeZone)
            }
            ("set", _) => set(rest).ok_or_else(invalid)?,
            ("shutdown", []) => Self::Shutdown(ShutdownMode::Immediate),
            ("shutdown", [_]) => Self::Shutdown(match keyword.as_deref() {
                Some("wait_for_clients") => ShutdownMode::WaitForClients,
                Some("wait_for_servers") => ShutdownMode::WaitForServers,
                Some(_) | None => return Err(invalid()),
            }),
            ("start", [Token::Word(word), ..]) if word.eq_ignore_ascii_case("transaction") => {
                Self::Begin
            }
            _ => return Err(invalid()),
        })
    }

    /// The command's own word: its tag when it has been done.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Deallocate(None) => "DEALLOCATE ALL",
            Self::Deallocate(Some(_)) => "DEALLOCATE",
            Self::DiscardAll => "DISCARD ALL",
            Self::Empty => "",
            Self::ExplainAccess { .. } => "EXPLAIN",
            Self::IgnoredSet | Self::Set => "SET",
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

/// An optional name and nothing else.
fn database(rest: &[Token]) -> Option<Option<String>> {
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

/// `SET [SESSION | LOCAL] name {= | TO} value` and the SQL standard's other forms.
fn set(rest: &[Token]) -> Option<Command> {
    let is =
        |token: &Token, word: &str| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word));
    let rest = match rest {
        [scope, more @ ..] if is(scope, "session") || is(scope, "local") => more,
        _ => rest,
    };
    let harmless = match rest {
        [name, ..] if is(name, "characteristics") || is(name, "names") => true,
        [time, zone, _, ..] if is(time, "time") && is(zone, "zone") => true,
        // More than one value: `DateStyle TO ISO, MDY`; and a number may have a sign and a dot.
        [Token::Word(name) | Token::Quoted(name), by, _, ..]
            if *by == Token::Equals || is(by, "to") =>
        {
            OF_DRIVERS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        }
        _ => return None,
    };
    Some(if harmless {
        Command::IgnoredSet
    } else {
        Command::Set
    })
}

fn error(message: &str) -> ErrorResponse {
    ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, message)
}

/// What drivers set when they connect and which means nothing here.
const OF_DRIVERS: [&str; 13] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_isolation",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "intervalstyle",
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
];
/// No command is longer; PgBouncer's parts have limits of their own of this order.
const MAX_COMMAND: usize = 1024;

#[cfg(test)]
mod tests;
