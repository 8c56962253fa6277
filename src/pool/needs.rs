//! What a server must be for one client, besides the database's and the user's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::names::UserName;
use crate::policy::admission::Admission;
use crate::policy::role::{Role, RoleName};
use crate::pool::replication::Replication;
use crate::pool::settings::lookup::Asking;
use crate::pool::settings::users::UserPool;
use crate::pool::settings::{DatabaseSettings, PoolMode, PoolsSettings, TEMPLATE};

/// What a server must be, besides the database's and the user's.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Needs {
    /// Whose role's; `None`: of who has no role.
    role: Option<RoleName>,
    /// It may only read.
    read_only: bool,
    /// Its statements are judged: it must read texts as the judge does.
    judged: bool,
    /// The role knows tables by their names in this search_path.
    search_path: Option<String>,
    /// A replication connection serves one client and no other.
    replication: Option<Replication>,
    /// Users are looked up on it, and nothing else is done.
    lookup: Option<Asking>,
}

impl Needs {
    /// What the servers of a role must be that may only read, now and always.
    pub(super) fn of_reader(role: &Role) -> Self {
        Self {
            role: Some(role.name.clone()),
            read_only: true,
            judged: true,
            search_path: role
                .has_table_rules()
                .then(|| quoted_list(&role.search_path)),
            replication: None,
            lookup: None,
        }
    }

    /// What a server must be on which users are looked up.
    pub(super) fn of_lookup(asking: Asking) -> Self {
        Self {
            lookup: Some(asking),
            ..Self::default()
        }
    }

    pub(super) fn of(
        admission: &Admission,
        replication: Option<&Replication>,
        now: SystemTime,
    ) -> Self {
        let role = admission.role();
        let granted = admission.has_granted_role();
        Self {
            role: granted.then(|| role.name.clone()),
            read_only: admission.is_read_only(now),
            judged: admission.is_judged() && replication.is_none(),
            search_path: role
                .has_table_rules()
                .then(|| quoted_list(&role.search_path)),
            replication: replication.cloned(),
            lookup: None,
        }
    }

    /// The same of an ordinary connection.
    pub(super) fn without_replication(&self) -> Self {
        Self {
            replication: None,
            ..self.clone()
        }
    }

    /// Whether it is what this replication client needs, and nobody else.
    pub(super) fn is_replication_of(&self, client: u64) -> bool {
        self.replication
            .as_ref()
            .is_some_and(|own| own.client == client)
    }

    /// The database as who needs this gets it, with what is set for the role and for the server's
    /// user over it, and that user: `login` unless there is one for all clients. `None`: its
    /// role is no more.
    pub(super) fn apply(
        &self,
        database: &Arc<DatabaseSettings>,
        settings: &PoolsSettings,
        login: &UserName,
    ) -> Option<(Arc<DatabaseSettings>, UserName)> {
        let server = |of: &DatabaseSettings| of.server.as_ref().map_or(login, |s| &s.user).clone();
        if *self == Self::default() {
            let user = server(database);
            return Some(match settings.users.get(user.as_str()) {
                Some(own) if own.pool != UserPool::default() => {
                    let mut database = (**database).clone();
                    own.pool.put_over(&mut database.pool);
                    (Arc::new(database), user)
                }
                Some(_) | None => (database.clone(), user),
            });
        }
        let mut own = (**database).clone();
        if let Some(role) = &self.role {
            let role = settings.roles.get(role)?;
            if role.server.is_some() {
                own.server.clone_from(&role.server);
            }
            let of_template = || role.pools.get(TEMPLATE);
            if let Some(pool) = role.pools.get(&database.name).or_else(of_template) {
                own.pool = pool.clone();
            }
        }
        if self.lookup.is_some() {
            // The user who asks is the pool's, whoever the database's clients become.
            own.server = None;
        }
        let user = server(&own);
        if let Some(of_user) = settings.users.get(user.as_str()) {
            of_user.pool.put_over(&mut own.pool);
        }
        let parameters = &mut own.startup_parameters;
        if self.read_only {
            // In the packet and not by SET, which a RESET would undo.
            set(parameters, "default_transaction_read_only", "on");
        }
        if self.judged {
            set(parameters, "client_encoding", "UTF8");
            set(parameters, "standard_conforming_strings", "on");
            set(parameters, "backslash_quote", "safe_encoding");
        }
        if let Some(path) = &self.search_path {
            set(parameters, "search_path", path);
        }
        if let Some(replication) = &self.replication {
            set(parameters, "replication", replication.kind);
            for (name, value) in &replication.parameters {
                let ours = parameters.keys().any(|own| own.eq_ignore_ascii_case(name));
                if !ours || CLIENTS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                    set(parameters, name, value);
                }
            }
            own.pool.mode = PoolMode::Session;
            own.pool.min_size = 0;
        }
        if let Some(asking) = self.lookup {
            own.pool.mode = PoolMode::Transaction;
            own.pool.min_size = 0;
            set(parameters, "client_encoding", "UTF8");
            if asking == Asking::OurQuery {
                set(parameters, "search_path", "pg_catalog");
            }
        }
        Some((Arc::new(own), user))
    }
}

/// What a client says of these comes before what the settings say, as with other clients.
const CLIENTS_OWN: [&str; 4] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "TimeZone",
];

/// Sets a start-up parameter, however the settings may have spelled it.
fn set(parameters: &mut BTreeMap<String, String>, name: &str, value: &str) {
    parameters.retain(|known, _| !known.eq_ignore_ascii_case(name));
    parameters.insert(name.into(), value.into());
}

/// A list of schemas as search_path wants it.
fn quoted_list(schemas: &[Box<str>]) -> String {
    let quoted = schemas
        .iter()
        .map(|s| format!("\"{}\"", s.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(", ")
}
