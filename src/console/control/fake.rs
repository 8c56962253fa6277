//! A process for tests: two databases, whatever clients a test puts in, and a log of what was
//! asked of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::{
    Answer, Changed, ClientRow, Control, Descriptor, PeerRow, SettingRow, ShutdownMode, UserRow,
};
use crate::auth::identity::Identity;
use crate::auth::names::{DatabaseName, UserName};
use crate::policy::admission::Policy;
use crate::policy::grant::Origin;
use crate::pool::settings::lookup::Lookup;
use crate::pool::settings::users::UserPool;
use crate::pool::settings::{
    DatabaseSettings, PoolMode, PoolSettings, PoolsSettings, ServerAddress, ServerCredentials,
    ServerTls,
};
use crate::pool::{Pool, Pools};
use crate::session::audit::Who;
use crate::session::denials::Denials;
use crate::session::stats::LoginStats;
use crate::session::usage::Usages;

pub(crate) struct FakeControl {
    pub(crate) pools: Arc<Pools>,
    pub(crate) logins: Arc<LoginStats>,
    pub(crate) policy: Mutex<Arc<Policy>>,
    pub(crate) denials: Denials,
    usages: Usages,
    pub(crate) clients: Mutex<Vec<ClientRow>>,
    pub(crate) problems: Mutex<Vec<String>>,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) suspended: AtomicBool,
    /// A SUSPEND never comes to its end.
    pub(crate) never_still: AtomicBool,
    /// Where the servers of `silent` listen: connections are taken and never answered.
    silent: std::net::TcpListener,
}

impl FakeControl {
    /// Databases `shop`, where everybody is `owner`, and `ledger`, where everybody is himself.
    /// Nothing listens for them.
    pub(crate) fn new() -> Arc<Self> {
        let owner = ServerCredentials {
            user: UserName::new("owner"),
            secret: None,
        };
        let databases = [database("shop", Some(owner)), database("ledger", None)];
        let settings = PoolsSettings {
            databases: databases
                .into_iter()
                .map(|d| (d.name.clone(), Arc::new(d)))
                .collect(),
            ..PoolsSettings::default()
        };
        Arc::new(Self {
            pools: Pools::new(settings, 1),
            logins: Arc::default(),
            policy: Mutex::default(),
            denials: Denials::default(),
            usages: Usages::default(),
            clients: Mutex::default(),
            problems: Mutex::default(),
            log: Mutex::default(),
            suspended: AtomicBool::new(false),
            never_still: AtomicBool::new(false),
            silent: std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        })
    }

    /// The pool that a user of a database gets.
    pub(crate) fn pool(&self, database: &str, user: &str) -> Arc<Pool> {
        let identity = Identity::trusted(UserName::new(user));
        let database = DatabaseName::new(database);
        let now = std::time::SystemTime::UNIX_EPOCH;
        let admission = Policy::default().admit(identity, Origin::default(), database, now);
        let admission = admission.unwrap();
        let member = self.pools.pool_for(&admission, None, None).unwrap();
        member.pool().clone()
    }

    /// The pool of one more database, whose server never answers.
    pub(crate) fn silent_pool(&self, name: &str) -> Arc<Pool> {
        let port = self.silent.local_addr().unwrap().port();
        let mut silent = database(name, None);
        silent.hosts = ServerAddress::Tcp("127.0.0.1".into(), port).into();
        let mut databases = self.pools.databases();
        databases.push(Arc::new(silent));
        self.pools.reload(PoolsSettings {
            databases: databases.into_iter().map(|d| (d.name.clone(), d)).collect(),
            ..PoolsSettings::default()
        });
        self.pool(name, "ann")
    }

