//! What an operator can set about clients. Filled by `config`, checked there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::hba::Hba;
use crate::auth::jwt::Verifier;
use crate::auth::ldap::LdapOptions;
use crate::auth::method::Method;
use crate::auth::userlist::Userlist;
use crate::policy::admission::Policy;
use crate::policy::pattern::Glob;
use crate::pool::settings::lookup::Lookup;
use crate::session::jwks::Keyring;
use crate::wire::tls::ClientSide;

pub use crate::wire::pooler_error::ErrorStyle;

/// How clients prove who they are, and what bounds them.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// How a client proves its user name.
    pub method: Method,
    /// The rules of the HBA file, for the method `hba`. `None`: nobody is let in by it.
    pub hba: Option<Arc<Hba>>,
    /// The users and their secrets.
    pub users: Arc<Userlist>,
    /// The identity provider; `None`: tokens are not accepted.
    pub oauth: Option<Arc<OAuthSettings>>,
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
    /// Whose words the pooler's own errors have.
    pub errors: ErrorStyle,
    /// The directory that method `ldap` asks.
    pub ldap_options: Option<Arc<LdapOptions>>,
    /// How users are found that no file lists, in databases that do not say otherwise.
    pub lookup: Lookup,
    /// Rounds in which SCRAM keys are derived from plain passwords.
    pub scram_iterations: u32,
    /// Most clients of the console, as of a database that says nothing else; administrators are
    /// let in beyond that. `None`: no limit.
    pub max_console_clients: Option<usize>,
    /// Most clients of one user, where the user's own settings say nothing else. `None`: no limit.
    pub max_clients_per_user: Option<usize>,
    /// Whether simple queries are refused.
    pub disable_pqexec: bool,
    /// Bytes of the longest message.
    pub max_packet_size: usize,
    /// A notice that a client gets when it has logged in.
    pub login_notify_message: Option<String>,
    /// Whether the client's address is put behind its application_name.
    pub application_name_add_host: bool,
    /// How long a cancel request may wait for its connection. `None`: for ever.
    pub cancel_wait_timeout: Option<Duration>,
}

/// Tokens of an identity provider.
#[derive(Debug)]
pub struct OAuthSettings {
    /// What is expected of a token.
    pub verifier: Verifier,
    /// The provider's keys.
    pub keys: Keyring,
    /// What clients should ask the provider for.
    pub scope: String,
    /// Users who send their token in a password's place.
    pub token_as_password: Vec<Glob>,
}

impl OAuthSettings {
    /// Whether a user is asked for a password, and means a token.
    pub fn is_password_of(&self, user: &str) -> bool {
        self.token_as_password.iter().any(|glob| glob.matches(user))
    }
}

impl SessionSettings {
    /// Begins what these settings need to have running. `before`: the settings they replace,
    /// whose keys are kept if they come from the same place.
    pub fn start(&self, before: Option<&Self>) {
        if let Some(oauth) = &self.oauth {
            let before = before.and_then(|before| before.oauth.as_deref());
            oauth.keys.start(before.map(|before| &before.keys));
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            method: Method::ScramSha256,
            hba: None,
            users: Arc::default(),
            oauth: None,
            allow_cleartext: false,
            tls: None,
            login_timeout: Some(Duration::from_secs(60)),
            idle_timeout: None,
            max_clients: 10_000,
            policy: Arc::default(),
            ignore_startup_parameters: BTreeSet::new(),
            errors: ErrorStyle::default(),
            ldap_options: None,
            lookup: Lookup::default(),
            scram_iterations: 4096,
            max_console_clients: None,
            max_clients_per_user: None,
            disable_pqexec: false,
            max_packet_size: MOST_PACKET,
            login_notify_message: None,
            application_name_add_host: false,
            cancel_wait_timeout: Some(Duration::from_secs(10)),
        }
    }
}

/// The protocol's own limit: lengths are signed.
const MOST_PACKET: usize = 0x7fff_ffff;
