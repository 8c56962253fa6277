//! The servers of a pool that nobody has, and the queue of those who want one.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use crate::pool::error::ConnectError;
use crate::pool::manager::Manager;
use crate::pool::server::Server;
use crate::pool::workshop::Workshop;

/// At most so many servers, lent or idle. First come, first served.
#[derive(Clone, Debug)]
pub(super) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    manager: Manager,
    limit: usize,
    oldest_first: bool,
    /// One for each server that is not lent, and for each that may yet be opened. tokio hands
    /// what is given back straight to who has waited for the longest.
    places: Semaphore,
    queued: AtomicUsize,
    stock: Mutex<Stock>,
}

#[derive(Debug, Default)]
struct Stock {
    /// The one that came back last is at the back.
    idle: VecDeque<Box<Server>>,
    /// Servers, lent or idle.
    size: usize,
}

/// Why a store lends nothing.
#[derive(Debug)]
pub(super) enum NotLent {
    /// All places are taken, and the caller did not want to wait.
    Busy,
    /// It was closed.
    Closed,
    /// No server could be opened.
    Failed(Arc<ConnectError>),
}

impl Store {
    /// An empty store of `limit` places, which lends the idle server that was used last, or the
    /// one that has waited for the longest.
    pub(super) fn new(manager: Manager, limit: usize, oldest_first: bool) -> Self {
        Self(Arc::new(Inner {
            manager,
            limit,
            oldest_first,
            places: Semaphore::new(limit),
            queued: AtomicUsize::new(0),
            stock: Mutex::default(),
        }))
    }

    /// An idle server that can be lent without waiting for anything. The way of nearly every
    /// transaction.
    pub(super) fn idle(&self) -> Option<Held> {
        let place = self.0.places.try_acquire().ok()?;
        loop {
            let mut taken = self.0.take_idle()?;
            let server = taken.server();
            if self.0.manager.is_check_due(server) {
                taken.put_back();
                return None;
            }
            if self.0.manager.is_fit(server) {
                return Some(taken.hold(self, place));
            }
        }
    }

    /// A server, opened if none is idle; fails where all places are taken. Cancel safe: what was
    /// taken by then is closed.
    ///
    /// # Errors
    /// See [`NotLent`].
    pub(super) async fn get_at_once(&self) -> Result<Held, NotLent> {
        self.at(self.0.try_place()?).await
    }

    /// The same, but waits for a place. Cancel safe, but for the place in the queue.
    ///
    /// # Errors
    /// [`NotLent::Closed`] and [`NotLent::Failed`].
    pub(super) async fn get(&self) -> Result<Held, NotLent> {
        self.at(self.0.place().await?).await
    }

    async fn at(&self, place: SemaphorePermit<'_>) -> Result<Held, NotLent> {
        let manager = &self.0.manager;
        while let Some(mut taken) = self.0.take_idle() {
            let server = taken.server();
            if manager.is_fit(server) && manager.passes_check(server).await {
                return Ok(taken.hold(self, place));
            }
        }
        let made = manager.make().await.map_err(NotLent::Failed)?;
        Ok(self.0.count(made).hold(self, place))
    }

    /// Opens a server that nobody has asked for, if there is room for one more. Cancel safe.
    ///
    /// # Errors
    /// See [`NotLent`].
    pub(super) async fn add(&self) -> Result<(), NotLent> {
        // A place alone is no room: it may be that of an idle one.
        let place = self.0.try_place()?;
        if self.room() == 0 {
            return Err(NotLent::Busy);
        }
        let made = self.0.manager.make().await.map_err(NotLent::Failed)?;
        drop(self.0.count(made).hold(self, place));
        Ok(())
    }

    /// Takes in a server that was not opened here, lent; gives it back if there is no room for it.
    pub(super) fn admit(&self, server: Box<Server>) -> Result<Held, Box<Server>> {
        match self.0.try_place() {
            Ok(place) if self.room() > 0 => Ok(self.0.count(server).hold(self, place)),
            Ok(_) | Err(_) => Err(server),
        }
    }

    /// Removes idle servers that are not to be kept, from the one on that was used first.
    #[expect(clippy::vec_box, reason = "they are boxed already, and stay so")]
    pub(super) fn retain(&self, mut keep: impl FnMut(&mut Server) -> bool) -> Vec<Box<Server>> {
        let mut removed = Vec::new();
        let mut stock = self.0.stock();
        for mut server in std::mem::take(&mut stock.idle) {
            if keep(&mut server) {
                stock.idle.push_back(server);
            } else {
                removed.push(server);
            }
        }
        stock.size -= removed.len();
        removed
    }

