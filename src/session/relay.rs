//! One exchange between a client and a server, from the first message that needs the server
//! until nobody needs it any more. The hot path: no allocation, lock, log line or timer here.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::pool::server::{Server, line};
use crate::pool::settings::PoolMode;
use crate::pool::tracked::Values;
use crate::pool::{Lease, Pool};
use crate::session::carried::Parts;
use crate::session::downstream::{ClientSide, Downstream, Seen, put_insert, settle_insert};
use crate::session::edit::Edit;
use crate::session::error::SessionError;
use crate::session::roster::{Client, Signal};
use crate::session::serve::Session;
use crate::session::tally::Tally;
use crate::session::upstream::{Passage, Scan, Upstream};
use crate::wire::backend::TransactionStatus;
use crate::wire::buffer::Inbox;
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend;
use crate::wire::outbox::Outbox;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;
use crate::wire::stream::Stream;

type Result<T> = std::result::Result<T, SessionError>;

/// A client's connection and what travels over it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) upstream: Upstream,
    pub(super) downstream: Downstream,
    /// The values of the tracked parameters that the client has asked for.
    pub(super) values: Values,
    /// The values it has been told.
    pub(super) told: Values,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The client has said goodbye.
    Left,
    /// Nobody needs the server any more.
    Quiet,
    /// The client is gone in the middle of something.
    Vanished,
}

/// Runs an exchange. Cancel safe, but for what it leaves on the server: the lease must then be
/// dropped.
///
/// # Errors
/// Either connection broke, either side broke the protocol, or somebody ended the session.
pub(super) async fn exchange(
    session: &mut Session,
    lease: &mut Lease,
    tally: &mut Tally,
) -> Result<End> {
    let (line, parts) = session.parts();
    let mut exchange = Exchange {
        line,
        pool: parts.pool,
        client: parts.client,
        tally,
        mode: parts.pool.settings().mode,
        parts,
        leaving: false,
        wants: 0,
        server_wants: 0,
        holding: false,
        fresh: true,
        cancelling: None,
    };
    poll_fn(|cx| exchange.poll(lease.server(), cx)).await
}

struct Exchange<'a> {
    line: &'a mut Line,
    pool: &'a Pool,
    client: &'a Client,
    tally: &'a mut Tally,
    mode: PoolMode,
    parts: Parts<'a>,
    /// The client has said goodbye but has not got all its answers.
    leaving: bool,
    /// Bytes of the client's that must have arrived before the next scan.
    wants: usize,
    /// The same of the server's.
    server_wants: usize,
    /// The next message waits for an answer of the server's.
    holding: bool,
    /// The client's inbox holds what no scan has seen.
    fresh: bool,
    /// Whether a cancel request of ours is under way; `None`: there was none.
    cancelling: Option<Rc<Cell<bool>>>,
}

