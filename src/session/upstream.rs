//! From client to server: which messages pass as they are, and which are edited.
//!
//! No I/O here. A scan looks at the bytes of one read; bodies it need not read pass as they
//! arrive, whatever their size.

mod look;

use std::sync::Arc;

use crate::pool::Pool;
use crate::pool::replies::{About, Delivery, Kind, Note};
use crate::pool::server::reset::Soil;
use crate::pool::server::{Server, Unnamed};
use crate::pool::settings::PoolMode;
use crate::pool::statement::Statement;
use crate::session::edit::Edit;
use crate::session::error::SessionError;
use crate::session::statements::{ClientStatements, UnnamedRef};
use crate::session::upstream::look::{
    begins_group, deallocated, is_skipped, looked_at, takes_names, target,
};
use crate::wire::backend::TransactionStatus;
use crate::wire::body::BodyReader;
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::{self, Frontend, Tag, Target};
use crate::wire::head::{FramingError, Head};
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

/// The client's half of an exchange.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) statements: ClientStatements,
    /// Bytes of a message's body that still pass unseen.
    passing: usize,
    client: u64,
    /// Whether servers change under the client, so that its statements must follow it.
    renames: bool,
    /// What changes the meaning of a statement's text.
    context: Arc<str>,
}

/// Where a scan stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scan {
    /// Everything that can be looked at has been.
    Done,
    /// The client says goodbye.
    Terminate,
    /// What comes next depends on an answer that is under way.
    Stalled,
    /// So many bytes must have arrived before there is any use in another scan.
    Wants(usize),
}

/// What a scan counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) parses: u64,
    pub(super) server_parses: u64,
    pub(super) binds: u64,
}

impl Upstream {
    pub(super) fn new(client: u64, pool: &Pool, context: Arc<str>) -> Self {
        let settings = pool.settings();
        let renames = settings.mode != PoolMode::Session && settings.max_prepared_statements > 0;
        Self {
            statements: ClientStatements::default(),
            passing: 0,
            client,
            renames,
            context,
        }
    }

    /// Whether the last message has been passed on to its end.
    pub(super) fn is_between_messages(&self) -> bool {
        self.passing == 0
    }

    /// Whether there is anything to scan: else no server is needed yet.
    pub(super) fn wants(&self, input: &[u8]) -> Result<Scan> {
        let Some(head) = Head::<Frontend>::parse(input).map_err(SessionError::ClientFraming)?
        else {
            return Ok(Scan::Wants(Head::<Frontend>::LEN));
        };
        match head.tag() {
            Tag::Terminate => Ok(Scan::Terminate),
            tag if input.len() < head.message_len().min(looked_at(tag)) => {
                Ok(Scan::Wants(head.message_len().min(looked_at(tag))))
            }
            _ => Ok(Scan::Done),
        }
    }

