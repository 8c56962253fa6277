//! Carrying out a command.

use std::time::Duration;

use tracing::{info, warn};

use crate::auth::names::DatabaseName;
use crate::console::command::Command;
use crate::console::control::ShutdownMode;
use crate::console::protocol::Reply;
use crate::console::serve::{Interruption, Line, Parting};
use crate::console::show::{self, Show};
use crate::console::{Console, NAMES, is_console};
use crate::pool::Pools;
use crate::session::roster::ClientState;
use crate::wire::error_response::{ErrorResponse, Severity};
use crate::wire::sqlstate::SqlState;

/// What is left to say to the client; an `Err` ends the session instead.
pub(super) type Outcome = Result<Result<Reply, ErrorResponse>, Parting>;

/// Carries out a command that the client may give. Not cancel safe, but a PAUSE that is not
/// waited for to its end is undone.
pub(super) async fn act(command: &Command, console: &Console, line: &mut Line) -> Outcome {
    let control = &*console.control;
    let pools = control.pools();
    Ok(match command {
        Command::Begin
        | Command::Commit
        | Command::Deallocate(_)
        | Command::DiscardAll
        | Command::Empty
        | Command::Reset
        | Command::Rollback => DONE,
        Command::IgnoredSet => {
            let code = SqlState::SUCCESSFUL_COMPLETION;
            let ignored = ErrorResponse::new(Severity::Notice, code, "SET ignored");
            Ok(Reply::Done(Some(ignored)))
        }
        Command::ExplainAccess { sql, role } => show::explain(control, sql, role).map(Reply::Table),
        Command::Kill(database) => kill(database.as_deref(), console).await,
        Command::KillClient(id) => kill_client(id, console).await,
        Command::Parameter(parameter) => Ok(Reply::Table(show::parameter(*parameter))),
        Command::Pause(database) => return pause(database.as_deref(), console, line).await,
        Command::Reconnect(database) => reconnect(database.as_deref(), pools),
        Command::Reload => reload(console).await,
        Command::Resume(database) => resume(database.as_deref(), console),
        Command::SelectOne => Ok(Reply::Table(show::one())),
        Command::Set => {
            Err(error("SET failed").with_hint("Change the configuration file, then RELOAD."))
        }
        Command::Show(Show::Help) => Ok(Reply::Done(Some(show::help()))),
        Command::Show(show) => Ok(Reply::Table(show.table(console).await)),
        Command::Shutdown(mode) => {
            info!(?mode, user = %line.user(), "shutdown asked for at the console");
            control.shutdown(*mode);
            match mode {
                // Like PgBouncer: the connection closes, without an answer.
                ShutdownMode::Immediate => return Err(Parting::Left),
                ShutdownMode::WaitForClients | ShutdownMode::WaitForServers => DONE,
            }
        }
    })
}

