//! What a server still owes, and to whom.
//!
//! One queue holds a mark for every message that earns a reply. Replies are matched with it as
//! they arrive; nothing is mended afterwards. No I/O here.

mod carried;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::pool::statement::Statement;
use crate::wire::backend::{Tag, TransactionStatus};
use crate::wire::error_response::ErrorResponse;

/// The queue of expected replies, and the state that decides whether anybody else may have
/// the server.
///
/// ```text
///            expect(Parse, Bind, …)             expect(Sync)
///   settled ------------------------> unsynced --------------> owing
///      ^  \                              | ErrorResponse          |
///      |   \ expect(Query)               v        expect(Sync)    | ReadyForQuery, queue empty
///      |    `----------> owing       skipping -----------------> owing
///      `--------------------------------------------------------'
/// ```
#[derive(Debug)]
pub struct Replies {
    expected: VecDeque<Expected>,
    notes: VecDeque<Note>,
    status: TransactionStatus,
    phase: Phase,
    copy: Copy,
    certainty: Certainty,
    /// Syncs that a server in copy-in mode reads and ignores.
    ignored_syncs: u32,
    refusals: VecDeque<ErrorResponse>,
    /// A Parse of the client's unnamed statement has failed or was skipped.
    unnamed_lost: bool,
    unnamed: Unnamed,
    /// All names may be gone: a DISCARD or a DEALLOCATE is under way.
    names_at_stake: bool,
}

/// Whether the record of a server's unnamed statement can be relied on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Unnamed {
    /// It was changed before a Sync that is not answered: an error may yet undo that.
    InFlight,
    /// It is as the server has it.
    Settled,
    /// It was changed after the last Sync: what the server skips, it skips to the end of this.
    ThisGroup,
}

/// Where the client stands between two Syncs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Phase {
    /// After an error: the server drops everything up to the next Sync.
    Skipping,
    /// Nothing was sent since the last Sync or Query.
    Synced,
    /// Extended-protocol messages were sent since.
    Unsynced,
}

/// Whether COPY data flows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Copy {
    /// Both ways: replication. The server stays with the client.
    Both,
    /// From the client, who has sent the end of it.
    Ended,
    /// From the client.
    In,
    /// None, or from the server, which needs no bookkeeping.
    Idle,
}

/// Whether the queue is known to be what the server thinks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Certainty {
    /// It is.
    Certain,
    /// The client did what can be read in two ways; the server is closed when it falls idle.
    Doubtful,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Expected {
    kind: Kind,
    delivery: Delivery,
    /// The front of `notes` belongs to this.
    noted: bool,
}

/// Which message earned the reply.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Kind {
    Bind,
    Close,
    /// The end of COPY data that was sent before the server has asked for any: it earns no
    /// reply, and is nothing if the server never asks.
    CopyEnd,
    Describe,
    Execute,
    FunctionCall,
    Parse,
    /// The Parse of a client's unnamed statement that is kept on no server.
    ParseUnnamed,
    Query,
    Sync,
}

/// What is done with a reply.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Delivery {
    /// It goes to the client.
    Forward,
    /// It is an error that we provoked: the client gets another in its place.
    Refuse,
    /// The server was never asked: the reply is put in when its turn comes.
    Insert,
    /// We asked, not the client: it is dropped.
    Swallow,
}

/// What to undo if the server skips a message because of an earlier error.
#[derive(Clone, Debug)]
pub struct Note {
    /// The statement the message was about.
    pub statement: Arc<Statement>,
    /// What the message did.
    pub about: About,
}

/// What a noted message did.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum About {
    /// We asked what the statement returns.
    Asked,
    /// The client closed its name for the statement.
    Closed(Box<[u8]>),
    /// The client asked what the statement returns.
    Described,
    /// We closed the statement on the server to make room.
    Evicted,
    /// We prepared the statement on the server for a client that had it already.
    Injected,
    /// The client gave it a name, and the server was asked to prepare it.
    Named(Box<[u8]>),
    /// The client gave it a name, and the server had it already.
    NamedOnly(Box<[u8]>),
}

