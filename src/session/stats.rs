//! How logins ended and which errors clients were sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::wire::sqlstate::SqlState;

/// Counts for the whole process; none of them is touched while queries flow well.
#[derive(Debug, Default)]
pub struct LoginStats {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Logins that succeeded.
    pub succeeded: AtomicU64,
    /// Logins that failed, by whatever reason.
    pub failed: AtomicU64,
    /// Cancel requests received.
    pub cancel_requests: AtomicU64,
    errors: Mutex<BTreeMap<SqlState, u64>>,
}

impl LoginStats {
    /// Counts an error that a client was sent, by the pooler or by a server.
    pub fn error(&self, code: SqlState) {
        *self
            .errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(code)
            .or_default() += 1;
    }

    /// Errors by SQLSTATE.
    pub fn errors(&self) -> BTreeMap<SqlState, u64> {
        self.errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds one to a count.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
