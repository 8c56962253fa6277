//! The life of the process, in order: load, bind, start, wait, finish.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::app::account;
use crate::app::daemon;
use crate::app::listener::{Listeners, UnixAddress};
use crate::app::options::{Background, Options};
use crate::app::pidfile::PidFile;
use crate::app::place::Place;
use crate::app::process::{Logs, Process};
use crate::app::signals::Signals;
use crate::app::systemd;
use crate::app::takeover::Takeover;
use crate::app::worker;
use crate::app::workers::{Order, Workers};
use crate::config::problem::Problems;
use crate::config::settings::Settings;
use crate::console::control::ShutdownMode;
use crate::console::settings::ConsoleSettings;
use crate::console::{Console, LIBRARIES, VERSION};
use crate::pool::Pools;
use crate::pool::lines;
use crate::pool::settings::DatabaseSettings;
use crate::session::bench::Bench;
use crate::session::context::Context;
use crate::session::settings::SessionSettings;
use crate::telemetry::audit::AuditLog;
use crate::telemetry::logs::Log;
use crate::telemetry::{http, logs, metrics};

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error("{0}")]
    Settings(#[source] Problems),
    /// The operating system refuses something, and the log, which is read where this would be,
    /// says so.
    #[error("{0}")]
    Logged(#[source] io::Error),
    /// The process would be root for good.
    #[error("pgwarden should not run as root: set user, or give -u")]
    Root,
    /// The operating system refuses something.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Runs the pooler until it is told to stop. `reboot`: in the place of the process that serves the
/// Unix socket, if there is one.
///
/// # Errors
/// It could not start.
pub fn run(file: &Path, options: &Options) -> Result<(), StartError> {
    if options.background == Background::Detached {
        daemon::detach()?;
    }
    let settings = Settings::load(file).map_err(StartError::Settings)?;
    if options.background == Background::Start {
        return Ok(daemon::start(&settings)?);
    }
    if let Some(user) = options.user.as_ref().or(settings.process.user.as_ref()) {
        account::become_user(user)?;
    }
    // As PgBouncer, which cannot run as root; settings of our own have no such promise to keep.
    if account::is_root() && settings.source.is_ini() {
        return Err(StartError::Root);
    }
    let log = logs::start(&settings.telemetry, options.log).map_err(io::Error::other)?;
    let lived = || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(live(file, settings, options, log))
    };
    lived().map_err(|error| {
        error!(target: lines::FATAL, "{error}");
        if options.log.quiet {
            StartError::System(error)
        } else {
            StartError::Logged(error)
        }
    })
}

/// Every client and every server is an open file, and the usual soft limit is 1,024.
fn raise_open_files(settings: &Settings) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, limit = ?limit.current, "the limit of open files could not be raised");
    }
    let text = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let (soft, hard) = (text(limit.current), text(limit.maximum));
    let clients = settings.session.max_clients;
    let servers =
        |database: &Arc<DatabaseSettings>| database.pool.size + database.pool.reserve_size;
    let expected = clients
        + settings
            .pools
            .databases
            .values()
            .map(servers)
            .sum::<usize>();
    info!(
        target: lines::PLAIN, soft, hard, clients, expected,
        "kernel file descriptor limit: {soft} (hard: {hard}); max_client_conn: {clients}, \
         max expected fd use: {expected}"
    );
}

async fn live(file: &Path, settings: Settings, options: &Options, log: Log) -> io::Result<()> {
    let signals = Signals::catch()?;
    if account::is_root() {
        warn!("running as root: set process.user, or give -u");
    }
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    raise_open_files(&settings);
    // Before anything is opened that a process with the same settings may have open. One that
    // is taken over has its file until it ends.
    let pidfile = if options.reboot {
        None
    } else {
        Listeners::refuse_second(&settings.listen)?;
        settings
            .process
            .pidfile
            .as_deref()
            .map(PidFile::claim)
            .transpose()?
    };
    let metrics = metrics::install().map_err(io::Error::other)?;
    let audit = Arc::new(AuditLog::open(&settings.telemetry.audit)?);
    let mut takeover = begin_takeover(&settings, options.reboot)?;
    let signals = signals.catch_all()?;
    let listeners = match &mut takeover {
        Some(takeover) => Listeners::inherit(std::mem::take(&mut takeover.listeners))?,
        None => Listeners::open(&settings.listen).await?,
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
    let runtimes = start_workers(orders, &process, &console, (session, console_settings))?;
    let _pidfile = match takeover {
        None if options.reboot => claim(&known)?,
        None => pidfile,
        Some(takeover) => go_on(takeover, &process, &known).await?,
    };
    signals.obey(&process);
    tokio::spawn(keep_time(process.clone()));
    tokio::spawn(tidy(process.clone()));
    tokio::spawn(sample(console, process.clone()));
    process.inspect_readers();
    if let Some(listener) = scraped {
        tokio::spawn(http::serve(listener, process.clone(), Arc::new(metrics)));
    }
    listeners.serve(&process, &runtimes)?;
    info!(
        target: lines::PLAIN, version = env!("CARGO_PKG_VERSION"), workers = count,
        "process up: {VERSION}, {LIBRARIES}"
    );
    systemd::ready();
    if options.background == Background::Detached {
        daemon::is_up()?;
    }
    finish(&process).await;
    Ok(())
}

/// Starts the workers' threads; their runtimes can be given tasks.
fn start_workers(
    orders: Vec<UnboundedReceiver<Order>>,
    process: &Arc<Process>,
    console: &Arc<Console>,
    settings: (Arc<SessionSettings>, Arc<ConsoleSettings>),
) -> io::Result<Vec<Handle>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let count = orders.len();
    let start = |(number, orders)| {
        let (process, session) = (process.clone(), settings.0.clone());
        let (console, console_settings) = (console.clone(), settings.1.clone());
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
        worker::start(place, number, orders)
    };
    orders.into_iter().enumerate().map(start).collect()
}

