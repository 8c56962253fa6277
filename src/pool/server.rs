//! One connection to a PostgreSQL server.

pub mod connect;
pub mod info;
pub mod line;
pub mod login;
pub mod lookup;
pub mod reset;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use crate::pool::replies::{About, Note, Replies};
use crate::pool::server::info::ServerInfo;
use crate::pool::server::line::ServerLine;
use crate::pool::server::reset::Soil;
use crate::pool::statement::OnServer;
use crate::pool::tracked::{Tracked, Values};
use crate::wire::backend::{self, Backend, Row, Tag, TransactionStatus};
use crate::wire::body::BodyReader;
use crate::wire::buffer::Inbox;
use crate::wire::error_response::{ErrorResponse, Fields, Severity};
use crate::wire::frontend;
use crate::wire::head::{FramingError, Head};
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;
use crate::wire::stream::Stream;

/// A server connection that has logged in. Fields are open to the relay, which reads and
/// writes them side by side.
#[derive(Debug)]
pub struct Server {
    /// The connection.
    pub stream: Stream,
    /// What the server sent and nobody has looked at.
    pub inbox: Inbox,
    /// What the server has not taken yet.
    pub outbox: Outbox,
    /// What the server owes.
    pub replies: Replies,
    /// The statements it has prepared.
    pub statements: OnServer,
    /// Whose unnamed statement it has.
    pub unnamed: Unnamed,
    /// What the last client may have left behind.
    pub soil: Soil,
    /// The values of the parameters that follow clients.
    pub values: Values,
    /// The unreported settings of a client that were applied last.
    pub applied: Arc<Parameters>,
    /// What others may know of it while it is lent.
    pub info: Arc<ServerInfo>,
    pub(super) tracked: Arc<Tracked>,
    /// When it is too old to be used again.
    pub(super) expires: Option<Instant>,
    /// When it had logged in.
    pub(super) born: Instant,
    /// When it was used last.
    pub(super) used: Instant,
    /// The log's.
    pub line: ServerLine,
    /// Held, not read: places under the limits of the database and the user.
    pub(super) _places: Vec<OwnedSemaphorePermit>,
}

/// Whose unnamed statement a server has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Unnamed {
    /// Nobody's: it has none.
    #[default]
    None,
    /// The one that this client has sent as its so-many-eth.
    Of {
        /// The client's number.
        client: u64,
        /// That client's count of them.
        generation: u64,
    },
    /// Anybody's, or none: an error came before it was known which messages were reached.
    Unknown,
}

