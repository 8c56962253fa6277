//! How users are found that no file lists: by asking a server.

use crate::auth::names::{DatabaseName, UserName};

/// Who asks what, and where. Of a database's: `None` is as for all.
/// <https://www.pgbouncer.org/config.html#auth_query>
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lookup {
    /// The server's user to ask as, whose secret is in the users file; `None`: nobody asks.
    pub user: Option<UserName>,
    /// The query, which has the name as `$1` and returns a name and a secret.
    pub query: Option<String>,
    /// The database to ask in; `None`: the one that the client asks for.
    pub database: Option<DatabaseName>,
}

impl Lookup {
    /// The query, and whose it is.
    pub fn question(&self) -> (&str, Asking) {
        match &self.query {
            Some(query) if query != DEFAULT_QUERY => (query, Asking::TheirQuery),
            Some(_) | None => (DEFAULT_QUERY, Asking::OurQuery),
        }
    }

    /// What is `None` here, of another one.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            user: self.user.clone().or_else(|| other.user.clone()),
            query: self.query.clone().or_else(|| other.query.clone()),
            database: self.database.clone().or_else(|| other.database.clone()),
        }
    }
}

/// How users are looked up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Asking {
    /// By our own query, which names nothing but the system's tables.
    OurQuery,
    /// By the operator's, which may count on the server's `search_path`.
    TheirQuery,
}

/// The query where the settings have none.
pub const DEFAULT_QUERY: &str = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL \
     ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin";