    /// Looks at what has arrived, and notes what the server will owe for it.
    pub(super) fn scan(
        &mut self,
        edit: &mut Edit<'_>,
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) -> Result<Scan> {
        loop {
            let rest = edit.rest();
            if self.passing > 0 {
                let len = self.passing.min(rest.len());
                edit.pass(len);
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
            let needed = head.message_len().min(looked_at(head.tag()));
            if rest.len() < needed {
                return Ok(Scan::Wants(needed));
            }
            if server.replies.is_skipping() && is_skipped(head.tag()) {
                self.pass(edit, head);
                continue;
            }
            if server.replies.is_uncertain() && begins_group(head.tag()) {
                return Ok(Scan::Stalled);
            }
            let body = &rest[Head::<Frontend>::LEN..head.message_len().min(rest.len())];
            match head.tag() {
                Tag::Bind => {
                    counts.binds += 1;
                    self.bind(edit, head, body, server, pool, counts)?;
                }
                Tag::Close => self.close(edit, head, body, server)?,
                Tag::CopyDone | Tag::CopyFail => {
                    server.replies.copy_ended();
                    self.pass(edit, head);
                }
                Tag::CopyData => self.pass(edit, head),
                Tag::Describe => self.describe(edit, head, body, server, pool, counts)?,
                Tag::Execute => {
                    expect(server, Kind::Execute);
                    self.pass(edit, head);
                }
                Tag::Flush => {
                    server.replies.flushed();
                    self.pass(edit, head);
                }
                Tag::FunctionCall => {
                    // Which function it is cannot be told from its number.
                    server.soil = server.soil.max(Soil::State);
                    expect(server, Kind::FunctionCall);
                    self.pass(edit, head);
                }
                Tag::Parse => {
                    counts.parses += 1;
                    self.parse(edit, head, body, server, pool, counts)?;
                }
                Tag::Password => {
                    let refused = FramingError::Tag(Tag::Password as u8);
                    return Err(SessionError::ClientFraming(refused));
                }
                Tag::Query => self.query(edit, head, body, server, pool),
                Tag::Sync => {
                    expect(server, Kind::Sync);
                    self.pass(edit, head);
                }
                Tag::Terminate => return Ok(Scan::Terminate),
            }
        }
    }

    fn query(
        &mut self,
        edit: &mut Edit<'_>,
        head: Head<Frontend>,
        body: &[u8],
        server: &mut Server,
        pool: &Pool,
    ) {
        // Some drivers close what they prepared in the protocol with SQL.
        if let Some(name) = deallocated(body)
            && let Some(statement) = self.statements.forget(&name)
        {
            edit.skip(head.message_len(), &mut server.outbox);
            self.statements.forget_unnamed();
            let note = Note {
                statement,
                about: About::Closed(name.into()),
            };
            if let Some(note) = server
                .replies
                .expect(Kind::Query, Delivery::Insert, Some(note))
            {
                self.statements.undo(note);
            }
            return;
        }
        let soil = if body.len() == head.body_len() {
            Soil::of_text(pool.telling_words(), body)
        } else {
            Soil::State // too long to look at
        };
        if takes_names(body) {
            server.replies.puts_names_at_stake();
        }
        server.soil = server.soil.max(soil);
        // "A simple Query message also destroys the unnamed statement."
        set_unnamed(server, Unnamed::None);
        self.statements.forget_unnamed();
        expect(server, Kind::Query);
        self.pass(edit, head);
    }

    fn parse(
        &mut self,
        edit: &mut Edit<'_>,
        head: Head<Frontend>,
        body: &[u8],
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) -> Result<()> {
        let mut reader = BodyReader::new(body);
        let name = reader.cstr().map_err(SessionError::ClientFraming)?;
        let rest = reader.rest();
        let whole = body.len() == head.body_len();
        let share = self.renames && whole && (!name.is_empty() || pool.settings().prepare_unnamed);
        let soil = if whole {
            Soil::of_text(pool.telling_words(), rest)
        } else {
            Soil::State
        };
        if !share {
            if !name.is_empty() && self.renames {
                return Err(too_long(head.message_len()));
            }
            server.soil = server.soil.max(soil);
            if takes_names(rest) {
                server.replies.puts_names_at_stake();
            }
            let kind = if name.is_empty() {
                self.keep_unnamed(whole.then_some(rest), soil, server);
                Kind::ParseUnnamed
            } else {
                Kind::Parse
            };
            counts.server_parses += 1;
            expect(server, kind);
            self.pass(edit, head);
            return Ok(());
        }
        if !name.is_empty()
            && let Some(known) = self.statements.named(name).cloned()
        {
            // The server refuses the second Parse of a name itself, with the right words.
            self.ensure(edit, &known, server, pool, counts);
            edit.skip(head.message_len(), &mut server.outbox);
            edit.insert(&mut server.outbox, |out| {
                frontend::put_parse(out, known.server_name(), rest);
            });
            expect(server, Kind::Parse);
            return Ok(());
        }
        let statement = pool
            .statements()
            .intern(rest, &self.context, soil > Soil::Clean);
        edit.skip(head.message_len(), &mut server.outbox);
        self.share(edit, name, statement, server, pool, counts);
        Ok(())
    }

    /// Gives the client's name to a shared statement, and has the server prepare it if need be.
    fn share(
        &mut self,
        edit: &mut Edit<'_>,
        name: &[u8],
        statement: Arc<Statement>,
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) {
        let known = server.statements.touch(&statement);
        let about = if known {
            About::NamedOnly(name.into())
        } else {
            About::Named(name.into())
        };
        let note = Some(Note {
            statement: statement.clone(),
            about,
        });
        // In a failed transaction the server refuses what it has as well, but for what ends it.
        let refused = server.replies.status() == TransactionStatus::Failed;
        let delivery = if known && !refused {
            Delivery::Insert
        } else {
            Delivery::Forward
        };
        if server.replies.expect(Kind::Parse, delivery, note).is_some() {
            return; // skipped, like everything up to the Sync
        }
        if !known {
            edit.insert(&mut server.outbox, |out| {
                frontend::put_parse(out, statement.server_name(), statement.parse_rest());
            });
            counts.server_parses += 1;
            self.added(edit, statement.clone(), server, pool);
        } else if refused {
            // Its verdict is asked for under the one name that is always free.
            set_unnamed(server, Unnamed::Unknown);
            edit.insert(&mut server.outbox, |out| {
                frontend::put_parse(out, b"", statement.parse_rest());
            });
            counts.server_parses += 1;
        }
        if name.is_empty() {
            self.statements.share_unnamed(statement);
        } else {
            self.statements.name(name, statement);
        }
    }

    fn bind(
        &mut self,
        edit: &mut Edit<'_>,
        head: Head<Frontend>,
        body: &[u8],
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) -> Result<()> {
        let mut reader = BodyReader::new(body);
        let names = reader
            .cstr()
            .and_then(|portal| Ok((portal, reader.cstr()?)));
        let (portal, name) = match names {
            Ok(names) => names,
            Err(error) if body.len() == head.body_len() => {
                return Err(SessionError::ClientFraming(error));
            }
            Err(_) => return Err(too_long(head.message_len())),
        };
        let Some(statement) = self.statement(edit, name, server, pool, counts) else {
            expect(server, Kind::Bind);
            self.pass(edit, head);
            return Ok(());
        };
        // The same message with another name in it.
        let names_len = portal.len() + 1 + name.len() + 1;
        let rest_len = head.body_len() - names_len;
        let new_len = 4 + portal.len() + 1 + statement.server_name().len() + 1 + rest_len;
        let new_len = i32::try_from(new_len).map_err(|_| too_long(new_len))?;
        edit.skip(Head::<Frontend>::LEN + names_len, &mut server.outbox);
        edit.insert(&mut server.outbox, |out| {
            out.push(Tag::Bind as u8);
            out.extend_from_slice(&new_len.to_be_bytes());
            out.extend_from_slice(portal);
            out.push(0);
            out.extend_from_slice(statement.server_name());
            out.push(0);
        });
        expect(server, Kind::Bind);
        self.passing = rest_len;
        Ok(())
    }

    fn describe(
        &mut self,
        edit: &mut Edit<'_>,
        head: Head<Frontend>,
        body: &[u8],
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) -> Result<()> {
        if let (Target::Statement, name) = target(body)?
            && let Some(statement) = self.statement(edit, name, server, pool, counts)
        {
            edit.skip(head.message_len(), &mut server.outbox);
            edit.insert(&mut server.outbox, |out| {
                frontend::put_describe(out, Target::Statement, statement.server_name());
            });
            expect(server, Kind::Describe);
            return Ok(());
        }
        expect(server, Kind::Describe);
        self.pass(edit, head);
        Ok(())
    }

    fn close(
        &mut self,
        edit: &mut Edit<'_>,
        head: Head<Frontend>,
        body: &[u8],
        server: &mut Server,
    ) -> Result<()> {
        if let (Target::Statement, name) = target(body)? {
            if name.is_empty() {
                set_unnamed(server, Unnamed::None);
                self.statements.forget_unnamed();
            } else if let Some(statement) = self.statements.forget(name) {
                // Others may use it: only the client's name goes.
                edit.skip(head.message_len(), &mut server.outbox);
                let note = Note {
                    statement,
                    about: About::Closed(name.into()),
                };
                if let Some(note) = server
                    .replies
                    .expect(Kind::Close, Delivery::Insert, Some(note))
                {
                    self.statements.undo(note);
                }
                return Ok(());
            }
        }
        expect(server, Kind::Close);
        self.pass(edit, head);
        Ok(())
    }

    /// The shared statement behind a client's name, prepared on this server before what comes
    /// next. `None`: the name means on the server what it means to the client.
    fn statement(
        &mut self,
        edit: &mut Edit<'_>,
        name: &[u8],
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) -> Option<Arc<Statement>> {
        if !name.is_empty() {
            let statement = self.statements.named(name)?.clone();
            self.ensure(edit, &statement, server, pool, counts);
            return Some(statement);
        }
        if !self.renames {
            return None;
        }
        match self.statements.unnamed() {
            UnnamedRef::Shared(statement) => {
                let statement = statement.clone();
                self.ensure(edit, &statement, server, pool, counts);
                Some(statement)
            }
            UnnamedRef::Text {
                parse_rest,
                soil,
                generation,
            } => {
                server.soil = server.soil.max(soil);
                let mine = Unnamed::Of {
                    client: self.client,
                    generation,
                };
                let there = server.unnamed == mine && server.replies.is_unnamed_certain();
                if !there
                    && server
                        .replies
                        .expect(Kind::Parse, Delivery::Swallow, None)
                        .is_none()
                {
                    set_unnamed(server, mine);
                    counts.server_parses += 1;
                    edit.insert(&mut server.outbox, |out| {
                        frontend::put_parse(out, b"", parse_rest)
                    });
                }
                None
            }
            UnnamedRef::None => {
                // Another client's must not answer to this one's.
                let nothing_there =
                    server.unnamed == Unnamed::None && server.replies.is_unnamed_certain();
                if !nothing_there {
                    set_unnamed(server, Unnamed::None);
                    let closed = server.replies.expect(Kind::Close, Delivery::Swallow, None);
                    if closed.is_none() {
                        edit.insert(&mut server.outbox, |out| {
                            frontend::put_close(out, Target::Statement, b"");
                        });
                    }
                }
                None
            }
        }
    }

    /// Prepares a statement on the server if it is not there.
    fn ensure(
        &self,
        edit: &mut Edit<'_>,
        statement: &Arc<Statement>,
        server: &mut Server,
        pool: &Pool,
        counts: &mut Counts,
    ) {
        if statement.leaves_state() {
            server.soil = server.soil.max(Soil::State);
        }
        if server.statements.touch(statement) {
            return;
        }
        let note = Note {
            statement: statement.clone(),
            about: About::Injected,
        };
        if server
            .replies
            .expect(Kind::Parse, Delivery::Swallow, Some(note))
            .is_none()
        {
            counts.server_parses += 1;
            edit.insert(&mut server.outbox, |out| {
                frontend::put_parse(out, statement.server_name(), statement.parse_rest());
            });
            self.added(edit, statement.clone(), server, pool);
        }
    }

    /// Notes that the server has a statement, and closes the least used one if it is one too many.
    fn added(
        &self,
        edit: &mut Edit<'_>,
        statement: Arc<Statement>,
        server: &mut Server,
        pool: &Pool,
    ) {
        if statement.leaves_state() {
            server.soil = server.soil.max(Soil::State);
        }
        server.statements.add(statement);
        if let Some(old) = server
            .statements
            .evict(pool.settings().max_prepared_statements)
        {
            edit.insert(&mut server.outbox, |out| {
                frontend::put_close(out, Target::Statement, old.server_name());
            });
            let note = Note {
                statement: old,
                about: About::Evicted,
            };
            // Never skipped: what was added just before was not.
            drop(
                server
                    .replies
                    .expect(Kind::Close, Delivery::Swallow, Some(note)),
            );
        }
    }

    /// Notes the client's unnamed statement, which the server is about to have. `None`: it is
    /// too long to be repeated on another server.
    fn keep_unnamed(&mut self, parse_rest: Option<&[u8]>, soil: Soil, server: &mut Server) {
        let Some(parse_rest) = parse_rest else {
            self.statements.forget_unnamed();
            set_unnamed(server, Unnamed::Unknown);
            return;
        };
        let mine = Unnamed::Of {
            client: self.client,
            generation: self.statements.keep_unnamed(parse_rest, soil),
        };
        set_unnamed(server, mine);
    }

    fn pass(&mut self, edit: &mut Edit<'_>, head: Head<Frontend>) {
        let len = head.message_len().min(edit.rest().len());
        edit.pass(len);
        self.passing = head.message_len() - len;
    }
}

/// Notes whose unnamed statement the server has when what is sent next has been reached.
fn set_unnamed(server: &mut Server, unnamed: Unnamed) {
    server.unnamed = unnamed;
    server.replies.changes_unnamed();
}

fn expect(server: &mut Server, kind: Kind) {
    // Without a note there is nothing to undo.
    drop(server.replies.expect(kind, Delivery::Forward, None));
}

fn too_long(len: usize) -> SessionError {
    SessionError::Refused(ErrorResponse::fatal(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a prepared statement of {len} bytes is too long to be pooled"),
    ))
}
