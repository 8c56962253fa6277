//! All pools of the process.

mod lookup;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::Keys;
use crate::auth::secret::Secret;
use crate::policy::admission::Admission;
use crate::policy::role::Role;
use crate::pool::budget::{Budget, MakeRoom};
use crate::pool::carried::CarriedServer;
use crate::pool::credentials::Credentials;
use crate::pool::manager::Workshop;
use crate::pool::needs::Needs;
use crate::pool::pool::Pool;
use crate::pool::server::info::Registry;
use crate::pool::settings::{DatabaseSettings, PoolsSettings};

/// The pools, each made when somebody first needs it.
#[derive(Debug)]
pub struct Pools {
    state: Mutex<State>,
    workers: usize,
    /// Clients of all databases.
    clients: Arc<AtomicUsize>,
    myself: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    settings: PoolsSettings,
    pools: HashMap<Key, Arc<Pool>>,
    databases: HashMap<DatabaseName, Arc<Budget>>,
    users: HashMap<UserName, Arc<Budget>>,
    clients: HashMap<DatabaseName, Arc<AtomicUsize>>,
    /// SCRAM keys that clients of pools of before have left: their sessions go on, and only a
    /// login would tell the keys again.
    learned: HashMap<UserName, Keys>,
    paused: Paused,
}

/// What PAUSE was asked for: pools made later are paused as well.
#[derive(Debug, Default)]
struct Paused {
    all: bool,
    databases: HashSet<DatabaseName>,
}

impl Paused {
    fn holds(&self, database: &DatabaseName) -> bool {
        self.all || self.databases.contains(database)
    }
}

/// What makes servers interchangeable. The server's start-up parameters belong to the database.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    database: DatabaseName,
    user: UserName,
    needs: Needs,
}

/// Nobody has heard of the database.
#[derive(Debug, thiserror::Error)]
#[error("no such database: {0}")]
pub struct NoSuchDatabase(pub DatabaseName);

impl Pools {
    /// No pools yet.
    pub fn new(settings: PoolsSettings, workers: usize) -> Arc<Self> {
        let state = Mutex::new(State {
            settings,
            ..State::default()
        });
        Arc::new_cyclic(|myself| Self {
            state,
            workers,
            clients: Arc::default(),
            myself: myself.clone(),
        })
    }

    /// The pool for somebody who was admitted to a database.
    ///
    /// `secret` is what the users file knows of the user, for servers opened in its name.
    ///
    /// # Errors
    /// The database is not in the settings.
    pub fn pool_for(
        &self,
        admission: &Admission,
        replication: Option<&str>,
        secret: Option<Arc<Secret>>,
    ) -> Result<Arc<Pool>, NoSuchDatabase> {
        let needs = Needs::of(admission, replication, SystemTime::now());
        let mut state = self.state();
        let name = admission.database();
        let database = state
            .settings
            .databases
            .get(name)
            .cloned()
            .ok_or_else(|| NoSuchDatabase(name.clone()))?;
        let no_role = || NoSuchDatabase(name.clone()); // a reload has just removed it
        let database = needs
            .apply(&database, &state.settings.roles)
            .ok_or_else(no_role)?;
        let (user, secret) = match &database.server {
            Some(server) => (server.user.clone(), server.secret.clone()),
            None => (admission.identity().user().clone(), secret),
        };
        let key = Key {
            database: name.clone(),
            user: user.clone(),
            needs,
        };
        if let Some(pool) = state.pools.get(&key) {
            return Ok(pool.clone());
        }
        let own = database.server.is_none();
        let credentials = Credentials::new(user, secret);
        if own && let Some(keys) = state.learned.get(credentials.user()) {
            credentials.learn(keys.clone());
        }
        let pool = self.make(&mut state, database, credentials);
        state.pools.insert(key, pool.clone());
        Ok(pool)
    }

    /// The idle servers of all pools whose clients need nothing of their own, for another process.
    pub fn carry_idle(&self) -> Vec<CarriedServer> {
        let state = self.state();
        let plain = state
            .pools
            .iter()
            .filter(|(key, _)| key.needs == Needs::default());
        plain.flat_map(|(_, pool)| pool.carry_idle()).collect()
    }

