//! The loop between queries: wait for the client, borrow a server, give it back.

mod checkout;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::auth::secret::Secret;
use crate::policy::admission::Admission;
use crate::policy::role::ReadOnly;
use crate::pool::error::CheckoutError;
use crate::pool::pools::ClientPlace;
use crate::pool::replication::{OwnPool, Replication};
use crate::pool::server::{Server, line};
use crate::pool::tracked::Values;
use crate::pool::{Lease, Member, Released};
use crate::session::carried::Parts;
use crate::session::context::Context;
use crate::session::downstream::bit;
use crate::session::error::SessionError;
use crate::session::lines;
use crate::session::relay::{End, Line, MAX_UNREAD, exchange};
use crate::session::roster::{Client, ClientState, Signal};
use crate::session::tally::{Tally, micros};
use crate::session::upstream::Scan;
use crate::session::usage::{Connected, UserPlace};
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::error_response::ErrorResponse;
use crate::wire::parameters::Parameters;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

/// A client that has logged in to a database.
#[derive(Debug)]
pub struct Session {
    pub(super) line: Line,
    pub(super) client: Rc<Client>,
    pub(super) pool: Member,
    /// What the users file knows of the user, for servers opened in its name.
    pub(super) secret: Option<Arc<Secret>>,
    /// Settings of the start-up packet that the server does not report.
    pub(super) extra: Arc<Parameters>,
    /// The tracked values the client began with: what RESET gives it back.
    pub(super) initial: Values,
    pub(super) replication: Option<Box<Replication>>,
    /// Whether the pool is one of servers that only read, where that changes with time.
    pub(super) reads_only: Option<bool>,
    /// Held, not read: its place among the clients, its user's, and its role's, and its own
    /// pool.
    pub(super) _places: Places,
    /// The server that it had in another process, whose place this one has taken.
    pub(super) linked: Option<Box<Lease>>,
}

/// What a session holds as long as it lasts.
pub(super) type Places = (ClientPlace, UserPlace, Option<Connected>, Option<OwnPool>);

/// Why a session ended well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Farewell {
    /// The client said goodbye.
    ClientLeft,
    /// The client hung up without a word.
    ClientVanished,
    /// The pooler is shutting down.
    Drained,
}

impl Session {
    /// Serves the client until it leaves. Its last messages may still wait in the outbox.
    ///
    /// # Errors
    /// Why it had to end.
    pub async fn serve(&mut self, cx: &Context) -> Result<Farewell> {
        let mut now = Instant::now();
        loop {
            let is_linked = self.linked.is_some();
            self.client.enter(ClientState::Idle, now);
            // A part of a message that came with the last exchange has been counted there.
            let counted = self.line.inbox.unread().len();
            if !is_linked && let Some(farewell) = self.idle(cx).await? {
                return Ok(farewell);
            }
            let began = Instant::now();
            let (mut lease, lent) = match self.at_hand(cx) {
                Some(lease) => (lease, began),
                // Boxed: an idle client need not keep room for this.
                None => match Box::pin(self.checkout(cx, began)).await? {
                    Some(got) => got,
                    None => {
                        now = Instant::now();
                        continue;
                    }
                },
            };
            self.client.enter(ClientState::Active, lent);
            self.client.progress.begins(began);
            if let Some(guard) = &mut self.line.upstream.guard {
                guard.served(lent);
            }
            if lease.server().line.take_extra() {
                lines::from_reserve(&self.client);
            }
            let info = &lease.server().info;
            info.lend(self.client.id, lent);
            self.client.server.replace(Some(info.clone()));
            self.count_assignment(cx, lent.duration_since(began));
            let mut tally = Tally::new(cx.worker, lent);
            tally.received = self.line.inbox.unread().len().saturating_sub(counted) as u64;
            let ended = if is_linked {
                exchange(self, &mut lease, &mut tally).await
            } else {
                self.use_server(&mut lease, &mut tally).await
            };
            self.client.server.replace(None);
            now = Instant::now();
            self.count(cx, &mut tally, now);
            match ended {
                Ok(End::Quiet) => {
                    if tally.reset {
                        self.restore_initial(tally.changed);
                    }
                    self.give_back(cx, lease, now);
                }
                Ok(End::Left) => {
                    self.leave(cx, lease, now);
                    return Ok(Farewell::ClientLeft);
                }
                Ok(End::Vanished) => {
                    abandon(lease, None);
                    return Ok(Farewell::ClientVanished);
                }
                // What ran on it has ended with it: there is nothing to cancel.
                Err(error @ (SessionError::ServerEnded | SessionError::ServerLost(_))) => {
                    lease.server().line.because(line::CRASHED);
                    return Err(error);
                }
                Err(error) => {
                    abandon(lease, Some(&error));
                    return Err(error);
                }
            }
        }
    }

