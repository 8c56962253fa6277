//! One client of the console, from its welcome to its end.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::debug;

use crate::console::act::{Suspension, act};
use crate::console::control::ShutdownMode;
use crate::console::handover::{self, Wish};
use crate::console::protocol::{Protocol, Step};
use crate::console::{Console, Role};
use crate::session;
use crate::session::keys::new_key;
use crate::session::lines;
use crate::session::roster::{Client, ClientState, Signal};
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::buffer::Inbox;
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::{Frontend, Tag};
use crate::wire::head::{FramingError, Head};
use crate::wire::outbox::Outbox;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::ProtocolVersion;
use crate::wire::stream::Stream;

/// Who a client of the console is.
#[derive(Debug)]
pub struct Seat<'a> {
    /// What it may do.
    pub role: Role,
    /// Its entry in the worker's roster, through which it is killed and its PAUSE cancelled.
    pub client: &'a Rc<Client>,
    /// Its worker's context.
    pub worker: &'a session::context::Context,
}

/// Welcomes and serves a client that has proved its name and has a role; AuthenticationOk
/// waits in the outbox. `parts` are [`session::login::Proved::into_parts`].
///
/// Not cancel safe: dropping it closes the connection, and undoes a PAUSE that still waits.
///
/// # Errors
/// The socket's.
pub async fn serve(
    parts: (Stream, Inbox, Outbox),
    seat: Seat<'_>,
    console: &Console,
) -> io::Result<()> {
    let (stream, inbox, mut outbox) = parts;
    let client = seat.client.clone();
    console.count_login();
    welcome(&seat, &mut outbox);
    let mut line = Line {
        stream,
        inbox,
        outbox,
        client,
        states: Vec::new(),
        suspension: None,
        shutdown: None,
    };
    let style = seat.worker.settings().errors;
    let mut protocol = Protocol::new(seat.role, style);
    let parting = loop {
        line.enter(ClientState::Idle);
        if let Err(parting) = line.exchange(&mut protocol, &seat, console).await {
            break parting;
        }
    };
    match parting {
        Parting::Left => Ok(()),
        Parting::Lost(error) => Err(error),
        Parting::Told(error) => {
            seat.worker.logins.error(error.code);
            lines::pooler_error(seat.client, &error.message);
            error.in_style(style).put(line.outbox.buffer());
            // Who is sent away may not be reading.
            let flush = line.outbox.flush(&mut line.stream);
            tokio::time::timeout(LAST_WORDS, flush)
                .await
                .unwrap_or(Ok(()))
        }
    }
}

/// What every driver reads before it sends its first query.
fn welcome(seat: &Seat<'_>, outbox: &mut Outbox) {
    let out = outbox.buffer();
    for (name, value) in PARAMETERS {
        backend::put_parameter_status(out, name, value);
    }
    // Four bytes of secret are right in every version of the protocol.
    let key = new_key(seat.worker, seat.client, ProtocolVersion::V3_0);
    backend::put_backend_key_data(out, &key);
    backend::put_ready_for_query(out, TransactionStatus::Idle);
}

/// The connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: Stream,
    inbox: Inbox,
    outbox: Outbox,
    client: Rc<Client>,
    /// What SHOW HANDOVER tells of the sockets that SHOW FDS has sent.
    pub(super) states: Vec<String>,
    /// A SUSPEND of this client's.
    pub(super) suspension: Option<Suspension>,
    /// How the process is to end as soon as the client has its answer, which would come too late
    /// otherwise where nobody is waited for.
    pub(super) shutdown: Option<ShutdownMode>,
}

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Parting {
    /// The client said goodbye or hung up.
    Left,
    /// The connection broke.
    Lost(io::Error),
    /// It is ended, and the client told why.
    Told(ErrorResponse),
}

/// What keeps a command from being waited for.
#[derive(Debug)]
pub(super) enum Interruption {
    /// A cancel request.
    Cancel,
    /// The client is gone, or has to go.
    Parting(Parting),
}