/// Stops lending and waits until no server is left.
async fn pause(name: Option<&str>, console: &Console, line: &mut Line) -> Outcome {
    let pools = console.control.pools();
    let database = match not_paused(console).and_then(|()| known(pools, "pause", name)) {
        Ok(database) => database,
        Err(error) => return Ok(Err(error)),
    };
    info!(database = name.unwrap_or("*"), "paused");
    pools.pause(database.as_ref());
    let mut undo = Undo {
        pools,
        database: database.as_ref(),
        armed: true,
    };
    let quiet = async {
        while !is_quiet(pools, database.as_ref()) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    // While it waits, a cancel request reaches it.
    line.enter(ClientState::Waiting);
    let interruption = tokio::select! {
        biased;
        () = quiet => None,
        interruption = line.interruption() => Some(interruption),
    };
    match interruption {
        None => {
            undo.armed = false;
            Ok(DONE)
        }
        Some(Interruption::Cancel) => Ok(Err(ErrorResponse::error(
            SqlState::QUERY_CANCELED,
            "canceling statement due to user request",
        ))),
        Some(Interruption::Parting(parting)) => Err(parting),
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

fn is_quiet(pools: &Pools, database: Option<&DatabaseName>) -> bool {
    let mut pools = pools.all();
    pools.retain(|pool| database.is_none_or(|name| name == pool.database_name()));
    pools
        .iter()
        .all(|pool| pool.servers().is_empty() && pool.logins() == 0)
}

fn resume(name: Option<&str>, console: &Console) -> Result<Reply, ErrorResponse> {
    let pools = console.control.pools();
    let Some(name) = name else {
        if console.control.is_shutting_down() {
            return Err(error("pooler is shutting down"));
        }
        let undone = console.control.unsuspend() | pools.resume(None);
        if !undone {
            return Err(error("pooler is not paused/suspended"));
        }
        info!(database = "*", "resumed");
        return DONE;
    };
    if !(is_console(name) || pools.has_database(name)) {
        return Err(error(&format!("no such database: {name}")));
    }
    if !pools.resume(Some(&DatabaseName::new(name))) {
        return Err(error(&format!("database {name} is not paused")));
    }
    info!(database = name, "resumed");
    DONE
}

fn reconnect(name: Option<&str>, pools: &Pools) -> Result<Reply, ErrorResponse> {
    let database = known(pools, "reconnect", name)?;
    info!(
        database = name.unwrap_or("*"),
        "servers are replaced as they come back"
    );
    for pool in pools.all() {
        if database
            .as_ref()
            .is_none_or(|name| name == pool.database_name())
        {
            pool.reconnect();
        }
    }
    DONE
}

/// Pauses databases by name and sends their clients away; their servers go with them.
async fn kill(name: Option<&str>, console: &Console) -> Result<Reply, ErrorResponse> {
    let pools = console.control.pools();
    not_paused(console)?;
    let databases = match known(pools, "kill", name)? {
        Some(database) => vec![database],
        None => pools
            .all()
            .iter()
            .map(|pool| pool.database_name().clone())
            .collect(),
    };
    warn!(database = name.unwrap_or("*"), "killed");
    for database in &databases {
        pools.pause(Some(database));
    }
    console.control.kill_clients_of(name).await;
    DONE
}

async fn kill_client(id: &str, console: &Console) -> Result<Reply, ErrorResponse> {
    let id = id
        .parse()
        .map_err(|_| error("invalid client pointer supplied"))?;
    if !console.control.kill_client(id).await {
        return Err(error("client not found"));
    }
    info!(client = id, "client killed");
    DONE
}

async fn reload(console: &Console) -> Result<Reply, ErrorResponse> {
    match console.control.reload().await {
        Ok(()) => DONE,
        Err(problems) => Err(ErrorResponse::error(
            SqlState::CONFIG_FILE_ERROR,
            "RELOAD failed, see logs for additional details",
        )
        .with_detail(problems.join("\n"))),
    }
}

fn not_paused(console: &Console) -> Result<(), ErrorResponse> {
    let control = &*console.control;
    if control.is_suspended() || control.pools().is_paused(None) {
        Err(error("already suspended/paused"))
    } else {
        Ok(())
    }
}

/// The database to do something with, if one is named; it must be there, and not the console.
fn known(
    pools: &Pools,
    verb: &str,
    name: Option<&str>,
) -> Result<Option<DatabaseName>, ErrorResponse> {
    match name {
        None => Ok(None),
        Some(name) if is_console(name) => {
            Err(error(&format!("cannot {verb} admin db: {}", NAMES[0])))
        }
        Some(name) if pools.has_database(name) => Ok(Some(DatabaseName::new(name))),
        Some(name) => Err(error(&format!("no such database: {name}"))),
    }
}

fn error(message: &str) -> ErrorResponse {
    ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, message)
}

const DONE: Result<Reply, ErrorResponse> = Ok(Reply::Done(None));
/// How often a PAUSE looks whether the last server is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