    /// The pool for an idle server of another process. `None`: there is none for it any more.
    pub fn pool_of(
        &self,
        database: &DatabaseName,
        user: &UserName,
        secret: Option<Arc<Secret>>,
    ) -> Option<Arc<Pool>> {
        let mut state = self.state();
        let database = state.settings.databases.get(database)?.clone();
        let secret = match &database.server {
            Some(server) if server.user == *user => server.secret.clone(),
            Some(_) => return None,
            None => secret,
        };
        let key = Key {
            database: database.name.clone(),
            user: user.clone(),
            needs: Needs::default(),
        };
        if let Some(pool) = state.pools.get(&key) {
            return Some(pool.clone());
        }
        let pool = self.make(&mut state, database, Credentials::new(user.clone(), secret));
        state.pools.insert(key, pool.clone());
        Some(pool)
    }

    /// Makes the pools that are kept filled whether or not anybody comes: those with a
    /// `min_size` and one user for all clients.
    pub fn prewarm(&self) {
        let mut state = self.state();
        let wanted: Vec<_> = state
            .settings
            .databases
            .values()
            .filter(|database| database.pool.min_size > 0)
            .filter_map(|database| Some((database.clone(), database.server.clone()?)))
            .collect();
        for (database, server) in wanted {
            let key = Key {
                database: database.name.clone(),
                user: server.user.clone(),
                needs: Needs::default(),
            };
            if !state.pools.contains_key(&key) {
                let pool = self.make(
                    &mut state,
                    database,
                    Credentials::new(server.user, server.secret),
                );
                state.pools.insert(key, pool);
            }
        }
    }

    /// The pools of a role that may only read, one for each database, whether or not anybody has
    /// used them; without those in which every client has its own server user.
    pub fn of_reader(&self, role: &Role) -> Vec<Arc<Pool>> {
        let needs = Needs::of_reader(role);
        let mut state = self.state();
        let databases: Vec<_> = state.settings.databases.values().cloned().collect();
        let mut pools = Vec::new();
        for database in databases {
            let Some(database) = needs.apply(&database, &state.settings.roles) else {
                continue;
            };
            let Some(server) = database.server.clone() else {
                continue;
            };
            let key = Key {
                database: database.name.clone(),
                user: server.user.clone(),
                needs: needs.clone(),
            };
            let known = state.pools.get(&key).cloned();
            pools.push(known.unwrap_or_else(|| {
                let credentials = Credentials::new(server.user, server.secret);
                let pool = self.make(&mut state, database, credentials);
                state.pools.insert(key, pool.clone());
                pool
            }));
        }
        pools
    }

    /// Takes over new settings. Pools whose servers would be the same go on; others are closed,
    /// and made anew for who comes next.
    pub fn reload(&self, settings: PoolsSettings) {
        let mut state = self.state();
        let state = &mut *state;
        let old = std::mem::take(&mut state.settings);
        let same_limit = |user: &UserName| {
            old.most_servers_of(user.as_str()) == settings.most_servers_of(user.as_str())
        };
        state.users.retain(|user, _| same_limit(user));
        state.pools.retain(|key, pool| {
            let same_user = same_limit(pool.user());
            let same = settings
                .databases
                .get(&key.database)
                .and_then(|new| key.needs.apply(new, &settings.roles))
                .is_some_and(|new| new.has_same_servers(pool.database()));
            if !(same && same_user) {
                if let Some(keys) = pool.workshop().credentials.client_keys() {
                    state.learned.insert(pool.user().clone(), keys);
                }
                pool.close();
            }
            same && same_user
        });
        state.databases.retain(|name, budget| {
            settings
                .databases
                .get(name)
                .is_some_and(|new| new.max_connections == budget.limit())
        });
        state
            .paused
            .databases
            .retain(|name| settings.databases.contains_key(name));
        state.settings = settings;
    }

    /// Stops lending servers of one database, or of all: also those of pools made later.
    pub fn pause(&self, database: Option<&DatabaseName>) {
        let mut state = self.state();
        match database {
            None => state.paused.all = true,
            Some(name) => drop(state.paused.databases.insert(name.clone())),
        }
        for pool in state.pools.values() {
            if state.paused.holds(pool.database_name()) && !pool.is_paused() {
                pool.pause();
            }
        }
    }

    /// Undoes [`Self::pause`] of one database, or that of all; a database paused by name stays so
    /// until it is resumed by name. False if there was nothing to undo.
    pub fn resume(&self, database: Option<&DatabaseName>) -> bool {
        let mut state = self.state();
        let undone = match database {
            None => std::mem::take(&mut state.paused.all),
            Some(name) => state.paused.databases.remove(name),
        };
        for pool in state.pools.values() {
            if !state.paused.holds(pool.database_name()) && pool.is_paused() {
                pool.resume();
            }
        }
        undone
    }

