//! From the settings of before to others: which pools and servers go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Key, Pools, State};
use crate::auth::names::DatabaseName;
use crate::pool::credentials::Credentials;
use crate::pool::pool::Pool;
use crate::pool::server::info::{Registry, ServerInfo};
use crate::pool::settings::{DatabaseSettings, PoolsSettings};

impl Pools {
    /// Takes over new settings. A pool for which nothing has changed goes on. Where only limits
    /// and times have changed, another takes its place and its servers; else its servers are
    /// closed, those that are lent when they come back.
    pub fn reload(&self, settings: PoolsSettings) {
        let mut state = self.state();
        let state = &mut *state;
        self.dns.reload(&settings.dns);
        let same = state.settings.users == settings.users && state.settings.tcp == settings.tcp;
        state.settings = settings;
        state.renew_automatic();
        state.renew_limits();
        for (key, pool) in std::mem::take(&mut state.pools) {
            let Some(database) = state.now(&key, &pool) else {
                if let Some(keys) = pool.workshop().credentials.client_keys() {
                    state.learned.insert(pool.user().clone(), keys);
                }
                pool.close();
                state.leave(key.database, pool.registry());
                continue;
            };
            let pool = if same && database.is_same(pool.database()) {
                pool
            } else {
                self.replace(state, &key, &pool, database)
            };
            state.pools.insert(key, pool);
        }
        let known: Vec<_> = state.known();
        let has_template = state.settings.template.is_some();
        let is_known = |name: &DatabaseName| has_template || known.iter().any(|d| d.name == *name);
        state.paused.retain(is_known);
        state.disabled.retain(is_known);
    }

    /// Puts another pool in the place of one.
    fn replace(
        &self,
        state: &mut State,
        key: &Key,
        old: &Pool,
        database: Arc<DatabaseSettings>,
    ) -> Arc<Pool> {
        let before = old.workshop();
        let credentials = match &database.server {
            Some(server) if old.database().server != database.server => {
                Arc::new(Credentials::new(server.user.clone(), server.secret.clone()))
            }
            Some(_) | None => before.credentials.clone(),
        };
        let goes_on = database.has_same_servers(old.database());
        let workshop = self.workshop(state, key, database, credentials, old.registry().clone());
        if goes_on {
            let next = before.target.next.load(Ordering::Relaxed);
            workshop.target.next.store(next, Ordering::Relaxed);
        } else {
            old.reconnect();
        }
        let new = Arc::new(Pool::new(workshop));
        if old.is_paused() {
            new.pause();
        }
        if goes_on {
            old.hand_over(&new);
        } else {
            old.close();
        }
        new
    }

    /// What is told of servers, of one database or all, those of pools of before included.
    pub(super) fn registries(&self, database: Option<&DatabaseName>) -> Vec<Arc<Registry>> {
        let state = self.state();
        let of_pools = state
            .pools
            .iter()
            .map(|(key, pool)| (&key.database, pool.registry()));
        let of_others = state
            .leaving
            .iter()
            .map(|(name, registry)| (name, registry));
        of_pools
            .chain(of_others)
            .filter(|(name, _)| database.is_none_or(|database| database == *name))
            .map(|(_, registry)| registry.clone())
            .collect()
    }

    /// Waits until there is no server, of one database or all, of which this holds, nor one
    /// that is being opened and would be. Cancel safe.
    pub(super) async fn none_left(
        &self,
        database: Option<&DatabaseName>,
        holds: impl Fn(Option<&ServerInfo>) -> bool,
    ) {
        loop {
            let changed = self.changed.notified();
            let any = self.registries(database).iter().any(|registry| {
                let servers = registry.snapshot();
                let any = servers.iter().any(|server| holds(Some(server)));
                any || (registry.logins() > 0 && holds(None))
            });
            if !any {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    /// Keeps in mind what is left of a pool that is gone, if anything is.
    pub(super) fn leave(&mut self, database: DatabaseName, registry: &Arc<Registry>) {
        if registry.logins() > 0 || !registry.is_empty() {
            self.leaving.push((database, registry.clone()));
        }
    }

    /// A pool's database as the settings have it now; `None`: nobody gets that pool any more.
    fn now(&mut self, key: &Key, pool: &Pool) -> Option<Arc<DatabaseSettings>> {
        let automatic = self.automatic.get(&key.database);
        let automatic = automatic.map(|made| made.settings.clone());
        let listed = self.settings.databases.get(&key.database).cloned();
        let database = listed.or(automatic)?;
        let (database, user) = key.needs.apply(&database, &self.settings, &key.user)?;
        let same_kind = database.server.is_some() == pool.database().server.is_some();
        (user == key.user && same_kind).then_some(database)
    }

    /// Changes the limits that pools share. Servers beyond a lower one stay.
    fn renew_limits(&mut self) {
        let gone: Vec<_> = self
            .databases
            .keys()
            .filter(|name| !self.is_there(name))
            .cloned()
            .collect();
        for name in gone {
            self.databases.remove(&name);
        }
        for (name, budget) in &self.databases {
            budget.set_limit(self.limit_of(name));
        }
        for (user, budget) in &self.users {
            budget.set_limit(self.settings.most_servers_of(user.as_str()));
        }
    }

    fn is_there(&self, name: &DatabaseName) -> bool {
        self.settings.databases.contains_key(name) || self.automatic.contains_key(name)
    }
}
