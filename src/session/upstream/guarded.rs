//! Messages of a client that has a guard: which of them never reach the server, and what the
//! server is asked in their place.

use super::look::target;
use super::{Passage, Result, Upstream};
use crate::pool::replies::{Kind, Replies};
use crate::pool::server::Unnamed;
use crate::session::error::SessionError;
use crate::session::guard::{Asked, Guard, Ruling, Text};
use crate::session::statements::ClientStatements;
use crate::wire::body::BodyReader;
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::{self, Frontend, Tag, Target};
use crate::wire::head::Head;

impl Upstream {
    /// Takes notice of it if the client was admitted anew.
    pub(super) fn renew_guard(&mut self) {
        if self.client.readmitted.guard.take() {
            let old = self.guard.take();
            self.guard = Guard::renewed(old, &self.bench, &self.client);
        }
    }

    /// Whether what comes next must wait until the server has answered.
    pub(in crate::session) fn is_barred(&self, replies: &Replies) -> bool {
        let guard = self.guard.as_ref();
        guard.is_some_and(|guard| guard.waits_for_answers())
            && !replies.is_answered()
            && !replies.awaits_client()
    }

    /// Has the guard look at a message; true if it was refused. The server is then made to
    /// refuse something in its place, so that it fails its transaction as it would have.
    pub(super) fn refuse(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        body: &[u8],
    ) -> Result<bool> {
        let Some(guard) = &mut self.guard else {
            return Ok(false);
        };
        let asked = Asked {
            protocol: "extended",
            status: at.server.replies.status(),
            runs: head.tag() != Tag::Parse,
        };
        let whole = body.len() == head.body_len();
        let ruling = match head.tag() {
            Tag::Query => {
                let protocol = "simple";
                guard.query(text(body, whole, head), Asked { protocol, ..asked })
            }
            Tag::Parse => {
                let certain = at.server.replies.is_answered();
                let mut reader = BodyReader::new(body);
                let name = reader.cstr().map_err(SessionError::ClientFraming)?;
                let sql = match reader.cstr() {
                    Ok(sql) => Text::Whole(sql),
                    Err(error) if whole => return Err(SessionError::ClientFraming(error)),
                    Err(_) => Text::TooLong(head.body_len()),
                };
                guard.parse(name, sql, certain, asked)
            }
            Tag::Bind if guard.watches_binds() => {
                let mut reader = BodyReader::new(body);
                let names = reader.cstr().and_then(|_portal| reader.cstr());
                match names {
                    Ok(name) => bind(guard, &self.statements, (name, self.renames), asked),
                    Err(_) => Ok(()), // refused for its form in a moment
                }
            }
            Tag::Close => {
                if let Ok((Target::Statement, name)) = target(body) {
                    guard.close(name);
                }
                Ok(())
            }
            Tag::Execute => guard.execute(),
            Tag::FunctionCall => guard.function_call(asked.status),
            Tag::Bind
            | Tag::CopyData
            | Tag::CopyDone
            | Tag::CopyFail
            | Tag::Describe
            | Tag::Flush
            | Tag::Password
            | Tag::Terminate => Ok(()),
            Tag::Sync => {
                guard.synced();
                Ok(())
            }
        };
        match ruling {
            Ok(()) => Ok(false),
            Err(error) => {
                self.put_refused(at, head, body, *error);
                Ok(true)
            }
        }
    }

    fn put_refused(
        &mut self,
        at: &mut Passage<'_, '_>,
        head: Head<Frontend>,
        body: &[u8],
        error: ErrorResponse,
    ) {
        let len = head.message_len().min(at.edit.rest().len());
        at.skip(len);
        self.passing = head.message_len() - len;
        self.dropping = true;
        if matches!(head.tag(), Tag::FunctionCall | Tag::Query) {
            // "A simple Query message also destroys the unnamed statement."
            at.set_unnamed(Unnamed::None);
            if head.tag() == Tag::Query {
                self.statements.forget_unnamed();
            }
            at.insert(frontend::put_refused_query);
            at.server.replies.refuse(Kind::Query, error);
            return;
        }
        // A refused Parse of the unnamed statement takes the one before with it, as it does in
        // PostgreSQL; anything else must leave it alone.
        let unnamed = head.tag() == Tag::Parse && body.first() == Some(&0);
        if unnamed {
            at.set_unnamed(Unnamed::Unknown);
            self.statements.forget_unnamed();
        }
        let name: &[u8] = if unnamed { b"" } else { NAME };
        at.insert(|out| frontend::put_refused_parse(out, name));
        at.server.replies.refuse(Kind::Parse, error);
    }

    /// Judges the Query at the front of what has arrived, before there is a server for it; what
    /// to answer, and how many bytes that is about.
    pub(in crate::session) fn refused_at_the_door(
        &mut self,
        input: &[u8],
    ) -> Option<(usize, Box<ErrorResponse>)> {
        let guard = self.guard.as_mut()?;
        let head = Head::<Frontend>::parse(input).ok().flatten()?;
        let body = input.get(Head::<Frontend>::LEN..head.message_len())?;
        if head.tag() != Tag::Query {
            return None;
        }
        let error = guard.query_at_the_door(text(body, true, head)).err()?;
        self.statements.forget_unnamed();
        Some((head.message_len(), error))
    }
}

fn text(body: &[u8], whole: bool, head: Head<Frontend>) -> Text<'_> {
    if whole {
        Text::Whole(body.strip_suffix(b"\0").unwrap_or(body))
    } else {
        Text::TooLong(head.body_len())
    }
}

/// Judges once more what a Bind runs: the rules, or the time, may be others now.
fn bind(
    guard: &mut Guard,
    statements: &ClientStatements,
    (name, renames): (&[u8], bool),
    asked: Asked,
) -> Ruling {
    if !renames {
        return guard.bind_name(name, asked);
    }
    match statements.text(name) {
        Some((text, id)) => guard.bind_text(text, id, asked),
        None => guard.bind_name(name, asked),
    }
}

/// No statement is ever left under this name.
const NAME: &[u8] = b"pgwarden_refused";