    /// Whether the client is still to be sent something, TLS's goodbye included.
    pub fn owes_words(&self) -> bool {
        !self.line.outbox.is_empty() || self.line.stream.is_tls()
    }

    /// Sends what still waits, a last error if there is one, and hangs up. Not cancel safe.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn finish(&mut self, error: Option<&ErrorResponse>) -> std::io::Result<()> {
        if let Some(error) = error {
            error.put(self.line.outbox.buffer());
        }
        self.line.outbox.flush(&mut self.line.stream).await?;
        self.line.stream.shutdown().await
    }

    /// Waits until a message has arrived that needs a server. Cancel safe.
    async fn idle(&mut self, cx: &Context) -> Result<Option<Farewell>> {
        let (line, parts) = self.parts();
        let client = parts.client;
        let (mut wants, mut is_woken) = (0, false);
        poll_fn(|task| {
            match client.take_signal() {
                Signal::End(error) => return Poll::Ready(Err(SessionError::Refused(*error))),
                Signal::CancelWait
                | Signal::None
                | Signal::StopStatement
                | Signal::TellWaiting
                | Signal::WaitTimeout(_) => {}
            }
            if cx.is_draining() {
                return Poll::Ready(Ok(Some(Farewell::Drained)));
            }
            if client.standstill.is_wanted() {
                return line.stand(&parts, task).map_ok(|never| match never {});
            }
            // A slow client reads its last reply while it is counted as idle.
            if let Poll::Ready(Err(error)) = line.outbox.poll_flush(&mut line.stream, task) {
                return Poll::Ready(Err(SessionError::ClientLost(error)));
            }
            loop {
                if !line.inbox.unread().is_empty() && line.inbox.unread().len() >= wants {
                    match line.upstream.wants(line.inbox.unread())? {
                        Scan::Done | Scan::Hold => {
                            let unread = line.inbox.unread();
                            let Some((len, error)) = line.upstream.refused_at_the_door(unread)
                            else {
                                return Poll::Ready(Ok(None));
                            };
                            line.inbox.consume(len);
                            cx.logins.error(error.code);
                            let out = line.outbox.buffer();
                            error.put(out);
                            backend::put_ready_for_query(out, TransactionStatus::Idle);
                            wants = 0;
                            let sent = line.outbox.poll_flush(&mut line.stream, task);
                            if let Poll::Ready(Err(error)) = sent {
                                return Poll::Ready(Err(SessionError::ClientLost(error)));
                            }
                            if line.outbox.waiting() > MAX_UNREAD {
                                client.listen(task);
                                return Poll::Pending; // until it reads
                            }
                            continue;
                        }
                        Scan::Terminate => return Poll::Ready(Ok(Some(Farewell::ClientLeft))),
                        Scan::Wants(len) => wants = len,
                    }
                }
                // Right after an exchange there is nothing nearly always.
                if !std::mem::replace(&mut is_woken, true)
                    && line.stream.poll_news(task).is_pending()
                {
                    client.listen(task);
                    return Poll::Pending;
                }
                match line.inbox.poll_fill(&mut line.stream, wants, task) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Some(Farewell::ClientVanished))),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(SessionError::ClientLost(error)));
                    }
                    Poll::Pending => {
                        client.listen(task);
                        return Poll::Pending;
                    }
                }
            }
        })
        .await
    }

    /// The line, and beside it what is carried along with it.
    pub(super) fn parts(&mut self) -> (&mut Line, Parts<'_>) {
        let parts = Parts {
            client: &self.client,
            pool: &self.pool,
            secret: &self.secret,
            extra: &self.extra,
            initial: &self.initial,
        };
        (&mut self.line, parts)
    }

    async fn use_server(&mut self, lease: &mut Lease, tally: &mut Tally) -> Result<End> {
        self.prepare(lease.server()).await?;
        exchange(self, lease, tally).await
    }

    /// Gives the server what the client expects to find on it. Costs nothing if the server's
    /// last client wanted the same.
    async fn prepare(&mut self, server: &mut Server) -> Result<()> {
        let same_values = is_same(&mut server.values, &mut self.line.values);
        let same_extra = is_same(&mut server.applied, &mut self.extra);
        if !(same_values && same_extra) {
            self.assume_defaults(&server.values);
            let values = (&server.values, &self.line.values);
            let extra = (&*server.applied, &*self.extra);
            if let Some(sql) = self.pool.tracked().statement(values, extra) {
                // Boxed: an idle client need not keep room for this.
                Box::pin(self.run(server, &sql)).await?;
                server.applied = self.extra.clone();
            }
            self.line.values = server.values.clone();
        }
        if !is_same(&mut self.line.told, &mut self.line.values) {
            self.tell_values();
        }
        Ok(())
    }

    /// What is not known of a client, since it comes from PgBouncer, is the default, and not what
    /// another client had.
    fn assume_defaults(&mut self, reported: &Values) {
        let values = &mut self.line.values;
        let mut both = values.iter().zip(reported.iter());
        if both.all(|(value, reported)| value.is_some() || reported.is_none()) {
            return;
        }
        if let Some(defaults) = self.pool.defaults() {
            let both = values.iter().zip(defaults.iter());
            *values = both
                .map(|(value, default)| value.as_ref().or(default.as_ref()).cloned())
                .collect();
        }
    }

    /// Tells the client of values it does not expect: the server writes one in its own way
    /// ("iso" is "ISO, MDY"), or a default was told that what it began with has replaced.
    fn tell_values(&mut self) {
        let line = &mut self.line;
        for (at, (told, value)) in line.told.iter().zip(line.values.iter()).enumerate() {
            if let Some(value) = value
                && told.as_ref() != Some(value)
            {
                let name = self.pool.tracked().name(at);
                backend::put_parameter_status(line.outbox.buffer(), name, value);
            }
        }
        line.told = line.values.clone();
    }

    /// RESET gave the server's defaults where the client expects what it began with. Which
    /// parameter it was about shows in what has changed: one that the client has set to the
    /// default itself, earlier, stays.
    fn restore_initial(&mut self, changed: u64) {
        let Some(defaults) = self.pool.defaults() else {
            return;
        };
        let restored = self
            .line
            .values
            .iter()
            .zip(defaults.iter())
            .zip(self.initial.iter())
            .enumerate();
        self.line.values = restored
            .map(|(at, ((now, default), initial))| {
                let undone = changed & bit(at) != 0 && now == default;
                if undone { initial } else { now }
            })
            .cloned()
            .collect();
    }

    async fn run(&self, server: &mut Server, sql: &str) -> Result<()> {
        use crate::pool::server::RunError;
        let limit = self
            .pool
            .settings()
            .server_connect_timeout
            .unwrap_or(RUN_LIMIT);
        self.client.is_settling.set(true);
        let ran = tokio::time::timeout(limit, server.run(sql)).await;
        self.client.is_settling.set(false);
        match ran {
            Ok(Ok(())) => Ok(()),
            Ok(Err(RunError::Refused(error))) => Err(SessionError::Parameters(error)),
            Ok(Err(RunError::Io(error))) => Err(SessionError::ServerLost(error)),
            Ok(Err(RunError::Framing(error))) => Err(SessionError::ServerFraming(error)),
            Err(_) => Err(SessionError::ServerLost(
                std::io::ErrorKind::TimedOut.into(),
            )),
        }
    }

    fn give_back(&mut self, cx: &Context, mut lease: Lease, now: Instant) {
        if self.replication.is_some() {
            lease.server().line.because(line::REPLICATION);
            return; // nobody else could use it
        }
        release(cx, lease, now);
        self.line.upstream.statements.shrink();
        self.client
            .prepared
            .set(self.line.upstream.statements.len());
    }

    /// Gives the server of a client that has said goodbye back, if it may be.
    fn leave(&self, cx: &Context, mut lease: Lease, now: Instant) {
        if self.replication.is_some() {
            lease.server().line.because(line::REPLICATION);
            return;
        }
        release(cx, lease, now);
    }

    fn count_assignment(&self, cx: &Context, wait: Duration) {
        let counters = self.pool.stats().of(cx.worker);
        counters.server_assignments.add(1);
        counters.wait_time.add(micros(wait));
        counters.wait_times.record(wait);
    }

    fn count(&mut self, cx: &Context, tally: &mut Tally, now: Instant) {
        tally.settle(&self.pool, false, now);
        if let Some(code) = tally.error {
            cx.logins.error(code);
        }
        if tally.stale_plans {
            // Others get new names with their next Parse, or an error like this client's.
            self.pool.statements().renew();
            self.line.upstream.statements.renew(self.pool.statements());
        }
    }
}

