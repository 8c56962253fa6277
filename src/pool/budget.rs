//! A limit of server connections that several pools share: a database's, a user's.

use std::sync::Arc;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};

/// Places for servers; each server holds one for its life.
#[derive(Debug)]
pub struct Budget {
    limit: Option<usize>,
    places: Option<Arc<Semaphore>>,
    /// Told when a server of any of the pools is given back: it may be evicted.
    returned: Notify,
}

impl Budget {
    /// A budget of this many servers; `None`: no limit.
    pub fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            places: limit.map(|limit| Arc::new(Semaphore::new(limit))),
            returned: Notify::new(),
        }
    }

    /// The limit it was made with.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Tells who waits for a place that a server has been given back.
    pub(super) fn server_returned(&self) {
        if self.limit.is_some() {
            self.returned.notify_waiters();
        }
    }

    /// Waits until a server is given back from now on. Cancel safe.
    pub(super) fn returned(&self) -> Notified<'_> {
        self.returned.notified()
    }

    /// The places, if they are limited.
    pub(super) fn places(&self) -> Option<&Arc<Semaphore>> {
        self.places.as_ref()
    }
}
