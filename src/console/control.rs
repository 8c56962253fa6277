//! What the console asks of the process it belongs to; `app` implements it.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::console::{NAMES, is_console};
use crate::policy::admission::Policy;
use crate::pool::Pools;
use crate::pool::settings::users::UserPool;
use crate::session::audit::Who;
use crate::session::denials::Denials;
use crate::session::stats::LoginStats;
use crate::session::usage::Usages;
use crate::wire::error_response::ErrorResponse;
use crate::wire::pooler_error::PoolerError;

#[cfg(test)]
pub(crate) mod fake;

/// An answer that may take a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What SET has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Changed {
    /// All it can.
    Now,
    /// Nothing yet: the TLS settings do not go together, for these reasons.
    Waits(Vec<String>),
}

/// The running process, as the console sees it.
pub trait Control: Send + Sync {
    /// The pools.
    fn pools(&self) -> &Arc<Pools>;

    /// Outcomes of logins.
    fn logins(&self) -> &Arc<LoginStats>;

    /// Roles and grants.
    fn policy(&self) -> Arc<Policy>;

    /// The latest refusals.
    fn denials(&self) -> &Denials;

    /// What roles use up.
    fn usages(&self) -> &Usages;

    /// All clients of all workers at the moment, console clients included, by number.
    fn clients(&self) -> Answer<'_, Vec<ClientRow>>;

    /// All settings: key, value, default, and whether a reload can change it.
    fn settings(&self) -> Vec<SettingRow>;

    /// Sets a key of PgBouncer, or one of TOML with dots, until the next reload; refused as a
    /// whole if the settings would not do then. What changes on a restart only is left as it is,
    /// without a complaint, and `conffile` counts at the next reload, both as with PgBouncer.
    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Answer<'a, Result<Changed, Vec<String>>>;

    /// All users that are known by name.
    fn users(&self) -> Vec<UserRow>;

    /// Loads the configuration anew, whole or not at all; the problems if it is refused. It is in
    /// force for every client when this returns.
    fn reload(&self) -> Answer<'_, Result<(), Vec<String>>>;

    /// All connections and listeners, for SHOW FDS.
    fn descriptors(&self) -> Answer<'_, Vec<Descriptor>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Stops reading from everybody, and returns when all that was read is sent, or those are
    /// gone who did not take it in time.
    fn suspend(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Undoes [`Self::suspend`]; false if there is nothing to undo.
    fn unsuspend(&self) -> bool {
        false
    }

    /// Whether [`Self::suspend`] holds.
    fn is_suspended(&self) -> bool {
        false
    }

    /// The processes that share our address.
    fn peers(&self) -> Vec<PeerRow> {
        Vec::new()
    }

    /// Disconnects a client with [`forced_disconnect`]; false if there is none with this number.
    fn kill_client(&self, id: u64) -> Answer<'_, bool>;

    /// Disconnects all clients of a database, of every database for `None`, with
    /// [`database_removed`]. Clients of the console stay.
    fn kill_clients_of(&self, database: Option<&str>) -> Answer<'_, ()>;

    /// All sockets with all that a process needs to know that takes this one's place. While
    /// nothing is suspended there are no clients and servers among them.
    fn hand_over(&self) -> Answer<'_, Vec<HandedOver>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Begins to shut down.
    fn shutdown(&self, mode: ShutdownMode);

    /// Whether a shutdown has begun.
    fn is_shutting_down(&self) -> bool;
}

/// What a client is told whose database was KILLed.
pub fn database_removed() -> ErrorResponse {
    PoolerError::DatabaseRemoved.into()
}

/// What a client is told that an operator has disconnected.
pub fn forced_disconnect() -> ErrorResponse {
    PoolerError::ForcedDisconnect.into()
}

/// How to shut down.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ShutdownMode {
    /// When the last client has left by itself. SIGTERM.
    WaitForClients,
    /// When the last server has been given back; nothing new is begun. SIGINT.
    WaitForServers,
    /// At once. SIGQUIT.
    Immediate,
}

