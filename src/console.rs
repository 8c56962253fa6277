//! The administrator's database: SHOW, PAUSE, RELOAD and the like.
//!
//! It answers on the databases [`NAMES`], to users that have a [`Role`]. What it knows and does
//! of the process goes through [`control::Control`], which `app` implements.

mod act;
pub mod command;
pub mod control;
mod handover;
mod protocol;
pub mod role;
mod sampler;
pub mod serve;
pub mod settings;
pub mod show;
pub mod table;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::console::control::Control;
use crate::console::sampler::Sampler;
use crate::pool::stats::Totals;

pub use role::Role;
pub use serve::{Seat, is_of_our_user, serve};

/// The databases the console answers on: PgBouncer's, by which it calls itself because that is
/// the one that dashboards leave out, and ours.
pub const NAMES: [&str; 2] = ["pgbouncer", "pgwarden"];

/// What we are, in words that tools of PgBouncer's take for PgBouncer: the first line of `-V`,
/// and what SHOW VERSION says.
pub const VERSION: &str = concat!(
    "PgBouncer 1.25.2 (pgwarden ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

/// What we are made of.
pub const LIBRARIES: &str = "runtime: tokio, tls: rustls, parser: libpg_query, systemd: yes";

/// Whether a database is the console.
pub fn is_console(database: &str) -> bool {
    NAMES.contains(&database)
}

/// The console of a process: one for all workers.
pub struct Console {
    control: Arc<dyn Control>,
    sampler: Sampler,
    logins: AtomicU64,
    commands: AtomicU64,
    command_micros: AtomicU64,
}

impl Console {
    /// The console of a process that has just started.
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self {
            control,
            sampler: Sampler::new(Instant::now()),
            logins: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            command_micros: AtomicU64::new(0),
        }
    }

    /// Notes the counts of the moment: the averages in SHOW STATS are those between the last
    /// two calls. To be called every `stats_period`.
    pub fn sample(&self) {
        let pools = self.control.pools().all();
        self.sampler.tick(
            Instant::now(),
            show::stats::totals(&pools, &self.own_totals()),
        );
    }

    /// The averages between the last two calls of [`Self::sample`], as PgBouncer logs them.
    pub fn stats_line(&self) -> String {
        let [
            _,
            xacts,
            queries,
            received,
            sent,
            xact_time,
            query_time,
            wait_time,
            client_parses,
            server_parses,
            binds,
            logins,
        ] = self.sampler.averages(None);
        format!(
            "stats: {xacts} xacts/s, {queries} queries/s, {client_parses} client parses/s, \
             {server_parses} server parses/s, {binds} binds/s, {logins} client logins/s, \
             in {received} B/s, out {sent} B/s, xact {xact_time} us, query {query_time} us, \
             wait {wait_time} us"
        )
    }

    fn count_login(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a command before it runs: SHOW STATS shows itself, too.
    fn count_command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    fn count_time(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.command_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What the console counts of itself, as if it were a pool.
    fn own_totals(&self) -> Totals {
        let commands = self.commands.load(Ordering::Relaxed);
        let micros = self.command_micros.load(Ordering::Relaxed);
        Totals {
            xacts: commands,
            queries: commands,
            xact_time: micros,
            query_time: micros,
            client_logins: self.logins.load(Ordering::Relaxed),
            ..Totals::default()
        }
    }
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