impl Line {
    /// Takes one message and answers it.
    async fn exchange(
        &mut self,
        protocol: &mut Protocol,
        seat: &Seat<'_>,
        console: &Console,
    ) -> Result<(), Parting> {
        let (tag, body) = self.message().await?;
        self.enter(ClientState::Active);
        if let Some(wish) = Wish::of(tag, &body, seat.role)
            && is_of_our_user(&self.stream)
        {
            return handover::answer(wish, self, console).await;
        }
        match protocol
            .receive(tag, &body, self.outbox.buffer())
            .map_err(Parting::Told)?
        {
            Step::Answered => {}
            Step::Leave => return Err(Parting::Left),
            Step::Run(run) => {
                let began = Instant::now();
                console.count_command();
                let reply = act(&run.command, console, self).await?;
                console.count_time(began.elapsed());
                debug!(user = %self.user(), command = run.command.word(), "console command");
                protocol.executed(run, reply, self.outbox.buffer());
                if let Some(mode) = self.shutdown.take() {
                    let answered = self.flush().await;
                    console.control.shutdown(mode);
                    answered?;
                }
            }
        }
        if let Some(code) = protocol.take_error() {
            seat.worker.logins.error(code);
        }
        // Small answers to a pipeline go out together; who does not read gets no more.
        if self.outbox.waiting() > MAX_UNSENT {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// The next message; what waits to be sent is sent before it is waited for.
    async fn message(&mut self) -> Result<(Tag, Vec<u8>), Parting> {
        loop {
            let unread = self.inbox.unread();
            let mut want = 0;
            if let Some(head) = Head::<Frontend>::parse(unread).map_err(broken)? {
                let len = head.body_len();
                if len > MAX_MESSAGE {
                    return Err(broken(FramingError::TooLong {
                        len,
                        limit: MAX_MESSAGE,
                    }));
                }
                want = head.message_len();
                if let Some(body) = unread.get(Head::<Frontend>::LEN..want) {
                    let message = (head.tag(), body.to_vec());
                    self.inbox.consume(want);
                    return Ok(message);
                }
            }
            self.flush().await?;
            let client = self.client.clone();
            let (inbox, stream) = (&mut self.inbox, &mut self.stream);
            let read = poll_fn(|cx| match ended(&client, cx) {
                Some(parting) => Poll::Ready(Err(parting)),
                None => inbox.poll_fill(stream, want, cx).map_err(Parting::Lost),
            });
            if read.await? == 0 {
                return Err(Parting::Left);
            }
        }
    }

    /// Where answers are appended.
    pub(super) fn outbox(&mut self) -> &mut Vec<u8> {
        self.outbox.buffer()
    }

    /// Sends bytes at once, and a socket with them; nothing may wait to be sent.
    pub(super) async fn send_with(
        &mut self,
        bytes: &[u8],
        socket: &OwnedFd,
    ) -> Result<(), Parting> {
        let sent = self.stream.socket().send_with(bytes, socket.as_fd()).await;
        sent.map_err(Parting::Lost)
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Parting> {
        let client = self.client.clone();
        let (outbox, stream) = (&mut self.outbox, &mut self.stream);
        poll_fn(|cx| match ended(&client, cx) {
            Some(parting) => Poll::Ready(Err(parting)),
            None => outbox.poll_flush(stream, cx).map_err(Parting::Lost),
        })
        .await
    }

    /// Waits until the client hangs up, is ended, or cancels. Cancel safe.
    pub(super) async fn interruption(&mut self) -> Interruption {
        let Self {
            stream,
            inbox,
            client,
            ..
        } = self;
        poll_fn(|cx| {
            match client.take_signal() {
                Signal::CancelWait => return Poll::Ready(Interruption::Cancel),
                Signal::End(error) => {
                    return Poll::Ready(Interruption::Parting(Parting::Told(*error)));
                }
                Signal::None
                | Signal::StopStatement
                | Signal::TellWaiting
                | Signal::WaitTimeout(_) => client.listen(cx),
            }
            // What it sends meanwhile is kept, within bounds, for afterwards.
            while inbox.unread().len() < MAX_MESSAGE {
                match inbox.poll_fill(stream, 0, cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Interruption::Parting(Parting::Left));
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Interruption::Parting(Parting::Lost(error)));
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    pub(super) fn enter(&self, state: ClientState) {
        self.client.enter(state, Instant::now());
    }

    pub(super) fn user(&self) -> String {
        self.client.user().to_string()
    }
}

/// Whether the other end is a process of our own user, on this machine.
pub fn is_of_our_user(stream: &Stream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    stream.socket().peer_uid() == Some(us)
}

/// Whether others want the client to go.
fn ended(client: &Client, cx: &mut Context<'_>) -> Option<Parting> {
    match client.take_signal() {
        Signal::End(error) => Some(Parting::Told(*error)),
        // There is nothing to give up waiting for.
        Signal::CancelWait
        | Signal::None
        | Signal::StopStatement
        | Signal::TellWaiting
        | Signal::WaitTimeout(_) => {
            client.listen(cx);
            None
        }
    }
}

fn broken(error: FramingError) -> Parting {
    Parting::Told(ErrorResponse::fatal(
        SqlState::PROTOCOL_VIOLATION,
        error.to_string(),
    ))
}

/// The version begins with one of PostgreSQL's, because drivers and psql read it as such: with
/// 15 none of them takes the console for something it cannot speak to.
const PARAMETERS: [(&str, &str); 8] = [
    (
        "server_version",
        concat!("15.0 (pgwarden ", env!("CARGO_PKG_VERSION"), ")"),
    ),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
    ("integer_datetimes", "on"),
];
/// No command needs more.
const MAX_MESSAGE: usize = 16 * 1024;
/// Answers of a pipeline that may wait before they are sent.
const MAX_UNSENT: usize = 16 * 1024;
/// How long a client that is sent away has to read why.
const LAST_WORDS: Duration = Duration::from_secs(1);
