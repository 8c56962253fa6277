//! Since when a client does what it does with its server, and whether that takes too long.
//!
//! Nothing here reads the clock: the relay brings the times that it has, and where it has none
//! the worker's tick, which looks at every client ten times a second, puts in its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::pool::timeouts::Timeouts;
use crate::wire::pooler_error::PoolerError;

/// What a client that has a server does with it.
#[derive(Debug, Default)]
pub struct Progress {
    timeouts: RefCell<Option<Rc<Timeouts>>>,
    doing: Cell<Doing>,
    /// When the transaction began.
    transaction: Cell<Option<Instant>>,
    /// The client has been told that it waits.
    told: Cell<bool>,
}

/// ```text
///             asks                     is_answered in a transaction
///   Nothing -------> Query(since) ---------------------------------> Silent(since, soon)
///      ^                |     ^------------------------------------------'
///      `----------------'                       asks
///   is_answered outside
/// ```
#[derive(Clone, Copy, Debug, Default)]
enum Doing {
    /// No query runs, and no transaction is open.
    #[default]
    Nothing,
    /// A query runs.
    Query(Instant),
    /// None runs within a transaction; `None`: since the last tick.
    Silent(Option<Instant>),
}

impl Progress {
    /// Sets how long things may last from now on.
    pub(super) fn limit(&self, timeouts: impl Into<Rc<Timeouts>>) {
        self.timeouts.replace(Some(timeouts.into()));
    }

    /// Notes that the client begins to wait for a server.
    pub(super) fn waits(&self) {
        self.told.set(false);
    }

    /// Notes that the client has got a server for what it asked at this time.
    pub(super) fn begins(&self, asked: Instant) {
        self.doing.set(Doing::Query(asked));
        self.transaction.set(Some(asked));
    }

    /// Notes that the client asks for something after all before was answered.
    pub(super) fn asks(&self, now: Instant) {
        self.doing.set(Doing::Query(now));
        if self.transaction.get().is_none() {
            self.transaction.set(Some(now));
        }
    }

    /// Notes that all that was asked is answered, in a transaction or not.
    pub(super) fn is_answered(&self, in_transaction: bool) {
        if in_transaction {
            self.doing.set(Doing::Silent(None));
        } else {
            self.doing.set(Doing::Nothing);
            self.transaction.set(None);
        }
    }

    /// Notes that the server has said something unasked.
    pub(super) fn hears(&self) {
        if let Doing::Silent(Some(_)) = self.doing.get() {
            self.doing.set(Doing::Silent(None));
        }
    }

    /// When the query began that runs; `None`: none does.
    pub(super) fn query(&self) -> Option<Instant> {
        match self.doing.get() {
            Doing::Query(since) => Some(since),
            Doing::Nothing | Doing::Silent(_) => None,
        }
    }

    fn timeouts(&self) -> Timeouts {
        let timeouts = self.timeouts.borrow();
        timeouts.as_deref().copied().unwrap_or_default()
    }

    /// Which timeout the client has reached with its server, if one.
    pub(super) fn overtime(&self, now: Instant) -> Option<PoolerError> {
        let timeouts = self.timeouts();
        let over = |since: Instant, limit: Option<Duration>| is_over(since, now, limit);
        match self.doing.get() {
            Doing::Nothing => return None,
            Doing::Query(since) if over(since, timeouts.query) => {
                return Some(PoolerError::QueryTimeout);
            }
            Doing::Silent(Some(since)) if over(since, timeouts.idle_transaction) => {
                return Some(PoolerError::IdleTransactionTimeout);
            }
            Doing::Silent(None) => self.doing.set(Doing::Silent(Some(now))),
            Doing::Query(_) | Doing::Silent(Some(_)) => {}
        }
        let began = self.transaction.get()?;
        over(began, timeouts.transaction).then_some(PoolerError::TransactionTimeout)
    }

    /// What is to become of a client that waits for a server since `since`.
    pub(super) fn patience(&self, since: Instant, now: Instant) -> Patience {
        let timeouts = self.timeouts();
        if is_over(since, now, timeouts.query) {
            return Patience::QueryTimeout;
        }
        if let Some(limit) = timeouts.query_wait
            && is_over(since, now, Some(limit))
        {
            return Patience::WaitTimeout(limit);
        }
        if is_over(since, now, timeouts.query_wait_notify) && !self.told.replace(true) {
            return Patience::Tell;
        }
        Patience::Wait
    }
}