/// Why a query of our own failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The connection broke or was closed.
    #[error("server connection lost: {0}")]
    Io(#[from] io::Error),
    /// What came is not the protocol.
    #[error("server broke the protocol: {0}")]
    Framing(#[from] FramingError),
    /// The server refused the query.
    #[error("{0}")]
    Refused(ErrorResponse),
}

impl Server {
    /// Runs a query of ours to its end. The server must be settled before,
    /// and is after success; else it must be closed. Not cancel safe.
    ///
    /// # Errors
    /// The query failed, or the connection did.
    pub async fn run(&mut self, sql: &str) -> Result<(), RunError> {
        self.ask(sql).await.map(drop)
    }

    /// The same, with the rows: of each, its values as text.
    ///
    /// # Errors
    /// The query failed, or the connection did.
    pub async fn ask(&mut self, sql: &str) -> Result<Vec<Row>, RunError> {
        let mut rows = Vec::new();
        // "A simple Query message also destroys the unnamed statement."
        self.unnamed = Unnamed::None;
        frontend::put_query(self.outbox.buffer(), sql);
        self.outbox.flush(&mut self.stream).await?;
        let mut refused = None;
        loop {
            while let Some(head) = self.whole_message()? {
                let body_end = head.message_len();
                let body = &self.inbox.unread()[Head::<Backend>::LEN..body_end];
                match head.tag() {
                    Tag::ReadyForQuery => {
                        let status = body.first().copied().and_then(TransactionStatus::from_byte);
                        self.inbox.consume(body_end);
                        return match (refused, status) {
                            (Some(error), _) => Err(RunError::Refused(error)),
                            (None, Some(TransactionStatus::Idle)) => Ok(rows),
                            (None, _) => Err(FramingError::Body.into()),
                        };
                    }
                    Tag::ParameterStatus => {
                        note_parameter(&self.tracked, &mut self.values, body)?;
                    }
                    Tag::ErrorResponse => {
                        refused.get_or_insert(Fields::parse(body).to_response(Severity::Error));
                    }
                    Tag::DataRow if rows.len() < MAX_OWN_ROWS => {
                        rows.push(backend::data_row(body)?)
                    }
                    Tag::CommandComplete
                    | Tag::DataRow
                    | Tag::EmptyQueryResponse
                    | Tag::NoticeResponse
                    | Tag::NotificationResponse
                    | Tag::RowDescription => {}
                    Tag::Authentication
                    | Tag::BackendKeyData
                    | Tag::BindComplete
                    | Tag::CloseComplete
                    | Tag::CopyBothResponse
                    | Tag::CopyData
                    | Tag::CopyDone
                    | Tag::CopyInResponse
                    | Tag::CopyOutResponse
                    | Tag::FunctionCallResponse
                    | Tag::NegotiateProtocolVersion
                    | Tag::NoData
                    | Tag::ParameterDescription
                    | Tag::ParseComplete
                    | Tag::PortalSuspended => {
                        return Err(FramingError::Tag(head.tag() as u8).into());
                    }
                }
                self.inbox.consume(body_end);
            }
            self.fill().await?;
        }
    }

    /// Undoes what a message that the server skipped did to the record of its statements.
    pub fn undo(&mut self, note: &Note) {
        match note.about {
            About::Evicted => self.statements.add(note.statement.clone()),
            About::Injected | About::Named(_) => self.statements.remove(&note.statement),
            About::Asked | About::Closed(_) | About::Described | About::NamedOnly(_) => {}
        }
    }

    /// Whether the connection is still good, as far as can be told without asking the server:
    /// it has not been closed and has not said anything but notices. No system call unless
    /// something has arrived.
    pub(super) fn looks_alive(&mut self) -> bool {
        if !self.stream.has_news() {
            return self.inbox.unread().is_empty();
        }
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.inbox.poll_fill(&mut self.stream, 0, &mut cx) {
                Poll::Pending => return self.inbox.unread().is_empty(),
                Poll::Ready(Err(_) | Ok(0)) => return false,
                Poll::Ready(Ok(_)) => {
                    if !self.hear_idle_news() {
                        return false;
                    }
                }
            }
        }
    }

    /// Takes what a server says unasked; false if it says anything else.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else it is, nobody asked"
    )]
    fn hear_idle_news(&mut self) -> bool {
        while let Ok(Some(head)) = self.whole_message() {
            let end = head.message_len();
            let body = &self.inbox.unread()[Head::<Backend>::LEN..end];
            let fine = match head.tag() {
                Tag::ParameterStatus => {
                    note_parameter(&self.tracked, &mut self.values, body).is_ok()
                }
                Tag::NoticeResponse | Tag::NotificationResponse => true,
                _ => false,
            };
            if !fine {
                return false;
            }
            self.inbox.consume(end);
        }
        true
    }

    /// The head of the next message if all of it has arrived.
    fn whole_message(&self) -> Result<Option<Head<Backend>>, FramingError> {
        let unread = self.inbox.unread();
        let Some(head) = Head::<Backend>::parse(unread)? else {
            return Ok(None);
        };
        if head.body_len() > MAX_OWN_REPLY {
            return Err(FramingError::TooLong {
                len: head.body_len(),
                limit: MAX_OWN_REPLY,
            });
        }
        Ok((unread.len() >= head.message_len()).then_some(head))
    }

    async fn fill(&mut self) -> io::Result<()> {
        let Self { inbox, stream, .. } = self;
        match poll_fn(|cx| inbox.poll_fill(stream, 0, cx)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // PostgreSQL logs a connection that ends without a word; a full socket does not matter.
        let mut cx = Context::from_waker(Waker::noop());
        let mut goodbye = Vec::new();
        frontend::put_terminate(&mut goodbye);
        if self.outbox.is_empty() {
            let _ = self.outbox.send(&mut self.stream, &goodbye, &mut cx);
        }
        self.info.close();
    }
}

/// Notes what a ParameterStatus says.
///
/// # Errors
/// It has no name or value.
pub fn note_parameter(
    tracked: &Tracked,
    values: &mut Values,
    body: &[u8],
) -> Result<(), FramingError> {
    let mut body = BodyReader::new(body);
    let (name, value) = (body.cstr()?, body.cstr()?);
    if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) {
        tracked.note(values, name, value);
    }
    Ok(())
}

/// Rows beyond this are dropped: a query of ours has no more.
const MAX_OWN_ROWS: usize = 1000;
/// More than anything a query of our own is answered with.
const MAX_OWN_REPLY: usize = 1024 * 1024;
