//! Where users are looked up that no file lists: a pool for that and nothing else.

use std::sync::Arc;

use super::{Key, NoSuchDatabase, Pools};
use crate::auth::names::{DatabaseName, UserName};
use crate::auth::secret::Secret;
use crate::pool::credentials::Credentials;
use crate::pool::needs::Needs;
use crate::pool::pool::Pool;
use crate::pool::settings::lookup::{Asking, Lookup};

impl Pools {
    /// How users of a database are looked up, as far as the database itself says; `None`: there
    /// is no such database.
    pub fn lookup_of(&self, database: &DatabaseName) -> Option<Lookup> {
        let state = self.state();
        let settings = &state.settings;
        let known = settings.databases.get(database);
        Some(known.or(settings.template.as_ref())?.lookup.clone())
    }

    /// The pool in which users are looked up: in this database, as this user, who has this
    /// secret. Nothing that a client says has any part in it.
    ///
    /// # Errors
    /// There is no such database.
    pub fn lookup_pool(
        &self,
        database: &DatabaseName,
        user: &UserName,
        secret: Option<Arc<Secret>>,
        asking: Asking,
    ) -> Result<Arc<Pool>, NoSuchDatabase> {
        let needs = Needs::of_lookup(asking);
        let no_database = || NoSuchDatabase(database.clone());
        let mut state = self.state();
        let settings = state.look(database).ok_or_else(no_database)?;
        let (settings, _) = needs
            .apply(&settings, &state.settings, user)
            .ok_or_else(no_database)?;
        let key = Key {
            database: database.clone(),
            user: user.clone(),
            needs,
        };
        if let Some(pool) = state.pools.get(&key) {
            pool.renew_secret(user, secret);
            return Ok(pool.clone());
        }
        let credentials = Credentials::new(user.clone(), secret);
        Ok(self.add(&mut state, key, settings, credentials))
    }
}
