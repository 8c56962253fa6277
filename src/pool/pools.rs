//! All pools of the process.

mod automatic;
mod lookup;
mod places;
mod reload;
mod switches;
#[cfg(test)]
mod tests;
mod trial;
mod upkeep;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use tokio::sync::{Notify, Semaphore};

use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::Keys;
use crate::auth::secret::Secret;
use crate::policy::admission::Admission;
use crate::policy::role::Role;
use crate::pool::budget::{Budget, Neighbours};
use crate::pool::carried::CarriedServer;
use crate::pool::credentials::Credentials;
use crate::pool::dns::{self, Dns};
use crate::pool::needs::Needs;
use crate::pool::pool::{Member, Pool};
use crate::pool::pools::automatic::Automatic;
use crate::pool::pools::switches::Paused;
use crate::pool::replication::Replication;
use crate::pool::server::connect::Target;
use crate::pool::server::info::Registry;
use crate::pool::settings::{DatabaseSettings, PoolSettings, PoolsSettings};
use crate::pool::timeouts::Timeouts;
use crate::pool::workshop::{Surroundings, Workshop};

pub use places::{ClientPlace, ConsolePlace, NoPlace};

/// The pools, each made when somebody first needs it.
#[derive(Debug)]
pub struct Pools {
    state: Mutex<State>,
    workers: usize,
    /// Clients of all databases.
    clients: Arc<AtomicUsize>,
    /// Clients of the console.
    console: Arc<AtomicUsize>,
    dns: Arc<Dns>,
    /// Places of databases on trial.
    trials: Arc<Semaphore>,
    /// Told when a server is closed or a login has ended.
    changed: Arc<Notify>,
    myself: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    settings: PoolsSettings,
    /// Databases that nobody listed.
    automatic: BTreeMap<DatabaseName, Automatic>,
    pools: HashMap<Key, Arc<Pool>>,
    databases: HashMap<DatabaseName, Arc<Budget>>,
    users: HashMap<UserName, Arc<Budget>>,
    /// Of each pool without its replication clients.
    sizes: HashMap<Key, Arc<Budget>>,
    clients: HashMap<DatabaseName, Arc<AtomicUsize>>,
    /// SCRAM keys that clients of pools of before have left: their sessions go on, and only a
    /// login would tell the keys again.
    learned: HashMap<UserName, Keys>,
    paused: Paused,
    disabled: HashSet<DatabaseName>,
    /// What is left of pools that are gone.
    leaving: Vec<(DatabaseName, Arc<Registry>)>,
    warned_of_strangers: Option<Instant>,
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
        let dns = Arc::new(Dns::new(settings.dns.clone()));
        let state = Mutex::new(State {
            settings,
            ..State::default()
        });
        Arc::new_cyclic(|myself| {
            dns.tell(myself.clone() as Weak<dyn Neighbours>);
            Self {
                state,
                workers,
                clients: Arc::default(),
                console: Arc::default(),
                dns,
                trials: Arc::new(Semaphore::new(trial::MOST_TRIALS)),
                changed: Arc::default(),
                myself: myself.clone(),
            }
        })
    }

    /// The pool for somebody who was admitted to a database. A database that nobody listed is
    /// made from the template, if there is one.
    ///
    /// `secret` is what the users file knows of the user, for servers opened in its name.
    ///
    /// # Errors
    /// The database is not in the settings.
    pub fn pool_for(
        &self,
        admission: &Admission,
        replication: Option<&Replication>,
        secret: Option<Arc<Secret>>,
    ) -> Result<Member, NoSuchDatabase> {
        let needs = Needs::of(admission, replication, SystemTime::now());
        let mut state = self.state();
        let name = admission.database();
        let no_database = || NoSuchDatabase(name.clone());
        let database = state.find(name).ok_or_else(no_database)?;
        let (database, user) = needs
            .apply(&database, &state.settings, admission.identity().user())
            .ok_or_else(no_database)?; // a reload has just removed its role
        let key = Key {
            database: name.clone(),
            user: user.clone(),
            needs,
        };
        if let Some(pool) = state.pools.get(&key) {
            return Ok(Member::new(pool.clone()));
        }
        let credentials = match &database.server {
            Some(server) => Credentials::new(user, server.secret.clone()),
            None => {
                let own = Credentials::new(user, secret);
                if let Some(keys) = state.learned.get(own.user()) {
                    own.learn(keys.clone());
                }
                own
            }
        };
        let pool = self.add(&mut state, key, database, credentials);
        Ok(Member::new(pool))
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
        let database = state.find(database)?;
        let needs = Needs::default();
        let (database, server_user) = needs.apply(&database, &state.settings, user)?;
        if server_user != *user {
            return None;
        }
        let secret = match &database.server {
            Some(server) => server.secret.clone(),
            None => secret,
        };
        let key = Key {
            database: database.name.clone(),
            user: user.clone(),
            needs,
        };
        if let Some(pool) = state.pools.get(&key) {
            return Some(pool.clone());
        }
        let credentials = Credentials::new(user.clone(), secret);
        Some(self.add(&mut state, key, database, credentials))
    }

    /// Forgets the pool of a replication client that is gone.
    pub fn forget_replication(&self, client: u64) {
        let mut state = self.state();
        let mut gone = Vec::new();
        state.pools.retain(|key, pool| {
            let its = key.needs.is_replication_of(client);
            if its {
                gone.push((key.database.clone(), pool.clone()));
            }
            !its
        });
        for (database, pool) in gone {
            pool.close();
            state.leave(database, pool.registry());
        }
    }

    /// How long what somebody does who was admitted to a database may last, by the settings as
    /// they are now; `None`: they do not know the database any more.
    pub fn timeouts(&self, admission: &Admission) -> Option<Timeouts> {
        let needs = Needs::of(admission, None, SystemTime::now());
        let mut state = self.state();
        let database = state.find(admission.database())?;
        let login = admission.identity().user();
        let (database, _) = needs.apply(&database, &state.settings, login)?;
        let login = state.settings.users.get(login.as_str());
        Some(Timeouts::new(&database.pool, login))
    }

    /// The pools of a role that may only read, one for each database, whether or not anybody has
    /// used them; without those in which every client has its own server user.
    pub fn of_reader(&self, role: &Role) -> Vec<Arc<Pool>> {
        let needs = Needs::of_reader(role);
        let mut state = self.state();
        let databases = state.known();
        let of = |database| self.of_all_clients(&mut state, &database, &needs);
        databases.into_iter().filter_map(of).collect()
    }

    /// Whether clients can ask for a database: it is listed, or all are known.
    pub fn has_database(&self, name: &str) -> bool {
        let settings = &self.state().settings;
        settings.template.is_some() || settings.databases.contains_key(name)
    }

    /// The user that all clients of a database have at its servers; `None`: each has its own, or
    /// nobody knows the database.
    pub fn server_user_of(&self, database: &str) -> Option<UserName> {
        let settings = &self.state().settings;
        let listed = settings.databases.get(database);
        let found = listed.or(settings.template.as_ref())?;
        Some(found.server.as_ref()?.user.clone())
    }

    /// Most clients who may be logged in as a user, if the user has settings that say so.
    pub fn max_clients_of(&self, user: &UserName) -> Option<usize> {
        self.state().settings.users.get(user)?.max_clients
    }

    /// The databases there are, by name: the listed ones, and those made from the template.
    pub fn databases(&self) -> Vec<Arc<DatabaseSettings>> {
        self.state().known()
    }

    /// All pools, by database and user.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        let mut pools: Vec<_> = self.state().pools.values().cloned().collect();
        pools.sort_by(|a, b| (a.database_name(), a.user()).cmp(&(b.database_name(), b.user())));
        pools
    }

    /// Host names that have been looked up, by name.
    pub fn dns_hosts(&self) -> Vec<dns::HostRow> {
        self.dns.rows()
    }

    /// Zones whose serial numbers are looked at, by name.
    pub fn dns_zones(&self) -> Vec<dns::ZoneRow> {
        self.dns.zones()
    }

    /// The pool of a database's that has one server user for all clients, and needs this.
    fn of_all_clients(
        &self,
        state: &mut State,
        database: &Arc<DatabaseSettings>,
        needs: &Needs,
    ) -> Option<Arc<Pool>> {
        let nobody = UserName::new("");
        let (database, user) = needs.apply(database, &state.settings, &nobody)?;
        let secret = database.server.as_ref()?.secret.clone();
        let key = Key {
            database: database.name.clone(),
            user: user.clone(),
            needs: needs.clone(),
        };
        if let Some(known) = state.pools.get(&key) {
            return Some(known.clone());
        }
        Some(self.add(state, key, database, Credentials::new(user, secret)))
    }

    fn add(
        &self,
        state: &mut State,
        key: Key,
        database: Arc<DatabaseSettings>,
        credentials: Credentials,
    ) -> Arc<Pool> {
        let registry = Arc::new(Registry::new(self.workers, self.changed.clone()));
        let workshop = self.workshop(state, &key, database, Arc::new(credentials), registry);
        let pool = Arc::new(Pool::new(workshop));
        if state.paused.holds(&key.database) {
            pool.pause();
        }
        state.pools.insert(key, pool.clone());
        pool
    }

    fn workshop(
        &self,
        state: &mut State,
        key: &Key,
        database: Arc<DatabaseSettings>,
        credentials: Arc<Credentials>,
        registry: Arc<Registry>,
    ) -> Workshop {
        registry.close_fast(database.pool.server_fast_close);
        let budgets = [
            state.size_budget(key, &database.pool),
            state.database_budget(&database.name),
            state.user_budget(credentials.user()),
        ];
        let target = Target {
            hosts: database.hosts.clone(),
            tls: database.tls.clone(),
            timeout: database.pool.server_connect_timeout,
            tcp: state.settings.tcp,
            dns: self.dns.clone(),
            next: AtomicUsize::new(0),
        };
        let pools = self.myself.clone() as Weak<dyn Neighbours>;
        let surroundings = Surroundings {
            registry,
            budgets,
            pools,
            users: state.settings.users.clone(),
        };
        Workshop::new(database, credentials, target, surroundings)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Neighbours for Pools {
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

    fn moved(&self, host: &str, gone: &[IpAddr]) {
        let registries: Vec<_> = self.registries(None);
        for server in registries.iter().flat_map(|registry| registry.snapshot()) {
            let at = server.place.address().map(|address| address.ip());
            if server.place.host == host && at.is_some_and(|at| gone.contains(&at)) {
                server.make_obsolete();
            }
        }
        for pool in self.all() {
            pool.close_obsolete();
        }
    }
}

impl State {
    fn database_budget(&mut self, name: &DatabaseName) -> Arc<Budget> {
        let limit = self.limit_of(name);
        self.databases
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Budget::new(limit)))
            .clone()
    }

    /// Most servers of a database.
    fn limit_of(&self, name: &DatabaseName) -> Option<usize> {
        let automatic = || self.automatic.get(name).map(|made| &made.settings);
        let database = self.settings.databases.get(name).or_else(automatic)?;
        database.max_connections
    }

    /// The places of a pool's own servers and of those of its replication clients.
    fn size_budget(&mut self, key: &Key, pool: &PoolSettings) -> Arc<Budget> {
        let limit = (pool.size > 0).then(|| pool.size.saturating_add(pool.reserve_size));
        let key = Key {
            needs: key.needs.without_replication(),
            ..key.clone()
        };
        let budget = self
            .sizes
            .entry(key)
            .or_insert_with(|| Arc::new(Budget::new(limit)));
        budget.set_limit(limit);
        budget.clone()
    }

    fn user_budget(&mut self, user: &UserName) -> Arc<Budget> {
        let limit = self.settings.most_servers_of(user.as_str());
        self.users
            .entry(user.clone())
            .or_insert_with(|| Arc::new(Budget::new(limit)))
            .clone()
    }
}
