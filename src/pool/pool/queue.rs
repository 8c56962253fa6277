//! Borrowing a server of a pool, and waiting for one.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::sync::futures::Notified;

use super::Pool;
use crate::pool::error::{CheckoutError, ConnectError};
use crate::pool::lease::Lease;
use crate::pool::store::NotLent;

impl Pool {
    /// Borrows a server that is idle and fit. `None`: [`Self::checkout`] may have to wait.
    pub fn checkout_idle(&self) -> Option<Lease> {
        if self.is_paused() {
            return None;
        }
        self.ordinary.idle().map(Lease::new)
    }

    pub(super) async fn borrow(&self, patience: Patience) -> Result<Lease, CheckoutError> {
        if let Some(lease) = self.checkout_idle() {
            return Ok(lease);
        }
        let mut queued = None;
        if !self.is_paused() {
            let mut now = pin!(self.ordinary.get_at_once());
            let got = poll_fn(|cx| {
                if let Poll::Ready(got) = now.as_mut().poll(cx) {
                    return Poll::Ready(Ok(got));
                }
                // A new server is being opened, or an old one checked.
                let queued = match &mut queued {
                    Some(queued) => queued,
                    None => queued.insert(self.queue(patience)?),
                };
                queued.poll_hopeless(cx).map(Err)
            })
            .await?;
            match got {
                Ok(held) => return Ok(Lease::new(held)),
                Err(NotLent::Busy) => {}
                Err(error) => {
                    if let Some(error) = explain(error) {
                        return Err(error);
                    }
                }
            }
        }
        let queued = match queued {
            Some(queued) => queued,
            None => self.queue(patience)?,
        };
        // Boxed: an idle client need not keep room for this.
        Box::pin(self.wait(queued)).await
    }

    /// Begins to wait.
    ///
    /// # Errors
    /// There is no hope for a while: the last login has failed, and there are no servers.
    fn queue(&self, patience: Patience) -> Result<Queued<'_>, CheckoutError> {
        let queued = Queued::new(self);
        // Whoever has servers waits for one of them.
        match self.workshop.recent_failure() {
            Some((error, _))
                if !(self.workshop.has_servers()
                    || (patience == Patience::Much && error.may_pass())) =>
            {
                Err(CheckoutError::Connect(Arc::new(ConnectError::Cached(
                    error,
                ))))
            }
            Some(_) | None => Ok(queued),
        }
    }

    /// The way of a client that must wait, whatever it waits for.
    async fn wait(&self, mut queued: Queued<'_>) -> Result<Lease, CheckoutError> {
        self.workshop.need.notify_waiters();
        let mut lent = pin!(self.next());
        poll_fn(|cx| {
            if let Poll::Ready(lent) = lent.as_mut().poll(cx) {
                return Poll::Ready(lent);
            }
            queued.poll_hopeless(cx).map(Err)
        })
        .await
    }

    /// The next server that is free.
    async fn next(&self) -> Result<Lease, CheckoutError> {
        loop {
            loop {
                let resumed = self.resumed.notified();
                if !self.is_paused() {
                    break;
                }
                resumed.await;
            }
            let got = match &self.reserve {
                None => self.ordinary.get().await,
                Some(reserve) => {
                    let later = async {
                        tokio::time::sleep(self.settings().reserve_timeout).await;
                        reserve.get().await
                    };
                    tokio::select! {
                        biased;
                        got = self.ordinary.get() => got,
                        got = later => got,
                    }
                }
            };
            match got {
                // A pause may have begun while this client stood in the queue.
                Ok(held) if self.is_paused() => drop(held.take()),
                Ok(held) => return Ok(Lease::new(held)),
                Err(error) => {
                    if let Some(error) = explain(error) {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// What a client is told; `None`: to try again.
fn explain(why: NotLent) -> Option<CheckoutError> {
    match why {
        NotLent::Failed(error) if matches!(*error, ConnectError::Retry) => None,
        NotLent::Failed(error) => Some(CheckoutError::Connect(error)),
        NotLent::Busy | NotLent::Closed => Some(CheckoutError::Closed),
    }
}

/// How soon a client gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Patience {
    /// It is told at once that no server could be opened lately.
    Little,
    /// While it logs in, it waits for a server that cannot be reached.
    Much,
}

/// A client that waits for a server; counted as such while this exists.
struct Queued<'a> {
    pool: &'a Pool,
    hopeless: Pin<Box<Notified<'a>>>,
}

impl<'a> Queued<'a> {
    fn new(pool: &'a Pool) -> Self {
        pool.waiting.fetch_add(1, Ordering::Relaxed);
        let hopeless = Box::pin(pool.workshop.failures.hopeless());
        Self { pool, hopeless }
    }

    /// Ready with the error that ends the waiting.
    fn poll_hopeless(&mut self, cx: &mut Context<'_>) -> Poll<CheckoutError> {
        ready!(self.hopeless.as_mut().poll(cx));
        self.hopeless.set(self.pool.workshop.failures.hopeless());
        cx.waker().wake_by_ref();
        match self.pool.workshop.failures.latest() {
            Some(error) if !self.pool.workshop.has_servers() => {
                Poll::Ready(CheckoutError::Connect(error))
            }
            Some(_) | None => Poll::Pending, // the next one has done better
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.pool.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
