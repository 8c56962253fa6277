//! Databases that nobody listed, made from the template when somebody asks for them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::trial::Place;
use super::{Pools, State};
use crate::auth::names::DatabaseName;
use crate::pool::lines;
use crate::pool::settings::DatabaseSettings;

/// A database that was made from the template.
#[derive(Debug)]
pub(super) struct Automatic {
    pub(super) settings: Arc<DatabaseSettings>,
    /// When it was last seen to have clients or servers.
    pub(super) used: Instant,
    /// Held by those who look users up in it, with the last of whom it goes. `None`: it stays,
    /// because somebody was let in to it.
    pub(super) trial: Option<Weak<Place>>,
}

impl Pools {
    /// Whether a database was made from the template.
    pub fn is_automatic(&self, database: &DatabaseName) -> bool {
        self.state().automatic.contains_key(database)
    }
}

impl State {
    /// All databases there are, by name.
    pub(super) fn known(&self) -> Vec<Arc<DatabaseSettings>> {
        let made = self.automatic.values().map(|made| &made.settings);
        let mut known: Vec<_> = self
            .settings
            .databases
            .values()
            .chain(made)
            .cloned()
            .collect();
        known.sort_by(|a, b| a.name.cmp(&b.name));
        known
    }

    /// A database, which is made if there is a template, and stays.
    pub(super) fn find(&mut self, name: &DatabaseName) -> Option<Arc<DatabaseSettings>> {
        if let Some(listed) = self.settings.databases.get(name) {
            return Some(listed.clone());
        }
        if !self.automatic.contains_key(name) {
            self.make(name, None)?;
            registered(name);
        }
        let made = self.automatic.get_mut(name)?;
        made.used = Instant::now();
        if made.trial.take().is_some() {
            registered(name);
        }
        Some(made.settings.clone())
    }

    /// A database in which users are looked up: that is no reason for it to stay once it is on
    /// trial.
    pub(super) fn look(&mut self, name: &DatabaseName) -> Option<Arc<DatabaseSettings>> {
        if self.is_on_trial(name) {
            return Some(self.automatic.get(name)?.settings.clone());
        }
        self.find(name)
    }

    /// Whether a database is gone when the lookups in it are over, unless somebody is let in.
    pub(super) fn is_on_trial(&self, name: &DatabaseName) -> bool {
        let made = self.automatic.get(name);
        made.is_some_and(|made| made.trial.is_some())
    }

    /// Makes a database from the template, if there is one.
    pub(super) fn make(&mut self, name: &DatabaseName, trial: Option<Weak<Place>>) -> Option<()> {
        let made = Automatic {
            settings: named(self.settings.template.as_ref()?, name),
            used: Instant::now(),
            trial,
        };
        self.automatic.insert(name.clone(), made);
        Some(())
    }

    /// Makes the databases anew after a reload: the template may be another, or gone, and what
    /// was made from it may be listed now.
    pub(super) fn renew_automatic(&mut self) {
        let Some(template) = &self.settings.template else {
            self.automatic.clear();
            return;
        };
        let listed = &self.settings.databases;
        self.automatic.retain(|name, _| !listed.contains_key(name));
        for (name, made) in &mut self.automatic {
            made.settings = named(template, name);
        }
    }

    /// Forgets the databases that nobody has used for as long as the settings say, and their
    /// pools.
    pub(super) fn forget_automatic(&mut self, now: Instant) {
        let Some(limit) = self.settings.autodb_idle_timeout else {
            return;
        };
        let mut unused = Vec::new();
        for (name, made) in &mut self.automatic {
            let of_it = |key: &super::Key| key.database == *name;
            let mut pools = self.pools.iter().filter(|(key, _)| of_it(key));
            let clients = self.clients.get(name);
            let has_clients = clients.is_some_and(|count| count.load(Ordering::Relaxed) > 0);
            if has_clients || pools.any(|(_, pool)| pool.is_in_use()) {
                made.used = now;
            } else if now.duration_since(made.used) >= limit {
                unused.push(name.clone());
            }
        }
        for name in unused {
            tracing::info!(database = %name, "auto-database forgotten");
            self.forget(&name);
        }
    }

    /// Forgets a database that was made from the template, and its pools.
    pub(super) fn forget(&mut self, name: &DatabaseName) {
        self.automatic.remove(name);
        self.databases.remove(name);
        self.clients.remove(name);
        let mut gone = Vec::new();
        self.pools.retain(|key, pool| {
            let stays = key.database != *name;
            if !stays {
                gone.push(pool.clone());
            }
            stays
        });
        for pool in gone {
            pool.close();
            self.leave(name.clone(), pool.registry());
        }
    }
}

fn registered(name: &DatabaseName) {
    tracing::info!(target: lines::PLAIN, "registered new auto-database: {name}");
}

/// The template under a name, which is also what the server calls it unless the template says.
fn named(template: &DatabaseSettings, name: &DatabaseName) -> Arc<DatabaseSettings> {
    let mut made = template.clone();
    if made.dbname == template.name.as_str() {
        made.dbname = name.to_string();
    }
    made.name = name.clone();
    Arc::new(made)
}
