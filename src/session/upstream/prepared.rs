//! Messages that name a prepared statement: the client's names become the pool's.

use std::sync::Arc;

use super::look::{takes_names, target};
use super::{Passage, Result, Upstream};
use crate::pool::replies::{About, Delivery, Kind, Note};
use crate::pool::server::Unnamed;
use crate::pool::server::reset::Soil;
use crate::pool::statement::Statement;
use crate::session::error::SessionError;
use crate::session::statements::UnnamedRef;
use crate::wire::backend::TransactionStatus;
use crate::wire::body::BodyReader;
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::{self, Frontend, Tag, Target};
use crate::wire::head::{FramingError, Head};
use crate::wire::sqlstate::SqlState;

/// What stands behind a name.
enum Found {
    /// A shared statement, which the server has.
    Ours(Arc<Statement>),
    /// What it means to the client it means on the server.
    Theirs,
    /// The server has been asked whether the statement still is what the client was told.
    Unsure,
}

impl Upstream {
    pub(super) fn parse(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        body: &[u8],
    ) -> Result<()> {
        let mut reader = BodyReader::new(body);
        let name = reader.cstr().map_err(SessionError::ClientFraming)?;
        let rest = reader.rest();
        let whole = body.len() == head.body_len();
        let soil = if whole {
            Soil::of_text(rest)
        } else {
            Soil::State // too long to look at
        };
        // Since before a reload that has ended the tracking of statements.
        let is_taken = !name.is_empty() && self.statements.named(name).is_some();
        let shares = self.renames && (!name.is_empty() || at.pool.settings().prepare_unnamed);
        if whole && (is_taken || shares) {
            return self.share(at, head, (name, rest), soil);
        }
        if self.renames && !name.is_empty() {
            return Err(too_long(head.message_len()));
        }
        // As in PgBouncer, only what is tracked is counted.
        at.soil(soil);
        if takes_names(rest) {
            at.server.replies.puts_names_at_stake();
        }
        if name.is_empty() {
            self.keep_unnamed(at, whole.then_some(rest), soil);
            at.expect(Kind::ParseUnnamed);
        } else {
            at.expect(Kind::Parse);
        }
        self.pass(at, head);
        Ok(())
    }

    /// Remembers the client's unnamed statement, which is sent next; `None`: it is too long.
    fn keep_unnamed(&mut self, at: &mut Passage<'_, '_>, parse_rest: Option<&[u8]>, soil: Soil) {
        let Some(parse_rest) = parse_rest else {
            let generation = self.statements.skip_unnamed();
            at.set_unnamed(Unnamed::Of {
                client: self.client.id,
                generation,
            });
            return;
        };
        let generation = self.statements.keep_unnamed(parse_rest, soil);
        at.set_unnamed(Unnamed::Of {
            client: self.client.id,
            generation,
        });
    }

    /// A Parse of a statement that all clients of the pool may share.
    fn share(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        (name, rest): (&[u8], &[u8]),
        soil: Soil,
    ) -> Result<()> {
        if !name.is_empty()
            && let Some(known) = self.statements.named(name).cloned()
        {
            if !self.ensure(at, &known) {
                return Ok(());
            }
            // The server refuses the second Parse of a name itself, with the right words.
            at.skip(head.message_len());
            at.insert(|out| frontend::put_parse(out, known.server_name(), rest));
            at.expect(Kind::Parse);
            return Ok(());
        }
        if self.statements.kept() > MAX_KEPT {
            let error = "too many prepared statements: close those that are not used any more";
            let error = ErrorResponse::fatal(SqlState::PROGRAM_LIMIT_EXCEEDED, error);
            return Err(SessionError::Refused(error));
        }
        at.counts.parses += 1;
        let statements = at.pool.statements();
        let statement = statements.intern(rest, &self.context, soil > Soil::Clean);
        at.skip(head.message_len());
        let known = at.server.statements.touch(&statement);
        // In a failed transaction the server refuses what it has as well, but for what ends it.
        let refused = at.server.replies.status() == TransactionStatus::Failed;
        let about = if known {
            About::NamedOnly(name.into())
        } else {
            About::Named(name.into())
        };
        let delivery = if known && !refused {
            Delivery::Insert
        } else {
            Delivery::Forward
        };
        let note = Note {
            statement: statement.clone(),
            about,
        };
        if at
            .server
            .replies
            .expect(Kind::Parse, delivery, Some(note))
            .is_some()
        {
            return Ok(()); // skipped, like everything up to the Sync
        }
        if !known {
            at.insert(|out| frontend::put_parse(out, statement.server_name(), rest));
            at.counts.server_parses += 1;
            self.added(at, statement.clone());
        } else if refused {
            // Its verdict is asked for under the one name that is always free.
            at.set_unnamed(Unnamed::Unknown);
            at.insert(|out| frontend::put_parse(out, b"", rest));
            at.counts.server_parses += 1;
        }
        if name.is_empty() {
            self.statements.share_unnamed(statement);
        } else {
            self.statements.name(name, statement);
        }
        Ok(())
    }

