//! Where a database's servers are, and how their names are looked up.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where a server listens.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ServerAddress {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// The socket file, `…/.s.PGSQL.<port>`.
    Unix(PathBuf),
}

/// As the log has it.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The places of a database's servers: never none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hosts {
    /// In the order of the file.
    pub addresses: Vec<ServerAddress>,
    /// Which of them is next.
    pub balance: LoadBalanceHosts,
}

impl From<ServerAddress> for Hosts {
    fn from(address: ServerAddress) -> Self {
        Self {
            addresses: vec![address],
            balance: LoadBalanceHosts::default(),
        }
    }
}

/// Which of several hosts a new server is opened on.
/// <https://www.pgbouncer.org/config.html#load_balance_hosts>
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LoadBalanceHosts {
    /// The one that worked last, until it does not.
    Disable,
    /// The next one each time.
    #[default]
    RoundRobin,
}

impl LoadBalanceHosts {
    /// The name in settings and in SHOW.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::RoundRobin => "round-robin",
        }
    }
}

impl FromStr for LoadBalanceHosts {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Disable, Self::RoundRobin]
            .into_iter()
            .find(|balance| balance.as_str() == name)
            .ok_or(())
    }
}

/// How host names are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DnsSettings {
    /// How long an answer is used, whatever it says itself.
    pub max_ttl: Duration,
    /// How long a name is not asked for again that was not found.
    pub nxdomain_ttl: Duration,
    /// How often the serial numbers of zones are looked at, to notice changes earlier.
    pub zone_check_period: Option<Duration>,
    /// A file in the place of the system's resolv.conf.
    pub resolv_conf: Option<PathBuf>,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            max_ttl: Duration::from_secs(15),
            nxdomain_ttl: Duration::from_secs(15),
            zone_check_period: None,
            resolv_conf: None,
        }
    }
}