/// What is to become of a client that waits for a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Patience {
    /// It has waited for longer than its query may take.
    QueryTimeout,
    /// It is told that it waits.
    Tell,
    /// It goes on waiting.
    Wait,
    /// It has waited for longer than this, which is too long.
    WaitTimeout(Duration),
}

fn is_over(since: Instant, now: Instant, limit: Option<Duration>) -> bool {
    limit.is_some_and(|limit| now.saturating_duration_since(since) >= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all(limit: Duration) -> Timeouts {
        Timeouts {
            idle: None,
            query: Some(limit),
            query_wait: Some(limit),
            query_wait_notify: Some(limit),
            transaction: Some(limit),
            idle_transaction: Some(limit),
        }
    }

    fn progress(timeouts: Timeouts) -> Progress {
        let progress = Progress::default();
        progress.limit(timeouts);
        progress
    }

    #[test]
    fn a_query_has_its_time_from_its_own_beginning() {
        let progress = progress(Timeouts {
            query: Some(SECOND),
            ..Timeouts::default()
        });
        let began = Instant::now();
        progress.begins(began);
        assert_eq!(progress.overtime(began + SECOND / 2), None);
        progress.is_answered(true);
        // However long the client thinks it over.
        assert_eq!(progress.overtime(began + 9 * SECOND), None);
        progress.asks(began + 9 * SECOND);
        assert_eq!(progress.overtime(began + 9 * SECOND + SECOND / 2), None);
        let late = began + 10 * SECOND;
        assert_eq!(progress.overtime(late), Some(PoolerError::QueryTimeout));
    }

    #[test]
    fn silence_within_a_transaction_is_counted_from_the_last_word() {
        let progress = progress(Timeouts {
            idle_transaction: Some(SECOND),
            ..Timeouts::default()
        });
        let began = Instant::now();
        progress.begins(began);
        progress.is_answered(true);
        assert_eq!(progress.overtime(began + 5 * SECOND), None, "seen first");
        progress.hears();
        assert_eq!(progress.overtime(began + 6 * SECOND), None, "a notice");
        let late = began + 7 * SECOND;
        assert_eq!(
            progress.overtime(late),
            Some(PoolerError::IdleTransactionTimeout)
        );
        progress.is_answered(false);
        assert_eq!(progress.overtime(late + SECOND), None, "in no transaction");
    }

    #[test]
    fn a_transaction_has_its_time_whatever_happens_in_it() {
        let progress = progress(Timeouts {
            transaction: Some(SECOND),
            ..Timeouts::default()
        });
        let began = Instant::now();
        progress.begins(began);
        progress.is_answered(true);
        progress.asks(began + SECOND / 2);
        progress.is_answered(true);
        assert_eq!(progress.overtime(began + SECOND / 2), None);
        let late = began + SECOND;
        assert_eq!(
            progress.overtime(late),
            Some(PoolerError::TransactionTimeout)
        );
        progress.is_answered(false);
        assert_eq!(progress.overtime(late), None);
        progress.asks(late);
        assert_eq!(progress.overtime(late + SECOND / 2), None, "the next");
        let late = late + SECOND;
        assert_eq!(
            progress.overtime(late),
            Some(PoolerError::TransactionTimeout)
        );
    }

    #[test]
    fn who_waits_is_told_once_and_then_sent_away() {
        let mut timeouts = all(SECOND);
        (timeouts.query, timeouts.query_wait) = (None, Some(3 * SECOND));
        let progress = progress(timeouts);
        let since = Instant::now();
        progress.waits();
        let at = |seconds: u32| progress.patience(since, since + seconds * SECOND);
        assert_eq!(at(0), Patience::Wait);
        assert_eq!(at(1), Patience::Tell);
        assert_eq!(at(2), Patience::Wait);
        assert_eq!(at(3), Patience::WaitTimeout(3 * SECOND));
        progress.waits();
        assert_eq!(at(1), Patience::Tell, "at the next wait once more");
        progress.limit(all(SECOND));
        assert_eq!(at(1), Patience::QueryTimeout);
    }

    #[test]
    fn what_has_no_limit_lasts() {
        let progress = progress(Timeouts::default());
        let began = Instant::now();
        progress.begins(began);
        let late = began + 1000 * SECOND;
        assert_eq!(progress.overtime(late), None);
        progress.is_answered(true);
        assert_eq!(progress.overtime(late), None);
        assert_eq!(progress.overtime(late + SECOND), None);
        assert_eq!(progress.patience(began, late), Patience::Wait);
    }
}
