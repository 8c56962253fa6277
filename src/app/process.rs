//! The running process, as its parts and its console see it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::{error, info};

use crate::app::workers::{Order, Workers};
use crate::config::settings::Settings;
use crate::console::control::{
    Answer, ClientRow, Control, SettingRow, ShutdownMode, UserRow, database_removed,
};
use crate::pool::Pools;
use crate::session::stats::LoginStats;
use crate::telemetry::logs::LogLevel;

/// What every part of the process may need of the others.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pools: Arc<Pools>,
    pub(super) logins: Arc<LoginStats>,
    pub(super) workers: Workers,
    /// The way to shut down, once somebody has asked for it.
    shutdown: watch::Sender<Option<ShutdownMode>>,
    closing: AtomicU8,
    file: PathBuf,
    settings: Mutex<Settings>,
    log: LogLevel,
}

impl Process {
    pub(super) fn new(
        file: PathBuf,
        settings: Settings,
        pools: Arc<Pools>,
        workers: Workers,
        log: LogLevel,
    ) -> Self {
        Self {
            pools,
            logins: Arc::default(),
            workers,
            shutdown: watch::Sender::new(None),
            closing: AtomicU8::new(0),
            file,
            settings: Mutex::new(settings),
            log,
        }
    }

    /// The way to shut down, once somebody asks for it.
    pub(super) fn shutdown_asked(&self) -> watch::Receiver<Option<ShutdownMode>> {
        self.shutdown.subscribe()
    }

    /// Whether new clients are turned away.
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

    /// Loads the file anew, whole or not at all.
    pub(super) fn reload_now(&self) -> Result<(), Vec<String>> {
        match Settings::load(&self.file) {
            Ok(settings) => {
                if let Err(error) = self.log.reload(&settings.telemetry) {
                    error!(%error, "log level not changed");
                }
                self.pools.reload(settings.pools.clone());
                let mut current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
                settings.session.start(Some(&current.session));
                let session = Arc::new(settings.session.clone());
                let console = Arc::new(settings.console.clone());
                self.workers
                    .ask_all(|| Order::Reload(session.clone(), console.clone()));
                *current = settings;
                info!(file = %self.file.display(), "configuration reloaded");
                Ok(())
            }
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                for problem in &problems {
                    error!(%problem, "configuration not reloaded");
                }
                Err(problems)
            }
        }
    }
}

impl Control for Process {
    fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    fn logins(&self) -> &Arc<LoginStats> {
        &self.logins
    }

    fn clients(&self) -> Answer<'_, Vec<ClientRow>> {
        Box::pin(self.workers.clients())
    }

    fn settings(&self) -> Vec<SettingRow> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings
            .entries
            .iter()
            .map(|entry| SettingRow {
                key: entry.key.clone(),
                value: entry.value.clone().unwrap_or_default(),
                default: entry.default.clone().unwrap_or_default(),
                changeable: entry.is_reloadable,
            })
            .collect()
    }

    fn reload(&self) -> Answer<'_, Result<(), Vec<String>>> {
        Box::pin(async { self.reload_now() })
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
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = &settings.pools.max_user_connections;
        let mut names: BTreeSet<_> = settings.session.users.users().cloned().collect();
        names.extend(limits.keys().cloned());
        names
            .into_iter()
            .map(|name| UserRow {
                max_connections: limits.get(&name).copied(),
                name: name.to_string(),
            })
            .collect()
    }

    fn is_shutting_down(&self) -> bool {
        self.is_closing()
    }

    fn shutdown(&self, mode: ShutdownMode) {
        self.begin_shutdown(mode);
    }
}
