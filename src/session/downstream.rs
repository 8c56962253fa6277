//! From server to client: replies are matched with what is owed, and pass as they arrive.
//!
//! No I/O here. Bodies are not read, but for the few that matter.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::pool::Pool;
use crate::pool::replies::{About, Action, Kind, Note};
use crate::pool::server::reset::Soil;
use crate::pool::server::{Server, Unnamed, note_parameter};
use crate::pool::statement::SERVER_NAME_PREFIX;
use crate::pool::tracked::Values;
use crate::session::edit::Edit;
use crate::session::error::SessionError;
use crate::session::guard::{Fate, Guard};
use crate::session::roster::Client;
use crate::session::statements::ClientStatements;
use crate::wire::backend::{self, Backend, Tag, TransactionStatus};
use crate::wire::body::BodyReader;
use crate::wire::error_response::{ErrorResponse, Fields};
use crate::wire::head::{FramingError, Head};
use crate::wire::outbox::Outbox;
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

/// The server's half of an exchange.
#[derive(Debug, Default)]
pub(super) struct Downstream {
    /// Bytes of a message's body that still pass, or are dropped, unseen.
    passing: usize,
    dropping: bool,
    skipped: Vec<Note>,
}

/// What a scan has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// ReadyForQuery messages that the client asked for.
    pub(super) readies: u32,
    /// The server has ended the session.
    pub(super) fatal: bool,
    /// The code of the last error.
    pub(super) error: Option<SqlState>,
    /// Plans that other clients prepared have become useless.
    pub(super) stale_plans: bool,
    /// A RESET or DISCARD ALL: parameters are back at the server's defaults.
    pub(super) reset: bool,
    /// The tracked parameters whose values have changed, a bit each.
    pub(super) changed: u64,
    /// The role's limit of rows or bytes is exceeded: the server has to be told to stop.
    pub(super) exceeded: bool,
    /// The session has left the mode it was to keep to.
    pub(super) breach: Option<Box<ErrorResponse>>,
    /// Bytes that must have arrived before there is any use in another scan.
    pub(super) wants: usize,
}

/// What the scan changes on the client's side.
#[derive(Debug)]
pub(super) struct ClientSide<'a> {
    pub(super) statements: &'a mut ClientStatements,
    pub(super) guard: Option<&'a mut Guard>,
    pub(super) client: &'a Client,
    pub(super) values: &'a mut Values,
    pub(super) told: &'a mut Values,
    pub(super) outbox: &'a mut Outbox,
}

impl Downstream {
    /// Whether the last message has been passed on to its end.
    pub(super) fn is_between_messages(&self) -> bool {
        self.passing == 0
    }

