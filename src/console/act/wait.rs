//! Commands that are answered when something has come to pass: PAUSE, SUSPEND and WAIT_CLOSE.

use std::sync::Arc;

use tracing::info;

use super::{DONE, Outcome, error, issued, known, not_paused};
use crate::auth::names::DatabaseName;
use crate::console::Console;
use crate::console::control::Control;
use crate::console::serve::{Interruption, Line, Parting};
use crate::pool::Pools;
use crate::session::roster::ClientState;
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// Stops lending and waits until no server is left.
pub(super) async fn pause(name: Option<&str>, console: &Console, line: &mut Line) -> Outcome {
    let pools = console.control.pools();
    if let Err(error) = not_paused(console) {
        return Ok(Err(error));
    }
    issued("PAUSE", name, line);
    let database = match known(pools, "pause", name) {
        Ok(database) => database,
        Err(error) => return Ok(Err(error)),
    };
    pools.pause(database.as_ref());
    let mut undo = Undo {
        pools,
        database: database.as_ref(),
        armed: true,
    };
    let ended = wait(line, pools.wait_empty(database.as_ref())).await?;
    undo.armed = ended.is_err();
    Ok(ended.map_or_else(Err, |()| DONE))
}

/// Has everything sent that was read. It is undone when the console that asked for it leaves:
/// whoever asks means to take the connections over at once.
pub(super) async fn suspend(console: &Console, line: &mut Line) -> Outcome {
    let pools = console.control.pools();
    if let Err(error) = not_paused(console) {
        return Ok(Err(error));
    }
    let paused = |name: &DatabaseName| pools.is_paused(Some(name));
    if pools.databases().iter().any(|of| paused(&of.name)) {
        return Ok(Err(error("cannot suspend with paused databases")));
    }
    issued("SUSPEND", None, line);
    let suspension = Suspension(console.control.clone());
    let ended = wait(line, console.control.suspend()).await?;
    if ended.is_ok() {
        line.suspension = Some(suspension);
    }
    Ok(ended.map_or_else(Err, |()| DONE))
}

/// Waits until the servers are closed that were outdated by a RECONNECT or a reload.
pub(super) async fn close(name: Option<&str>, console: &Console, line: &mut Line) -> Outcome {
    let pools = console.control.pools();
    issued("WAIT_CLOSE", name, line);
    // PgBouncer has words of its own for this one.
    let database = match known(pools, "wait in", name) {
        Ok(database) => database,
        Err(error) => return Ok(Err(error)),
    };
    let ended = wait(line, pools.wait_close(database.as_ref())).await?;
    Ok(ended.map_or_else(Err, |()| DONE))
}

/// Waits for something, unless the client cancels.
async fn wait(
    line: &mut Line,
    what: impl Future<Output = ()>,
) -> Result<Result<(), ErrorResponse>, Parting> {
    // While it waits, a cancel request reaches it.
    line.enter(ClientState::Waiting);
    let interruption = tokio::select! {
        biased;
        () = what => return Ok(Ok(())),
        interruption = line.interruption() => interruption,
    };
    match interruption {
        Interruption::Cancel => Ok(Err(ErrorResponse::error(
            SqlState::QUERY_CANCELED,
            "canceling statement due to user request",
        ))),
        Interruption::Parting(parting) => Err(parting),
    }
}

/// Resumes what a PAUSE has paused, unless the PAUSE came to its end: nobody would know that
/// it holds.
struct Undo<'a> {
    pools: &'a Pools,
    database: Option<&'a DatabaseName>,
    armed: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.armed {
            info!(
                database = self.database.map_or("*", DatabaseName::as_str),
                "pause given up"
            );
            self.pools.resume(self.database);
        }
    }
}

/// A SUSPEND, undone when dropped.
pub(in crate::console) struct Suspension(Arc<dyn Control>);

impl Drop for Suspension {
    fn drop(&mut self) {
        // Who shuts down after a SUSPEND has handed everything over.
        if !self.0.is_shutting_down() && self.0.unsuspend() {
            info!("suspension given up");
        }
    }
}

impl std::fmt::Debug for Suspension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suspension").finish_non_exhaustive()
    }
}
