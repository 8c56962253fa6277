//! The running process, as its parts and its console see it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use crate::app::handover::Listening;
use crate::app::peers::{Owner, Peers};
use crate::app::readers;
use crate::app::standstill::Standstill;
use crate::app::systemd;
use crate::app::ticket::{Ticket, Tickets};
use crate::app::workers::{Order, Workers};
use crate::config::problem::Problems;
use crate::config::set::Change;
use crate::config::settings::Settings;
use crate::console::control::{
    Answer, Changed, ClientRow, Control, Descriptor, HandedOver, PeerRow, SettingRow, ShutdownMode,
    UserRow, database_removed,
};
use crate::policy::admission::Policy;
use crate::pool::Pools;
use crate::session::denials::Denials;
use crate::session::stats::LoginStats;
use crate::session::usage::Usages;
use crate::telemetry::audit::AuditLog;
use crate::telemetry::logs::Log;
use crate::wire::cancel_key::CancelKey;
use crate::wire::tcp::TcpSettings;

/// What every part of the process may need of the others.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pools: Arc<Pools>,
    pub(super) logins: Arc<LoginStats>,
    pub(super) denials: Arc<Denials>,
    pub(super) usages: Arc<Usages>,
    pub(super) workers: Workers,
    peers: Peers,
    pub(super) standstill: Standstill,
    pub(super) tickets: Tickets,
    listening: Mutex<Vec<Listening>>,
    /// The way to shut down, once somebody has asked for it.
    shutdown: watch::Sender<Option<ShutdownMode>>,
    closing: AtomicU8,
    reloads: AtomicU64,
    /// The main thread's: a reload may be asked for on another.
    runtime: Handle,
    inspection: Mutex<Option<JoinHandle<()>>>,
    /// What the next reload reads.
    file: Mutex<PathBuf>,
    settings: Mutex<Settings>,
    pub(super) logs: Logs,
}

/// Where the process writes what happens.
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) log: Log,
    pub(super) audit: Arc<AuditLog>,
}

impl Process {
    pub(super) fn new(
        file: PathBuf,
        settings: Settings,
        pools: Arc<Pools>,
        workers: Workers,
        logs: Logs,
    ) -> Self {
        Self {
            pools,
            logins: Arc::default(),
            denials: Arc::default(),
            usages: Arc::default(),
            workers,
            peers: Peers::default(),
            standstill: Standstill::default(),
            tickets: Tickets::default(),
            listening: Mutex::default(),
            shutdown: watch::Sender::new(None),
            closing: AtomicU8::new(0),
            reloads: AtomicU64::new(0),
            runtime: Handle::current(),
            inspection: Mutex::default(),
            file: Mutex::new(file),
            settings: Mutex::new(settings),
            logs,
        }
    }

    /// The way to shut down, once somebody asks for it.
    pub(super) fn shutdown_asked(&self) -> watch::Receiver<Option<ShutdownMode>> {
        self.shutdown.subscribe()
    }

    /// Takes over this pooler's number and who its peers are.
    pub(super) fn meet_peers(&self, settings: &Settings) {
        let own = settings.process.peer_id;
        self.peers.set(own, &settings.peers);
        self.workers.ask_all(|| Order::Peer(own));
    }

    /// Has a query cancelled, here or at a peer; returns when the server has been told. Cancel
    /// safe.
    pub(super) async fn cancel(&self, key: CancelKey, patience: Option<Duration>) {
        match self.peers.owner(key) {
            Owner::Here(key) => {
                let done = self.workers.cancel(key);
                match patience {
                    None => done.await,
                    // Too late for what it was meant for: it is closed, whatever became of it.
                    Some(limit) => drop(tokio::time::timeout(limit, done).await),
                }
            }
            Owner::Nobody => debug!("a cancel request was passed on too often"),
            Owner::Peer(peer, key) => peer.forward(&key, patience).await,
        }
    }

