//! What Prometheus is told, mirrored from the counters when it asks.
//!
//! Nothing is counted twice: pools and logins keep their counts, and a scrape copies them to
//! the `metrics` facade, whose exporter writes them. The histograms of pools are written here:
//! they are counted by bucket already, and the facade takes single values only, of which there
//! would be one for each transaction since the last scrape.
//!
//! When a pool is gone (a reload has replaced or removed it), what it has counted stays in the
//! sums of its database and user, so that a counter never falls while others of the same
//! labels go on. Where none goes on, gauges fall to 0 at the next scrape, and after
//! [`FORGET_AFTER`] all of its series are gone.

mod histogram;
mod mirror;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Unit, describe_counter, describe_gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;

use crate::console::control::{ClientRow, Control};
use crate::telemetry::metrics::mirror::Mirror;

/// The metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    exporter: PrometheusHandle,
    mirror: Mutex<Mirror>,
}

/// Another recorder is installed.
#[derive(Debug, thiserror::Error)]
#[error("the process has a recorder of metrics already")]
pub struct AlreadyInstalled;

/// Installs the recorder of the process; to be called once.
///
/// # Errors
/// There is one already.
pub fn install() -> Result<Metrics, AlreadyInstalled> {
    let (recorder, metrics) = Metrics::new();
    metrics::set_global_recorder(recorder).map_err(|_| AlreadyInstalled)?;
    describe();
    Ok(metrics)
}

impl Metrics {
    /// A recorder and what reads it.
    pub(super) fn new() -> (PrometheusRecorder, Self) {
        let recorder = PrometheusBuilder::new()
            .idle_timeout(MetricKindMask::ALL, Some(FORGET_AFTER))
            .build_recorder();
        let exporter = recorder.handle();
        (
            recorder,
            Self {
                exporter,
                mirror: Mutex::default(),
            },
        )
    }

    /// All metrics at the moment, in Prometheus' text format.
    pub async fn render(&self, control: &dyn Control) -> String {
        let clients = control.clients().await;
        self.render_now(control, &clients, Instant::now())
    }

    fn render_now(&self, control: &dyn Control, clients: &[ClientRow], now: Instant) -> String {
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        mirror.copy(control, clients, now);
        let mut text = self.exporter.render();
        mirror.put_histograms(&mut text);
        text
    }
}

fn describe() {
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    for (name, unit, help) in COUNTERS {
        describe_counter!(name, unit, help);
    }
}

const GAUGES: [(&str, &str); 7] = [
    ("pgwarden_build_info", "Always 1; the version is a label."),
    ("pgwarden_clients", "Clients by database, user and state."),
    (
        "pgwarden_clients_maxwait_seconds",
        "For how long the client that has waited longest for a server has waited.",
    ),
    (
        "pgwarden_clients_waiting",
        "Clients that wait for a server.",
    ),
    (
        "pgwarden_pool_paused",
        "1 where no servers are lent because of PAUSE or KILL.",
    ),
    (
        "pgwarden_pool_size",
        "Most servers that a pool may have, its reserve not included.",
    ),
    (
        "pgwarden_servers",
        "Server connections by database, server user and state.",
    ),
];

const COUNTERS: [(&str, Unit, &str); 17] = [
    (
        "pgwarden_bytes_received_total",
        Unit::Bytes,
        "Bytes from clients.",
    ),
    (
        "pgwarden_bytes_sent_total",
        Unit::Bytes,
        "Bytes to clients.",
    ),
    (
        "pgwarden_cancel_requests_total",
        Unit::Count,
        "Cancel requests received.",
    ),
    (
        "pgwarden_cancels_total",
        Unit::Count,
        "Cancel requests passed on to a server.",
    ),
    (
        "pgwarden_client_binds_total",
        Unit::Count,
        "Bind messages from clients.",
    ),
    (
        "pgwarden_client_logins_total",
        Unit::Count,
        "Logins of clients to a database.",
    ),
    (
        "pgwarden_client_parses_total",
        Unit::Count,
        "Parse messages from clients.",
    ),
    (
        "pgwarden_connections_total",
        Unit::Count,
        "Connections accepted.",
    ),
    (
        "pgwarden_errors_total",
        Unit::Count,
        "Errors sent to clients, the servers' as well as our own, by SQLSTATE.",
    ),
    ("pgwarden_logins_total", Unit::Count, "Logins by outcome."),
    (
        "pgwarden_queries_total",
        Unit::Count,
        "Queries: a simple query, or what ends with a Sync.",
    ),
    (
        "pgwarden_server_assignments_total",
        Unit::Count,
        "Servers given to a client.",
    ),
    (
        "pgwarden_server_login_failures_total",
        Unit::Count,
        "Servers that could not be opened.",
    ),
    (
        "pgwarden_server_logins_total",
        Unit::Count,
        "Servers opened.",
    ),
    (
        "pgwarden_server_parses_total",
        Unit::Count,
        "Parse messages to servers.",
    ),
    (
        "pgwarden_server_resets_total",
        Unit::Count,
        "Servers cleaned before they were used again.",
    ),
    ("pgwarden_transactions_total", Unit::Count, "Transactions."),
];

/// How long the series of a pool that is gone are still told.
pub const FORGET_AFTER: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