/// What the relay does with a message from the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Pass it on.
    Forward,
    /// Send what [`Replies::take_refusal`] has in its place.
    Refuse,
    /// Drop it.
    Swallow,
}

/// A reply that nothing asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("server sent {0:?} where nothing asked for it")]
pub struct Unexpected(pub Tag);

impl Default for Replies {
    fn default() -> Self {
        Self {
            expected: VecDeque::new(),
            notes: VecDeque::new(),
            status: TransactionStatus::Idle,
            phase: Phase::Synced,
            copy: Copy::Idle,
            certainty: Certainty::Certain,
            ignored_syncs: 0,
            refusals: VecDeque::new(),
            unnamed_lost: false,
            unnamed: Unnamed::Settled,
            names_at_stake: false,
        }
    }
}

impl Replies {
    /// Notes that a message which earns a reply is sent, or answered here (`Insert`).
    ///
    /// Returns the note if the server will skip the message: it is then as if it was never sent.
    #[must_use = "a skipped message must be undone"]
    pub fn expect(&mut self, kind: Kind, delivery: Delivery, note: Option<Note>) -> Option<Note> {
        if self.copy == Copy::In && kind == Kind::Sync {
            // It set out before the client could know of the COPY. Should the COPY fail before
            // the server reads it, there is a reply after all: see `failed`.
            self.ignored_syncs += 1;
            return None;
        }
        if self.copy == Copy::In && delivery == Delivery::Forward {
            // The server reads this as part of the COPY, or has failed and reads it as new:
            // which of them cannot be known here.
            self.certainty = Certainty::Doubtful;
        }
        let ends_group = matches!(kind, Kind::FunctionCall | Kind::Query | Kind::Sync);
        if ends_group && self.unnamed == Unnamed::ThisGroup {
            self.unnamed = Unnamed::InFlight;
        }
        match (kind, self.phase) {
            (Kind::Sync, _) => self.phase = Phase::Synced,
            (_, Phase::Skipping) => return note,
            (Kind::Query | Kind::FunctionCall, _) => {}
            (
                Kind::Bind
                | Kind::Close
                | Kind::Describe
                | Kind::Execute
                | Kind::Parse
                | Kind::ParseUnnamed,
                _,
            ) => self.phase = Phase::Unsynced,
            (Kind::CopyEnd, _) => {}
        }
        self.expected.push_back(Expected {
            kind,
            delivery,
            noted: note.is_some(),
        });
        self.notes.extend(note);
        None
    }

    /// Notes that a Parse or a Query was sent which the server will refuse, to refuse something
    /// in its stead: transaction state, skipped messages and savepoints stay the server's
    /// business.
    pub fn refuse(&mut self, kind: Kind, error: ErrorResponse) {
        if self.phase != Phase::Skipping {
            self.refusals.push_back(error);
            drop(self.expect(kind, Delivery::Refuse, None));
        }
    }

    /// The error to send for the latest [`Action::Refuse`].
    pub fn take_refusal(&mut self) -> Option<ErrorResponse> {
        self.refusals.pop_front()
    }

    /// What the message whose reply comes next did, if that was noted.
    pub fn front_note(&self) -> Option<&Note> {
        let noted = self.expected.front().is_some_and(|expected| expected.noted);
        if noted { self.notes.front() } else { None }
    }

    /// Notes that the client sent a Flush: a pipeline is open even if nothing else was sent.
    pub fn flushed(&mut self) {
        if self.phase == Phase::Synced {
            self.phase = Phase::Unsynced;
        }
    }

    /// Notes that the client sent CopyDone or CopyFail.
    pub fn copy_ended(&mut self) {
        if self.copy == Copy::In {
            self.copy = Copy::Ended;
        } else if self.copy != Copy::Both && !self.expected.is_empty() {
            // Behind a statement in a pipeline that may turn out to be a COPY.
            self.expected.push_back(Expected {
                kind: Kind::CopyEnd,
                delivery: Delivery::Forward,
                noted: false,
            });
        }
    }