async fn keep_time(process: Arc<Process>) {
    process.workers.keep_time().await;
}

/// What the process that is to be taken over gives, if there is one.
fn begin_takeover(settings: &Settings, reboot: bool) -> io::Result<Option<Takeover>> {
    match UnixAddress::of(&settings.listen) {
        Some(address) if reboot => {
            Takeover::begin(&address, settings.session.method).map_err(not_taken_over)
        }
        Some(_) | None => Ok(None),
    }
}

fn claim(settings: &Settings) -> io::Result<Option<PidFile>> {
    let path = settings.process.pidfile.as_deref();
    path.map(PidFile::claim).transpose()
}

/// Ends the process that is taken over, and goes on in its place.
async fn go_on(
    takeover: Takeover,
    process: &Process,
    settings: &Settings,
) -> io::Result<Option<PidFile>> {
    let finished = takeover.finish(process, &settings.session).await;
    finished.map_err(not_taken_over)?;
    Ok(match settings.process.pidfile.as_deref() {
        None => None,
        Some(path) => claim_when_free(path).await,
    })
}

/// The process that was taken over may take a moment to end. That its file stays is no reason to
/// end as well.
async fn claim_when_free(path: &Path) -> Option<PidFile> {
    let begun = tokio::time::Instant::now();
    loop {
        match PidFile::claim(path) {
            Ok(file) => return Some(file),
            Err(_) if begun.elapsed() < OLD_ENDS => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) => {
                warn!(%error, "no pidfile");
                return None;
            }
        }
    }
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
    systemd::stopping(match mode {
        Some(ShutdownMode::WaitForClients) => "waiting for clients to leave",
        Some(ShutdownMode::WaitForServers) => "waiting for servers to be given back",
        Some(ShutdownMode::Immediate) | None => "stopping",
    });
    let gone = async {
        if mode == Some(ShutdownMode::WaitForServers) {
            process.workers.ask_all(|| Order::Drain);
        } else {
            // Who only holds a connection open is not waited for.
            let _ = tokio::time::timeout(LOGINS_END, nobody_logs_in(process)).await;
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
        () = gone, if mode != Some(ShutdownMode::Immediate) => {
            let whose = if mode == Some(ShutdownMode::WaitForClients) { "client" } else { "server" };
            info!(target: lines::PLAIN, "{whose} connections dropped, exiting");
        }
        _ = asked.wait_for(|mode| *mode == Some(ShutdownMode::Immediate)) => {}
    }
    if process.standstill.is_handed_over() {
        process.end_the_rest().await;
    }
    info!("stopped");
}

/// Waits until who came before the shutdown has logged in, or has failed to. Cancel safe.
async fn nobody_logs_in(process: &Process) {
    loop {
        let departed = process.workers.departed.notified();
        if process.tickets.are_used_up() {
            return;
        }
        departed.await;
    }
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

/// Gives SHOW STATS its averages, and the log.
async fn sample(console: Arc<Console>, process: Arc<Process>) {
    console.sample();
    loop {
        // Anew each time: a reload may have changed it.
        tokio::time::sleep(process.stats_period()).await;
        console.sample();
        info!(target: lines::STATS, "{}", console.stats_line());
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
        pools.tidy();
        for pool in pools.all() {
            tokio::spawn(async move { pool.tidy().await });
        }
    }
}

/// How long a login may take that a shutdown waits for.
const LOGINS_END: Duration = Duration::from_secs(10);
/// How long the process that was taken over has to end.
const OLD_ENDS: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const TIDY_PERIOD: Duration = Duration::from_secs(1);