    /// Looks at what has arrived. `server.inbox` is what `edit` reads, taken out of the server.
    pub(super) fn scan(
        &mut self,
        edit: &mut Edit<'_>,
        server: &mut Server,
        pool: &Pool,
        client: &mut ClientSide<'_>,
    ) -> Result<Seen> {
        let mut seen = Seen::default();
        loop {
            let rest = edit.rest();
            if self.passing > 0 {
                let len = self.passing.min(rest.len());
                self.move_on(edit, len, client.outbox);
                if self.passing > 0 {
                    return Ok(seen);
                }
                put_inserts(edit, server, client);
                continue;
            }
            let Some(head) = Head::<Backend>::parse(rest).map_err(SessionError::ServerFraming)?
            else {
                seen.wants = Head::<Backend>::LEN;
                return Ok(seen);
            };
            if head.message_len() > client.client.max_packet_size.get() {
                return Err(SessionError::Refused(too_large(head)));
            }
            let needed = head.message_len().min(looked_at(head.tag(), server));
            if rest.len() < needed {
                seen.wants = needed;
                return Ok(seen);
            }
            let body = &rest[Head::<Backend>::LEN..head.message_len().min(rest.len())];
            let action = match head.tag() {
                Tag::ReadyForQuery => {
                    let status = match body {
                        [byte] => TransactionStatus::from_byte(*byte),
                        _ => None,
                    };
                    let status = status.ok_or(SessionError::ServerFraming(FramingError::Body))?;
                    seen.readies += 1;
                    server.replies.ready(status)?
                }
                Tag::ErrorResponse => self.error(body, server, client, &mut seen),
                Tag::CommandComplete => {
                    seen.reset |= command_complete(body, server, client.statements);
                    if body == b"DISCARD ALL\0" {
                        seen.changed = u64::MAX;
                    }
                    server.replies.answered(head.tag())?
                }
                Tag::ParameterStatus => {
                    let before = server.values.clone();
                    note_parameter(pool.tracked(), &mut server.values, body)
                        .map_err(SessionError::ServerFraming)?;
                    for (at, (old, new)) in before.iter().zip(server.values.iter()).enumerate() {
                        seen.changed |= if old == new { 0 } else { bit(at) };
                    }
                    seen.breach = breach(body, client);
                    if seen.breach.is_some() {
                        return Ok(seen); // the client hears nothing more of this server
                    }
                    *client.values = server.values.clone();
                    *client.told = server.values.clone();
                    server.replies.answered(head.tag())?
                }
                Tag::NoData | Tag::RowDescription => {
                    note_shape(body, head.body_len(), server, client.statements, &mut seen);
                    server.replies.answered(head.tag())?
                }
                Tag::Authentication
                | Tag::BackendKeyData
                | Tag::BindComplete
                | Tag::CloseComplete
                | Tag::CopyBothResponse
                | Tag::CopyData
                | Tag::CopyDone
                | Tag::CopyInResponse
                | Tag::CopyOutResponse
                | Tag::DataRow
                | Tag::EmptyQueryResponse
                | Tag::FunctionCallResponse
                | Tag::NegotiateProtocolVersion
                | Tag::NoticeResponse
                | Tag::NotificationResponse
                | Tag::ParameterDescription
                | Tag::ParseComplete
                | Tag::PortalSuspended => server.replies.answered(head.tag())?,
            };
            self.dropping = action != Action::Forward;
            if action != Action::Swallow && !seen.fatal {
                self.restrain(head, edit, client, &mut seen);
            }
            if action == Action::Refuse
                && let Some(error) = server.replies.take_refusal()
            {
                seen.error = Some(error.code);
                edit.insert(client.outbox, |out| error.put(out));
            }
            self.begin(head, edit, client);
            if self.passing == 0 {
                put_inserts(edit, server, client);
            }
        }
    }

    /// Keeps back what the client's limits do not allow.
    fn restrain(
        &mut self,
        head: Head<Backend>,
        edit: &mut Edit<'_>,
        client: &mut ClientSide<'_>,
        seen: &mut Seen,
    ) {
        let Some(guard) = client.guard.as_deref_mut() else {
            return;
        };
        if !guard.restraint.is_watching() {
            return;
        }
        if matches!(head.tag(), Tag::DataRow | Tag::CopyData) {
            seen.exceeded |= guard.count_row(head.body_len());
        }
        match guard.restraint.fate(head.tag(), client.client) {
            Fate::Pass => {}
            Fate::Drop => self.dropping = true,
            Fate::Replace(error) => {
                seen.error = Some(error.code);
                edit.insert(client.outbox, |out| error.put(out));
                self.dropping = true;
            }
        }
    }

    /// Passes on a message, as far as it has arrived, and rows of the same answer behind it.
    fn begin(&mut self, head: Head<Backend>, edit: &mut Edit<'_>, client: &mut ClientSide<'_>) {
        self.passing = head.message_len();
        let rest = edit.rest();
        let mut len = head.message_len().min(rest.len());
        if !self.dropping && matches!(head.tag(), Tag::DataRow | Tag::CopyData) {
            len += more_of(head, &rest[len..], client);
            self.passing = self.passing.max(len);
        }
        self.move_on(edit, len, client.outbox);
    }

    fn move_on(&mut self, edit: &mut Edit<'_>, len: usize, outbox: &mut Outbox) {
        if self.dropping {
            edit.skip(len, outbox);
        } else {
            edit.pass(len);
        }
        self.passing -= len;
    }