    /// Matches a message from the server with the queue.
    ///
    /// `ReadyForQuery` goes to [`Self::ready`], `ErrorResponse` to [`Self::failed`].
    ///
    /// # Errors
    /// Nothing asked for it.
    pub fn answered(&mut self, tag: Tag) -> Result<Action, Unexpected> {
        match tag {
            Tag::ParseComplete => match self.front() {
                Some(Kind::ParseUnnamed) => self.answer(Kind::ParseUnnamed, tag),
                _ => self.answer(Kind::Parse, tag),
            },
            Tag::BindComplete => self.answer(Kind::Bind, tag),
            Tag::CloseComplete => self.answer(Kind::Close, tag),
            Tag::NoData => self.answer(Kind::Describe, tag),
            Tag::RowDescription => match self.front() {
                Some(Kind::Describe) => self.answer(Kind::Describe, tag),
                front => self.within(front, tag),
            },
            Tag::PortalSuspended => self.answer(Kind::Execute, tag),
            Tag::CommandComplete | Tag::EmptyQueryResponse => {
                if self.copy != Copy::Both {
                    self.copy = Copy::Idle;
                }
                match self.front() {
                    Some(Kind::Execute) => self.answer(Kind::Execute, tag),
                    front => self.within(front, tag),
                }
            }
            Tag::CopyInResponse => {
                self.copy_in();
                self.within(self.front(), tag)
            }
            Tag::CopyBothResponse => {
                self.copy = Copy::Both;
                self.certainty = Certainty::Doubtful;
                self.within(self.front(), tag)
            }
            Tag::CopyData
            | Tag::CopyDone
            | Tag::CopyOutResponse
            | Tag::DataRow
            | Tag::FunctionCallResponse
            | Tag::ParameterDescription => self.within(self.front(), tag),
            // The server may say these at any time, whoever listens.
            Tag::NoticeResponse | Tag::NotificationResponse | Tag::ParameterStatus => {
                Ok(Action::Forward)
            }
            Tag::ErrorResponse
            | Tag::ReadyForQuery
            | Tag::Authentication
            | Tag::BackendKeyData
            | Tag::NegotiateProtocolVersion => self.unexpected(tag),
        }
    }

    /// Matches a ReadyForQuery.
    ///
    /// # Errors
    /// Nothing asked for it.
    pub fn ready(&mut self, status: TransactionStatus) -> Result<Action, Unexpected> {
        self.status = status;
        self.copy = Copy::Idle;
        self.ignored_syncs = 0;
        match self.front() {
            Some(front @ (Kind::Query | Kind::FunctionCall | Kind::Sync)) => {
                let action = self.pop();
                if self.expected.is_empty() {
                    if self.phase == Phase::Unsynced && front != Kind::Sync {
                        // A simple query in an open group: all that came before it is done.
                        self.phase = Phase::Synced;
                    }
                    self.names_at_stake = false;
                    if self.unnamed == Unnamed::InFlight {
                        self.unnamed = Unnamed::Settled;
                    }
                }
                Ok(action)
            }
            Some(
                Kind::Bind
                | Kind::Close
                | Kind::CopyEnd
                | Kind::Describe
                | Kind::Execute
                | Kind::Parse
                | Kind::ParseUnnamed,
            )
            | None => {
                let doubted = self.unexpected(Tag::ReadyForQuery)?;
                self.phase = Phase::Synced;
                Ok(doubted)
            }
        }
    }