    /// Whether [`Self::pause`] holds for one database, by its name or for all; or for all.
    pub fn is_paused(&self, database: Option<&DatabaseName>) -> bool {
        let state = self.state();
        database.map_or(state.paused.all, |name| state.paused.holds(name))
    }

    /// A place for a client that has proved who it is: under the limit of the process and of
    /// its database.
    ///
    /// # Errors
    /// There is none left.
    pub fn client_place(
        &self,
        database: &DatabaseSettings,
        max_clients: usize,
    ) -> Result<ClientPlace, NoPlace> {
        let of_database = self
            .state()
            .clients
            .entry(database.name.clone())
            .or_default()
            .clone();
        let of_all = Count::below(&self.clients, Some(max_clients)).ok_or(NoPlace::Process)?;
        let of_database =
            Count::below(&of_database, database.max_clients).ok_or(NoPlace::Database)?;
        Ok(ClientPlace {
            _of_all: of_all,
            _of_database: of_database,
        })
    }

    /// Clients that have a place: of all databases, or of one.
    pub fn clients(&self, database: Option<&DatabaseName>) -> usize {
        match database {
            None => self.clients.load(Ordering::Relaxed),
            Some(name) => self
                .state()
                .clients
                .get(name)
                .map_or(0, |count| count.load(Ordering::Relaxed)),
        }
    }

    /// Whether a database is in the settings.
    pub fn has_database(&self, name: &str) -> bool {
        self.state().settings.databases.contains_key(name)
    }

    /// The databases in the settings, by name.
    pub fn databases(&self) -> Vec<Arc<DatabaseSettings>> {
        self.state().settings.databases.values().cloned().collect()
    }

    /// All pools, by database and user.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        let mut pools: Vec<_> = self.state().pools.values().cloned().collect();
        pools.sort_by(|a, b| (a.database_name(), a.user()).cmp(&(b.database_name(), b.user())));
        pools
    }

    fn make(
        &self,
        state: &mut State,
        database: Arc<DatabaseSettings>,
        credentials: Credentials,
    ) -> Arc<Pool> {
        let budgets = [
            state.database_budget(&database),
            state.user_budget(credentials.user()),
        ];
        let paused = state.paused.holds(&database.name);
        let workshop = Workshop::new(
            database,
            credentials,
            budgets,
            self.myself.clone() as Weak<dyn MakeRoom>,
            self.workers,
        );
        let pool = Arc::new(Pool::new(workshop));
        if paused {
            pool.pause();
        }
        pool
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MakeRoom for Pools {
    fn evict(&self, budget: &Arc<Budget>, but_not: &Arc<Registry>) {
        let sharing: Vec<_> = self
            .all()
            .into_iter()
            .filter(|pool| !Arc::ptr_eq(pool.registry(), but_not))
            .filter(|pool| {
                pool.workshop()
                    .budgets
                    .iter()
                    .any(|b| Arc::ptr_eq(b, budget))
            })
            .collect();
        let oldest = sharing
            .iter()
            .filter_map(|pool| Some((pool.oldest_idle()?, pool)))
            .min_by_key(|(used, _)| *used);
        if let Some((used, pool)) = oldest
            && pool.evict(used)
        {
            tracing::info!(database = %pool.database_name(), user = %pool.user(), "idle server evicted");
        }
    }
}

/// A client's place; given up when dropped.
#[derive(Debug)]
pub struct ClientPlace {
    _of_all: Count,
    _of_database: Count,
}

/// There is no place for another client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoPlace {
    /// In the database.
    #[error("no more connections allowed (max_clients of the database)")]
    Database,
    /// In the process.
    #[error("no more connections allowed (clients.max)")]
    Process,
}

/// One of a number that has a limit.
#[derive(Debug)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn below(counter: &Arc<AtomicUsize>, limit: Option<usize>) -> Option<Self> {
        let one = Self(counter.clone());
        let before = counter.fetch_add(1, Ordering::Relaxed);
        // Over the limit `one` is dropped, which counts it out again.
        (before < limit.unwrap_or(usize::MAX)).then_some(one)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn database_budget(&mut self, database: &DatabaseSettings) -> Arc<Budget> {
        self.databases
            .entry(database.name.clone())
            .or_insert_with(|| Arc::new(Budget::new(database.max_connections)))
            .clone()
    }

    fn user_budget(&mut self, user: &UserName) -> Arc<Budget> {
        let limit = self.settings.most_servers_of(user.as_str());
        self.users
            .entry(user.clone())
            .or_insert_with(|| Arc::new(Budget::new(limit)))
            .clone()
    }
}