    /// The sockets that connections are accepted from.
    pub(super) fn listening(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How long SUSPEND waits.
    pub(super) fn suspend_timeout(&self) -> Duration {
        let settings = self.current();
        settings.process.suspend_timeout
    }

    /// What the kernel is told of clients' connections.
    pub(super) fn tcp(&self) -> TcpSettings {
        let settings = self.current();
        settings.listen.tcp
    }

    /// How often counts are logged.
    pub(super) fn stats_period(&self) -> Duration {
        let settings = self.current();
        settings.telemetry.stats_period
    }

    /// Whether a client may not log in any more. Who came before a shutdown that waits for
    /// clients still may.
    pub(super) fn turns_away(&self, ticket: Option<&Ticket>) -> bool {
        match *self.shutdown.borrow() {
            None => false,
            Some(ShutdownMode::WaitForClients) => ticket.is_none(),
            Some(ShutdownMode::Immediate | ShutdownMode::WaitForServers) => true,
        }
    }

    /// Whether the process is about to end, and nobody new is to come.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) > 0
    }

    /// Asks to shut down; asked twice, the process ends at once, as with PgBouncer.
    pub(super) fn begin_shutdown(&self, mode: ShutdownMode) {
        let asked = self.closing.fetch_add(1, Ordering::SeqCst);
        let mode = if asked > 0 {
            ShutdownMode::Immediate
        } else {
            mode
        };
        info!(?mode, "shutting down");
        self.shutdown.send_replace(Some(mode));
    }

    /// Looks beside the clients whether readers' server users are poor enough.
    pub(super) fn inspect_readers(&self) {
        let task = readers::inspect(self.pools.clone(), self.policy());
        let inspection = self.runtime.spawn(task);
        let before = self
            .inspection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(inspection);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Loads the file anew, whole or not at all. When it says so, the settings are in force for
    /// every client.
    pub(super) async fn reload_now(&self) -> Result<(), Vec<String>> {
        if self.is_closing() {
            return self.load_anew().await;
        }
        systemd::reloading();
        let loaded = self.load_anew().await;
        systemd::ready();
        loaded
    }

    async fn load_anew(&self) -> Result<(), Vec<String>> {
        let file = self.file().clone();
        match Settings::load(&file) {
            Ok(settings) => {
                for warning in &settings.warnings {
                    warn!("{warning}");
                }
                if let Err(error) = self.logs.audit.reopen(&settings.telemetry.audit) {
                    error!(%error, "audit log not reopened, the old file is kept");
                }
                self.audit_reload("");
                self.apply(settings).await;
                info!(file = %file.display(), "configuration reloaded");
                Ok(())
            }
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                for problem in &problems {
                    error!(%problem, "configuration not reloaded");
                }
                self.audit_reload("refused");
                Err(problems)
            }
        }
    }

    /// Puts new settings in force, all at once; what is returned waits until no worker has others.
    fn apply(&self, mut settings: Settings) -> impl Future<Output = ()> + Send + use<> {
        Arc::make_mut(&mut settings.session.policy).generation =
            self.reloads.fetch_add(1, Ordering::Relaxed) + 1;
        if let Err(error) = self.logs.log.reload(&settings.telemetry) {
            error!(%error, "the log is not wholly what the settings say");
        }
        self.pools.reload(settings.pools.clone());
        let mut current = self.current();
        settings.session.start(Some(&current.session));
        let session = Arc::new(settings.session.clone());
        let console = Arc::new(settings.console.clone());
        let in_force = self
            .workers
            .have_all(move |done| Order::Reload(session.clone(), console.clone(), done));
        self.meet_peers(&settings);
        *current = settings;
        drop(current);
        self.inspect_readers();
        in_force
    }

