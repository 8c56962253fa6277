//! Clients of PgBouncer: what its SHOW FDS tells, and nothing else.

use std::time::SystemTime;

use crate::auth::method::Method;
use crate::auth::scram::Keys;
use crate::pool::carried::{CarriedServer, Foreign, micros};
use crate::pool::server::Unnamed;
use crate::pool::workshop::next_id;
use crate::session::carried::Carried;
use crate::session::statements::CarriedStatements;
use crate::wire::printable::Printable;

/// What lets a client of PgBouncer's into its server.
#[derive(Debug, Default)]
pub struct ForeignSecrets {
    /// Its plain password, where no file has it.
    pub password: Option<String>,
    /// The SCRAM keys that a login has taught its pool.
    pub scram_keys: Option<Keys>,
}

impl Carried {
    /// A client that has logged in at PgBouncer, with the server it has there. `method` is how
    /// one logs in by our settings, which are meant to be the same.
    pub fn foreign(
        row: Foreign,
        server: Option<Foreign>,
        secrets: ForeignSecrets,
        method: Method,
    ) -> Self {
        let id = next_id();
        let unnamed = Unnamed::Of {
            client: id,
            generation: CarriedStatements::UNKNOWN,
        };
        Self {
            fd: row.fd,
            address: String::new(),
            key: row.key(),
            server: server.map(|server| CarriedServer::foreign(server, unnamed)),
            scram_keys: secrets.scram_keys,
            password: secrets.password,
            id,
            method: method.to_string(),
            role: None,
            application_name: String::new(),
            connected: micros(SystemTime::now()),
            told: row.values.clone(),
            initial: row.values.clone(),
            values: row.values,
            extra: Vec::new(),
            unread: Printable::default(),
            statements: CarriedStatements::unknown(),
            may_change_lexing: true,
            socket: Some(row.socket),
            user: row.user,
            database: row.database,
        }
    }
}