    fn error(
        &mut self,
        body: &[u8],
        server: &mut Server,
        client: &mut ClientSide<'_>,
        seen: &mut Seen,
    ) -> Action {
        let fields = Fields::parse(body);
        seen.fatal |= fields.is_fatal();
        seen.error = fields.code.or(Some(SqlState::INTERNAL_ERROR));
        seen.stale_plans |= fields.code == Some(SqlState::FEATURE_NOT_SUPPORTED)
            && fields.routine == Some(b"RevalidateCachedQuery");
        let of_a_name = matches!(
            fields.code,
            Some(SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PREPARED_STATEMENT)
        );
        if of_a_name && fields.message.is_some_and(names_one_of_ours) {
            // Somebody has deallocated or prepared out of sight what we have a record of.
            server.soil = server.soil.max(Soil::Statements);
        }
        // In a failed transaction PostgreSQL says so, whatever it is asked.
        let as_it_is = fields.is_fatal() || fields.code == Some(SqlState::IN_FAILED_TRANSACTION);
        let action = server.replies.failed(&mut self.skipped, as_it_is);
        // Backwards: what came later is undone first.
        for note in self.skipped.drain(..).rev() {
            server.undo(&note);
            client.statements.undo(note);
        }
        // Whether its Parse was reached is not worth knowing: it is repeated if needed.
        server.unnamed = Unnamed::Unknown;
        if server.replies.take_unnamed_lost() {
            // The one before is gone from here, and is from PostgreSQL if the Parse failed.
            client.statements.forget_unnamed();
        }
        action
    }
}

/// How long the rows are, as far as they have arrived whole, that come right behind one that is
/// passed on: what holds for one of an answer holds for the next.
fn more_of(row: Head<Backend>, behind: &[u8], client: &ClientSide<'_>) -> usize {
    if client.guard.is_some() {
        return 0; // which counts them
    }
    let limit = client.client.max_packet_size.get();
    let mut len = 0;
    while let Some(rest) = behind.get(len..)
        && let Ok(Some(head)) = Head::<Backend>::parse(rest)
        && head.tag() == row.tag()
        && head.message_len() <= limit.min(rest.len())
    {
        len += head.message_len();
    }
    len
}

fn too_large(head: Head<Backend>) -> ErrorResponse {
    let len = head.message_len();
    ErrorResponse::fatal(
        SqlState::PROTOCOL_VIOLATION,
        format!("message of {len} bytes from the server is larger than max_packet_size"),
    )
    .or_as_pgbouncer("bad pkt header")
}

/// Whether a ParameterStatus shows that the session has left the mode it was to keep to.
fn breach(body: &[u8], client: &ClientSide<'_>) -> Option<Box<ErrorResponse>> {
    let guard = client.guard.as_deref()?;
    let mut body = BodyReader::new(body);
    let (name, value) = (body.cstr().ok()?, body.cstr().ok()?);
    let text = |bytes| std::str::from_utf8(bytes).ok();
    guard.watch(text(name)?, text(value)?).map(Box::new)
}

/// Whether a message speaks of a statement under the name that servers know it by.
fn names_one_of_ours(message: &[u8]) -> bool {
    message
        .windows(SERVER_NAME_PREFIX.len())
        .any(|w| w == SERVER_NAME_PREFIX.as_bytes())
}

/// Notes what a statement returns, or compares it with what the client was told.
fn note_shape(
    body: &[u8],
    body_len: usize,
    server: &Server,
    statements: &mut ClientStatements,
    seen: &mut Seen,
) {
    let Some(note) = server.replies.front_note() else {
        return;
    };
    if body.len() < body_len {
        // Too long to be read: then the client is not protected, as it would not be by others.
        if note.about == About::Asked {
            statements.answered(true);
        }
        return;
    }
    let same = note.statement.has_shape(shape_of(body));
    seen.stale_plans |= !same;
    if note.about == About::Asked {
        statements.answered(same);
    }
}

/// A digest of what PostgreSQL compares of a result: names and types, not where they come from.
fn shape_of(body: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    let mut body = BodyReader::new(body);
    let _ = body.int16(); // how many: as many as follow
    while let Ok(name) = body.cstr() {
        let Ok(field) = body.bytes(18) else { break };
        hasher.write(name);
        // Table and column number come first, the format last.
        hasher.write(&field[6..16]);
    }
    hasher.finish()
}

/// Puts in the replies to what the server was never asked, as far as it is their turn.
#[inline]
fn put_inserts(edit: &mut Edit<'_>, server: &mut Server, client: &mut ClientSide<'_>) {
    if server.replies.has_insert() {
        put_all_inserts(edit, server, client);
    }
}

