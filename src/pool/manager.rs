//! How deadpool makes servers and decides whether one may be lent again.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::pool::budget::{Budget, MakeRoom};
use crate::pool::credentials::Credentials;
use crate::pool::error::ConnectError;
use crate::pool::replies::Replies;
use crate::pool::server::connect::Target;
use crate::pool::server::info::{Registry, ServerInfo};
use crate::pool::server::line::{self, ServerLine};
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
    pub(super) pools: Weak<dyn MakeRoom>,
    /// What the latest server reported: what clients see as the defaults.
    welcome: Mutex<Option<Arc<Parameters>>>,
    /// Raised to have all servers of before closed.
    pub(super) epoch: AtomicU64,
    /// One login at a time.
    turn: Semaphore,
    failure: Mutex<Option<(Instant, Arc<ConnectError>)>>,
    /// Clients that wait here although an idle server might come back.
    starving: AtomicUsize,
    returned: Notify,
    /// Told when somebody begins to wait here.
    pub(super) need: Notify,
    logins: AtomicUsize,
    /// A server of another process that is to be the next one made.
    adopted: Mutex<Option<Box<Server>>>,
}

impl Workshop {
    pub(super) fn new(
        database: Arc<DatabaseSettings>,
        credentials: Credentials,
        budgets: [Arc<Budget>; 2],
        pools: Weak<dyn MakeRoom>,
        workers: usize,
    ) -> Self {
        let target = Arc::new(Target {
            address: database.hosts.addresses[0].clone(), // PICK
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
            registry: Arc::new(Registry::new(workers)),
            welcome: Mutex::default(),
            epoch: AtomicU64::new(0),
            turn: Semaphore::new(1),
            failure: Mutex::new(None),
            starving: AtomicUsize::new(0),
            returned: Notify::new(),
            need: Notify::new(),
            logins: AtomicUsize::new(0),
            adopted: Mutex::default(),
        }
    }

    /// What the latest server reported when it was new.
    pub(super) fn welcome(&self) -> Option<Arc<Parameters>> {
        let welcome = self.welcome.lock();
        welcome.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what a new server reports: its defaults may have changed with a restart.
    pub(super) fn greet_with(&self, parameters: Parameters) {
        let mut welcome = self.welcome.lock().unwrap_or_else(PoisonError::into_inner);
        if welcome.as_deref() != Some(&parameters) {
            *welcome = Some(Arc::new(parameters));
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
    }

    /// Whether an idle server of this pool had better make room for another pool's. Whoever
    /// waits in this pool comes first.
    pub(super) fn should_make_room(&self) -> bool {
        self.budgets.iter().any(|budget| budget.is_wanted())
            && self.starving.load(Ordering::SeqCst) == 0
    }

    pub(super) fn is_current(&self, epoch: u64) -> bool {
        epoch == self.epoch.load(Ordering::Relaxed)
    }

    /// Where a server of another process waits to be the next one made.
    pub(super) fn adopted(&self) -> std::sync::MutexGuard<'_, Option<Box<Server>>> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places under the limits, as far as there are any: what runs already is not stopped for
    /// limits that have become narrower.
    pub(super) fn places_at_once(&self) -> Vec<OwnedSemaphorePermit> {
        let place = |budget: &Arc<Budget>| budget.places()?.clone().try_acquire_owned().ok();
        self.budgets.iter().filter_map(place).collect()
    }

    async fn make(&self) -> Result<Box<Server>, Arc<ConnectError>> {
        if let Some(server) = self.adopted().take() {
            return Ok(server);
        }
        self.after_failure().await?;
        // The turn is never closed; an error would only mean that nobody takes turns.
        let _turn = self.or_returned(self.turn.acquire()).await?;
        self.after_failure().await?;
        let mut places = Vec::new();
        for budget in &self.budgets {
            places.extend(self.place(budget).await?);
        }
        self.logins.fetch_add(1, Ordering::Relaxed);
        let _count = Leave(&self.logins);
        let made = self.connect(places).await.map_err(Arc::new);
        self.note(&made);
        match made {
            Err(_) if self.has_servers() => Err(Arc::new(ConnectError::Retry)),
            made => made,
        }
    }

    /// After a login that failed, clients of a pool without servers get its error at once, until
    /// server_login_retry has passed. Where there are servers, clients wait for one of them.
    async fn after_failure(&self) -> Result<(), Arc<ConnectError>> {
        while let Some((error, left)) = self.recent_failure() {
            if !self.has_servers() {
                return Err(Arc::new(ConnectError::Cached(error)));
            }
            self.or_returned(tokio::time::sleep(left)).await?;
        }
        Ok(())
    }

    /// Has the next login tried at once.
    pub(super) fn forget_failure(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the pool has servers, lent or not.
    fn has_servers(&self) -> bool {
        !self.registry.is_empty()
    }

    /// A place under a limit: free, evicted from another pool, or waited for.
    async fn place(
        &self,
        budget: &Arc<Budget>,
    ) -> Result<Option<OwnedSemaphorePermit>, Arc<ConnectError>> {
        let Some(places) = budget.places() else {
            return Ok(None);
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Ok(Some(place));
        }
        // Before the search: what falls idle after it is given up by who returns it.
        budget.waiting().fetch_add(1, Ordering::SeqCst);
        let _waiting = Leave(budget.waiting());
        if let Some(pools) = self.pools.upgrade() {
            pools.evict(budget, &self.registry);
        }
        let place = self.or_returned(places.clone().acquire_owned()).await?;
        place.map(Some).map_err(|_| Arc::new(ConnectError::Retry))
    }

    /// Waits, unless a server comes back, which is then the better choice.
    async fn or_returned<T>(&self, wait: impl Future<Output = T>) -> Result<T, Arc<ConnectError>> {
        let mut wait = std::pin::pin!(wait);
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await {
            return Ok(done);
        }
        let returned = self.returned.notified();
        self.starving.fetch_add(1, Ordering::SeqCst);
        let _count = Leave(&self.starving);
        self.need.notify_waiters();
        tokio::select! {
            biased;
            done = &mut wait => Ok(done),
            () = returned => Err(Arc::new(ConnectError::Retry)),
            // A server may have come back between the look for one and the count above.
            () = tokio::time::sleep(LOOK_AGAIN) => Err(Arc::new(ConnectError::Retry)),
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
        self.greet_with(parameters);
        let id = next_id();
        let seen = (stream.socket(), stream.tls());
        let info = ServerInfo::register(&self.registry, &self.target, key, seen, id);
        let whose = (
            self.database.name.as_str(),
            self.credentials.user().as_str(),
        );
        let line = ServerLine::open(&info, whose, stream.socket().peer_name());
        let now = Instant::now();
        Ok(Box::new(Server {
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            replies: Replies::default(),
            statements: OnServer::default(),
            unnamed: Unnamed::None,
            soil: Soil::Clean,
            values,
            applied: Arc::default(),
            info,
            line,
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

    async fn check(&self, server: &mut Server, query: &str) -> bool {
        server.info.set_tested(true);
        let limit = self.target.timeout.unwrap_or(CHECK_LIMIT);
        let checked = tokio::time::timeout(limit, server.run(query)).await;
        server.info.set_tested(false);
        matches!(checked, Ok(Ok(())))
    }

    /// The failure of the last login, and how long no other is tried.
    fn recent_failure(&self) -> Option<(Arc<ConnectError>, Duration)> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, error) = failure.as_ref()?;
        let left = self
            .database
            .pool
            .server_login_retry
            .checked_sub(at.elapsed())?;
        (!left.is_zero()).then(|| (error.clone(), left))
    }

    fn note(&self, made: &Result<Box<Server>, Arc<ConnectError>>) {
        let (database, user) = (&self.database.name, self.credentials.user());
        // One login at a time: no other thread counts these.
        let counters = self.registry.stats.of(0);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(_) => {
                counters.server_logins.add(1);
                *failure = None;
            }
            Err(error) => {
                counters.server_login_failures.add(1);
                warn!(%database, %user, address = ?self.target.address, %error, "server login failed");
                *failure = Some((Instant::now(), error.clone()));
            }
        }
    }
}

impl managed::Manager for Manager {
    type Type = Box<Server>;
    type Error = Arc<ConnectError>;

    async fn create(&self) -> Result<Self::Type, Self::Error> {
        // Boxed: every client's task would have room for a whole login otherwise.
        Box::pin(self.0.make()).await
    }

    /// Decides whether an idle server may be lent. It was cleaned when it came back, so this
    /// costs no round trip unless a check query is set and due.
    async fn recycle(&self, server: &mut Self::Type, _: &Metrics) -> RecycleResult<Self::Error> {
        // Its age was looked at when it came back, and is every second.
        let is_current = self.0.is_current(server.epoch);
        if !is_current || !server.looks_alive() {
            let reason = if is_current {
                line::CRASHED
            } else {
                line::CHANGED
            };
            server.line.because(reason);
            return Err(RecycleError::message("replaced or closed"));
        }
        server
            .stream
            .adopt()
            .map_err(|e| Arc::new(ConnectError::from(e)))?;
        let settings = &self.0.database.pool;
        if let Some(query) = &settings.server_check_query
            && server.used.elapsed() >= settings.server_check_delay
            && !Box::pin(self.0.check(server, query)).await
        {
            server.line.because(line::TEST_FAILED);
            return Err(RecycleError::message("the check query failed"));
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
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Notes that a number is taken, by a connection that another process had.
pub fn raise_ids(taken: u64) {
    NEXT_ID.fetch_max(taken.saturating_add(1), Ordering::Relaxed);
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Counts down when dropped.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How long a client waits to open a server before it looks for an idle one again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// For a check query where server_connect_timeout is off.
const CHECK_LIMIT: Duration = Duration::from_secs(15);
