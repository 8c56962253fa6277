//! What an operator can set about pools and databases. Filled by `config`, checked there.

pub mod hosts;
pub mod lookup;
pub mod users;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::names::{DatabaseName, UserName};
use crate::auth::secret::Secret;
use crate::policy::role::RoleName;
use crate::pool::settings::hosts::{DnsSettings, Hosts};
use crate::pool::settings::lookup::Lookup;
use crate::pool::settings::users::UserSettings;
use crate::wire::tcp::TcpSettings;
use crate::wire::tls::ServerSide;

pub use hosts::ServerAddress;

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
    /// Most servers; 0: no limit.
    pub size: usize,
    /// Servers kept open even if nobody needs them.
    pub min_size: usize,
    /// Servers beyond `size` for clients that have waited `reserve_timeout`.
    pub reserve_size: usize,
    /// See `reserve_size`. Zero: the reserve stays closed.
    pub reserve_timeout: Duration,
    /// How long a client waits for a server.
    pub query_wait_timeout: Option<Duration>,
    /// How long a client waits before it is told so by a notice.
    pub query_wait_notify: Option<Duration>,
    /// How long a query may take, waiting for a server included.
    pub query_timeout: Option<Duration>,
    /// How long a client may be silent within a transaction.
    pub idle_transaction_timeout: Option<Duration>,
    /// How long a transaction may take.
    pub transaction_timeout: Option<Duration>,
    /// Connect, TLS and login of a server together.
    pub server_connect_timeout: Option<Duration>,
    /// How long after a failed login clients get the same error without another try.
    pub server_login_retry: Duration,
    /// Age at which an unused server is closed, less up to a fifth so that not all go at once.
    /// Zero: after its first use.
    pub server_lifetime: Option<Duration>,
    /// Idle time after which a server is closed, less up to a fifth.
    pub server_idle_timeout: Option<Duration>,
    /// Sent before a server that was idle for `server_check_delay` is used, and may be empty;
    /// `None` only looks whether the connection is still open.
    pub server_check_query: Option<String>,
    /// See `server_check_query`.
    pub server_check_delay: Duration,
    /// Sent when a client of session mode has left; `None`: nothing.
    pub server_reset_query: Option<String>,
    /// Whether `server_reset_query` is sent in the other modes as well.
    pub server_reset_query_always: bool,
    /// Whether the server that was idle for the longest is used first.
    pub server_round_robin: bool,
    /// Whether a server that is to be closed is taken from a client of session mode between two
    /// transactions, the client with it.
    pub server_fast_close: bool,
    /// Statements kept prepared on a server; 0: statements do not follow their clients.
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
            query_wait_notify: None,
            query_timeout: None,
            idle_transaction_timeout: None,
            transaction_timeout: None,
            server_connect_timeout: Some(Duration::from_secs(15)),
            server_login_retry: Duration::from_secs(15),
            server_lifetime: Some(Duration::from_secs(3600)),
            server_idle_timeout: Some(Duration::from_secs(600)),
            server_check_query: None,
            server_check_delay: Duration::from_secs(30),
            server_reset_query: Some("DISCARD ALL".into()),
            server_reset_query_always: false,
            server_round_robin: false,
            server_fast_close: false,
            max_prepared_statements: 200,
            prepare_unnamed: false,
            track_parameters: Vec::new(),
        }
    }
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
            (Some(one), Some(other)) => one.is_same(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.user == other.user && same_secret
    }
}

/// TLS towards servers, and the files it came from, by which a reload sees whether it changed.
#[derive(Clone, Debug, Default)]
pub struct ServerTls {
    /// `None`: no TLS.
    pub side: Option<ServerSide>,
    /// A digest of mode and files.
    pub fingerprint: Vec<u8>,
    /// Whether passwords may be sent as they are over TCP without TLS.
    pub allow_cleartext: bool,
}

/// A database that clients can ask for.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// What clients call it.
    pub name: DatabaseName,
    /// Where its servers listen.
    pub hosts: Hosts,
    /// What the server calls it.
    pub dbname: String,
    /// The user for all clients; `None`: each client's own.
    pub server: Option<ServerCredentials>,
    /// Most servers for this database, of all users together.
    pub max_connections: Option<usize>,
    /// Most clients for this database.
    pub max_clients: Option<usize>,
    /// Sent to each new server after its login; a failure is logged and nothing more.
    pub connect_query: Option<String>,
    /// How users are found that no file lists; what is `None` in it is as for all databases.
    pub lookup: Lookup,
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
            && self.hosts == other.hosts
            && self.dbname == other.dbname
            && self.server == other.server
            && self.connect_query == other.connect_query
            && self.startup_parameters == other.startup_parameters
            && self.pool.track_parameters == other.pool.track_parameters
            && self.tls.fingerprint == other.tls.fingerprint
            && self.tls.allow_cleartext == other.tls.allow_cleartext
    }

    /// Whether nothing at all is different.
    pub fn is_same(&self, other: &Self) -> bool {
        self.has_same_servers(other)
            && self.max_connections == other.max_connections
            && self.max_clients == other.max_clients
            && self.lookup == other.lookup
            && self.pool == other.pool
    }
}

/// All that pools need to know.
#[derive(Clone, Debug)]
pub struct PoolsSettings {
    /// Databases by the name clients use.
    pub databases: BTreeMap<DatabaseName, Arc<DatabaseSettings>>,
    /// What a database is that is not among them; its name is `*`. `None`: there is no other.
    pub template: Option<Arc<DatabaseSettings>>,
    /// Users that have settings of their own.
    pub users: Arc<BTreeMap<UserName, UserSettings>>,
    /// Most servers a server user may have, of all databases together, where `users` says
    /// nothing else.
    pub max_user_connections: Option<usize>,
    /// After how long without any use a database made from `template` is forgotten.
    pub autodb_idle_timeout: Option<Duration>,
    /// After how long without clients and servers a pool is forgotten, and what it has counted.
    pub pool_idle_timeout: Option<Duration>,
    /// How host names are looked up.
    pub dns: DnsSettings,
    /// Options of the connections to servers.
    pub tcp: TcpSettings,
    /// The servers of roles that have settings of their own.
    pub roles: BTreeMap<RoleName, RoleServers>,
}

impl Default for PoolsSettings {
    fn default() -> Self {
        Self {
            databases: BTreeMap::new(),
            template: None,
            users: Arc::default(),
            max_user_connections: None,
            autodb_idle_timeout: Some(Duration::from_secs(3600)),
            pool_idle_timeout: None,
            dns: DnsSettings::default(),
            tcp: TcpSettings::default(),
            roles: BTreeMap::new(),
        }
    }
}

impl PoolsSettings {
    /// Most servers of a server user, of all databases together.
    pub fn most_servers_of(&self, user: &str) -> Option<usize> {
        let own = self.users.get(user).and_then(|user| user.max_connections);
        own.or(self.max_user_connections)
    }
}

/// The name of the template. No client can be told apart by it: who asks for it by name gets a
/// database like any other.
pub const TEMPLATE: &str = "*";

/// A role's servers, where they differ from those of the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleServers {
    /// The user for all clients of the role; `None`: as the database says.
    pub server: Option<ServerCredentials>,
    /// The pool for each database, and for those made from the template under its name.
    pub pools: BTreeMap<DatabaseName, PoolSettings>,
}