/// Whether both are equal. If so they become one and the same, which is seen at once the next
/// time: of two copies the one at the lower address wins, so that all of a pool come to agree.
fn is_same<T: ?Sized + PartialEq>(one: &mut Arc<T>, other: &mut Arc<T>) -> bool {
    if Arc::ptr_eq(one, other) {
        return true;
    }
    if one != other {
        return false;
    }
    if Arc::as_ptr(one).addr() < Arc::as_ptr(other).addr() {
        other.clone_from(one);
    } else {
        one.clone_from(other);
    }
    true
}

/// Why there is no server for a client. Of a replication client PgBouncer says no more than this.
pub(super) fn no_server(error: CheckoutError, replicates: bool) -> SessionError {
    match error {
        CheckoutError::Connect(_) if replicates => {
            SessionError::Refused(error.to_client().or_as_pgbouncer("login failed"))
        }
        CheckoutError::Connect(_) | CheckoutError::Closed | CheckoutError::QueryWaitTimeout(_) => {
            error.into()
        }
    }
}

/// Whether a client may only read at the moment; `None`: that never changes.
pub(super) fn reads_only(admission: &Admission, cx: &Context) -> Option<bool> {
    let timed = matches!(admission.role().read_only, ReadOnly::During(_))
        || !admission.maintenance().is_empty();
    timed.then(|| admission.is_read_only(cx.bench.now()))
}

