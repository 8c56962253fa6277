use std::sync::Arc;

use super::*;
use crate::console::control::fake::FakeControl;
use crate::pool::settings::PoolsSettings;
use crate::session::stats::LoginStats;
use crate::wire::sqlstate::SqlState;

struct Scraper {
    control: Arc<FakeControl>,
    recorder: PrometheusRecorder,
    metrics: Metrics,
}

impl Scraper {
    fn new() -> Self {
        let (recorder, metrics) = Metrics::new();
        metrics::with_local_recorder(&recorder, describe);
        Self {
            control: FakeControl::new(),
            recorder,
            metrics,
        }
    }

    fn scrape(&self, now: Instant) -> String {
        let clients = self.control.clients.lock().unwrap().clone();
        metrics::with_local_recorder(&self.recorder, || {
            self.metrics.render_now(&*self.control, &clients, now)
        })
    }
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
}

#[test]
fn a_scrape_tells_what_pools_and_logins_have_counted() {
    let scraper = Scraper::new();
    let control = &scraper.control;
    let pool = control.pool("shop", "ann");
    let counters = pool.stats().of(0);
    counters.xacts.add(3);
    counters.bytes_sent.add(1000);
    counters.query_times.record(Duration::from_micros(100));
    counters.query_time.add(100);
    LoginStats::count(&control.logins.succeeded);
    control.logins.error(SqlState::QUERY_CANCELED);
    control.add_client(1, ("shop", "ann"), "waiting", 2);
    control.add_client(2, ("shop", "ben"), "idle", 9);
    control.add_client(3, ("pgbouncer", "root"), "idle", 9);
    control.add_client(4, ("invented", "nobody"), "login", 9);

    let text = scraper.scrape(Instant::now());
    for line in [
        "# HELP pgwarden_transactions_total Transactions.",
        "# TYPE pgwarden_transactions_total counter",
        "pgwarden_transactions_total{database=\"shop\",user=\"owner\"} 3",
        "pgwarden_bytes_sent_total{database=\"shop\",user=\"owner\"} 1000",
        "# TYPE pgwarden_query_seconds histogram",
        "pgwarden_query_seconds_bucket{database=\"shop\",user=\"owner\",le=\"0.000064\"} 0",
        "pgwarden_query_seconds_bucket{database=\"shop\",user=\"owner\",le=\"0.000128\"} 1",
        "pgwarden_query_seconds_bucket{database=\"shop\",user=\"owner\",le=\"+Inf\"} 1",
        "pgwarden_query_seconds_sum{database=\"shop\",user=\"owner\"} 0.0001",
        "pgwarden_query_seconds_count{database=\"shop\",user=\"owner\"} 1",
        "pgwarden_logins_total{outcome=\"succeeded\"} 1",
        "pgwarden_logins_total{outcome=\"failed\"} 0",
        "pgwarden_errors_total{sqlstate=\"57014\"} 1",
        "# TYPE pgwarden_clients gauge",
        "pgwarden_clients{database=\"shop\",user=\"owner\",state=\"waiting\"} 1",
        "pgwarden_clients{database=\"shop\",user=\"owner\",state=\"idle\"} 1",
        "pgwarden_clients{database=\"pgbouncer\",user=\"pgbouncer\",state=\"idle\"} 1",
        "pgwarden_clients{database=\"\",user=\"\",state=\"login\"} 1",
        "pgwarden_clients_waiting{database=\"shop\",user=\"owner\"} 1",
        "pgwarden_clients_maxwait_seconds{database=\"shop\",user=\"owner\"} 2",
        "pgwarden_servers{database=\"shop\",user=\"owner\",state=\"active\"} 0",
        "pgwarden_pool_size{database=\"shop\",user=\"owner\"} 20",
        concat!(
            "pgwarden_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
    ] {
        has(&text, line);
    }
    assert!(!text.contains("invented"));
}

#[test]
fn every_metric_is_described() {
    let scraper = Scraper::new();
    scraper.control.pool("shop", "ann");
    scraper.control.add_client(1, ("shop", "ann"), "waiting", 2);
    scraper.control.logins.error(SqlState::QUERY_CANCELED);
    let text = scraper.scrape(Instant::now());
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    for (name, _) in GAUGES {
        assert!(text.contains(&format!("# TYPE {name} gauge")), "{name}");
    }
    for (name, _, _) in COUNTERS {
        assert!(text.contains(&format!("# TYPE {name} counter")), "{name}");
    }
}

#[test]
fn a_replaced_pool_goes_on_where_the_old_one_stopped() {
    let scraper = Scraper::new();
    let (control, start) = (&scraper.control, Instant::now());
    let old = control.pool("shop", "ann");
    old.stats().of(0).xacts.add(5);
    let line = |n| format!("pgwarden_transactions_total{{database=\"shop\",user=\"owner\"}} {n}");
    has(&scraper.scrape(start), &line(5));
    // It goes, but not before its last client.
    let settings = control.pools.databases();
    control.pools.reload(PoolsSettings::default());
    old.stats().of(0).xacts.add(1);
    has(&scraper.scrape(start), &line(6));
    old.stats().of(0).xacts.add(1);
    drop(old);
    has(&scraper.scrape(start), &line(7));
    // The next one begins at 0; what is told does not.
    control.pools.reload(PoolsSettings {
        databases: settings.into_iter().map(|d| (d.name.clone(), d)).collect(),
        ..PoolsSettings::default()
    });
    let new = control.pool("shop", "ann");
    new.stats().of(0).xacts.add(2);
    has(&scraper.scrape(start), &line(9));
}

#[test]
fn gauges_of_a_pool_that_is_gone_fall_to_zero_and_its_histograms_end() {
    let scraper = Scraper::new();
    let (control, start) = (&scraper.control, Instant::now());
    drop(control.pool("shop", "ann"));
    let line = |n| format!("pgwarden_pool_size{{database=\"shop\",user=\"owner\"}} {n}");
    has(&scraper.scrape(start), &line(20));
    control.pools.reload(PoolsSettings::default());
    let text = scraper.scrape(start);
    has(&text, &line(0));
    assert!(text.contains("pgwarden_query_seconds_count{database=\"shop\""));
    let text = scraper.scrape(start + 2 * FORGET_AFTER);
    assert!(!text.contains("pgwarden_query_seconds"));
}
