//! A client's way to a server: which pool it is in by now, and the wait there.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::{Session, no_server, reads_only, shutting_down};
use crate::pool::Lease;
use crate::pool::error::CheckoutError;
use crate::session::context::Context;
use crate::session::error::SessionError;
use crate::session::relay::MAX_UNREAD;
use crate::session::roster::{ClientState, Signal};
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::error_response::{ErrorResponse, Severity};
use crate::wire::frontend::{Frontend, Tag};
use crate::wire::head::Head;
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

impl Session {
    /// The server that the client has already, or one that is idle. `None`: it may have to wait,
    /// or needs another pool. The way of nearly every transaction.
    pub(super) fn at_hand(&mut self, cx: &Context) -> Option<Lease> {
        if let Some(lease) = self.linked.take() {
            return Some(*lease);
        }
        // Who is to stand still does not begin anything.
        if self.needs_other_pool(cx) || self.client.standstill.is_wanted() {
            return None;
        }
        self.pool.checkout_idle()
    }

    /// Borrows a server. `None`: the client has cancelled, and was told so.
    pub(super) async fn checkout(
        &mut self,
        cx: &Context,
        began: Instant,
    ) -> Result<Option<(Lease, Instant)>> {
        if self.needs_other_pool(cx) {
            self.client.readmitted.pool.set(false);
            self.find_pool(cx)?;
        }
        loop {
            let waited = {
                let (line, parts) = self.parts();
                let client = parts.client;
                let mut checkout = pin!(parts.pool.checkout());
                let mut kept = None;
                poll_fn(|task| {
                    if kept.is_none()
                        && let Poll::Ready(got) = checkout.as_mut().poll(task)
                    {
                        kept = Some(got);
                    }
                    // Who is to stand still does not begin anything.
                    if kept.is_some() && !client.standstill.is_wanted() {
                        return Poll::Ready(Ok(kept.take()));
                    }
                    // It might wait for one whose end is waited for.
                    if cx.is_draining() && kept.is_none() {
                        return Poll::Ready(Err(SessionError::Refused(shutting_down())));
                    }
                    if client.state.get() != ClientState::Waiting {
                        client.progress.waits();
                        client.enter(ClientState::Waiting, began);
                    }
                    match client.take_signal() {
                        Signal::End(error) => {
                            return Poll::Ready(Err(SessionError::Refused(*error)));
                        }
                        Signal::CancelWait => return Poll::Ready(Ok(None)),
                        Signal::WaitTimeout(limit) => {
                            let error = CheckoutError::QueryWaitTimeout(limit);
                            return Poll::Ready(Err(error.into()));
                        }
                        Signal::TellWaiting => waiting_notice().put(line.outbox.buffer()),
                        Signal::None | Signal::StopStatement => {}
                    }
                    client.listen(task);
                    if let Poll::Ready(Err(error)) = line.outbox.poll_flush(&mut line.stream, task)
                    {
                        return Poll::Ready(Err(SessionError::ClientLost(error)));
                    }
                    if client.standstill.is_wanted() {
                        return line.stand(&parts, task).map_ok(|never| match never {});
                    }
                    // Who waits is watched: its place in the queue is for the living.
                    while line.inbox.unread().len() < MAX_UNREAD
                        && line.stream.poll_news(task).is_ready()
                    {
                        match line.inbox.poll_fill(&mut line.stream, 0, task) {
                            Poll::Ready(Ok(0)) => {
                                let gone = std::io::ErrorKind::UnexpectedEof.into();
                                return Poll::Ready(Err(SessionError::ClientLost(gone)));
                            }
                            Poll::Ready(Ok(_)) => {}
                            Poll::Ready(Err(error)) => {
                                return Poll::Ready(Err(SessionError::ClientLost(error)));
                            }
                            Poll::Pending => break,
                        }
                    }
                    Poll::Pending
                })
                .await?
            };
            match waited {
                Some(Ok(lease)) => {
                    // Who did not wait need not look at the clock again.
                    let waited = self.client.state.get() == ClientState::Waiting;
                    return Ok(Some((lease, if waited { Instant::now() } else { began })));
                }
                // A reload has replaced the pool while this client was in it.
                Some(Err(CheckoutError::Closed)) => self.find_pool(cx)?,
                Some(Err(error)) => {
                    let replicates = self.replication.is_some();
                    return Err(no_server(error, replicates));
                }
                None if self.refuse_canceled() => return Ok(None),
                None => {}
            }
        }
    }

    /// Whether the client was admitted anew, or may only read now and might write before, or
    /// the other way round.
    fn needs_other_pool(&self, cx: &Context) -> bool {
        self.client.readmitted.pool.get()
            || self.reads_only.is_some_and(|before| {
                let admission = self.client.admission.borrow();
                let now = admission.as_ref().map(|a| a.is_read_only(cx.bench.now()));
                now.is_some_and(|now| now != before)
            })
    }

    fn find_pool(&mut self, cx: &Context) -> Result<()> {
        let admission = self.client.admission.borrow().clone();
        let admission = admission.ok_or(CheckoutError::Closed)?;
        self.reads_only = reads_only(&admission, cx);
        let found = cx
            .pools
            .pool_for(&admission, self.replication.as_deref(), self.secret.clone());
        match found {
            Ok(pool) if !pool.is_closed() => {
                self.line.upstream.changes_to(&pool);
                // A reload may have changed which parameters follow clients, and in what order.
                let (old, new) = (self.pool.tracked(), pool.tracked());
                for values in [
                    &mut self.line.values,
                    &mut self.line.told,
                    &mut self.initial,
                ] {
                    *values = new.moved_from(old, values);
                }
                self.pool = pool;
                cx.limit(&self.client);
            }
            Ok(_) | Err(_) => return Err(CheckoutError::Closed.into()),
        }
        Ok(())
    }

    /// Answers the query that waits with an error, as a server would that was told to cancel
    /// it. False if not all of it has arrived.
    fn refuse_canceled(&mut self) -> bool {
        let unread = self.line.inbox.unread();
        let mut end = 0;
        loop {
            let Ok(Some(head)) = Head::<Frontend>::parse(&unread[end..]) else {
                return false;
            };
            end += head.message_len();
            if end > unread.len() {
                return false;
            }
            if matches!(head.tag(), Tag::Query | Tag::Sync | Tag::FunctionCall) {
                break;
            }
        }
        self.line.inbox.consume(end);
        if let Some(guard) = &mut self.line.upstream.guard {
            guard.withdrawn();
        }
        let out = self.line.outbox.buffer();
        ErrorResponse::error(
            SqlState::QUERY_CANCELED,
            "canceling statement due to user request",
        )
        .with_detail("The statement was still waiting for a server connection.")
        .put(out);
        backend::put_ready_for_query(out, TransactionStatus::Idle);
        true
    }
}

/// What a client is told that waits for a server for long.
fn waiting_notice() -> ErrorResponse {
    ErrorResponse::new(
        Severity::Notice,
        SqlState::SUCCESSFUL_COMPLETION,
        "No server connection available in postgres backend, client being queued",
    )
}