    pub(super) fn bind(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        body: &[u8],
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
        let statement = match self.find(at, name) {
            Found::Ours(statement) => statement,
            Found::Theirs => {
                at.expect(Kind::Bind);
                self.pass(at, head);
                return Ok(());
            }
            Found::Unsure => return Ok(()),
        };
        at.counts.binds += 1;
        // The same message with another name in it.
        let names_len = portal.len() + 1 + name.len() + 1;
        let rest_len = head.body_len() - names_len;
        let new_len = 4 + portal.len() + 1 + statement.server_name().len() + 1 + rest_len;
        let new_len = i32::try_from(new_len).map_err(|_| too_long(new_len))?;
        at.skip(Head::<Frontend>::LEN + names_len);
        at.insert(|out| {
            out.push(Tag::Bind as u8);
            out.extend_from_slice(&new_len.to_be_bytes());
            out.extend_from_slice(portal);
            out.push(0);
            out.extend_from_slice(statement.server_name());
            out.push(0);
        });
        at.expect(Kind::Bind);
        self.passing = rest_len;
        self.dropping = false;
        Ok(())
    }

    pub(super) fn describe(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        body: &[u8],
    ) -> Result<()> {
        if body.len() < head.body_len() {
            return Err(SessionError::ClientFraming(FramingError::Body));
        }
        if let (Target::Statement, name) = target(body)? {
            match self.find(at, name) {
                Found::Ours(statement) => {
                    at.skip(head.message_len());
                    at.insert(|out| {
                        frontend::put_describe(out, Target::Statement, statement.server_name());
                    });
                    let note = Note {
                        statement,
                        about: About::Described,
                    };
                    drop(
                        at.server
                            .replies
                            .expect(Kind::Describe, Delivery::Forward, Some(note)),
                    );
                    return Ok(());
                }
                Found::Theirs => {}
                Found::Unsure => return Ok(()),
            }
        }
        at.expect(Kind::Describe);
        self.pass(at, head);
        Ok(())
    }

    pub(super) fn close(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        body: &[u8],
    ) -> Result<()> {
        if body.len() < head.body_len() {
            return Err(SessionError::ClientFraming(FramingError::Body));
        }
        if let (Target::Statement, name) = target(body)? {
            if name.is_empty() {
                at.set_unnamed(Unnamed::None);
                self.statements.forget_unnamed();
            } else if let Some(statement) = self.statements.forget(name) {
                // Others may use it: only the client's name goes.
                at.skip(head.message_len());
                let note = Note {
                    statement,
                    about: About::Closed(name.into()),
                };
                let replies = &mut at.server.replies;
                if let Some(note) = replies.expect(Kind::Close, Delivery::Insert, Some(note)) {
                    self.statements.undo(note);
                }
                return Ok(());
            }
        }
        at.expect(Kind::Close);
        self.pass(at, head);
        Ok(())
    }

    /// What stands behind a client's name; a shared statement is prepared on this server before
    /// what comes next.
    fn find(&mut self, at: &mut Passage<'_, '_>, name: &[u8]) -> Found {
        let shared = if name.is_empty() {
            self.unnamed(at)
        } else {
            self.statements.named(name).cloned()
        };
        match shared {
            None => Found::Theirs,
            Some(statement) if self.ensure(at, &statement) => Found::Ours(statement),
            Some(_) => Found::Unsure,
        }
    }

