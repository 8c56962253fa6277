//! What an operator can set about pools and databases. Filled by `config`, checked there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::names::{DatabaseName, UserName};
use crate::auth::secret::Secret;
use crate::policy::role::RoleName;
use crate::wire::tls::ServerSide;

/// When a server goes back to its pool.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// After each statement; transactions are refused.
    Statement,
    /// After each transaction.
    #[default]
    Transaction,
}

impl PoolMode {
    /// The name in settings and in SHOW.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Statement => "statement",
            Self::Transaction => "transaction",
        }
    }
}

impl FromStr for PoolMode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Session, Self::Statement, Self::Transaction]
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or(())
    }
}

/// How a pool behaves. `None` is "off" or "no limit" throughout.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PoolSettings {
    /// When a server goes back to the pool.
    pub mode: PoolMode,
    /// Most servers.
    pub size: usize,
    /// Servers kept open even if nobody needs them.
    pub min_size: usize,
    /// Servers beyond `size` for clients that have waited `reserve_timeout`.
    pub reserve_size: usize,
    /// See `reserve_size`.
    pub reserve_timeout: Duration,
    /// How long a client waits for a server.
    pub query_wait_timeout: Option<Duration>,
    /// Connect, TLS and login of a server together.
    pub server_connect_timeout: Option<Duration>,
    /// How long after a failed login clients get the same error without another try.
    pub server_login_retry: Duration,
    /// Age at which an unused server is closed, less up to a fifth so that not all go at once.
    pub server_lifetime: Option<Duration>,
    /// Idle time after which a server is closed, less up to a fifth.
    pub server_idle_timeout: Option<Duration>,
    /// Sent before a server that was idle for `server_check_delay` is used; `None` only looks
    /// whether the connection is still open.
    pub server_check_query: Option<String>,
    /// See `server_check_query`.
    pub server_check_delay: Duration,
    /// Statements kept prepared on a server.
    pub max_prepared_statements: usize,
    /// Whether unnamed statements are kept as well.
    pub prepare_unnamed: bool,
    /// Reported parameters that follow the client besides the usual ones.
    pub track_parameters: Vec<String>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            mode: PoolMode::Transaction,
            size: 20,
            min_size: 0,
            reserve_size: 0,
            reserve_timeout: Duration::from_secs(5),
            query_wait_timeout: Some(Duration::from_secs(120)),
            server_connect_timeout: Some(Duration::from_secs(15)),
            server_login_retry: Duration::from_secs(15),
            server_lifetime: Some(Duration::from_secs(3600)),
            server_idle_timeout: Some(Duration::from_secs(600)),
            server_check_query: None,
            server_check_delay: Duration::from_secs(30),
            max_prepared_statements: 200,
            prepare_unnamed: false,
            track_parameters: Vec::new(),
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ServerAddress {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// The socket file, `…/.s.PGSQL.<port>`.
    Unix(PathBuf),
}

/// A user of the server's and the secret to log in with; no secret where the server asks none.
#[derive(Clone, Debug)]
pub struct ServerCredentials {
    /// The server's user.
    pub user: UserName,
    /// Its secret.
    pub secret: Option<Arc<Secret>>,
}

impl PartialEq for ServerCredentials {
    fn eq(&self, other: &Self) -> bool {
        let same_secret = match (&self.secret, &other.secret) {
            (Some(one), Some(other)) => is_same_secret(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.user == other.user && same_secret
    }
}

fn is_same_secret(one: &Secret, other: &Secret) -> bool {
    match (one, other) {
        (Secret::Plain(one), Secret::Plain(other)) => one.expose() == other.expose(),
        (Secret::Md5(one), Secret::Md5(other)) => one.expose() == other.expose(),
        (Secret::Scram(one), Secret::Scram(other)) => one.to_string() == other.to_string(),
        (Secret::Plain(_) | Secret::Md5(_) | Secret::Scram(_), _) => false,
    }
}

/// TLS towards servers, and the files it came from, by which a reload sees whether it changed.
#[derive(Clone, Debug, Default)]
pub struct ServerTls {
    /// `None`: no TLS.
    pub side: Option<ServerSide>,
    /// A digest of mode and files.
    pub fingerprint: Vec<u8>,
}

/// A database that clients can ask for.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// What clients call it.
    pub name: DatabaseName,
    /// Where its server listens.
    pub address: ServerAddress,
    /// What the server calls it.
    pub dbname: String,
    /// The user for all clients; `None`: each client's own.
    pub server: Option<ServerCredentials>,
    /// Most servers for this database, of all users together.
    pub max_connections: Option<usize>,
    /// Most clients for this database.
    pub max_clients: Option<usize>,
    /// Run-time parameters for the server's start-up packet.
    pub startup_parameters: BTreeMap<String, String>,
    /// Its pools.
    pub pool: PoolSettings,
    /// TLS towards its server.
    pub tls: ServerTls,
}

impl DatabaseSettings {
    /// Whether servers made for `other` can serve on.
    pub fn has_same_servers(&self, other: &Self) -> bool {
        self.name == other.name
            && self.address == other.address
            && self.dbname == other.dbname
            && self.server == other.server
            && self.max_connections == other.max_connections
            && self.startup_parameters == other.startup_parameters
            && self.pool == other.pool
            && self.tls.fingerprint == other.tls.fingerprint
    }
}

/// All that pools need to know.
#[derive(Clone, Debug, Default)]
pub struct PoolsSettings {
    /// Databases by the name clients use.
    pub databases: BTreeMap<DatabaseName, Arc<DatabaseSettings>>,
    /// Most servers a server user may have, of all databases together.
    pub max_user_connections: BTreeMap<UserName, usize>,
    /// The servers of roles that have settings of their own.
    pub roles: BTreeMap<RoleName, RoleServers>,
}

/// A role's servers, where they differ from those of the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleServers {
    /// The user for all clients of the role; `None`: as the database says.
    pub server: Option<ServerCredentials>,
    /// The pool for each database.
    pub pools: BTreeMap<DatabaseName, PoolSettings>,
}