/// A client, as SHOW CLIENTS prints it.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// A number that no other connection of this process has.
    pub id: u64,
    /// Its name.
    pub user: String,
    /// The database it asked for.
    pub database: String,
    /// `none`, `logical` or `physical`.
    pub replication: &'static str,
    /// `active`, `idle`, `waiting` or `login`.
    pub state: &'static str,
    /// Its address and port; empty for a Unix socket.
    pub address: String,
    /// Our address and port; empty for a Unix socket.
    pub local_address: String,
    /// When it connected.
    pub connected: SystemTime,
    /// For how long it has been in this state.
    pub in_state: Duration,
    /// The number of the server it has; 0: none.
    pub server: u64,
    /// The process id of that server.
    pub server_pid: u32,
    /// TLS version and cipher; empty without.
    pub tls: String,
    /// What it says its program is.
    pub application_name: String,
    /// Statements it has prepared.
    pub prepared: usize,
    /// Its role; empty before it has one, and on the console.
    pub role: String,
    /// The user of the servers it uses; empty before it has a pool, and on the console.
    pub pool_user: String,
    /// The grant it was admitted by, from 0; `None`: there are none.
    pub grant: Option<usize>,
    /// Until when it is admitted. `None`: for good.
    pub until: Option<SystemTime>,
    /// Who it is, for the audit log.
    pub who: Who,
}

impl ClientRow {
    /// Database and server user of the pool it is in: the row of SHOW POOLS that counts it.
    pub fn pool(&self) -> (&str, &str) {
        if is_console(&self.database) {
            return (NAMES[0], NAMES[0]);
        }
        let user = if self.pool_user.is_empty() {
            &self.user
        } else {
            &self.pool_user
        };
        (&self.database, user)
    }
}

/// An open connection or a listener, as SHOW FDS prints it. Texts that are empty are not known.
#[derive(Clone)]
pub struct Descriptor {
    /// Its number in this process.
    pub fd: i32,
    /// `pooler` for a listener, `client` or `server`.
    pub task: &'static str,
    /// The client's name, or the server's user.
    pub user: String,
    /// What clients call the database.
    pub database: String,
    /// The other side's address and port, our own for a listener; empty for a Unix socket.
    pub address: String,
    /// The key of cancel requests.
    pub cancel: u64,
    /// The descriptor of the server that a client has, and the other way round; 0: none.
    pub link: i32,
    /// The parameter of that name.
    pub client_encoding: String,
    /// `standard_conforming_strings`.
    pub std_strings: String,
    /// The parameter of that name.
    pub datestyle: String,
    /// The parameter of that name.
    pub timezone: String,
    /// A client's password.
    pub password: Option<String>,
    /// What a client's SCRAM login has taught us: ClientKey and ServerKey.
    pub scram_keys: Option<(Vec<u8>, Vec<u8>)>,
}

/// Without keys and secrets.
impl std::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Descriptor")
            .field("fd", &self.fd)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// A socket for another process of our own user, and what that needs to know of it.
pub struct HandedOver {
    /// What SHOW FDS prints, with secrets.
    pub row: Descriptor,
    /// The socket.
    pub socket: OwnedFd,
    /// What a pgwarden needs to know besides; empty for a listener.
    pub state: String,
}

/// Without secrets.
impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.row.fmt(f)
    }
}

/// A process that shares our address, as SHOW PEERS and SHOW PEER_POOLS print it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PeerRow {
    /// Its number.
    pub id: u16,
    /// Where it listens.
    pub host: String,
    /// See `host`.
    pub port: u16,
    /// Most cancel requests that are passed on to it at a time.
    pub pool_size: usize,
    /// Cancel requests that are being passed on to it.
    pub cl_active_cancel: usize,
    /// Cancel requests that wait for that.
    pub cl_waiting_cancel: usize,
    /// Connections to it that pass one on.
    pub sv_active_cancel: usize,
    /// Connections to it that are being opened.
    pub sv_login: usize,
}

/// A user, as SHOW USERS prints it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserRow {
    /// Its name.
    pub name: String,
    /// Most servers it may have; `None`: no limit.
    pub max_connections: Option<usize>,
    /// Most clients; `None`: no limit.
    pub max_clients: Option<usize>,
    /// What is different in its pools.
    pub pool: UserPool,
}

/// A setting, as SHOW CONFIG prints it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingRow {
    /// PgBouncer's name, such as `default_pool_size`; where it has none, that in TOML, with dots.
    pub key: String,
    /// What it is.
    pub value: String,
    /// What it would be if the file did not say: an INI for PgBouncer's keys.
    pub default: String,
    /// Whether a reload can change it.
    pub changeable: bool,
}
