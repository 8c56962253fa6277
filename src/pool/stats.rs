//! What pools count. One truth, printed by SHOW STATS and mirrored to the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The counters of one pool: a block a worker, so that workers share no cache line.
#[derive(Debug)]
pub struct Stats(Box<[Counters]>);

impl Stats {
    /// Counters for this many workers.
    pub fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Counters::default()).collect())
    }

    /// The counters of one worker.
    pub fn of(&self, worker: usize) -> &Counters {
        // The first one's for a worker that there is not: nothing is lost.
        self.0.get(worker).unwrap_or(&self.0[0])
    }

    /// The sum over all workers.
    pub fn total(&self) -> Totals {
        let mut totals = Totals::default();
        for counters in &self.0 {
            totals.add(counters);
        }
        totals
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// One worker's counters.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            /// How long queries took.
            pub query_times: Histogram,
            /// How long transactions took.
            pub xact_times: Histogram,
            /// How long clients waited for a server.
            pub wait_times: Histogram,
        }

        /// Sums of counters.
        #[derive(Clone, Debug, Default)]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)*
            /// Queries by time.
            pub query_times: [u64; BUCKETS],
            /// Transactions by time.
            pub xact_times: [u64; BUCKETS],
            /// Waits by time.
            pub wait_times: [u64; BUCKETS],
        }

        impl Totals {
            fn add(&mut self, counters: &Counters) {
                $(self.$name += counters.$name.value();)*
                counters.query_times.add_to(&mut self.query_times);
                counters.xact_times.add_to(&mut self.xact_times);
                counters.wait_times.add_to(&mut self.wait_times);
            }

            /// Adds other sums to these.
            pub fn merge(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for n in 0..BUCKETS {
                    self.query_times[n] += other.query_times[n];
                    self.xact_times[n] += other.xact_times[n];
                    self.wait_times[n] += other.wait_times[n];
                }
            }
        }
    };
}

counters! {
    /// Servers given to a client.
    server_assignments,
    /// Transactions.
    xacts,
    /// Queries: a simple query, or what ends with a Sync.
    queries,
    /// Bytes from clients.
    bytes_received,
    /// Bytes to clients.
    bytes_sent,
    /// Microseconds in transactions.
    xact_time,
    /// Microseconds in queries.
    query_time,
    /// Microseconds clients waited for a server.
    wait_time,
    /// Parse messages from clients.
    client_parses,
    /// Parse messages to servers.
    server_parses,
    /// Bind messages.
    binds,
    /// Logins of clients.
    client_logins,
    /// Servers opened.
    server_logins,
    /// Servers that could not be opened.
    server_login_failures,
    /// Servers cleaned before reuse.
    resets,
    /// Cancel requests passed on.
    cancels,
}

/// A count that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the count.
    pub fn add(&self, n: u64) {
        // Not fetch_add: nobody else writes, and a locked instruction is dearer. Where the
        // janitor does write too, a lost count is not worth a lock.
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// The count.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations by size: bucket `n` holds what took less than [`Histogram::bound`]`(n)`.
#[derive(Debug, Default)]
pub struct Histogram([Counter; BUCKETS]);

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let doublings = u64::BITS - (micros / SMALLEST_MICROS).leading_zeros();
        let bucket = usize::try_from(doublings)
            .unwrap_or(BUCKETS)
            .min(BUCKETS - 1);
        self.0[bucket].add(1);
    }

    /// The upper bound of a bucket in seconds; the last has none.
    pub fn bound(bucket: usize) -> f64 {
        if bucket + 1 >= BUCKETS {
            return f64::INFINITY;
        }
        let micros = SMALLEST_MICROS << bucket;
        Duration::from_micros(micros).as_secs_f64()
    }

    fn add_to(&self, sums: &mut [u64; BUCKETS]) {
        for (sum, count) in sums.iter_mut().zip(&self.0) {
            *sum += count.value();
        }
    }
}

/// 64 µs, doubled twenty times, is a minute.
pub const BUCKETS: usize = 22;
const SMALLEST_MICROS: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_below_the_bound_of_its_bucket_and_not_of_the_one_before() {
        for micros in [0, 63, 64, 65, 127, 128, 5_000, 1_000_000, 40_000_000] {
            let histogram = Histogram::default();
            let took = Duration::from_micros(micros);
            histogram.record(took);
            let bucket = histogram.0.iter().position(|c| c.value() == 1).unwrap();
            assert!(took.as_secs_f64() < Histogram::bound(bucket), "{micros}");
            assert!(
                bucket == 0 || took.as_secs_f64() >= Histogram::bound(bucket - 1),
                "{micros}"
            );
        }
        Histogram::default().record(Duration::MAX);
    }

    #[test]
    fn totals_are_the_sum_over_workers() {
        let stats = Stats::new(2);
        stats.of(0).xacts.add(2);
        stats.of(1).xacts.add(3);
        assert_eq!(stats.total().xacts, 5);
    }
}
