//! The console's side of the protocol, simple and extended, without I/O.
//! <https://www.postgresql.org/docs/current/protocol-flow.html>

mod block;
mod body;

use std::collections::HashMap;

use crate::console::command::Command;
use crate::console::protocol::block::Block;
use crate::console::protocol::body::{Bind, malformed, target, text};
use crate::console::role::Role;
use crate::console::show;
use crate::console::table::{Column, Formats, Table, put_columns, put_row};
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::body::{BodyReader, put_message};
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::Tag;
use crate::wire::pooler_error::ErrorStyle;
use crate::wire::sqlstate::SqlState;

/// What the client has prepared and what it is in the middle of.
#[derive(Debug)]
pub(super) struct Protocol {
    block: Block,
    /// After an error everything up to the next Sync is skipped.
    skipping: bool,
    statements: HashMap<Vec<u8>, Command>,
    portals: HashMap<Vec<u8>, Portal>,
    /// The latest error, until somebody counts it.
    error: Option<SqlState>,
    style: ErrorStyle,
}

/// What to do after a message.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing more: it is answered as far as it can be.
    Answered,
    /// The client says goodbye.
    Leave,
    /// Carry out a command that is permitted, and hand the reply to [`Protocol::executed`].
    Run(Run),
}

/// A command to be carried out.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) command: Command,
    how: How,
}

/// What a command has come to.
#[derive(Debug)]
pub(super) enum Reply {
    /// It is done; with a notice, maybe.
    Done(Option<ErrorResponse>),
    /// A table.
    Table(Table),
}

#[derive(Debug)]
enum How {
    Execute { portal: Vec<u8>, max_rows: usize },
    Query,
}

#[derive(Debug)]
struct Portal {
    command: Command,
    formats: Formats,
    progress: Progress,
}

/// ```text
///   Bound --Execute--> Rows { next } --all rows sent--> Finished
///     |                 ^        |                         ^
///     |                 +--------+ Execute with a limit    |
///     +---------------- Execute, a command without rows ---+
/// ```
#[derive(Debug)]
enum Progress {
    Bound,
    Finished,
    Rows { table: Table, next: usize },
}

type Result<T> = std::result::Result<T, ErrorResponse>;

impl Protocol {
    /// For a client that has just been welcomed.
    pub(super) fn new(role: Role, style: ErrorStyle) -> Self {
        Self {
            block: Block::new(role),
            skipping: false,
            statements: HashMap::new(),
            portals: HashMap::new(),
            error: None,
            style,
        }
    }

    /// Takes a message.
    ///
    /// # Errors
    /// The client must be told this and the connection closed.
    pub(super) fn receive(&mut self, tag: Tag, body: &[u8], out: &mut Vec<u8>) -> Result<Step> {
        if self.skipping && !matches!(tag, Tag::Sync | Tag::Terminate) {
            return Ok(Step::Answered);
        }
        let taken = match tag {
            Tag::Query => match self.query(body) {
                Ok(step) => return Ok(step),
                Err(error) => {
                    self.fail(&error, out);
                    self.ready(out);
                    return Ok(Step::Answered);
                }
            },
            Tag::Sync => {
                if self.block.status() == TransactionStatus::Idle {
                    self.portals.clear();
                }
                self.ready(out);
                Ok(Step::Answered)
            }
            Tag::Terminate => Ok(Step::Leave),
            Tag::Parse => self.parse(body, out),
            Tag::Bind => self.bind(body, out),
            Tag::Describe => self.describe(body, out),
            Tag::Execute => self.execute(body, out),
            Tag::Close => self.close(body, out),
            // Whoever reads the next message has sent all answers before.
            Tag::Flush => Ok(Step::Answered),
            // Left over from a COPY that has failed; a server ignores them as well.
            Tag::CopyData | Tag::CopyDone | Tag::CopyFail => Ok(Step::Answered),
            Tag::FunctionCall | Tag::Password => {
                let text = format!("unsupported packet type for admin console: {}", tag as u8);
                return Err(ErrorResponse::fatal(SqlState::PROTOCOL_VIOLATION, text));
            }
        };
        Ok(taken.unwrap_or_else(|error| {
            self.fail(&error, out);
            self.skipping = true;
            Step::Answered
        }))
    }

