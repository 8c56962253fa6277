//! How deadpool makes servers and decides whether one may be lent again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::pool::budget::Budget;
use crate::pool::credentials::Credentials;
use crate::pool::error::ConnectError;
use crate::pool::pools::Pools;
use crate::pool::replies::Replies;
use crate::pool::server::connect::Target;
use crate::pool::server::info::{Registry, ServerInfo};
use crate::pool::server::login::{LoggedIn, log_in};
use crate::pool::server::reset::Soil;
use crate::pool::server::{Server, Unnamed};
use crate::pool::settings::DatabaseSettings;
use crate::pool::statement::OnServer;
use crate::pool::tracked::Tracked;
use crate::wire::buffer::Inbox;
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;

/// Makes servers for one pool. Shared by the pool's two stores, the ordinary and the reserve.
#[derive(Debug)]
pub struct Manager(pub(super) Arc<Workshop>);

/// What the making of servers needs and what all servers of a pool share.
#[derive(Debug)]
pub struct Workshop {
    pub(super) database: Arc<DatabaseSettings>,
    pub(super) credentials: Credentials,
    pub(super) target: Arc<Target>,
    pub(super) tracked: Arc<Tracked>,
    pub(super) registry: Arc<Registry>,
    pub(super) budgets: [Arc<Budget>; 2],
    /// All pools, to evict an idle server of another where a budget is used up.
    pub(super) pools: Weak<Pools>,
    /// What the first server reported: what clients see as the defaults.
    pub(super) welcome: OnceLock<Arc<Parameters>>,
    /// Raised to have all servers of before closed.
    pub(super) epoch: AtomicU64,
    /// One login at a time.
    turn: Semaphore,
    failure: Mutex<Option<(Instant, Arc<ConnectError>)>>,
    /// Clients that wait here although an idle server might come back.
    starving: AtomicUsize,
    returned: Notify,
    logins: AtomicUsize,
}

impl Workshop {
    pub(super) fn new(
        database: Arc<DatabaseSettings>,
        credentials: Credentials,
        budgets: [Arc<Budget>; 2],
        pools: Weak<Pools>,
    ) -> Self {
        let target = Arc::new(Target {
            address: database.address.clone(),
            tls: database.tls.clone(),
            timeout: database.pool.server_connect_timeout,
        });
        Self {
            tracked: Arc::new(Tracked::new(&database.pool.track_parameters)),
            target,
            database,
            credentials,
            budgets,
            pools,
            registry: Arc::default(),
            welcome: OnceLock::new(),
            epoch: AtomicU64::new(0),
            turn: Semaphore::new(1),
            failure: Mutex::new(None),
            starving: AtomicUsize::new(0),
            returned: Notify::new(),
            logins: AtomicUsize::new(0),
        }
    }

    /// Servers that are being made.
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// Tells who waits to make a server that one has come back.
    pub(super) fn server_returned(&self) {
        if self.starving.load(Ordering::SeqCst) > 0 {
            self.returned.notify_one();
        }
        for budget in &self.budgets {
            budget.server_returned();
        }
    }

    pub(super) fn is_current(&self, epoch: u64) -> bool {
        epoch == self.epoch.load(Ordering::Relaxed)
    }

    async fn make(&self) -> Result<Box<Server>, Arc<ConnectError>> {
        self.check_failure()?;
        // The turn is never closed; an error would only mean that nobody takes turns.
        let _turn = self.or_returned(self.turn.acquire()).await?;
        self.check_failure()?;
        let mut places = Vec::new();
        for budget in &self.budgets {
            places.extend(self.place(budget).await?);
        }
        self.logins.fetch_add(1, Ordering::Relaxed);
        let _count = Leave(&self.logins);
        let made = self.connect(places).await.map_err(Arc::new);
        self.note(&made);
        made
    }

    /// A place under a limit: free, evicted from another pool, or waited for.
    async fn place(
        &self,
        budget: &Arc<Budget>,
    ) -> Result<Option<OwnedSemaphorePermit>, Arc<ConnectError>> {
        let Some(places) = budget.places() else {
            return Ok(None);
        };
        let mut wait = std::pin::pin!(places.clone().acquire_owned());
        loop {
            let returned = budget.returned();
            if let Ok(place) = places.clone().try_acquire_owned() {
                return Ok(Some(place));
            }
            if let Some(pools) = self.pools.upgrade() {
                pools.evict(budget, &self.registry);
            }
            // One that is busy now may be evicted when its client is done.
            let place = self.or_returned(async {
                tokio::select! {
                    place = &mut wait => Some(place),
                    () = returned => None,
                }
            });
            if let Some(place) = place.await? {
                return place.map(Some).map_err(|_| Arc::new(ConnectError::Retry));
            }
        }
    }

