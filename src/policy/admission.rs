//! The permit to use a database's pool, and what it is given by.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::certificate::CertificateNames;
use crate::auth::identity::Identity;
use crate::auth::names::DatabaseName;
use crate::policy::grant::{Claimant, Grant, Origin};
use crate::policy::role::{Role, RoleName};
use crate::policy::window::Window;

/// All roles and grants; a reload makes another.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Counts the reloads: what was judged under another number is judged anew.
    pub generation: u64,
    /// Whether everything is only observed.
    pub observe: bool,
    /// The roles by name.
    pub roles: BTreeMap<RoleName, Arc<Role>>,
    /// Who gets which; the first that fits counts. Without any, everybody is a role of their
    /// own name without rules.
    pub grants: Vec<Grant>,
    /// When everything may only be read.
    pub maintenance: Vec<Window>,
    /// When a database may only be read.
    pub database_maintenance: BTreeMap<DatabaseName, Vec<Window>>,
    /// Longest text that is judged, in bytes.
    pub max_statement: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            generation: 0,
            observe: false,
            roles: BTreeMap::new(),
            grants: Vec::new(),
            maintenance: Vec::new(),
            database_maintenance: BTreeMap::new(),
            max_statement: 4 * 1024 * 1024,
        }
    }
}

/// Proof that somebody may use a database. Only [`Policy::admit`] makes one, and only from a
/// proved identity.
#[derive(Clone, Debug)]
pub struct Admission {
    identity: Identity,
    origin: Origin,
    database: DatabaseName,
    role: Arc<Role>,
    grant: Option<usize>,
    until: Option<SystemTime>,
    maintenance: Arc<[Window]>,
}

/// No grant is for this client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no grant gives a role to this client")]
pub struct NotAdmitted;

impl Policy {
    /// Admits an identity to a database.
    ///
    /// # Errors
    /// There are grants, and none is for it.
    pub fn admit(
        &self,
        identity: Identity,
        origin: Origin,
        database: DatabaseName,
        now: SystemTime,
    ) -> Result<Admission, NotAdmitted> {
        let expires = identity.token().map(|token| token.expires());
        if expires.is_some_and(|expires| expires <= now) {
            return Err(NotAdmitted);
        }
        let (role, grant, ends) = if self.grants.is_empty() {
            if !identity.is_proved() {
                return Err(NotAdmitted);
            }
            let own = Role::free(RoleName::new(identity.user().as_str()));
            (Arc::new(own), None, None)
        } else {
            let granted = self.granted(&identity, &origin, database.as_str(), now);
            let (at, role) = granted.ok_or(NotAdmitted)?;
            (role.clone(), Some(at), self.next_change(now))
        };
        Ok(Admission {
            maintenance: self.maintenance_of(database.as_str()),
            until: [expires, ends].into_iter().flatten().min(),
            identity,
            origin,
            database,
            role,
            grant,
        })
    }

    /// The first grant that is for a client, from 0, and the role that it gives. A grant of a
    /// role that there is not gives none.
    pub fn granted(
        &self,
        who: &impl Claimant,
        origin: &Origin,
        database: &str,
        now: SystemTime,
    ) -> Option<(usize, &Arc<Role>)> {
        let mut grants = self.grants.iter().enumerate();
        let (at, grant) = grants.find(|(_, grant)| grant.is_for(who, origin, database, now))?;
        Some((at, self.roles.get(&grant.role)?))
    }

    /// When a database may only be read, whatever the role.
    pub fn maintenance_of(&self, database: &str) -> Arc<[Window]> {
        let of_database = self.database_maintenance.get(database);
        if self.maintenance.is_empty() && of_database.is_none() {
            return Arc::default(); // no memory of its own
        }
        let windows = self.maintenance.iter();
        let windows = windows.chain(of_database.into_iter().flatten());
        windows.cloned().collect()
    }

    /// Whether a client with this certificate needs to prove nothing else.
    pub fn is_certificate_enough(
        &self,
        user: &str,
        names: &CertificateNames,
        origin: &Origin,
        database: &str,
        now: SystemTime,
    ) -> bool {
        let mut grants = self.grants.iter();
        grants.any(|grant| grant.is_for_certificate(user, names, origin, database, now))
    }

    /// When a grant may next begin or end: then it has to be asked again who is admitted.
    fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        let later = |time: &SystemTime| *time > now;
        self.grants
            .iter()
            .filter_map(|grant| grant.ends(now))
            .filter(later)
            .min()
    }
}

impl Admission {
    /// Who was admitted.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// From where.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// To what.
    pub fn database(&self) -> &DatabaseName {
        &self.database
    }

    /// As what.
    pub fn role(&self) -> &Arc<Role> {
        &self.role
    }

    /// Replaces a role that is the user's own by an equal one, which others have as well.
    pub fn share_own_role(&mut self, shared: impl FnOnce(&Arc<Role>) -> Arc<Role>) {
        if self.grant.is_none() {
            self.role = shared(&self.role);
        }
    }

    /// Whether the role is one of the settings, with a pool of its own; else it is the user's
    /// own, without rules.
    pub fn has_granted_role(&self) -> bool {
        self.grant.is_some()
    }

    /// By which grant, from 0; `None`: without one.
    pub fn grant(&self) -> Option<usize> {
        self.grant
    }

    /// When it has to be asked for anew; `None`: only after a reload.
    pub fn until(&self) -> Option<SystemTime> {
        self.until
    }

    /// When the database may only be read, whatever the role.
    pub fn maintenance(&self) -> &Arc<[Window]> {
        &self.maintenance
    }

    /// Whether nothing but reading is allowed at that time.
    pub fn is_read_only(&self, now: SystemTime) -> bool {
        self.role.is_read_only(now) || self.maintenance.iter().any(|window| window.contains(now))
    }

    /// Whether statements are judged at all.
    pub fn is_judged(&self) -> bool {
        self.role.has_rules() || !self.maintenance.is_empty()
    }
}
