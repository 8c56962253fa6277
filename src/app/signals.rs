//! Signals, as PgBouncer has them.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::app::process::Process;
use crate::console::control::ShutdownMode;
use crate::pool::lines;

/// Signals that no longer end the process, and that nobody has obeyed yet.
#[derive(Debug)]
pub(super) struct Signals(Vec<(Signal, Obey)>);

type Obey = fn(&Arc<Process>);

impl Signals {
    /// Catches the signals that are not meant to end the process: HUP, USR1 and USR2. To be called
    /// first of all: somebody may know the process before it serves anybody.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub(super) fn catch() -> io::Result<Self> {
        let mut this = Self(Vec::new());
        this.catch_one(SignalKind::hangup(), reload)?;
        this.catch_one(SignalKind::user_defined1(), pause)?;
        this.catch_one(SignalKind::user_defined2(), resume)?;
        Ok(this)
    }

    /// Catches those that are: TERM, INT and QUIT. To be called before the process listens, but
    /// not while an operator who has lost patience could not end it otherwise.
    ///
    /// # Errors
    /// A handler cannot be installed.
    pub(super) fn catch_all(mut self) -> io::Result<Self> {
        self.catch_one(SignalKind::terminate(), |process| {
            let waiting = "waiting for all clients disconnect";
            shut_down(process, "SIGTERM", waiting, ShutdownMode::WaitForClients);
        })?;
        self.catch_one(SignalKind::interrupt(), |process| {
            let waiting = "waiting for all servers connections to be released";
            shut_down(process, "SIGINT", waiting, ShutdownMode::WaitForServers);
        })?;
        self.catch_one(SignalKind::quit(), |process| {
            say("got SIGQUIT, fast exit");
            process.begin_shutdown(ShutdownMode::Immediate);
        })?;
        Ok(self)
    }

    fn catch_one(&mut self, kind: SignalKind, obey: Obey) -> io::Result<()> {
        self.0.push((signal(kind)?, obey));
        Ok(())
    }

    /// Obeys signals until the process ends, also those that have come meanwhile: HUP reloads;
    /// TERM waits for clients, INT for servers, QUIT for nobody; a second one of these ends at
    /// once. USR1 pauses, USR2 resumes, while no shutdown has begun.
    pub(super) fn obey(self, process: &Arc<Process>) {
        for (mut arrived, obey) in self.0 {
            let process = process.clone();
            tokio::spawn(async move {
                while arrived.recv().await.is_some() {
                    obey(&process);
                }
            });
        }
    }
}

fn reload(process: &Arc<Process>) {
    say("got SIGHUP, re-reading config");
    let process = process.clone();
    tokio::spawn(async move {
        // Its problems are in the log by then.
        let _ = process.reload_now().await;
    });
}

fn shut_down(process: &Process, signal: &str, waiting: &str, mode: ShutdownMode) {
    if process.is_closing() {
        say(&format!("got {signal} while shutting down, fast exit"));
    } else {
        say(&format!("got {signal}, shutting down, {waiting}"));
    }
    process.begin_shutdown(mode);
}

fn pause(process: &Arc<Process>) {
    if process.is_closing() {
        say("got SIGUSR1 while shutting down, ignoring");
    } else if process.pools.is_paused(None) {
        say("got SIGUSR1, but already paused/suspended");
    } else {
        say("got SIGUSR1, pausing all activity");
        process.pools.pause(None);
    }
}

fn resume(process: &Arc<Process>) {
    if process.is_closing() {
        say("got SIGUSR2 while shutting down, ignoring");
    } else if process.pools.resume(None) {
        say("got SIGUSR2, continuing from PAUSE");
    } else {
        say("got SIGUSR2, but not paused/suspended");
    }
}

fn say(what: &str) {
    info!(target: lines::PLAIN, "{what}");
}
