//! What an operator can set about clients. Filled by `config`, checked there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::method::Method;
use crate::auth::userlist::Userlist;
use crate::policy::admission::Policy;
use crate::wire::tls::ClientSide;

/// How clients prove who they are, and what bounds them.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// How a client proves its user name.
    pub method: Method,
    /// The users and their secrets.
    pub users: Arc<Userlist>,
    /// Whether `password` may be asked for over TCP without TLS.
    pub allow_cleartext: bool,
    /// TLS towards clients; `None`: off.
    pub tls: Option<ClientSide>,
    /// From the first byte to the end of the login. `None`: no limit.
    pub login_timeout: Option<Duration>,
    /// How long a client that holds no server may be silent. `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// Most clients of the whole process; the console is exempt.
    pub max_clients: usize,
    /// Roles and grants.
    pub policy: Arc<Policy>,
    /// Start-up parameters that are dropped instead of applied.
    pub ignore_startup_parameters: BTreeSet<String>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            method: Method::ScramSha256,
            users: Arc::default(),
            allow_cleartext: false,
            tls: None,
            login_timeout: Some(Duration::from_secs(60)),
            idle_timeout: None,
            max_clients: 10_000,
            policy: Arc::default(),
            ignore_startup_parameters: BTreeSet::new(),
        }
    }
}

impl SessionSettings {
    /// Whether tokens of an identity provider are accepted.
    pub fn has_oauth(&self) -> bool {
        self.method == Method::OAuth
    }
}