/// Gives a server back; what must be cleaned is cleaned beside the client.
fn release(cx: &Context, lease: Lease, now: Instant) {
    match lease.release(now) {
        Released::Returned | Released::Closed => {}
        Released::Unready(cleaning) => {
            tokio::task::spawn_local(cleaning.run(cx.worker));
        }
    }
}

/// What a client is told that has no server and gets none any more.
pub fn shutting_down() -> ErrorResponse {
    let text = "server shutting down";
    ErrorResponse::fatal(SqlState::ADMIN_SHUTDOWN, text).or_as_pgbouncer(text)
}

/// Closes the server of a client that is gone or has to go, after whatever runs on it was
/// cancelled. `error`: what the client has to go for.
fn abandon(mut lease: Lease, error: Option<&SessionError>) {
    let server = lease.server();
    server.line.or_because(closed_for(server, error));
    if server.replies.is_answered() {
        return;
    }
    tokio::task::spawn_local(lease.cancel_and_close());
}

/// Why the server of a client is closed that is gone or has to go.
fn closed_for(server: &Server, error: Option<&SessionError>) -> &'static str {
    let told = error.and_then(SessionError::to_client);
    let of_a_timeout = [
        (PoolerError::QueryTimeout, line::QUERY_TIMEOUT),
        (PoolerError::IdleTransactionTimeout, line::IDLE_TRANSACTION),
        (PoolerError::TransactionTimeout, line::TRANSACTION_TIMEOUT),
    ];
    for (timeout, reason) in of_a_timeout {
        if told.as_ref() == Some(&timeout.into()) {
            return reason;
        }
    }
    let replies = &server.replies;
    // Else a transaction block is left open, or a stream of changes, rather than a query.
    let is_asked = replies.owed() > 0 && !replies.awaits_client();
    if is_asked && replies.status() == TransactionStatus::Idle {
        line::UNCLEAN
    } else {
        line::UNREADY
    }
}

/// For a statement of ours where server_connect_timeout is off.
const RUN_LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_copies_become_one_whichever_meets_which() {
        let mut copies: Vec<Arc<str>> = (0..4).map(|_| Arc::from("UTC")).collect();
        for _ in 0..2 {
            for at in 1..copies.len() {
                let (before, after) = copies.split_at_mut(at);
                assert!(is_same(&mut before[at - 1], &mut after[0]));
            }
            copies.reverse();
        }
        assert!(copies.iter().all(|copy| Arc::ptr_eq(copy, &copies[0])));
    }

    #[test]
    fn what_differs_stays_as_it_is() {
        let (mut one, mut other): (Arc<str>, Arc<str>) = ("UTC".into(), "GMT".into());
        assert!(!is_same(&mut one, &mut other));
        assert_eq!((&*one, &*other), ("UTC", "GMT"));
    }
}
