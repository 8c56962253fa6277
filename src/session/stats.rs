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
    ///
    /// A statement can raise any code it likes: of more than a few hundred different ones the rest
    /// is counted as `XX000`.
    pub fn error(&self, code: SqlState) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let known = errors.contains_key(&code) || errors.len() < MAX_CODES;
        let code = if known {
            code
        } else {
            SqlState::INTERNAL_ERROR
        };
        *errors.entry(code).or_default() += 1;
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

/// PostgreSQL itself has about 260.
const MAX_CODES: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_codes_do_not_fill_the_memory() {
        let stats = LoginStats::default();
        for n in 0..10_000 {
            let code = SqlState::parse(format!("A{n:04}").as_bytes()).unwrap();
            stats.error(code);
        }
        assert!(stats.errors().len() <= MAX_CODES + 1);
        assert_eq!(stats.errors().values().sum::<u64>(), 10_000);
    }
}
