//! Signals, as PgBouncer has them.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::process::Process;
use crate::console::control::ShutdownMode;

/// Obeys signals until the process ends: HUP reloads; TERM waits for clients, INT for servers,
/// QUIT for nobody; a second one of these ends at once.
///
/// # Errors
/// A handler cannot be installed.
pub(super) fn obey(process: &Arc<Process>) -> io::Result<()> {
    let shutdowns = [
        (SignalKind::terminate(), ShutdownMode::WaitForClients),
        (SignalKind::interrupt(), ShutdownMode::WaitForServers),
        (SignalKind::quit(), ShutdownMode::Immediate),
    ];
    for (kind, mode) in shutdowns {
        let (mut arrived, process) = (signal(kind)?, process.clone());
        tokio::spawn(async move {
            while arrived.recv().await.is_some() {
                process.begin_shutdown(mode);
            }
        });
    }
    let (mut arrived, process) = (signal(SignalKind::hangup())?, process.clone());
    tokio::spawn(async move {
        while arrived.recv().await.is_some() {
            // Its problems are in the log by then.
            let _ = process.reload_now();
        }
    });
    Ok(())
}
