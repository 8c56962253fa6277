//! A limit of server connections that several pools share: a database's, a user's.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Places for servers; each server holds one for its life.
#[derive(Debug)]
pub struct Budget {
    limit: Option<usize>,
    places: Option<Arc<Semaphore>>,
}

impl Budget {
    /// A budget of this many servers; `None`: no limit.
    pub fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            places: limit.map(|limit| Arc::new(Semaphore::new(limit))),
        }
    }

    /// The limit it was made with.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// The places, if they are limited.
    pub(super) fn places(&self) -> Option<&Arc<Semaphore>> {
        self.places.as_ref()
    }
}
