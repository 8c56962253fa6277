//! From client to server: which messages pass as they are, and which are edited.
//!
//! No I/O here. A scan looks at the bytes of one read; bodies it need not read pass as they
//! arrive, whatever their size.

mod guarded;
mod look;
mod prepared;

use std::rc::Rc;
use std::sync::Arc;

use crate::pool::Pool;
use crate::pool::replies::{About, Delivery, Kind, Note};
use crate::pool::server::reset::Soil;
use crate::pool::server::{Server, Unnamed};
use crate::pool::settings::PoolMode;
use crate::session::bench::Bench;
use crate::session::edit::Edit;
use crate::session::error::SessionError;
use crate::session::guard::Guard;
use crate::session::roster::Client;
use crate::session::settings::SessionSettings;
use crate::session::statements::ClientStatements;
use crate::session::upstream::look::{
    begins_group, deallocated, is_skipped, looked_at, takes_names,
};
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::{Frontend, Tag};
use crate::wire::head::{FramingError, Head};
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

/// The client's half of an exchange.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) statements: ClientStatements,
    /// Judges what the client sends, if its role has rules or limits.
    pub(super) guard: Option<Box<Guard>>,
    /// Bytes of a message's body that still pass unseen, or are dropped.
    passing: usize,
    dropping: bool,
    client: Rc<Client>,
    bench: Rc<Bench>,
    /// Whether servers change under the client, so that its statements must follow it.
    renames: bool,
    /// Whether simple queries are refused.
    no_queries: bool,
    /// What changes the meaning of a statement's text.
    context: Arc<str>,
}

/// Where a scan stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scan {
    /// Everything that can be looked at has been.
    Done,
    /// The server was asked something whose answer decides what becomes of the next message.
    Hold,
    /// The client says goodbye.
    Terminate,
    /// So many bytes must have arrived before there is any use in another scan.
    Wants(usize),
}

/// What a scan works on.
pub(super) struct Passage<'a, 'input> {
    /// The bytes, and what becomes of them.
    pub(super) edit: &'a mut Edit<'input>,
    pub(super) server: &'a mut Server,
    pub(super) pool: &'a Pool,
    pub(super) counts: &'a mut Counts,
}

impl Passage<'_, '_> {
    /// Sends a message of ours before what comes next.
    fn insert(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        self.edit.insert(&mut self.server.outbox, put);
    }

    /// Drops bytes of the client's.
    fn skip(&mut self, len: usize) {
        self.edit.skip(len, &mut self.server.outbox);
    }

    /// Notes that a message of the client's will be answered to the client.
    fn expect(&mut self, kind: Kind) {
        // Without a note there is nothing to undo.
        drop(self.server.replies.expect(kind, Delivery::Forward, None));
    }

    /// Notes whose unnamed statement the server has when what is sent next has been reached.
    fn set_unnamed(&mut self, unnamed: Unnamed) {
        self.server.unnamed = unnamed;
        self.server.replies.changes_unnamed();
    }

    fn soil(&mut self, soil: Soil) {
        self.server.soil = self.server.soil.max(soil);
    }
}

/// What a scan counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) parses: u64,
    pub(super) server_parses: u64,
    pub(super) binds: u64,
}

impl Upstream {
    pub(super) fn new(
        client: &Rc<Client>,
        bench: &Rc<Bench>,
        (pool, settings): (&Pool, &SessionSettings),
        context: Arc<str>,
    ) -> Self {
        Self {
            statements: ClientStatements::default(),
            guard: Guard::new(bench, client),
            passing: 0,
            dropping: false,
            client: client.clone(),
            bench: bench.clone(),
            renames: renames(pool),
            no_queries: settings.disable_pqexec,
            context,
        }
    }

    /// Notes that a reload has put another pool in the place of the client's.
    pub(super) fn changes_to(&mut self, pool: &Pool) {
        self.renames = renames(pool);
    }

    /// Whether the last message has been passed on to its end.
    pub(super) fn is_between_messages(&self) -> bool {
        self.passing == 0
    }

    /// Whether there is anything to scan: else no server is needed yet.
    pub(super) fn wants(&mut self, input: &[u8]) -> Result<Scan> {
        self.renew_guard();
        let Some(head) = Head::<Frontend>::parse(input).map_err(SessionError::ClientFraming)?
        else {
            return Ok(Scan::Wants(Head::<Frontend>::LEN));
        };
        self.check(head, input)?;
        if head.tag() == Tag::Terminate {
            return Ok(Scan::Terminate);
        }
        let needed = self.needed(head);
        Ok(if input.len() < needed {
            Scan::Wants(needed)
        } else {
            Scan::Done
        })
    }

