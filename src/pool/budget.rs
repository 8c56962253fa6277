//! A limit of server connections that several pools share: a database's, a user's.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::pool::server::info::Registry;

/// Closes idle servers of other pools, to make room under a budget.
pub(super) trait MakeRoom: Debug + Send + Sync {
    /// Closes the idle server under the budget that was used the longest ago; none of
    /// `but_not`'s.
    fn evict(&self, budget: &Arc<Budget>, but_not: &Arc<Registry>);
}

/// Places for servers; each server holds one for its life.
#[derive(Debug)]
pub struct Budget {
    limit: Option<usize>,
    places: Option<Arc<Semaphore>>,
    /// Pools that wait for a place.
    waiting: AtomicUsize,
}

impl Budget {
    /// A budget of this many servers; `None`: no limit.
    pub fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            places: limit.map(|limit| Arc::new(Semaphore::new(limit))),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The limit it was made with.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Whether a pool waits for a place, and would be glad of an idle server's.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Counts the pools that wait for a place.
    pub(super) fn waiting(&self) -> &AtomicUsize {
        &self.waiting
    }

    /// The places, if they are limited.
    pub(super) fn places(&self) -> Option<&Arc<Semaphore>> {
        self.places.as_ref()
    }
}
