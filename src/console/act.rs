//! Carrying out a command.

mod wait;

use tracing::{info, warn};

use crate::auth::names::DatabaseName;
use crate::console::command::Command;
use crate::console::control::{Changed, ShutdownMode};
use crate::console::protocol::Reply;
use crate::console::serve::{Line, Parting};
use crate::console::show::{self, Show};
use crate::console::{Console, NAMES, is_console};
use crate::pool::{Pools, lines};
use crate::wire::error_response::{ErrorResponse, Severity};
use crate::wire::sqlstate::SqlState;

pub(super) use wait::Suspension;

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
        Command::Disable(database) => able(database.as_deref(), true, console, line),
        Command::Enable(database) => able(database.as_deref(), false, console, line),
        Command::IgnoredSet => Ok(Reply::Done(Some(notice("SET ignored")))),
        Command::ExplainAccess { sql, role } => show::explain(control, sql, role).map(Reply::Table),
        Command::Kill(database) => kill(database.as_deref(), console, line).await,
        Command::KillClient(id) => kill_client(id, console).await,
        Command::Parameter(parameter) => Ok(Reply::Table(show::parameter(*parameter))),
        Command::Pause(database) => return wait::pause(database.as_deref(), console, line).await,
        Command::Reconnect(database) => {
            issued("RECONNECT", database.as_deref(), line);
            reconnect(database.as_deref(), pools)
        }
        Command::Reload => {
            issued("RELOAD", None, line);
            reload(console).await
        }
        Command::Resume(database) => {
            issued("RESUME", database.as_deref(), line);
            match database {
                None => resume_all(console),
                Some(database) => resume(database, console),
            }
        }
        Command::SelectOne => Ok(Reply::Table(show::one())),
        Command::Set { key, value } => set(key, value, console, line).await,
        Command::Suspend => return wait::suspend(console, line).await,
        Command::WaitClose(database) => {
            return wait::close(database.as_deref(), console, line).await;
        }
        Command::Show(Show::Help) => Ok(Reply::Done(Some(show::help()))),
        Command::Show(show) => Ok(Reply::Table(show.table(console).await)),
        Command::Shutdown(mode) => {
            let how = match mode {
                ShutdownMode::Immediate => "SHUTDOWN",
                ShutdownMode::WaitForClients => "SHUTDOWN WAIT_FOR_CLIENTS",
                ShutdownMode::WaitForServers => "SHUTDOWN WAIT_FOR_SERVERS",
            };
            issued(how, None, line);
            match mode {
                // Like PgBouncer: the connection closes, without an answer.
                ShutdownMode::Immediate => {
                    control.shutdown(*mode);
                    return Err(Parting::Left);
                }
                ShutdownMode::WaitForClients | ShutdownMode::WaitForServers => {
                    line.shutdown = Some(*mode);
                    DONE
                }
            }
        }
    })
}

/// Undoes PAUSE and SUSPEND, and unlike PgBouncer every KILL as well: who was told "paused" by
/// all databases need not resume them one by one. A database paused by name stays paused.
fn resume_all(console: &Console) -> Result<Reply, ErrorResponse> {
    let control = &*console.control;
    if control.is_shutting_down() {
        return Err(error("pooler is shutting down"));
    }
    let undone = control.unsuspend() | control.pools().resume(None);
    if !undone {
        return Err(error("pooler is not paused/suspended"));
    }
    DONE
}

fn resume(name: &str, console: &Console) -> Result<Reply, ErrorResponse> {
    let pools = console.control.pools();
    if !(is_console(name) || pools.has_database(name)) {
        return Err(error(&format!("no such database: {name}")));
    }
    let database = DatabaseName::new(name);
    if !pools.resume(Some(&database)) {
        return Err(error(&format!("database {name} is not paused")));
    }
    DONE
}

/// Turns logins to a database away, or lets them in again.
fn able(
    name: Option<&str>,
    disable: bool,
    console: &Console,
    line: &Line,
) -> Result<Reply, ErrorResponse> {
    let pools = console.control.pools();
    if name.is_none() {
        return Err(error("a database is required"));
    }
    issued(if disable { "DISABLE" } else { "ENABLE" }, name, line);
    let verb = if disable { "disable" } else { "enable" };
    if let Some(database) = known(pools, verb, name)? {
        if disable {
            pools.disable(&database);
        } else {
            pools.enable(&database);
        }
    }
    DONE
}

async fn set(
    key: &str,
    value: &str,
    console: &Console,
    line: &Line,
) -> Result<Reply, ErrorResponse> {
    match console.control.set(key, value).await {
        Ok(Changed::Now) => {
            // The value may be a secret.
            info!(key, user = %line.user(), "setting changed at the console");
            DONE
        }
        Ok(Changed::Waits(why)) => {
            warn!(target: lines::PLAIN, key, user = %line.user(), "{NOT_APPLIED}");
            Ok(Reply::Done(Some(
                notice(NOT_APPLIED).with_detail(why.join("\n")),
            )))
        }
        Err(problems) => Err(error("SET failed").with_detail(problems.join("\n"))),
    }
}

fn reconnect(name: Option<&str>, pools: &Pools) -> Result<Reply, ErrorResponse> {
    let database = known(pools, "reconnect", name)?;
    pools.reconnect(database.as_ref());
    DONE
}

/// Pauses databases by name and sends their clients away; their servers go with them.
async fn kill(name: Option<&str>, console: &Console, line: &Line) -> Result<Reply, ErrorResponse> {
    let pools = console.control.pools();
    not_paused(console)?;
    issued("KILL", name, line);
    let database = known(pools, "kill", name)?;
    pools.kill(database.as_ref());
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

/// Tells the log that an operator has given a command, in PgBouncer's words and at its moment:
/// carried out or refused.
fn issued(verb: &str, database: Option<&str>, line: &Line) {
    let user = line.user();
    match database {
        None => info!(target: lines::PLAIN, %user, "{verb} command issued"),
        Some(name) => info!(target: lines::PLAIN, %user, "{verb} '{name}' command issued"),
    }
}

fn not_paused(console: &Console) -> Result<(), ErrorResponse> {
    if console.control.is_suspended() || console.control.pools().is_paused(None) {
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

fn notice(message: &str) -> ErrorResponse {
    ErrorResponse::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, message)
}

/// PgBouncer's words for TLS settings that do not go together.
const NOT_APPLIED: &str = "TLS settings could not be applied, still using old configuration";
const DONE: Result<Reply, ErrorResponse> = Ok(Reply::Done(None));