    /// Sets a key until the next reload, as [`Control::set`] says.
    async fn set_now(&self, key: &str, value: &str) -> Result<Changed, Vec<String>> {
        if key == CONFFILE {
            *self.file() = PathBuf::from(value);
            return Ok(Changed::Now);
        }
        let texts = |problems: Problems| problems.iter().map(ToString::to_string).collect();
        let change = self.current().set(key, value);
        match change {
            Ok(Change::AtRestart) => Ok(Changed::Now),
            Ok(Change::Now(settings)) => {
                self.apply(*settings).await;
                info!(key, "setting changed until the next reload");
                Ok(Changed::Now)
            }
            Ok(Change::Waits(settings, problems)) => {
                *self.current() = *settings;
                let why: Vec<_> = texts(problems);
                for problem in &why {
                    warn!(%problem, "TLS settings do not go together");
                }
                Ok(Changed::Waits(why))
            }
            Err(problems) => Err(texts(problems)),
        }
    }

    /// The settings in force.
    fn current(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next reload reads.
    fn file(&self) -> MutexGuard<'_, PathBuf> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure is in the log by then, and no reason to keep the old rules.
    fn audit_reload(&self, reason: &str) {
        let _ = self.logs.audit.note("config_reload", reason);
    }
}

impl Control for Process {
    fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    fn logins(&self) -> &Arc<LoginStats> {
        &self.logins
    }

    fn policy(&self) -> Arc<Policy> {
        let settings = self.current();
        settings.session.policy.clone()
    }

    fn denials(&self) -> &Denials {
        &self.denials
    }

    fn usages(&self) -> &Usages {
        &self.usages
    }

    fn clients(&self) -> Answer<'_, Vec<ClientRow>> {
        Box::pin(self.workers.clients())
    }

    fn settings(&self) -> Vec<SettingRow> {
        let settings = self.current();
        let rows = settings.rows();
        drop(settings);
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|row| SettingRow {
                key: row.key,
                value: row.value,
                default: row.default,
                changeable: row.is_reloadable,
            })
            .collect();
        if let Some(row) = rows.iter_mut().find(|row| row.key == CONFFILE) {
            row.value = self.file().display().to_string();
        }
        rows
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Answer<'a, Result<Changed, Vec<String>>> {
        Box::pin(self.set_now(key, value))
    }

    fn reload(&self) -> Answer<'_, Result<(), Vec<String>>> {
        Box::pin(self.reload_now())
    }

    fn kill_client(&self, id: u64) -> Answer<'_, bool> {
        Box::pin(self.workers.kill(id))
    }

    fn kill_clients_of(&self, database: Option<&str>) -> Answer<'_, ()> {
        let database = database.map(str::to_owned);
        self.workers
            .ask_all(|| Order::KillAll(database.clone(), database_removed()));
        Box::pin(std::future::ready(()))
    }

    fn users(&self) -> Vec<UserRow> {
        let settings = self.current();
        let pools = &settings.pools;
        let mut names: BTreeSet<_> = settings.session.users.users().cloned().collect();
        names.extend(pools.users.keys().cloned());
        names
            .into_iter()
            .map(|name| {
                let own = pools.users.get(name.as_str());
                UserRow {
                    max_connections: pools.most_servers_of(name.as_str()),
                    max_clients: own
                        .and_then(|own| own.max_clients)
                        .or(settings.session.max_clients_per_user),
                    pool: own.map(|own| own.pool.clone()).unwrap_or_default(),
                    name: name.to_string(),
                }
            })
            .collect()
    }

    fn peers(&self) -> Vec<PeerRow> {
        self.peers.rows()
    }

    fn suspend(&self) -> Answer<'_, ()> {
        Box::pin(self.stand_still())
    }

    fn hand_over(&self) -> Answer<'_, Vec<HandedOver>> {
        Box::pin(self.hand_over_all())
    }

    fn descriptors(&self) -> Answer<'_, Vec<Descriptor>> {
        Box::pin(self.describe_all())
    }

    fn unsuspend(&self) -> bool {
        self.go_on()
    }

    fn is_suspended(&self) -> bool {
        self.standstill.is_wanted()
    }

    fn is_shutting_down(&self) -> bool {
        self.is_closing()
    }

    fn shutdown(&self, mode: ShutdownMode) {
        self.begin_shutdown(mode);
    }
}

/// PgBouncer's name of the path of the file.
const CONFFILE: &str = "conffile";