    /// Waits, unless a server comes back, which is then the better choice.
    async fn or_returned<T>(&self, wait: impl Future<Output = T>) -> Result<T, Arc<ConnectError>> {
        let mut wait = std::pin::pin!(wait);
        let returned = self.returned.notified();
        self.starving.fetch_add(1, Ordering::SeqCst);
        let _count = Leave(&self.starving);
        tokio::select! {
            biased;
            done = &mut wait => Ok(done),
            () = returned => Err(Arc::new(ConnectError::Retry)),
        }
    }

    async fn connect(
        &self,
        places: Vec<OwnedSemaphorePermit>,
    ) -> Result<Box<Server>, ConnectError> {
        let mut parameters = vec![("database", self.database.dbname.as_str())];
        parameters.extend(
            self.database
                .startup_parameters
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str())),
        );
        let log_in = async {
            let stream = self.target.connect().await?;
            log_in(stream, &self.credentials, &parameters).await
        };
        let epoch = self.epoch.load(Ordering::Relaxed);
        let LoggedIn {
            stream,
            parameters,
            key,
        } = match self.target.timeout {
            Some(limit) => tokio::time::timeout(limit, log_in)
                .await
                .map_err(|_| ConnectError::Timeout(limit))??,
            None => log_in.await?,
        };
        let values = self.tracked.values_of(&parameters);
        let _ = self.welcome.set(Arc::new(parameters));
        let id = next_id();
        let seen = (stream.socket(), stream.tls());
        let info = ServerInfo::register(&self.registry, &self.target, key, seen, id);
        let now = Instant::now();
        Ok(Box::new(Server {
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            replies: Replies::default(),
            statements: OnServer::default(),
            staleness: 0,
            unnamed: Unnamed::None,
            soil: Soil::Clean,
            values,
            applied: Arc::default(),
            info,
            tracked: self.tracked.clone(),
            expires: self
                .database
                .pool
                .server_lifetime
                .map(|age| now + jittered(age, id)),
            used: now,
            epoch,
            _places: places,
            stream,
        }))
    }

    fn check_failure(&self) -> Result<(), Arc<ConnectError>> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            Some((at, error)) if at.elapsed() < self.database.pool.server_login_retry => {
                Err(Arc::new(ConnectError::Cached(error.clone())))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn note(&self, made: &Result<Box<Server>, Arc<ConnectError>>) {
        let (database, user) = (&self.database.name, self.credentials.user());
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(server) => {
                info!(%database, %user, server = server.info.id, pid = server.info.pid, "server connected");
                *failure = None;
            }
            Err(error) => {
                warn!(%database, %user, address = ?self.database.address, %error, "server login failed");
                *failure = Some((Instant::now(), error.clone()));
            }
        }
    }
}

impl managed::Manager for Manager {
    type Type = Box<Server>;
    type Error = Arc<ConnectError>;

    async fn create(&self) -> Result<Self::Type, Self::Error> {
        self.0.make().await
    }

    /// Decides whether an idle server may be lent. It was cleaned when it came back, so this
    /// costs no round trip unless a check query is set and due.
    async fn recycle(&self, server: &mut Self::Type, _: &Metrics) -> RecycleResult<Self::Error> {
        let now = Instant::now();
        let expired = server.expires.is_some_and(|expires| expires <= now);
        if expired || !self.0.is_current(server.epoch) || !server.looks_alive() {
            return Err(RecycleError::message("too old, replaced or closed"));
        }
        server
            .stream
            .adopt()
            .map_err(|e| Arc::new(ConnectError::from(e)))?;
        let settings = &self.0.database.pool;
        if let Some(query) = &settings.server_check_query
            && now.duration_since(server.used) >= settings.server_check_delay
        {
            server.info.set_tested(true);
            let limit = settings.server_connect_timeout.unwrap_or(CHECK_LIMIT);
            let checked = tokio::time::timeout(limit, server.run(query)).await;
            server.info.set_tested(false);
            if !matches!(checked, Ok(Ok(()))) {
                return Err(RecycleError::message("the check query failed"));
            }
        }
        Ok(())
    }
}

/// Shortens a duration by up to a fifth, differently for each server, so that servers made
/// together are not closed together.
pub(super) fn jittered(duration: Duration, id: u64) -> Duration {
    // Fibonacci hashing spreads neighbouring numbers; its top byte is as good as random here.
    let spread = u32::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]);
    duration - duration / 5 * spread / 256
}

/// A number for a client or a server of this process, one count for both, as in PgBouncer.
pub fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Counts down when dropped.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// For a check query where server_connect_timeout is off.
const CHECK_LIMIT: Duration = Duration::from_secs(15);
