//! A limit of server connections that several pools share: a database's, a user's.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pool::server::info::Registry;

/// What one pool asks of all others.
pub(super) trait Neighbours: Debug + Send + Sync {
    /// Closes the idle server under the budget that was used the longest ago; none of
    /// `but_not`'s.
    fn evict(&self, budget: &Arc<Budget>, but_not: &Arc<Registry>);

    /// Has the servers of a host closed that are at addresses it no longer has.
    fn moved(&self, host: &str, gone: &[IpAddr]);
}

/// Places for servers; each server holds one for its life.
#[derive(Debug)]
pub struct Budget {
    places: Arc<Semaphore>,
    limit: Mutex<Limit>,
    /// Pools that wait for a place.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Limit {
    limit: Option<usize>,
    /// Places that a lower limit has taken away and servers still hold.
    owed: usize,
}

impl Budget {
    /// A budget of this many servers; `None`: no limit.
    pub fn new(limit: Option<usize>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit.unwrap_or(NO_LIMIT))),
            limit: Mutex::new(Limit { limit, owed: 0 }),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Changes the limit. Servers beyond it stay until they are closed for another reason.
    pub fn set_limit(&self, limit: Option<usize>) {
        let mut now = self.lock();
        let (old, new) = (now.limit.unwrap_or(NO_LIMIT), limit.unwrap_or(NO_LIMIT));
        now.limit = limit;
        if new > old {
            let paid = now.owed.min(new - old);
            now.owed -= paid;
            self.places.add_permits(new - old - paid);
        } else {
            let fewer = old - new;
            now.owed += fewer - self.places.forget_permits(fewer);
        }
    }

    /// A place, if one is free.
    pub(super) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = self.places.clone().try_acquire_owned().ok()?;
            if let Some(place) = self.settle(place) {
                return Some(place);
            }
        }
    }

    /// A place as soon as one is free. `None`: never. Cancel safe.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = self.places.clone().acquire_owned().await.ok()?;
            if let Some(place) = self.settle(place) {
                return Some(place);
            }
        }
    }

    /// Whether every place is taken.
    pub(super) fn is_used_up(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Whether a pool waits for a place, and would be glad of an idle server's.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Counts the pools that wait for a place.
    pub(super) fn waiting(&self) -> &AtomicUsize {
        &self.waiting
    }

    /// Takes a free place away if a lower limit is owed one.
    fn settle(&self, place: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        let mut limit = self.lock();
        if limit.owed == 0 {
            return Some(place);
        }
        limit.owed -= 1;
        place.forget();
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More servers than any machine has.
const NO_LIMIT: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(budget: &Budget, count: usize) -> Vec<OwnedSemaphorePermit> {
        (0..count).map_while(|_| budget.try_place()).collect()
    }

    #[test]
    fn a_lower_limit_counts_the_servers_there_are() {
        let budget = Budget::new(None);
        let mut held = take(&budget, 5);
        budget.set_limit(Some(3));
        assert!(budget.try_place().is_none());
        held.truncate(3);
        assert!(budget.try_place().is_none(), "three are still held");
        held.truncate(1);
        assert_eq!(take(&budget, 9).len(), 2);
    }

    #[test]
    fn a_higher_limit_gives_no_place_twice() {
        let budget = Budget::new(Some(4));
        let held = take(&budget, 9);
        assert_eq!(held.len(), 4);
        budget.set_limit(Some(1));
        budget.set_limit(Some(3));
        drop(held);
        assert_eq!(take(&budget, 9).len(), 3);
        budget.set_limit(None);
        assert_eq!(take(&budget, 99).len(), 99);
    }
}
