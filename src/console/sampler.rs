//! Averages between two samples of the counters.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::console::show::stats::{Figures, figures};
use crate::pool::stats::Totals;

/// The last two samples.
#[derive(Debug)]
pub(super) struct Sampler(Mutex<Samples>);

#[derive(Debug)]
struct Samples {
    older: Sample,
    newer: Sample,
}

/// The totals of all databases at a time.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    totals: BTreeMap<String, Totals>,
}

impl Sampler {
    /// Begins at zero, as the counters do.
    pub(super) fn new(now: Instant) -> Self {
        let start = Sample {
            at: now,
            totals: BTreeMap::new(),
        };
        Self(Mutex::new(Samples {
            older: start.clone(),
            newer: start,
        }))
    }

    /// Takes a sample.
    pub(super) fn tick(&self, now: Instant, totals: BTreeMap<String, Totals>) {
        let mut samples = self.samples();
        samples.older = std::mem::replace(&mut samples.newer, Sample { at: now, totals });
    }

    /// Averages between the last two samples: of one database, or of all together.
    pub(super) fn averages(&self, database: Option<&str>) -> Figures {
        let samples = self.samples();
        let of = |sample: &Sample| match database {
            Some(name) => sample.totals.get(name).cloned().unwrap_or_default(),
            None => sample
                .totals
                .values()
                .fold(Totals::default(), |mut sum, one| {
                    sum.merge(one);
                    sum
                }),
        };
        let period = samples.newer.at.duration_since(samples.older.at);
        averages(
            &figures(&of(&samples.older)),
            &figures(&of(&samples.newer)),
            period,
        )
    }

    fn samples(&self) -> std::sync::MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and bytes a second; times a transaction, a query and a server assignment.
fn averages(older: &Figures, newer: &Figures, period: Duration) -> Figures {
    // The totals of a database fall when one of its pools is replaced.
    let mut grown: Figures = std::array::from_fn(|at| newer[at].saturating_sub(older[at]));
    let [assignments, xacts, queries, ..] = grown;
    let micros = u128::max(1, period.as_micros());
    for (at, figure) in grown.iter_mut().enumerate() {
        *figure = match at {
            XACT_TIME => figure.checked_div(xacts).unwrap_or_default(),
            QUERY_TIME => figure.checked_div(queries).unwrap_or_default(),
            WAIT_TIME => figure.checked_div(assignments).unwrap_or_default(),
            _ => u64::try_from(u128::from(*figure) * 1_000_000 / micros).unwrap_or(u64::MAX),
        };
    }
    grown
}

// Where figures() has them.
const XACT_TIME: usize = 5;
const QUERY_TIME: usize = 6;
const WAIT_TIME: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_averaged_by_second_and_times_by_item() {
        let start = Instant::now();
        let sampler = Sampler::new(start);
        assert_eq!(sampler.averages(None), Figures::default());
        let totals = Totals {
            server_assignments: 60,
            xacts: 120,
            queries: 600,
            bytes_received: 6_000,
            bytes_sent: 60_000,
            xact_time: 1_200,
            query_time: 3_000,
            wait_time: 180,
            ..Totals::default()
        };
        let all = BTreeMap::from([("shop".to_owned(), totals)]);
        sampler.tick(start + Duration::from_secs(60), all.clone());
        let expected = [1, 2, 10, 100, 1000, 10, 5, 3, 0, 0, 0, 0];
        assert_eq!(sampler.averages(Some("shop")), expected);
        assert_eq!(sampler.averages(None), expected);
        assert_eq!(sampler.averages(Some("other")), Figures::default());
        // Nothing has happened since.
        sampler.tick(start + Duration::from_secs(120), all);
        assert_eq!(sampler.averages(Some("shop")), Figures::default());
        // The pool is gone.
        sampler.tick(start + Duration::from_secs(180), BTreeMap::new());
        assert_eq!(sampler.averages(Some("shop")), Figures::default());
    }
}