    /// Looks at what has arrived, and notes what the server will owe for it.
    pub(super) fn scan(&mut self, at: &mut Passage<'_, '_>) -> Result<Scan> {
        self.renew_guard();
        loop {
            let rest = at.edit.rest();
            if self.passing > 0 {
                let len = self.passing.min(rest.len());
                if self.dropping {
                    at.skip(len);
                } else {
                    at.edit.pass(len);
                }
                self.passing -= len;
                if self.passing > 0 {
                    return Ok(Scan::Done);
                }
                continue;
            }
            let Some(head) = Head::<Frontend>::parse(rest).map_err(SessionError::ClientFraming)?
            else {
                return Ok(Scan::Wants(Head::<Frontend>::LEN));
            };
            self.check(head, rest)?;
            let needed = self.needed(head);
            if rest.len() < needed {
                return Ok(Scan::Wants(needed));
            }
            if at.server.replies.is_skipping() && is_skipped(head.tag()) {
                self.pass(at, head);
                continue;
            }
            let waits = at.server.replies.is_uncertain() || self.is_barred(&at.server.replies);
            if waits && begins_group(head.tag()) {
                return Ok(Scan::Hold);
            }
            let body = &rest[Head::<Frontend>::LEN..head.message_len().min(rest.len())];
            if self.guard.is_some() && self.refuse(at, head, body)? {
                continue;
            }
            match head.tag() {
                Tag::Bind => self.bind(at, head, body)?,
                Tag::Close => self.close(at, head, body)?,
                Tag::CopyDone | Tag::CopyFail => {
                    at.server.replies.copy_ended();
                    self.pass(at, head);
                }
                Tag::CopyData => self.pass(at, head),
                Tag::Describe => self.describe(at, head, body)?,
                Tag::Execute => {
                    at.expect(Kind::Execute);
                    self.pass(at, head);
                }
                Tag::Flush => {
                    at.server.replies.flushed();
                    self.pass(at, head);
                }
                Tag::FunctionCall => {
                    // Which function it is cannot be told from its number.
                    at.soil(Soil::State);
                    at.expect(Kind::FunctionCall);
                    self.pass(at, head);
                }
                Tag::Parse => self.parse(at, head, body)?,
                Tag::Password => {
                    let refused = FramingError::Tag(Tag::Password as u8);
                    return Err(SessionError::ClientFraming(refused));
                }
                Tag::Query => self.query(at, head, body),
                Tag::Sync => {
                    at.expect(Kind::Sync);
                    self.pass(at, head);
                }
                Tag::Terminate => return Ok(Scan::Terminate),
            }
            if self.statements.is_asking() {
                return Ok(Scan::Hold);
            }
        }
    }

    /// Refuses what no client may send.
    fn check(&self, head: Head<Frontend>, input: &[u8]) -> Result<()> {
        let limit = self.client.max_packet_size.get();
        if head.message_len() > limit {
            return Err(SessionError::Refused(too_large(head, input, limit)));
        }
        if self.no_queries && head.tag() == Tag::Query {
            return Err(SessionError::Refused(PoolerError::PqexecDisallowed.into()));
        }
        Ok(())
    }

    fn query(&mut self, at: &mut Passage<'_, '_>, head: Head<Frontend>, body: &[u8]) {
        // Some drivers close what they prepared in the protocol with SQL.
        if body.len() == head.body_len()
            && let Some(name) = deallocated(body)
            && let Some(statement) = self.statements.forget(&name)
        {
            at.skip(head.message_len());
            self.statements.forget_unnamed();
            let note = Note {
                statement,
                about: About::Closed(name.into()),
            };
            let replies = &mut at.server.replies;
            if let Some(note) = replies.expect(Kind::Query, Delivery::Insert, Some(note)) {
                self.statements.undo(note);
            }
            return;
        }
        if takes_names(body) {
            at.server.replies.puts_names_at_stake();
        }
        at.soil(if body.len() == head.body_len() {
            Soil::of_text(body)
        } else {
            Soil::State // too long to look at
        });
        // "A simple Query message also destroys the unnamed statement."
        at.set_unnamed(Unnamed::None);
        self.statements.forget_unnamed();
        at.expect(Kind::Query);
        self.pass(at, head);
    }

    fn pass(&mut self, at: &mut Passage<'_, '_>, head: Head<Frontend>) {
        let len = head.message_len().min(at.edit.rest().len());
        at.edit.pass(len);
        self.passing = head.message_len() - len;
        self.dropping = false;
    }

    /// How much of a message must have arrived before it is looked at.
    fn needed(&self, head: Head<Frontend>) -> usize {
        let longest = match &self.guard {
            // All that may be judged of it, and names before it and types behind it.
            Some(guard) if matches!(head.tag(), Tag::Parse | Tag::Query) => {
                looked_at(head.tag()).max(guard.max_text().saturating_add(ROUND_A_TEXT))
            }
            Some(_) | None => looked_at(head.tag()),
        };
        head.message_len().min(longest)
    }
}

/// What a Parse may have besides its text, in bytes.
const ROUND_A_TEXT: usize = 64 * 1024;

/// The front of a message that is too large is shown as PgBouncer shows it.
fn too_large(head: Head<Frontend>, input: &[u8], limit: usize) -> ErrorResponse {
    let len = head.message_len();
    let front = input.iter().take(8);
    let front: String = front.map(|byte| format!("{byte:02x}")).collect();
    ErrorResponse::fatal(
        SqlState::PROTOCOL_VIOLATION,
        format!("message of {len} bytes is larger than max_packet_size ({limit})"),
    )
    .or_as_pgbouncer(format!("bad packet header: '{front}'"))
}

/// Whether a pool's clients change servers, so that their statements must follow them.
fn renames(pool: &Pool) -> bool {
    let settings = pool.settings();
    settings.mode != PoolMode::Session && settings.max_prepared_statements > 0
}
