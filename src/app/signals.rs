//! Signals, as PgBouncer has them.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::app::process::Process;
use crate::console::control::ShutdownMode;
use crate::pool::lines;

/// Obeys signals until the process ends: HUP reloads; TERM waits for clients, INT for servers,
/// QUIT for nobody; a second one of these ends at once. USR1 pauses, USR2 resumes, while no
/// shutdown has begun.
///
/// # Errors
/// A handler cannot be installed.
pub(super) fn obey(process: &Arc<Process>) -> io::Result<()> {
    on(process, SignalKind::hangup(), |process| {
        say("got SIGHUP, re-reading config");
        // Its problems are in the log by then.
        let _ = process.reload_now();
    })?;
    on(process, SignalKind::terminate(), |process| {
        say(if process.is_closing() {
            "got SIGTERM while shutting down, fast exit"
        } else {
            "got SIGTERM, shutting down, waiting for all clients disconnect"
        });
        process.begin_shutdown(ShutdownMode::WaitForClients);
    })?;
    on(process, SignalKind::interrupt(), |process| {
        say(if process.is_closing() {
            "got SIGINT while shutting down, fast exit"
        } else {
            "got SIGINT, shutting down, waiting for all servers connections to be released"
        });
        process.begin_shutdown(ShutdownMode::WaitForServers);
    })?;
    on(process, SignalKind::quit(), |process| {
        say("got SIGQUIT, fast exit");
        process.begin_shutdown(ShutdownMode::Immediate);
    })?;
    on(process, SignalKind::user_defined1(), pause)?;
    on(process, SignalKind::user_defined2(), resume)
}

fn pause(process: &Process) {
    if process.is_closing() {
        say("got SIGUSR1 while shutting down, ignoring");
    } else if process.pools.is_paused(None) {
        say("got SIGUSR1, but already paused/suspended");
    } else {
        say("got SIGUSR1, pausing all activity");
        process.pools.pause(None);
    }
}

fn resume(process: &Process) {
    if process.is_closing() {
        say("got SIGUSR2 while shutting down, ignoring");
    } else if process.pools.resume(None) {
        say("got SIGUSR2, continuing from PAUSE");
    } else {
        say("got SIGUSR2, but not paused/suspended");
    }
}

fn on(process: &Arc<Process>, kind: SignalKind, obey: fn(&Process)) -> io::Result<()> {
    let (mut arrived, process) = (signal(kind)?, process.clone());
    tokio::spawn(async move {
        while arrived.recv().await.is_some() {
            obey(&process);
        }
    });
    Ok(())
}

fn say(what: &str) {
    info!(target: lines::PLAIN, "{what}");
}
