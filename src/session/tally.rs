//! What an exchange counts until the pool's counters have it.

use std::time::{Duration, Instant};

use crate::pool::Pool;
use crate::session::upstream::Counts;
use crate::wire::sqlstate::SqlState;

/// What has happened since the pool's counters were told, and what the end of the exchange needs.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) readies: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) statements: Counts,
    pub(super) error: Option<SqlState>,
    pub(super) stale_plans: bool,
    pub(super) reset: bool,
    pub(super) changed: u64,
    /// Whether the client has got an answer in this exchange.
    pub(super) has_answers: bool,
    worker: usize,
    /// When the query began that is not counted yet.
    query: Option<Instant>,
    /// The same of the transaction.
    xact: Option<Instant>,
}

impl Tally {
    /// Begins with the first query and its transaction.
    pub(super) fn new(worker: usize, now: Instant) -> Self {
        Self {
            readies: 0,
            received: 0,
            sent: 0,
            statements: Counts::default(),
            error: None,
            stale_plans: false,
            reset: false,
            changed: 0,
            has_answers: false,
            worker,
            query: Some(now),
            xact: Some(now),
        }
    }

    /// Notes that the client asks again, after all was answered.
    pub(super) fn asks(&mut self, now: Instant) {
        self.query = Some(now);
        self.xact.get_or_insert(now);
    }

    /// Tells the pool's counters that all is answered, within a transaction or not. In session
    /// mode nobody should have to wait for the client's end to see what it does.
    pub(super) fn settle(&mut self, pool: &Pool, in_block: bool, now: Instant) {
        let counters = pool.stats().of(self.worker);
        let query = self
            .query
            .take()
            .map(|began| (began, now.duration_since(began)));
        if let Some((_, took)) = query {
            counters.query_time.add(micros(took));
            counters.query_times.record(took);
        }
        if !in_block && let Some(began) = self.xact.take() {
            let took = match query {
                Some((query, took)) if query == began => took,
                Some(_) | None => now.duration_since(began),
            };
            counters.xacts.add(1);
            counters.xact_time.add(micros(took));
            counters.xact_times.record(took);
        }
        counters.queries.add(std::mem::take(&mut self.readies));
        counters
            .bytes_received
            .add(std::mem::take(&mut self.received));
        counters.bytes_sent.add(std::mem::take(&mut self.sent));
        let statements = std::mem::take(&mut self.statements);
        counters.client_parses.add(statements.parses);
        counters.server_parses.add(statements.server_parses);
        counters.binds.add(statements.binds);
    }
}

/// As SHOW STATS has times.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