    /// Matches an ErrorResponse; `skipped` gets the notes of what the server will not do. An
    /// error that is to be heard `as_it_is` is not replaced, even if we have provoked one.
    ///
    /// In the extended protocol the server then drops everything, Query included, up to the next
    /// Sync: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY>
    pub fn failed(&mut self, skipped: &mut Vec<Note>, as_it_is: bool) -> Action {
        if matches!(self.copy, Copy::In | Copy::Ended) && self.ignored_syncs > 0 {
            // Were the Syncs read during the COPY (no reply) or after it failed (a reply)?
            self.certainty = Certainty::Doubtful;
        }
        if self.copy != Copy::Both {
            self.copy = Copy::Idle;
        }
        let Some(front) = self.expected.front().copied() else {
            return Action::Forward; // a last word, such as "terminating connection"
        };
        // Even if we asked: what failed stands for what the client asked next.
        let refused = front.delivery == Delivery::Refuse;
        if refused && as_it_is {
            self.refusals.pop_front();
        }
        let action = if refused && !as_it_is {
            Action::Refuse
        } else {
            Action::Forward
        };
        if matches!(front.kind, Kind::Query | Kind::FunctionCall | Kind::Sync) {
            return if front.delivery == Delivery::Swallow {
                Action::Swallow
            } else {
                action
            };
        }
        let first_skipped = usize::from(action == Action::Refuse);
        let mut first = true;
        while let Some(next) = self.expected.front().copied() {
            if next.kind == Kind::Sync {
                // One in a later group replaces it all the same.
                let later = |e: &Expected| e.kind == Kind::ParseUnnamed;
                self.unnamed_lost &= !self.expected.iter().any(later);
                return action;
            }
            self.expected.pop_front();
            self.unnamed_lost |= next.kind == Kind::ParseUnnamed;
            if next.noted {
                skipped.extend(self.notes.pop_front());
            }
            if next.delivery == Delivery::Refuse && !first {
                self.refusals.remove(first_skipped);
            }
            first = false;
        }
        self.phase = Phase::Skipping;
        action
    }

    /// Whether the turn of a reply to put in has come.
    pub fn has_insert(&self) -> bool {
        let front = self.expected.front();
        front.is_some_and(|front| front.delivery == Delivery::Insert)
    }

    /// The next reply to put in, if its turn has come, and the note of its message; to be
    /// called until it is `None`.
    pub fn next_insert(&mut self) -> Option<(Kind, Option<Note>)> {
        let Expected {
            kind,
            delivery: Delivery::Insert,
            noted,
        } = *self.expected.front()?
        else {
            return None;
        };
        self.take_front();
        let note = if noted { self.notes.pop_front() } else { None };
        Some((kind, note))
    }

    /// Whether what the server knows depends on an answer that is under way: an error before a
    /// Sync would undo what has been noted. Nothing that depends on it may be sent before.
    pub fn is_uncertain(&self) -> bool {
        self.phase == Phase::Synced && (self.names_at_stake || !self.notes.is_empty())
    }

    /// Notes that the client sends what may take all names.
    pub fn puts_names_at_stake(&mut self) {
        self.names_at_stake = true;
    }

    /// Notes that the server's unnamed statement is changed by what is sent next.
    pub fn changes_unnamed(&mut self) {
        self.unnamed = Unnamed::ThisGroup;
    }

    /// Whether the record of the server's unnamed statement can be relied on.
    pub fn is_unnamed_certain(&self) -> bool {
        self.unnamed != Unnamed::InFlight
    }

    /// Whether the server drops everything up to the next Sync.
    pub fn is_skipping(&self) -> bool {
        self.phase == Phase::Skipping
    }

    /// Whether a Parse of the client's unnamed statement has failed or was skipped, once.
    pub fn take_unnamed_lost(&mut self) -> bool {
        std::mem::take(&mut self.unnamed_lost)
    }

    /// Whether the server waits for the client's COPY data.
    pub fn is_copying_in(&self) -> bool {
        self.copy == Copy::In
    }

    /// How many replies are expected.
    pub fn owed(&self) -> usize {
        self.expected.len()
    }

    /// What the last ReadyForQuery said.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether the server owes nothing, is in no transaction, and is in no doubt.
    pub fn is_settled(&self) -> bool {
        self.is_quiet() && self.certainty == Certainty::Certain
    }

    /// Whether the client can do without this server, which must be closed if not settled.
    pub fn is_quiet(&self) -> bool {
        self.status == TransactionStatus::Idle && self.is_answered() && self.copy == Copy::Idle
    }