    /// Lends nothing any more, and closes what is idle.
    pub(super) fn close(&self) {
        self.0.places.close();
        drop(self.retain(|_| false));
    }

    /// Whether [`Self::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        self.0.places.is_closed()
    }

    /// Servers, lent or idle.
    pub(super) fn size(&self) -> usize {
        self.0.stock().size
    }

    /// Idle servers.
    pub(super) fn available(&self) -> usize {
        self.0.stock().idle.len()
    }

    /// How many servers there may be more than there are.
    pub(super) fn room(&self) -> usize {
        self.0.limit.saturating_sub(self.size())
    }
}

impl Stock {
    /// The server that was used last by the thread that asks, if it is not too far down: to move
    /// one from another thread's reactor takes system calls.
    fn pop_nearest(&mut self) -> Option<Box<Server>> {
        let last = self.idle.len().checked_sub(1)?;
        let mut latest = (0..=last).rev().take(NEAR);
        let nearest = latest.find(|&at| self.idle[at].stream.socket().is_at_home());
        self.idle.remove(nearest.unwrap_or(last))
    }
}

impl Inner {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_place(&self) -> Result<SemaphorePermit<'_>, NotLent> {
        self.places.try_acquire().map_err(|error| match error {
            TryAcquireError::Closed => NotLent::Closed,
            TryAcquireError::NoPermits => NotLent::Busy,
        })
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, NotLent> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        self.queued.fetch_add(1, Ordering::SeqCst);
        let _queued = Leave(&self.queued);
        let place = self.places.acquire().await;
        place.map_err(|_| NotLent::Closed)
    }

    fn take_idle(&self) -> Option<Taken<'_>> {
        let mut stock = self.stock();
        let server = if self.oldest_first {
            stock.idle.pop_front()
        } else {
            stock.pop_nearest()
        };
        drop(stock);
        Some(Taken {
            from: self,
            server: Some(server?),
        })
    }

    /// Counts a server that is new here.
    fn count(&self, server: Box<Server>) -> Taken<'_> {
        self.stock().size += 1;
        Taken {
            from: self,
            server: Some(server),
        }
    }

    /// Frees the place of a server that was lent, and tells who waits elsewhere.
    fn leave(&self) {
        self.places.add_permits(1);
        self.manager.workshop.server_returned();
    }

    /// Has a server be idle, or closes it.
    fn put(&self, server: Box<Server>) {
        let mut stock = self.stock();
        // Under the lock, as who closes the store empties it afterwards.
        if self.places.is_closed() {
            stock.size -= 1;
            drop(stock);
            drop(server);
        } else {
            stock.idle.push_back(server);
        }
    }
}

/// A server on its way out of the store: closed, unless it is held or put back.
struct Taken<'a> {
    from: &'a Inner,
    server: Option<Box<Server>>,
}

impl Taken<'_> {
    fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("it goes when this does")
    }

    fn hold(mut self, store: &Store, place: SemaphorePermit<'_>) -> Held {
        place.forget(); // it comes back with the server
        Held {
            store: store.clone(),
            server: self.server.take(),
        }
    }

    /// Puts it back to where it came from.
    fn put_back(mut self) {
        if let Some(server) = self.server.take() {
            let mut stock = self.from.stock();
            if self.from.oldest_first {
                stock.idle.push_front(server);
            } else {
                stock.idle.push_back(server);
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.from.stock().size -= 1;
        }
    }
}

/// A server that is lent. It goes back when this is dropped, unless it was taken out.
#[derive(Debug)]
pub(super) struct Held {
    store: Store,
    server: Option<Box<Server>>,
}

impl Held {
    /// What all servers of the pool share.
    pub(super) fn workshop(&self) -> &Arc<Workshop> {
        &self.store.0.manager.workshop
    }

    /// Whether somebody waits in the queue.
    pub(super) fn is_wanted(&self) -> bool {
        self.store.0.queued.load(Ordering::SeqCst) > 0
    }

    /// Takes the server out of the store for good.
    pub(super) fn take(mut self) -> Box<Server> {
        let server = self.server.take().expect("it goes when this does");
        let inner = &*self.store.0;
        inner.stock().size -= 1;
        inner.leave();
        server
    }
}

impl Deref for Held {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.server.as_ref().expect("it goes when this does")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Server {
        self.server.as_mut().expect("it goes when this does")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.store.0.put(server);
            self.store.0.leave();
        }
    }
}

/// Idle servers that are looked at to find one of the thread's own.
const NEAR: usize = 8;

/// Counts down when dropped.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
