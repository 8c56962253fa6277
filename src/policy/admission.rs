//! The permit to use a database's pool.

use crate::auth::identity::Identity;
use crate::auth::names::DatabaseName;

/// Proof that somebody may use a database. Only [`admit`] makes one, and only from a proved
/// identity.
#[derive(Clone, Debug)]
pub struct Admission {
    identity: Identity,
    database: DatabaseName,
}

impl Admission {
    /// Who was admitted.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// To what.
    pub fn database(&self) -> &DatabaseName {
        &self.database
    }
}

/// Admits an identity to a database. Without grants, as in PgBouncer, everybody who has proved
/// a name may ask for every database; the server's own rights decide what they can do there.
pub fn admit(identity: Identity, database: DatabaseName) -> Admission {
    Admission { identity, database }
}
