//! The life of the process, in order: load, bind, start, wait, finish.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::app::listener::Listeners;
use crate::app::place::Place;
use crate::app::process::{Logs, Process};
use crate::app::signals;
use crate::app::takeover::Takeover;
use crate::app::worker;
use crate::app::workers::{Order, Workers};
use crate::config::problem::Problems;
use crate::config::settings::Settings;
use crate::console::control::ShutdownMode;
use crate::console::{Console, STATS_PERIOD};
use crate::pool::Pools;
use crate::session::bench::Bench;
use crate::session::context::Context;
use crate::telemetry::audit::AuditLog;
use crate::telemetry::{http, logs, metrics};

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error("{0}")]
    Settings(#[source] Problems),
    /// The operating system refuses something.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Runs the pooler until it is told to stop. `reboot`: in the place of the process that serves the
/// Unix socket, if there is one.
///
/// # Errors
/// It could not start.
pub fn run(file: &Path, reboot: bool) -> Result<(), StartError> {
    let settings = Settings::load(file).map_err(StartError::Settings)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(live(file, settings, reboot))?;
    Ok(())
}

/// Every client and every server is an open file, and the usual soft limit is 1,024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, limit = ?limit.current, "the limit of open files could not be raised");
    }
}

async fn live(file: &Path, settings: Settings, reboot: bool) -> io::Result<()> {
    let log = logs::start(&settings.telemetry).map_err(io::Error::other)?;
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    raise_open_files();
    let metrics = metrics::install().map_err(io::Error::other)?;
    let audit = Arc::new(AuditLog::open(&settings.telemetry.audit)?);
    let mut takeover = match &settings.listen.unix_socket_dir {
        Some(dir) if reboot => {
            let name = format!(".s.PGSQL.{}", settings.listen.port);
            Takeover::begin(&dir.join(name)).map_err(not_taken_over)?
        }
        Some(_) | None => None,
    };
    let listeners = match &mut takeover {
        Some(takeover) => {
            let sockets = std::mem::take(&mut takeover.listeners);
            Listeners::inherit(sockets, &settings.listen).await?
        }
        None => Listeners::bind(&settings.listen).await?,
    };
    let scraped = match settings.telemetry.metrics_address {
        None => None,
        Some(address) => Some(bind_metrics(address).await?),
    };
    let count = settings.workers.max(1);
    let (workers, orders) = Workers::new(count);
    let pools = Pools::new(settings.pools.clone(), count);
    settings.session.start(None);
    let session = Arc::new(settings.session.clone());
    let console_settings = Arc::new(settings.console.clone());
    let logs = Logs { log, audit };
    let known = settings.clone();
    let process = Arc::new(Process::new(
        file.to_owned(),
        settings,
        pools,
        workers,
        logs,
    ));
    process.meet_peers(&known);
    let console = Arc::new(Console::new(process.clone()));
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    for (number, orders) in orders.into_iter().enumerate() {
        let (process, session) = (process.clone(), session.clone());
        let (console, console_settings) = (console.clone(), console_settings.clone());
        let place = move || Place {
            session: Context::new(
                number,
                process.pools.clone(),
                process.logins.clone(),
                seed,
                session.clone(),
                Bench::new(
                    session.policy.clone(),
                    process.logs.audit.clone(),
                    process.denials.clone(),
                    process.usages.clone(),
                ),
            )
            .among(count),
            console,
            console_settings: console_settings.into(),
            process,
        };
        worker::start(place, number, orders)?;
    }
    if let Some(takeover) = takeover {
        let session = known.session;
        takeover
            .finish(&process, &session)
            .await
            .map_err(not_taken_over)?;
    }
    signals::obey(&process)?;
    tokio::spawn(tidy(process.clone()));
    tokio::spawn(sample(console));
    process.inspect_readers();
    if let Some(listener) = scraped {
        tokio::spawn(http::serve(listener, process.clone(), Arc::new(metrics)));
    }
    listeners.serve(&process);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        workers = count,
        "ready"
    );
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    finish(&process).await;
    Ok(())
}

fn not_taken_over(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot take over: {error}"))
}

/// Waits until somebody asks to stop, and then for whom that way of stopping waits.
async fn finish(process: &Process) {
    let mut asked = process.shutdown_asked();
    // The sender lives in `process`, so it cannot be gone.
    let Ok(mode) = asked.wait_for(Option::is_some).await.map(|mode| *mode) else {
        return;
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let gone = async {
        if mode == Some(ShutdownMode::WaitForServers) {
            process.workers.ask_all(|| Order::Drain);
        }
        loop {
            let departed = process.workers.departed.notified();
            if process.pools.clients(None) == 0 {
                return;
            }
            departed.await;
        }
    };
    tokio::select! {
        () = gone, if mode != Some(ShutdownMode::Immediate) => {}
        _ = asked.wait_for(|mode| *mode == Some(ShutdownMode::Immediate)) => {}
    }
    if process.standstill.is_handed_over() {
        process.end_the_rest().await;
    }
    info!("stopped");
}

async fn bind_metrics(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot serve metrics on {address}: {error}"),
        )
    })?;
    info!(%address, "serving metrics");
    Ok(listener)
}

/// Gives SHOW STATS its averages.
async fn sample(console: Arc<Console>) {
    let mut tick = tokio::time::interval(STATS_PERIOD);
    loop {
        tick.tick().await;
        console.sample();
    }
}

/// Closes servers that are too old or idle too long, and opens those that `min_size` asks for.
async fn tidy(process: Arc<Process>) {
    let pools = &process.pools;
    let mut tick = tokio::time::interval(TIDY_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if process.standstill.is_wanted() {
            continue; // whoever takes the servers over tidies them
        }
        pools.prewarm();
        for pool in pools.all() {
            tokio::spawn(async move { pool.tidy().await });
        }
    }
}

const TIDY_PERIOD: Duration = Duration::from_secs(1);