impl Exchange<'_> {
    fn poll(&mut self, server: &mut Server, cx: &mut Context<'_>) -> Poll<Result<End>> {
        self.signals(server, cx)?;
        if self.client.standstill.is_wanted() {
            return self.poll_to_standstill(server, cx);
        }
        // The client brings what an exchange begins with, and the server nearly all that comes
        // later: to look for something where nothing is costs as much as to pass it on. Behind that
        // there is nothing nearly always.
        let mut upwards = self.fresh;
        let mut idle_sides = 0;
        let mut is_expected = true;
        while idle_sides < 2 {
            let polled = if upwards {
                self.poll_up(server, is_expected, cx)?
            } else {
                self.poll_down(server, is_expected, cx)?
            };
            is_expected = false;
            match polled {
                Poll::Ready(Some(end)) => return Poll::Ready(Ok(end)),
                Poll::Ready(None) => idle_sides = 0,
                Poll::Pending => {
                    idle_sides += 1;
                    upwards = !upwards;
                }
            }
        }
        self.let_go(server)?;
        self.client.listen(cx);
        Poll::Pending
    }

    /// Passes on what is under way, begins nothing, and then stands still.
    fn poll_to_standstill(
        &mut self,
        server: &mut Server,
        cx: &mut Context<'_>,
    ) -> Poll<Result<End>> {
        loop {
            if let Poll::Ready(Err(error)) = server.outbox.poll_flush(&mut server.stream, cx) {
                return Poll::Ready(Err(SessionError::ServerLost(error)));
            }
            if self.is_flushed(server) {
                return self
                    .line
                    .stand_with(&self.parts, Some(server), cx)
                    .map_ok(|never| match never {});
            }
            self.client.standstill.moves();
            let up = if self.line.upstream.is_between_messages() && !self.leaving {
                Poll::Pending
            } else {
                self.poll_up(server, true, cx)?
            };
            if let Poll::Ready(Some(end)) = up {
                return Poll::Ready(Ok(end));
            }
            let down = self.poll_down(server, true, cx)?;
            if let Poll::Ready(Some(end)) = down {
                return Poll::Ready(Ok(end));
            }
            if up.is_pending() && down.is_pending() {
                self.client.listen(cx);
                return Poll::Pending;
            }
        }
    }

    /// Whether nothing is under way that another process could not go on with.
    fn is_flushed(&self, server: &Server) -> bool {
        let upstream = &self.line.upstream;
        let cancelling = self.cancelling.as_ref().is_some_and(|is| is.get());
        // What runs under limits is counted here, and nowhere else.
        let at_rest = upstream.guard.is_none() || server.replies.is_answered();
        // Replication is between messages all the time, and never handed over.
        let is_portable = server.is_portable() || self.client.replication.get() != "none";
        upstream.is_between_messages()
            && self.line.downstream.is_between_messages()
            && self.line.outbox.is_empty()
            && !upstream.statements.is_asking()
            && is_portable
            && at_rest
            && !cancelling
            && !self.leaving
    }

    /// Ends a session whose server is to be closed, between two transactions, if the settings
    /// want that; a replication client's at once.
    fn let_go(&self, server: &Server) -> Result<()> {
        if !server.info.is_obsolete() || self.mode != PoolMode::Session {
            return Ok(());
        }
        let closes = server.info.closes_fast()
            && server.replies.is_quiet()
            && self.line.upstream.is_between_messages()
            && self.line.inbox.unread().is_empty();
        // A stream of changes has no end that one could wait for.
        if closes || self.client.replication.get() != "none" {
            server.line.because(line::CHANGED);
            let text = line::CHANGED;
            let error = ErrorResponse::fatal(SqlState::PROTOCOL_VIOLATION, text);
            return Err(SessionError::Refused(error.or_as_pgbouncer(text)));
        }
        Ok(())
    }

    /// One step from the client to the server; `Pending` if there is nothing to do.
    fn poll_up(
        &mut self,
        server: &mut Server,
        is_expected: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<End>>> {
        // Back-pressure: nothing is read from the client while the server does not read.
        ready!(server.outbox.poll_flush(&mut server.stream, cx))
            .map_err(SessionError::ServerLost)?;
        // Until a cancel request has arrived it could hit the next statement.
        let cancelling = self.cancelling.as_ref().is_some_and(|is| is.get());
        if self.leaving || cancelling {
            return Poll::Pending;
        }
        // What is answered here must be read, and what is asked for be answered, before more is
        // taken: either would grow without bounds otherwise. poll_down waits for both.
        if self.line.outbox.waiting() > MAX_UNREAD || server.replies.owed() > MAX_OWED {
            return Poll::Pending;
        }
        if self.holding {
            let upstream = &self.line.upstream;
            if upstream.statements.is_asking()
                || server.replies.is_uncertain()
                || upstream.is_barred(&server.replies)
            {
                return self.watch_client(cx); // poll_down brings the answer
            }
            self.holding = false;
            self.fresh = true;
        }
        if !self.fresh {
            if !is_expected {
                ready!(self.line.stream.poll_news(cx));
            }
            let read = self
                .line
                .inbox
                .poll_fill(&mut self.line.stream, self.wants, cx);
            match ready!(read) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(Some(End::Vanished))),
                Ok(len) => self.tally.received += len as u64,
            }
        }
        self.fresh = false;
        if self.line.inbox.unread().len() < self.wants {
            return Poll::Ready(Ok(None));
        }
        let mut edit = Edit::new(self.line.inbox.unread());
        let idle = server.replies.is_answered();
        let scan = self.line.upstream.scan(&mut Passage {
            edit: &mut edit,
            server,
            pool: self.pool,
            counts: &mut self.tally.statements,
        })?;
        let done = edit
            .send(&mut server.outbox, &mut server.stream, cx)
            .map_err(SessionError::ServerLost)?;
        self.line.inbox.consume(done);
        if idle && self.tally.has_answers && !server.replies.is_answered() {
            let now = Instant::now();
            self.tally.asks(now);
            self.client.progress.asks(now);
        }
        self.put_inserts(server, cx)?;
        match scan {
            Scan::Done => self.wants = 0,
            Scan::Hold => {
                self.wants = 0;
                self.holding = true;
            }
            Scan::Wants(len) => self.wants = len,
            Scan::Terminate => {
                self.leaving = true;
            }
        }
        Poll::Ready(Ok(self.ended(server)))
    }

    /// While nothing can be sent: whether the client is still there.
    fn watch_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<End>>> {
        let line = &mut *self.line;
        while line.inbox.unread().len() < MAX_UNREAD {
            ready!(line.stream.poll_news(cx));
            match ready!(line.inbox.poll_fill(&mut line.stream, 0, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(Some(End::Vanished))),
                Ok(len) => self.tally.received += len as u64,
            }
        }
        Poll::Pending
    }

    /// One step from the server to the client; `Pending` if there is nothing to do.
    fn poll_down(
        &mut self,
        server: &mut Server,
        is_expected: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<End>>> {
        // Back-pressure: nothing is read from the server while the client does not read.
        let line = &mut *self.line;
        match ready!(line.outbox.poll_flush(&mut line.stream, cx)) {
            Ok(()) => {}
            Err(_) => return Poll::Ready(Ok(Some(End::Vanished))),
        }
        if !is_expected {
            ready!(server.stream.poll_news(cx));
        }
        let read = server
            .inbox
            .poll_fill(&mut server.stream, self.server_wants, cx);
        match ready!(read) {
            Ok(0) => {
                let eof = io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(Err(SessionError::ServerLost(eof)));
            }
            Ok(len) => self.tally.sent += len as u64,
            Err(error) => return Poll::Ready(Err(SessionError::ServerLost(error))),
        }
        if server.inbox.unread().len() < self.server_wants {
            return Poll::Ready(Ok(None));
        }
        let mut inbox = std::mem::take(&mut server.inbox);
        let mut edit = Edit::new(inbox.unread());
        let mut side = ClientSide {
            statements: &mut line.upstream.statements,
            guard: line.upstream.guard.as_deref_mut(),
            client: self.client,
            values: &mut line.values,
            told: &mut line.told,
            outbox: &mut line.outbox,
        };
        let scanned = line
            .downstream
            .scan(&mut edit, server, self.pool, &mut side);
        let sent = edit.send(&mut line.outbox, &mut line.stream, cx);
        let seen = scanned?;
        match sent {
            Ok(done) => inbox.consume(done),
            Err(_) => return Poll::Ready(Ok(Some(End::Vanished))),
        }
        server.inbox = inbox;
        self.server_wants = seen.wants;
        self.note(seen, server, cx)?;
        Poll::Ready(Ok(self.ended(server)))
    }

    fn note(&mut self, mut seen: Seen, server: &Server, cx: &Context<'_>) -> Result<()> {
        self.tally.error = seen.error.or(self.tally.error);
        self.tally.stale_plans |= seen.stale_plans;
        self.tally.reset |= seen.reset;
        self.tally.changed |= seen.changed;
        if seen.readies == 0 {
            self.client.progress.hears();
        } else {
            self.tally.readies += u64::from(seen.readies);
            self.tally.has_answers = true;
            if server.replies.is_answered() {
                let in_block = server.replies.status() != TransactionStatus::Idle;
                self.client.progress.is_answered(in_block);
                // Where the exchange ends with this answer, its end counts it.
                if in_block || self.mode == PoolMode::Session {
                    self.tally.settle(self.pool, in_block, Instant::now());
                }
            }
        }
        if seen.fatal {
            return Err(SessionError::ServerEnded);
        }
        if let Some(error) = seen.breach.take() {
            return Err(SessionError::Refused(*error));
        }
        if seen.exceeded {
            self.cancel(server, cx);
        }
        if seen.readies > 0
            && let Some(guard) = &mut self.line.upstream.guard
            && server.replies.is_answered()
        {
            guard.restraint.done(self.client);
        }
        let in_block = server.replies.status() != TransactionStatus::Idle;
        if seen.readies > 0 && in_block && self.mode == PoolMode::Statement {
            server.line.because(line::TRANSACTION_BLOCK);
            return Err(SessionError::Refused(PoolerError::TransactionBlock.into()));
        }
        Ok(())
    }

    /// Whether this exchange has come to its end.
    fn ended(&self, server: &Server) -> Option<End> {
        if self.leaving {
            if server.replies.is_answered() {
                return Some(End::Left);
            }
            // It waits for COPY data or a Sync that will not come.
            return server.replies.awaits_client().then_some(End::Vanished);
        }
        let quiet = self.mode != PoolMode::Session
            && !self.holding
            && server.replies.is_quiet()
            && self.line.upstream.is_between_messages()
            && self.line.downstream.is_between_messages()
            && server.inbox.unread().is_empty()
            && server.outbox.is_empty();
        quiet.then_some(End::Quiet)
    }

    /// Answers what the server was not asked, if it is the turn of that already.
    fn put_inserts(&mut self, server: &mut Server, cx: &mut Context<'_>) -> Result<()> {
        let line = &mut *self.line;
        if !line.downstream.is_between_messages() {
            return Ok(()); // it is put in behind the message that is under way
        }
        let mut any = false;
        while let Some((kind, note)) = server.replies.next_insert() {
            let status = server.replies.status();
            let told = line
                .upstream
                .guard
                .as_ref()
                .is_some_and(|g| g.restraint.has_told());
            if !told {
                put_insert(line.outbox.buffer(), kind, status);
            }
            settle_insert(kind, note, status, &mut line.upstream.statements);
            any = true;
        }
        if any && let Poll::Ready(Err(error)) = line.outbox.poll_flush(&mut line.stream, cx) {
            return Err(SessionError::ClientLost(error));
        }
        Ok(())
    }

    fn signals(&mut self, server: &mut Server, cx: &Context<'_>) -> Result<()> {
        match self.client.take_signal() {
            Signal::None | Signal::TellWaiting | Signal::WaitTimeout(_) => Ok(()),
            Signal::End(error) => Err(SessionError::Refused(*error)),
            Signal::StopStatement => {
                self.stop_statement(server, cx);
                Ok(())
            }
            Signal::CancelWait => {
                // The wait was over before the cancel request could end it.
                self.cancel(server, cx);
                Ok(())
            }
        }
    }

    /// Ends the statement that runs, if one does: a client that takes its time before its Sync
    /// runs nothing.
    fn stop_statement(&mut self, server: &mut Server, cx: &Context<'_>) {
        let upstream = &mut self.line.upstream;
        let is_between_messages = upstream.is_between_messages();
        let Some(guard) = &mut upstream.guard else {
            return;
        };
        let Some(limit) = guard.restraint.time() else {
            return;
        };
        if server.replies.owed() == 0 {
            return;
        }
        guard.cancel(limit);
        if server.replies.is_copying_in() && is_between_messages {
            // A server that waits for COPY data does not look at cancel requests.
            frontend::put_copy_fail(server.outbox.buffer(), "it takes too long");
            server.replies.copy_ended();
        } else {
            self.cancel(server, cx);
        }
    }

    /// Has what the server is doing cancelled, beside the clients.
    fn cancel(&mut self, server: &Server, cx: &Context<'_>) {
        let Some(cancel) = server.info.begin_cancel() else {
            return;
        };
        let is_under_way = Rc::new(Cell::new(true));
        self.cancelling = Some(is_under_way.clone());
        let waker = cx.waker().clone();
        tokio::task::spawn_local(async move {
            cancel.deliver().await;
            is_under_way.set(false);
            waker.wake();
        });
    }
}

impl Line {
    /// Stands still once all that was sent to the client has been taken. Never ready but for an
    /// error.
    pub(super) fn stand(
        &mut self,
        parts: &Parts<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Infallible>> {
        self.stand_with(parts, None, cx)
    }

    fn stand_with(
        &mut self,
        parts: &Parts<'_>,
        server: Option<&Server>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Infallible>> {
        let standstill = &parts.client.standstill;
        match self.outbox.poll_flush(&mut self.stream, cx) {
            Poll::Ready(Ok(())) => standstill.stand(|| parts.carry(self, server)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(SessionError::ClientLost(error))),
            Poll::Pending => standstill.moves(),
        }
        parts.client.listen(cx);
        Poll::Pending
    }
}

/// What a client may send while it has to wait before it is left to TCP to hold it.
pub(super) const MAX_UNREAD: usize = 64 * 1024;
/// Replies that may be under way to one client.
const MAX_OWED: usize = 256 * 1024;