    /// Answers with what a command has come to.
    pub(super) fn executed(&mut self, run: Run, reply: Result<Reply>, out: &mut Vec<u8>) {
        let Run { command, how } = run;
        self.forget(&command);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.fail(&error, out);
                match how {
                    How::Query => self.ready(out),
                    How::Execute { .. } => self.skipping = true,
                }
                return;
            }
        };
        match (how, reply) {
            (How::Query, Reply::Table(table)) => {
                let formats = Formats::default();
                put_columns(out, table.columns, &formats);
                for row in &table.rows {
                    put_row(out, row, &formats);
                }
                self.complete(&command, out);
                self.ready(out);
            }
            (How::Query, Reply::Done(notice)) => {
                put_notice(notice, out);
                self.complete(&command, out);
                self.ready(out);
            }
            (How::Execute { portal, max_rows }, Reply::Table(table)) => {
                if let Some(portal) = self.portals.get_mut(&portal) {
                    portal.progress = Progress::Rows { table, next: 0 };
                }
                self.put_rows(&portal, max_rows, out);
            }
            (How::Execute { portal, .. }, Reply::Done(notice)) => {
                if let Some(portal) = self.portals.get_mut(&portal) {
                    portal.progress = Progress::Finished;
                }
                put_notice(notice, out);
                self.complete(&command, out);
            }
        }
    }

    /// The error that the last message has brought about, once.
    pub(super) fn take_error(&mut self) -> Option<SqlState> {
        self.error.take()
    }

    fn query(&mut self, body: &[u8]) -> Result<Step> {
        self.statements.remove(&b""[..]);
        self.portals.clear();
        let mut body = BodyReader::new(body);
        let command = text(body.cstr().map_err(malformed)?).and_then(Command::parse)?;
        self.block.permits(&command)?;
        Ok(Step::Run(Run {
            command,
            how: How::Query,
        }))
    }

    fn parse(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step> {
        let mut body = BodyReader::new(body);
        let name = body.cstr().map_err(malformed)?;
        let sql = body.cstr().map_err(malformed)?;
        // Types for parameters are not wanted by any command, and mean nothing without them.
        let command = Command::parse(text(sql)?)?;
        if !name.is_empty() && self.statements.contains_key(name) {
            let text = format!("prepared statement \"{}\" already exists", shown(name));
            return Err(ErrorResponse::error(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                text,
            ));
        }
        let statements = self.statements.len();
        has_room(name, statements, "prepared statements")?;
        self.statements.insert(name.to_vec(), command);
        backend::put_bare(out, backend::Tag::ParseComplete);
        Ok(Step::Answered)
    }

    fn bind(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step> {
        let bind = Bind::read(body).map_err(malformed)?;
        let command = self.statement(bind.statement)?.clone();
        if bind.parameters > 0 {
            let text = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires 0",
                bind.parameters,
                shown(bind.statement)
            );
            return Err(ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, text));
        }
        let columns = show::columns(&command).unwrap_or_default().len();
        let formats = Formats::of_bind(&bind.formats, columns).ok_or_else(|| {
            let text = format!(
                "bind message has {} result formats but query has {columns} columns",
                bind.formats.len()
            );
            ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, text)
        })?;
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            let text = format!("cursor \"{}\" already exists", shown(bind.portal));
            return Err(ErrorResponse::error(SqlState::DUPLICATE_CURSOR, text));
        }
        has_room(bind.portal, self.portals.len(), "portals")?;
        let portal = Portal {
            command,
            formats,
            progress: Progress::Bound,
        };
        self.portals.insert(bind.portal.to_vec(), portal);
        backend::put_bare(out, backend::Tag::BindComplete);
        Ok(Step::Answered)
    }

    fn describe(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step> {
        let (kind, name) = target(body)?;
        if kind == b'S' {
            let columns = show::columns(self.statement(name)?);
            let none = 0_i16;
            put_message(out, backend::Tag::ParameterDescription as u8, |body| {
                body.extend_from_slice(&none.to_be_bytes());
            });
            put_description(columns, &Formats::default(), out);
        } else {
            let portal = self.portal(name)?;
            put_description(show::columns(&portal.command), &portal.formats, out);
        }
        Ok(Step::Answered)
    }

    fn execute(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step> {
        let mut body = BodyReader::new(body);
        let name = body.cstr().map_err(malformed)?;
        let max_rows = body.int32().map_err(malformed)?;
        // None, and a negative number as well, is "no limit".
        let max_rows = usize::try_from(max_rows)
            .ok()
            .filter(|rows| *rows > 0)
            .unwrap_or(usize::MAX);
        let portal = self.portal(name)?;
        match portal.progress {
            Progress::Bound => {
                let command = portal.command.clone();
                self.block.permits(&command)?;
                let how = How::Execute {
                    portal: name.to_vec(),
                    max_rows,
                };
                return Ok(Step::Run(Run { command, how }));
            }
            Progress::Finished => {
                let text = format!("portal \"{}\" cannot be run", shown(name));
                let code = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
                return Err(ErrorResponse::error(code, text));
            }
            Progress::Rows { .. } => self.put_rows(name, max_rows, out),
        }
        Ok(Step::Answered)
    }

    fn close(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Step> {
        let (kind, name) = target(body)?;
        // Closing what is not there is no error.
        if kind == b'S' {
            self.statements.remove(name);
        } else {
            self.portals.remove(name);
        }
        backend::put_bare(out, backend::Tag::CloseComplete);
        Ok(Step::Answered)
    }

    /// Sends the next rows of a portal: all, or as many as were asked for.
    fn put_rows(&mut self, name: &[u8], max_rows: usize, out: &mut Vec<u8>) {
        let Some(portal) = self.portals.get_mut(name) else {
            return;
        };
        let Progress::Rows { table, next } = &mut portal.progress else {
            return;
        };
        let rest = &table.rows[*next..];
        let rows = &rest[..max_rows.min(rest.len())];
        for row in rows {
            put_row(out, row, &portal.formats);
        }
        *next += rows.len();
        // As in PostgreSQL: who asks for exactly what is left learns only by asking again that
        // nothing is.
        if rows.len() == max_rows {
            backend::put_bare(out, backend::Tag::PortalSuspended);
        } else {
            let command = portal.command.clone();
            self.complete(&command, out);
        }
    }

    fn statement(&self, name: &[u8]) -> Result<&Command> {
        self.statements.get(name).ok_or_else(|| {
            let text = format!("prepared statement \"{}\" does not exist", shown(name));
            ErrorResponse::error(SqlState::INVALID_SQL_STATEMENT_NAME, text)
        })
    }

    fn portal(&self, name: &[u8]) -> Result<&Portal> {
        self.portals.get(name).ok_or_else(|| {
            let text = format!("portal \"{}\" does not exist", shown(name));
            ErrorResponse::error(SqlState::INVALID_CURSOR_NAME, text)
        })
    }

    fn complete(&mut self, command: &Command, out: &mut Vec<u8>) {
        match &*self.block.completed(command) {
            "" => backend::put_bare(out, backend::Tag::EmptyQueryResponse),
            tag => backend::put_command_complete(out, tag),
        }
    }

    /// Forgets what a client wants forgotten.
    fn forget(&mut self, command: &Command) {
        if let Command::Deallocate(Some(name)) = command {
            self.statements.remove(name.as_bytes());
        } else if matches!(command, Command::Deallocate(None) | Command::DiscardAll) {
            self.statements.clear();
        }
    }

    fn fail(&mut self, error: &ErrorResponse, out: &mut Vec<u8>) {
        // Everything the console refuses is an error of the pooler's own.
        let own = error.clone().or_as_pgbouncer(error.message.clone());
        own.in_style(self.style).put(out);
        self.error = Some(error.code);
        self.block.failed();
    }

    fn ready(&mut self, out: &mut Vec<u8>) {
        self.skipping = false;
        backend::put_ready_for_query(out, self.block.status());
    }
}

fn put_description(columns: Option<&'static [Column]>, formats: &Formats, out: &mut Vec<u8>) {
    match columns {
        Some(columns) => put_columns(out, columns, formats),
        None => backend::put_bare(out, backend::Tag::NoData),
    }
}

fn put_notice(notice: Option<ErrorResponse>, out: &mut Vec<u8>) {
    if let Some(notice) = notice {
        notice.put(out);
    }
}

fn has_room(name: &[u8], len: usize, what: &str) -> Result<()> {
    if len < MAX_PREPARED || name.is_empty() {
        return Ok(());
    }
    Err(ErrorResponse::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("too many {what}"),
    ))
}

fn shown(name: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(name)
}

/// Statements, and portals, that a client may keep by name.
const MAX_PREPARED: usize = 256;

#[cfg(test)]
mod tests;