    /// Whether all that was asked has been answered, in a transaction or not.
    pub fn is_answered(&self) -> bool {
        self.expected.is_empty() && self.phase == Phase::Synced
    }

    /// Whether the server can only go on if the client sends more: COPY data, or a Sync.
    pub fn awaits_client(&self) -> bool {
        matches!(self.copy, Copy::In | Copy::Both) || self.phase != Phase::Synced
    }

    /// Makes sure that the server is not used again.
    pub fn doubt(&mut self) {
        self.certainty = Certainty::Doubtful;
    }

    fn front(&self) -> Option<Kind> {
        self.expected.front().map(|expected| expected.kind)
    }

    fn answer(&mut self, kind: Kind, tag: Tag) -> Result<Action, Unexpected> {
        if self.front() == Some(kind) {
            Ok(self.pop())
        } else {
            self.unexpected(tag)
        }
    }

    /// A message that is one of several in the answer to the front.
    fn within(&self, front: Option<Kind>, tag: Tag) -> Result<Action, Unexpected> {
        let answers = match front {
            Some(Kind::Query) => true,
            Some(Kind::Execute) => {
                !matches!(tag, Tag::ParameterDescription | Tag::FunctionCallResponse)
            }
            Some(Kind::Describe) => tag == Tag::ParameterDescription,
            Some(Kind::FunctionCall) => tag == Tag::FunctionCallResponse,
            Some(
                Kind::Bind
                | Kind::Close
                | Kind::CopyEnd
                | Kind::Parse
                | Kind::ParseUnnamed
                | Kind::Sync,
            )
            | None => false,
        };
        match self.expected.front() {
            Some(expected) if answers => Ok(action(expected.delivery)),
            _ => self.unexpected(tag),
        }
    }

    fn pop(&mut self) -> Action {
        let Some(popped) = self.take_front() else {
            return Action::Forward;
        };
        if popped.noted {
            self.notes.pop_front();
        }
        action(popped.delivery)
    }

    /// Takes the front, and ends of COPY data behind it, for which there was no COPY.
    fn take_front(&mut self) -> Option<Expected> {
        let front = self.expected.pop_front();
        while self.front() == Some(Kind::CopyEnd) {
            self.expected.pop_front();
        }
        front
    }

    fn unexpected(&self, tag: Tag) -> Result<Action, Unexpected> {
        match self.certainty {
            Certainty::Certain => Err(Unexpected(tag)),
            // The client gets what the server says; nobody else will meet this server.
            Certainty::Doubtful => Ok(Action::Forward),
        }
    }

    /// The server begins to read COPY data: Syncs that are under way will be ignored up to the
    /// end of the data, since they were sent before the client could know. Anything else under
    /// way before that end is an error to it.
    fn copy_in(&mut self) {
        self.copy = Copy::In;
        while let Some(next) = self.expected.get(1).copied() {
            match next.kind {
                Kind::Sync => {
                    self.expected.remove(1);
                    self.ignored_syncs += 1;
                }
                Kind::CopyEnd => {
                    self.expected.remove(1);
                    self.copy = Copy::Ended;
                    break;
                }
                Kind::Bind
                | Kind::Close
                | Kind::Describe
                | Kind::Execute
                | Kind::FunctionCall
                | Kind::Parse
                | Kind::ParseUnnamed
                | Kind::Query => {
                    self.certainty = Certainty::Doubtful;
                    break;
                }
            }
        }
        if self.expected.len() == 1 {
            // A Sync that stood behind it would have been ignored.
            self.phase = if self.front() == Some(Kind::Query) {
                Phase::Synced
            } else {
                Phase::Unsynced
            };
        }
    }
}

fn action(delivery: Delivery) -> Action {
    match delivery {
        Delivery::Forward | Delivery::Insert | Delivery::Refuse => Action::Forward,
        Delivery::Swallow => Action::Swallow,
    }
}

pub use carried::CarriedReplies;

#[cfg(test)]
mod tests;
