//! Copying counts to the `metrics` facade, and remembering those of pools that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use metrics::{Label, counter, gauge};

use crate::console::control::{ClientRow, Control};
use crate::pool::Pool;
use crate::pool::server::info::ServerState;
use crate::pool::stats::{BUCKETS, Stats, Totals};
use crate::telemetry::metrics::FORGET_AFTER;
use crate::telemetry::metrics::histogram;

/// What was told at the last scrape.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    series: BTreeMap<(String, String), Series>,
    gauges: BTreeSet<Gauge>,
}

/// The counts of all pools of one database and server user.
#[derive(Debug)]
struct Series {
    /// Pools that count on. One that a reload has closed counts until its last client leaves.
    counting: Vec<Arc<Stats>>,
    /// The sums of those that are gone.
    gone: Totals,
    /// All together, at the last scrape.
    total: Totals,
    /// The last scrape with a pool that counted.
    counted: Instant,
}

/// Name and labels of a gauge.
type Gauge = (&'static str, Vec<(&'static str, String)>);
type Gauges = BTreeMap<Gauge, f64>;

impl Mirror {
    /// Copies everything but the histograms.
    pub(super) fn copy(&mut self, control: &dyn Control, clients: &[ClientRow], now: Instant) {
        let pools = control.pools().all();
        self.copy_counters(&pools, now);
        copy_logins(control);
        let mut gauges = Gauges::new();
        put_build(&mut gauges);
        put_pools(&mut gauges, &pools);
        put_clients(&mut gauges, clients);
        // What has no value any more is 0, told once: after a while it is forgotten.
        let ended: Vec<_> = self
            .gauges
            .iter()
            .filter(|g| !gauges.contains_key(*g))
            .collect();
        for ((name, labels), value) in ended
            .into_iter()
            .map(|gauge| (gauge, 0.0))
            .chain(gauges.iter().map(|(g, v)| (g, *v)))
        {
            let labels: Vec<_> = labels
                .iter()
                .map(|(key, value)| Label::new(*key, value.clone()))
                .collect();
            gauge!(*name, labels).set(value);
        }
        self.gauges = gauges.into_keys().collect();
    }

    /// Appends the histograms, as of the last copy.
    pub(super) fn put_histograms(&self, out: &mut String) {
        for (name, help, counts, micros) in HISTOGRAMS {
            if !self.series.is_empty() {
                histogram::put_head(out, name, help);
            }
            for ((database, user), series) in &self.series {
                let labels = (database.as_str(), user.as_str());
                histogram::put_series(
                    out,
                    name,
                    labels,
                    counts(&series.total),
                    micros(&series.total),
                );
            }
        }
    }

    fn copy_counters(&mut self, pools: &[Arc<Pool>], now: Instant) {
        for pool in pools {
            let labels = (pool.database_name().to_string(), pool.user().to_string());
            self.series
                .entry(labels)
                .or_insert_with(|| Series::new(now))
                .count(pool.stats());
        }
        for ((database, user), series) in &mut self.series {
            if series.add_up(now) {
                put_totals(&series.total, database, user);
            }
        }
        // A little later than the exporter, which would not let a counter begin at 0 again that
        // it has not forgotten.
        let keep = FORGET_AFTER + Duration::from_secs(60);
        self.series
            .retain(|_, series| now.duration_since(series.counted) <= keep);
    }
}

impl Series {
    fn new(now: Instant) -> Self {
        Self {
            counting: Vec::new(),
            gone: Totals::default(),
            total: Totals::default(),
            counted: now,
        }
    }

    fn count(&mut self, stats: &Arc<Stats>) {
        if !self.counting.iter().any(|known| Arc::ptr_eq(known, stats)) {
            self.counting.push(stats.clone());
        }
    }

    /// Sums up; false if nothing has counted since the last time.
    fn add_up(&mut self, now: Instant) -> bool {
        let changes = !self.counting.is_empty();
        self.total = self.gone.clone();
        let gone = &mut self.gone;
        for stats in &self.counting {
            self.total.merge(&stats.total());
        }
        self.counting.retain(|stats| {
            let counts = Arc::strong_count(stats) > 1;
            if !counts {
                gone.merge(&stats.total());
            }
            counts
        });
        if changes {
            self.counted = now;
        }
        changes
    }
}

fn put_totals(totals: &Totals, database: &str, user: &str) {
    let counters = [
        ("pgwarden_bytes_received_total", totals.bytes_received),
        ("pgwarden_bytes_sent_total", totals.bytes_sent),
        ("pgwarden_cancels_total", totals.cancels),
        ("pgwarden_client_binds_total", totals.binds),
        ("pgwarden_client_logins_total", totals.client_logins),
        ("pgwarden_client_parses_total", totals.client_parses),
        ("pgwarden_queries_total", totals.queries),
        (
            "pgwarden_server_assignments_total",
            totals.server_assignments,
        ),
        (
            "pgwarden_server_login_failures_total",
            totals.server_login_failures,
        ),
        ("pgwarden_server_logins_total", totals.server_logins),
        ("pgwarden_server_parses_total", totals.server_parses),
        ("pgwarden_server_resets_total", totals.resets),
        ("pgwarden_transactions_total", totals.xacts),
    ];
    for (name, value) in counters {
        counter!(name, "database" => database.to_owned(), "user" => user.to_owned())
            .absolute(value);
    }
}

