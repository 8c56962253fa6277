//! Borrowing a server of a pool, and waiting for one.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::futures::Notified;

use super::Pool;
use crate::pool::error::{CheckoutError, ConnectError};
use crate::pool::lease::Lease;
use crate::pool::store::NotLent;

impl Pool {
    /// Borrows a server that is idle and fit: the way of nearly every transaction while there are
    /// servers enough. `None`: [`Self::checkout`] may have to wait.
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
        // Not boxed here: an idle client keeps no room for this, as its checkout is boxed whole.
        self.borrow_slowly(patience).await
    }

    async fn borrow_slowly(&self, patience: Patience) -> Result<Lease, CheckoutError> {
        let mut hopeless = pin!(self.workshop.failures.hopeless());
        let mut queued = None;
        if !self.is_paused() {
            let mut now = pin!(self.ordinary.get_at_once());
            let got = poll_fn(|cx| {
                if let Poll::Ready(got) = now.as_mut().poll(cx) {
                    return Poll::Ready(Ok(got));
                }
                // A new server is being opened, or an old one checked.
                if queued.is_none() {
                    queued = Some(self.queue(patience)?);
                }
                self.poll_hopeless(hopeless.as_mut(), cx).map(Err)
            })
            .await?;
            match got {
                Ok(held) => return Ok(Lease::new(held)),
                Err(NotLent::Busy) => {}
                Err(why) => {
                    if let Some(error) = explain(why) {
                        return Err(error);
                    }
                }
            }
        }
        let _queued = match queued {
            Some(queued) => queued,
            None => self.queue(patience)?,
        };
        self.workshop.need.notify_waiters();
        let mut lent = pin!(self.next());
        poll_fn(|cx| {
            if let Poll::Ready(lent) = lent.as_mut().poll(cx) {
                return Poll::Ready(lent);
            }
            self.poll_hopeless(hopeless.as_mut(), cx).map(Err)
        })
        .await
    }

    /// Begins to wait.
    ///
    /// # Errors
    /// There is no hope for a while: the last login has failed, and there are no servers.
    fn queue(&self, patience: Patience) -> Result<Queued<'_>, CheckoutError> {
        let queued = Queued::new(&self.waiting);
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

    /// Ready with the error that ends the waiting.
    fn poll_hopeless<'a>(
        &'a self,
        mut hopeless: Pin<&mut Notified<'a>>,
        cx: &mut Context<'_>,
    ) -> Poll<CheckoutError> {
        ready!(hopeless.as_mut().poll(cx));
        hopeless.set(self.workshop.failures.hopeless());
        cx.waker().wake_by_ref();
        match self.workshop.failures.latest() {
            Some(error) if !self.workshop.has_servers() => {
                Poll::Ready(CheckoutError::Connect(error))
            }
            Some(_) | None => Poll::Pending, // the next one has done better
        }
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
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
