//! What roles use up, over all workers, measured against their limits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::names::UserName;
use crate::policy::limits::Rate;
use crate::policy::role::RoleName;

/// The usage of every role that has limits, and how many clients each user has. A reload keeps
/// it.
#[derive(Debug, Default)]
pub struct Usages {
    roles: Mutex<HashMap<RoleName, Arc<Usage>>>,
    users: Mutex<HashMap<UserName, usize>>,
}

impl Usages {
    /// The usage of a role.
    pub fn of(&self, role: &RoleName) -> Arc<Usage> {
        let mut usages = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        usages.entry(role.clone()).or_default().clone()
    }

    /// A place among the clients of a user, of whom there may be `limit`. `None`: there are.
    pub fn user_place(
        self: &Arc<Self>,
        user: &UserName,
        limit: Option<usize>,
    ) -> Option<UserPlace> {
        let mut users = self.users();
        let clients = users.entry(user.clone()).or_default();
        if limit.is_some_and(|limit| *clients >= limit) {
            return None;
        }
        *clients += 1;
        Some(UserPlace {
            usages: self.clone(),
            user: user.clone(),
        })
    }

    /// Clients who are logged in as a user.
    pub fn clients_of(&self, user: &str) -> usize {
        self.users().get(user).copied().unwrap_or_default()
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserName, usize>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a role uses at the moment.
#[derive(Debug)]
pub struct Usage {
    running: AtomicUsize,
    connections: AtomicUsize,
    /// When the bucket of the rate will be full again, in nanoseconds since `born`.
    full: AtomicU64,
    born: Instant,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            running: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            full: AtomicU64::new(0),
            born: Instant::now(),
        }
    }
}

impl Usage {
    /// Statements that run at the moment.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Clients that are logged in.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a statement that begins, if there are fewer than `limit`.
    pub fn begin(self: &Arc<Self>, limit: usize) -> Option<Running> {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        // Over the limit it is dropped, which counts it out again.
        let running = Running(self.clone());
        (before < limit).then_some(running)
    }

    /// Counts a client that comes, if there are fewer than `limit`.
    pub fn connect(self: &Arc<Self>, limit: Option<usize>) -> Option<Connected> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let connected = Connected(self.clone());
        (before < limit.unwrap_or(usize::MAX)).then_some(connected)
    }

    /// Takes one statement from what the rate allows; false if there is none left. The generic
    /// cell rate algorithm: one number says when all of a burst may come again.
    pub fn take(&self, rate: Rate, now: Instant) -> bool {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let now = nanos(now.saturating_duration_since(self.born));
        let each = nanos(rate.per) / u64::from(rate.count.get());
        let burst = nanos(rate.per);
        let taken = self
            .full
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| {
                let full = full.max(now).saturating_add(each);
                (full - now <= burst).then_some(full)
            });
        taken.is_ok()
    }
}

/// A statement that runs; it has ended when this is dropped.
#[derive(Debug)]
pub struct Running(Arc<Usage>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client that is logged in; it has left when this is dropped.
#[derive(Debug)]
pub struct Connected(Arc<Usage>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client's place among those of its user; given up when dropped.
#[derive(Debug)]
pub struct UserPlace {
    usages: Arc<Usages>,
    user: UserName,
}

impl Drop for UserPlace {
    fn drop(&mut self) {
        let mut users = self.usages.users();
        if let Some(clients) = users.get_mut(&self.user) {
            *clients = clients.saturating_sub(1);
            if *clients == 0 {
                users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_rate_lets_a_burst_through_and_then_one_at_a_time() {
        let usage = Usage::default();
        let rate = Rate {
            count: NonZeroU32::new(4).unwrap(),
            per: Duration::from_secs(1),
        };
        let begin = usage.born;
        let taken = |at: u64| usage.take(rate, begin + Duration::from_millis(at));
        assert_eq!([0, 0, 0, 0, 0].map(taken), [true, true, true, true, false]);
        assert_eq!([249, 250, 251, 500].map(taken), [false, true, false, true]);
        assert_eq!([9000; 5].map(taken), [true, true, true, true, false]);
    }

    #[test]
    fn a_user_has_no_more_clients_than_it_may() {
        let usages = Arc::new(Usages::default());
        let alice = UserName::new("alice");
        let places = [(); 3].map(|()| usages.user_place(&alice, Some(2)));
        assert_eq!(places.each_ref().map(Option::is_some), [true, true, false]);
        assert!(usages.user_place(&UserName::new("bob"), Some(2)).is_some());
        assert!(usages.user_place(&alice, None).is_some());
        drop(places);
        assert_eq!(usages.clients_of("alice"), 0);
        assert!(usages.users().is_empty());
    }

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let usage = Arc::new(Usage::default());
        let first = usage.begin(1);
        assert!(first.is_some() && usage.begin(1).is_none());
        drop(first);
        assert!(usage.begin(1).is_some());
        assert_eq!(usage.running(), 0);
    }
}