fn put_all_inserts(edit: &mut Edit<'_>, server: &mut Server, client: &mut ClientSide<'_>) {
    while let Some((kind, note)) = server.replies.next_insert() {
        let status = server.replies.status();
        let told = client
            .guard
            .as_ref()
            .is_some_and(|guard| guard.restraint.has_told());
        if !told {
            edit.insert(client.outbox, |out| put_insert(out, kind, status));
        }
        settle_insert(kind, note, status, client.statements);
    }
}

/// Undoes what a message did that was refused here, in the server's place.
pub(super) fn settle_insert(
    kind: Kind,
    note: Option<Note>,
    status: TransactionStatus,
    statements: &mut ClientStatements,
) {
    if let (Kind::Query, Some(note), TransactionStatus::Failed) = (kind, note, status) {
        statements.undo(note);
    }
}

/// Appends the reply to what the server was never asked.
pub(super) fn put_insert(out: &mut Vec<u8>, kind: Kind, status: TransactionStatus) {
    match kind {
        Kind::Parse => backend::put_bare(out, Tag::ParseComplete),
        Kind::Close => backend::put_bare(out, Tag::CloseComplete),
        // The only Query that is answered here closes a statement.
        Kind::Query => {
            if status == TransactionStatus::Failed {
                ErrorResponse::error(SqlState::IN_FAILED_TRANSACTION, IN_FAILED_TRANSACTION)
                    .put(out);
            } else {
                backend::put_command_complete(out, "DEALLOCATE");
            }
            backend::put_ready_for_query(out, status);
        }
        // Never inserted: only the server can answer these.
        Kind::Bind
        | Kind::CopyEnd
        | Kind::Describe
        | Kind::Execute
        | Kind::FunctionCall
        | Kind::ParseUnnamed
        | Kind::Sync => {}
    }
}

/// PostgreSQL's own words.
const IN_FAILED_TRANSACTION: &str =
    "current transaction is aborted, commands ignored until end of transaction block";

/// Notes what a command has done to the server; true if it has reset parameters.
fn command_complete(tag: &[u8], server: &mut Server, statements: &mut ClientStatements) -> bool {
    server.soil = server.soil.max(Soil::of_command(tag));
    if matches!(tag, b"DISCARD ALL\0" | b"DEALLOCATE ALL\0") {
        server.statements.clear();
        server.unnamed = Unnamed::None;
        statements.forget_all();
    }
    if tag == b"DISCARD ALL\0" {
        server.applied = Arc::default();
    }
    matches!(tag, b"RESET\0" | b"DISCARD ALL\0")
}

/// The bit of a tracked parameter in [`Seen::changed`]; of the 64th and later, none.
pub(super) fn bit(at: usize) -> u64 {
    u32::try_from(at)
        .ok()
        .and_then(|at| 1_u64.checked_shl(at))
        .unwrap_or_default()
}

/// How many bytes of a message must have arrived before it is looked at.
fn looked_at(tag: Tag, server: &Server) -> usize {
    match tag {
        // What a statement returns, where somebody may come back to that.
        Tag::RowDescription if server.replies.front_note().is_some() => MAX_READ,
        Tag::CommandComplete | Tag::ErrorResponse | Tag::ParameterStatus | Tag::ReadyForQuery => {
            MAX_READ
        }
        Tag::Authentication
        | Tag::BackendKeyData
        | Tag::BindComplete
        | Tag::CloseComplete
        | Tag::CopyBothResponse
        | Tag::CopyData
        | Tag::CopyDone
        | Tag::CopyInResponse
        | Tag::CopyOutResponse
        | Tag::DataRow
        | Tag::EmptyQueryResponse
        | Tag::FunctionCallResponse
        | Tag::NegotiateProtocolVersion
        | Tag::NoData
        | Tag::NoticeResponse
        | Tag::NotificationResponse
        | Tag::ParameterDescription
        | Tag::ParseComplete
        | Tag::PortalSuspended
        | Tag::RowDescription => Head::<Backend>::LEN,
    }
}

/// Longest body that is read, in bytes; of a longer error only the front is.
const MAX_READ: usize = 64 * 1024;
