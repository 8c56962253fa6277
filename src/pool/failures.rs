//! What became of the latest tries to open a server, and whom that concerns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::pool::error::ConnectError;

/// The latest failure of a pool's logins.
///
/// A server that cannot be reached may be back soon: who waits goes on waiting. A server that
/// refuses a login says why, and that is told to everybody who waits. Whoever comes later is told
/// of either at once.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Whether there is one, to be seen without the lock.
    any: AtomicBool,
    latest: Mutex<Option<(Instant, Arc<ConnectError>)>>,
    /// Told to everybody who waits when nobody need wait any longer.
    hopeless: Notify,
}

impl Failures {
    /// Notes a login that went well.
    pub(super) fn forget(&self) {
        if self.any.swap(false, Ordering::SeqCst) {
            *self.lock() = None;
        }
    }

    /// Notes a failure; `ends_waiting`: who waits now is to be told of it.
    pub(super) fn note(&self, error: Arc<ConnectError>, ends_waiting: bool) {
        *self.lock() = Some((Instant::now(), error));
        self.any.store(true, Ordering::SeqCst);
        if ends_waiting {
            self.hopeless.notify_waiters();
        }
    }

    /// Ready when a later failure ends the waiting.
    pub(super) fn hopeless(&self) -> Notified<'_> {
        self.hopeless.notified()
    }

    /// The failure, if the last login was one.
    pub(super) fn latest(&self) -> Option<Arc<ConnectError>> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        self.lock().as_ref().map(|(_, error)| error.clone())
    }

    /// The failure, and how much of the pause after it is left.
    pub(super) fn recent(&self, pause: Duration) -> Option<(Arc<ConnectError>, Duration)> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        let latest = self.lock();
        let (at, error) = latest.as_ref()?;
        let left = pause.checked_sub(at.elapsed())?;
        (!left.is_zero()).then(|| (error.clone(), left))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<ConnectError>)>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