    pub(crate) fn add_client(&self, id: u64, names: (&str, &str), state: &'static str, secs: u64) {
        let (database, user) = names;
        let databases = self.pools.databases();
        let forced = databases.iter().find(|d| d.name.as_str() == database);
        let forced = forced.and_then(|d| d.server.as_ref());
        let pool_user = forced
            .map_or(user, |server| server.user.as_str())
            .to_owned();
        self.clients.lock().unwrap().push(ClientRow {
            id,
            user: user.into(),
            database: database.into(),
            replication: "none",
            state,
            address: "127.0.0.1:5000".into(),
            local_address: "127.0.0.1:6432".into(),
            connected: SystemTime::UNIX_EPOCH,
            in_state: Duration::from_secs(secs),
            server: 0,
            server_pid: 0,
            tls: String::new(),
            application_name: "psql".into(),
            prepared: 3,
            role: user.into(),
            pool_user,
            grant: None,
            until: None,
            who: Who::default(),
        });
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn set_now(&self, key: &str, value: &str) -> Result<Changed, Vec<String>> {
        if key == "pool_size" {
            self.note(format!("set {key} to {value}"));
            return Ok(Changed::Now);
        }
        if key == "client_tls_sslmode" {
            return Ok(Changed::Waits(vec!["expected a certificate".into()]));
        }
        Err(vec![format!("{key}: unknown key")])
    }
}

impl Control for FakeControl {
    fn policy(&self) -> Arc<Policy> {
        self.policy.lock().unwrap().clone()
    }

    fn denials(&self) -> &Denials {
        &self.denials
    }

    fn usages(&self) -> &Usages {
        &self.usages
    }

    fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    fn logins(&self) -> &Arc<LoginStats> {
        &self.logins
    }

    fn clients(&self) -> Answer<'_, Vec<ClientRow>> {
        Box::pin(async { self.clients.lock().unwrap().clone() })
    }

    fn settings(&self) -> Vec<SettingRow> {
        vec![SettingRow {
            key: "pool.size".into(),
            value: "30".into(),
            default: "20".into(),
            changeable: true,
        }]
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Answer<'a, Result<Changed, Vec<String>>> {
        Box::pin(std::future::ready(self.set_now(key, value)))
    }

    fn suspend(&self) -> Answer<'_, ()> {
        self.suspended.store(true, Ordering::SeqCst);
        if self.never_still.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(()))
    }

    fn unsuspend(&self) -> bool {
        self.suspended.swap(false, Ordering::SeqCst)
    }

    fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::SeqCst)
    }

    fn peers(&self) -> Vec<PeerRow> {
        vec![PeerRow {
            id: 2,
            host: "peer.example".into(),
            port: 6433,
            pool_size: 5,
            sv_active_cancel: 1,
            ..PeerRow::default()
        }]
    }

    fn descriptors(&self) -> Answer<'_, Vec<Descriptor>> {
        Box::pin(std::future::ready(vec![Descriptor {
            fd: 9,
            task: "client",
            user: "ann".into(),
            database: "shop".into(),
            address: "10.0.0.1:5000".into(),
            cancel: u64::MAX,
            link: 0,
            client_encoding: "UTF8".into(),
            std_strings: "on".into(),
            datestyle: String::new(),
            timezone: "GMT".into(),
            password: None,
            scram_keys: Some((vec![0, 255], vec![1])),
        }]))
    }

    fn users(&self) -> Vec<UserRow> {
        vec![UserRow {
            name: "ann".into(),
            max_connections: Some(7),
            max_clients: Some(9),
            pool: UserPool {
                mode: Some(PoolMode::Session),
                size: Some(3),
                ..UserPool::default()
            },
        }]
    }

    fn reload(&self) -> Answer<'_, Result<(), Vec<String>>> {
        Box::pin(async {
            let problems = self.problems.lock().unwrap().clone();
            if problems.is_empty() {
                Ok(())
            } else {
                Err(problems)
            }
        })
    }

    fn kill_client(&self, id: u64) -> Answer<'_, bool> {
        Box::pin(async move { self.clients.lock().unwrap().iter().any(|c| c.id == id) })
    }

    fn kill_clients_of(&self, database: Option<&str>) -> Answer<'_, ()> {
        self.note(format!("kill clients of {database:?}"));
        Box::pin(async {})
    }

    fn shutdown(&self, mode: ShutdownMode) {
        self.note(format!("shutdown {mode:?}"));
    }

    fn is_shutting_down(&self) -> bool {
        self.log().iter().any(|line| line.starts_with("shutdown"))
    }
}

fn database(name: &str, server: Option<ServerCredentials>) -> DatabaseSettings {
    DatabaseSettings {
        name: DatabaseName::new(name),
        hosts: ServerAddress::Tcp("db.example".into(), 5433).into(),
        connect_query: None,
        lookup: Lookup::default(),
        dbname: format!("{name}_db"),
        server,
        max_connections: Some(50),
        max_clients: None,
        startup_parameters: Default::default(),
        pool: PoolSettings::default(),
        tls: ServerTls::default(),
    }
}