fn copy_logins(control: &dyn Control) {
    let logins = control.logins();
    counter!("pgwarden_connections_total").absolute(logins.connections.load(Ordering::Relaxed));
    counter!("pgwarden_cancel_requests_total")
        .absolute(logins.cancel_requests.load(Ordering::Relaxed));
    for (outcome, count) in [("succeeded", &logins.succeeded), ("failed", &logins.failed)] {
        counter!("pgwarden_logins_total", "outcome" => outcome)
            .absolute(count.load(Ordering::Relaxed));
    }
    for (code, count) in logins.errors() {
        counter!("pgwarden_errors_total", "sqlstate" => code.to_string()).absolute(count);
    }
}

fn put_build(gauges: &mut Gauges) {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    gauges.insert(("pgwarden_build_info", version), 1.0);
}

fn put_pools(gauges: &mut Gauges, pools: &[Arc<Pool>]) {
    for pool in pools {
        let (database, user) = (pool.database_name().as_str(), pool.user().as_str());
        for state in SERVER_STATES {
            gauges
                .entry(labelled("pgwarden_servers", database, user, Some(state)))
                .or_default();
        }
        let mut servers = |state, n: usize| {
            add(
                gauges,
                labelled("pgwarden_servers", database, user, Some(state)),
                n,
            );
        };
        servers("login", pool.logins());
        for server in pool.servers() {
            let state = match server.state() {
                ServerState::Active => "active",
                ServerState::BeingCanceled => "being_canceled",
                ServerState::Idle => "idle",
                ServerState::Tested => "tested",
            };
            servers(state, 1);
        }
        for state in CLIENT_STATES {
            gauges
                .entry(labelled("pgwarden_clients", database, user, Some(state)))
                .or_default();
        }
        for name in [
            "pgwarden_clients_waiting",
            "pgwarden_clients_maxwait_seconds",
        ] {
            gauges
                .entry(labelled(name, database, user, None))
                .or_default();
        }
        add(
            gauges,
            labelled("pgwarden_pool_size", database, user, None),
            pool.settings().size,
        );
        let paused = f64::from(u8::from(pool.is_paused()));
        gauges.insert(
            labelled("pgwarden_pool_paused", database, user, None),
            paused,
        );
    }
}

fn put_clients(gauges: &mut Gauges, clients: &[ClientRow]) {
    for client in clients {
        // Names that nobody has proved would make as many series as somebody likes to invent.
        let (database, user) = match client.state {
            "login" => ("", ""),
            _ => client.pool(),
        };
        add(
            gauges,
            labelled("pgwarden_clients", database, user, Some(client.state)),
            1,
        );
        if client.state == "waiting" {
            add(
                gauges,
                labelled("pgwarden_clients_waiting", database, user, None),
                1,
            );
            let key = labelled("pgwarden_clients_maxwait_seconds", database, user, None);
            let maxwait = gauges.entry(key).or_default();
            *maxwait = maxwait.max(client.in_state.as_secs_f64());
        }
    }
}

fn labelled(name: &'static str, database: &str, user: &str, state: Option<&'static str>) -> Gauge {
    let mut labels = vec![("database", database.to_owned()), ("user", user.to_owned())];
    labels.extend(state.map(|state| ("state", state.to_owned())));
    (name, labels)
}

fn add(gauges: &mut Gauges, gauge: Gauge, n: usize) {
    *gauges.entry(gauge).or_default() += f64::from(u32::try_from(n).unwrap_or(u32::MAX));
}

type Counts = fn(&Totals) -> &[u64; BUCKETS];
type Micros = fn(&Totals) -> u64;

/// Name, help, buckets, and microseconds of all together.
const HISTOGRAMS: [(&str, &str, Counts, Micros); 3] = [
    (
        "pgwarden_query_seconds",
        "How long queries took; the wait for a server is not part of it.",
        |totals| &totals.query_times,
        |totals| totals.query_time,
    ),
    (
        "pgwarden_transaction_seconds",
        "How long transactions took.",
        |totals| &totals.xact_times,
        |totals| totals.xact_time,
    ),
    (
        "pgwarden_wait_seconds",
        "How long clients waited for a server.",
        |totals| &totals.wait_times,
        |totals| totals.wait_time,
    ),
];
const CLIENT_STATES: [&str; 3] = ["active", "idle", "waiting"];
const SERVER_STATES: [&str; 5] = ["active", "being_canceled", "idle", "login", "tested"];