    /// The client's unnamed statement if it is a shared one; else sees to it that the server's is
    /// the client's.
    fn unnamed(&mut self, at: &mut Passage<'_, '_>) -> Option<Arc<Statement>> {
        if !self.renames {
            return None;
        }
        match self.statements.unnamed() {
            UnnamedRef::Shared(statement) => return Some(statement.clone()),
            UnnamedRef::Text {
                parse_rest,
                soil,
                generation,
            } => {
                at.soil(soil);
                let mine = Unnamed::Of {
                    client: self.client.id,
                    generation,
                };
                let replies = &mut at.server.replies;
                let there = at.server.unnamed == mine && replies.is_unnamed_certain();
                if !there
                    && replies
                        .expect(Kind::Parse, Delivery::Swallow, None)
                        .is_none()
                {
                    at.set_unnamed(mine);
                    at.insert(|out| frontend::put_parse(out, b"", parse_rest));
                }
            }
            UnnamedRef::Lost { generation }
                if at.server.replies.is_unnamed_certain()
                    && at.server.unnamed
                        == (Unnamed::Of {
                            client: self.client.id,
                            generation,
                        }) => {} // here it is
            UnnamedRef::Lost { .. } | UnnamedRef::None => {
                // Another client's must not answer to this one's.
                let nothing_there =
                    at.server.unnamed == Unnamed::None && at.server.replies.is_unnamed_certain();
                if !nothing_there {
                    at.set_unnamed(Unnamed::None);
                    let replies = &mut at.server.replies;
                    if replies
                        .expect(Kind::Close, Delivery::Swallow, None)
                        .is_none()
                    {
                        at.insert(|out| frontend::put_close(out, Target::Statement, b""));
                    }
                }
            }
        }
        None
    }

    /// Prepares a statement on the server if it is not there. False: wait for the answer.
    ///
    /// Tables change. A driver that was told what a statement returns must not get something
    /// else, so the server is asked to describe it once more, and what is asked for next waits.
    /// If it differs the client gets the error that PostgreSQL itself would give, on which
    /// drivers prepare anew.
    fn ensure(&mut self, at: &mut Passage<'_, '_>, statement: &Arc<Statement>) -> bool {
        if self.statements.has_changed(statement) {
            at.insert(|out| frontend::put_refused_parse(out, b""));
            at.set_unnamed(Unnamed::Unknown);
            let error = ErrorResponse::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            );
            at.server
                .replies
                .refuse(Kind::Parse, error.with_routine(STALE_PLAN));
            return true;
        }
        if statement.leaves_state() {
            at.soil(Soil::State);
        }
        if at.server.statements.touch(statement) {
            return true;
        }
        let note = Note {
            statement: statement.clone(),
            about: About::Injected,
        };
        let replies = &mut at.server.replies;
        if replies
            .expect(Kind::Parse, Delivery::Swallow, Some(note))
            .is_some()
        {
            return true; // skipped, like everything up to the Sync
        }
        at.counts.server_parses += 1;
        at.insert(|out| {
            frontend::put_parse(out, statement.server_name(), statement.parse_rest());
        });
        self.added(at, statement.clone());
        if statement.shape().is_none() {
            return true;
        }
        let note = Note {
            statement: statement.clone(),
            about: About::Asked,
        };
        drop(
            at.server
                .replies
                .expect(Kind::Describe, Delivery::Swallow, Some(note)),
        );
        at.insert(|out| {
            frontend::put_describe(out, Target::Statement, statement.server_name());
            frontend::put_flush(out);
        });
        self.statements.ask(statement);
        false
    }

    /// Notes that the server has a statement, and closes the least used one if it is one too
    /// many.
    fn added(&self, at: &mut Passage<'_, '_>, statement: Arc<Statement>) {
        if statement.leaves_state() {
            at.soil(Soil::State);
        }
        at.server.statements.add(statement);
        let limit = at.pool.settings().max_prepared_statements;
        // More than one where the limit has been lowered.
        while let Some(old) = at.server.statements.evict(limit) {
            at.insert(|out| frontend::put_close(out, Target::Statement, old.server_name()));
            let note = Note {
                statement: old,
                about: About::Evicted,
            };
            // Never skipped: what was added just before was not.
            drop(
                at.server
                    .replies
                    .expect(Kind::Close, Delivery::Swallow, Some(note)),
            );
        }
    }
}

fn too_long(len: usize) -> SessionError {
    SessionError::Refused(ErrorResponse::fatal(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a prepared statement of {len} bytes is too long to be pooled"),
    ))
}

/// What one client may have us remember of its statements, in bytes.
const MAX_KEPT: usize = 256 * 1024 * 1024;
/// By this, in every language, drivers know that they have to prepare anew.
const STALE_PLAN: &str = "RevalidateCachedQuery";
