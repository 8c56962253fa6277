//! Everything an operator has set, resolved and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::problem::Problem;
use super::set::Sets;
use super::source::Source;
use crate::console::settings::ConsoleSettings;
use crate::pool::settings::{PoolsSettings, ServerAddress};
use crate::session::settings::SessionSettings;
use crate::telemetry::settings::TelemetrySettings;
use crate::wire::tcp::TcpSettings;

/// One whole configuration; a reload makes another and replaces this one, or does nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that serve clients. Read at start only.
    pub workers: usize,
    /// Where clients connect. Read at start only.
    pub listen: ListenSettings,
    /// The process itself. Read at start only, but for `peer_id` and `suspend_timeout`.
    pub process: ProcessSettings,
    /// Other poolers that share our port, by their number.
    pub peers: BTreeMap<u16, PeerSettings>,
    /// Databases and their pools.
    pub pools: PoolsSettings,
    /// Clients and how they prove who they are.
    pub session: SessionSettings,
    /// Who may use the console.
    pub console: ConsoleSettings,
    /// Logs and metrics.
    pub telemetry: TelemetrySettings,
    /// How many `[[test]]`s the rules have passed.
    pub tests: usize,
    /// Every key, for people to look at.
    pub entries: Vec<Entry>,
    /// What is allowed and yet hardly meant, in the order of the file.
    pub warnings: Vec<Problem>,
    /// What the file sets without effect, and why.
    pub notes: Vec<Problem>,
    /// What the files say.
    pub source: Arc<Source>,
    /// What a console has SET since they were read.
    pub sets: Sets,
    /// What it has SET that does not go together yet.
    pub waiting: Sets,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 1,
            listen: ListenSettings::default(),
            process: ProcessSettings::default(),
            peers: BTreeMap::new(),
            pools: PoolsSettings::default(),
            session: SessionSettings::default(),
            console: ConsoleSettings::default(),
            telemetry: TelemetrySettings::default(),
            tests: 0,
            entries: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            source: Arc::default(),
            sets: Sets::default(),
            waiting: Sets::default(),
        }
    }
}

/// One key as it is in force, for SHOW CONFIG.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Such as `databases.shop.port`.
    pub key: String,
    /// As one would write it in the file, and `(hidden)` for a password; `None`: not set.
    pub value: Option<String>,
    /// What holds if the file says nothing; `None`: nothing does.
    pub default: Option<String>,
    /// Whether a reload changes it.
    pub is_reloadable: bool,
}

/// Where clients connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenSettings {
    /// Host names or addresses; `*` is every address. Empty: no TCP.
    pub addresses: Vec<String>,
    /// The port of all of them, and of the Unix socket's name.
    pub port: u16,
    /// The folder of the Unix socket, or `@` and the beginning of an abstract name; `None`: no
    /// Unix socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// Permissions of the Unix socket.
    pub unix_socket_mode: u32,
    /// The group of the Unix socket; `None`: the process's own.
    pub unix_socket_group: Option<String>,
    /// Connections the kernel queues.
    pub backlog: u32,
    /// Whether other processes may listen on the same port.
    pub so_reuseport: bool,
    /// Whether the kernel reports a connection only when the client has said something.
    pub tcp_defer_accept: bool,
    /// Options of clients' connections.
    pub tcp: TcpSettings,
}

/// The process itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessSettings {
    /// Who to become when started as root.
    pub user: Option<String>,
    /// Where its number is written.
    pub pidfile: Option<PathBuf>,
    /// How long SUSPEND waits before it drops who does not read.
    pub suspend_timeout: Duration,
    /// Our number among peers; 0: there are none.
    pub peer_id: u16,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            user: None,
            pidfile: None,
            suspend_timeout: Duration::from_secs(10),
            peer_id: 0,
        }
    }
}

/// Another pooler that shares our port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerSettings {
    /// Where cancel requests for its clients go.
    pub address: ServerAddress,
    /// Most of them at once.
    pub pool_size: usize,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            addresses: vec!["127.0.0.1".into()],
            port: 6432,
            unix_socket_dir: None,
            unix_socket_mode: 0o777,
            unix_socket_group: None,
            backlog: 1024,
            so_reuseport: false,
            tcp_defer_accept: true,
            tcp: TcpSettings::default(),
        }
    }
}
