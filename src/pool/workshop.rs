//! What all servers of a pool share, and how one is opened.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::auth::names::UserName;
use crate::pool::budget::{Budget, Neighbours};
use crate::pool::credentials::Credentials;
use crate::pool::error::ConnectError;
use crate::pool::failures::Failures;
use crate::pool::hygiene::Hygiene;
use crate::pool::replies::Replies;
use crate::pool::server::connect::Target;
use crate::pool::server::info::{Registry, ServerInfo};
use crate::pool::server::line::{self, ServerLine};
use crate::pool::server::login::{LogIn, LoggedIn};
use crate::pool::server::reset::Soil;
use crate::pool::server::{Server, Unnamed};
use crate::pool::settings::users::UserSettings;
use crate::pool::settings::{DatabaseSettings, ServerAddress};
use crate::pool::statement::OnServer;
use crate::pool::tracked::Tracked;
use crate::wire::buffer::Inbox;
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;

/// What the making of servers needs and what all servers of a pool share.
#[derive(Debug)]
pub struct Workshop {
    pub(super) database: Arc<DatabaseSettings>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) target: Target,
    pub(super) tracked: Arc<Tracked>,
    pub(super) registry: Arc<Registry>,
    pub(super) budgets: [Arc<Budget>; 3],
    /// What is set for users who log in.
    pub(super) users: Arc<BTreeMap<UserName, UserSettings>>,
    /// All pools, to evict an idle server of another where a budget is used up.
    pools: Weak<dyn Neighbours>,
    /// What the latest server reported: what clients see as the defaults.
    welcome: Mutex<Option<Arc<Parameters>>>,
    /// How servers are cleaned that clients give back.
    pub(super) hygiene: Hygiene,
    /// One login at a time.
    turn: Semaphore,
    pub(super) failures: Failures,
    /// Clients that wait here although an idle server might come back.
    starving: AtomicUsize,
    returned: Notify,
    /// Told when somebody begins to wait here.
    pub(super) need: Notify,
    /// Idle servers of the pool that this one has taken the place of.
    inherited: Mutex<Heirlooms>,
    /// What has taken the place of this one, if it can use its servers.
    successor: OnceLock<Arc<Workshop>>,
}

/// Idle servers of another pool.
type Heirlooms = Vec<Box<Server>>;

/// What a pool has from its surroundings.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) registry: Arc<Registry>,
    pub(super) budgets: [Arc<Budget>; 3],
    pub(super) pools: Weak<dyn Neighbours>,
    pub(super) users: Arc<BTreeMap<UserName, UserSettings>>,
}

impl Workshop {
    pub(super) fn new(
        database: Arc<DatabaseSettings>,
        credentials: Arc<Credentials>,
        target: Target,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            tracked: Arc::new(Tracked::new(&database.pool.track_parameters)),
            hygiene: Hygiene::new(&database),
            target,
            database,
            credentials,
            budgets: surroundings.budgets,
            pools: surroundings.pools,
            users: surroundings.users,
            registry: surroundings.registry,
            welcome: Mutex::default(),
            turn: Semaphore::new(1),
            failures: Failures::default(),
            starving: AtomicUsize::new(0),
            returned: Notify::new(),
            need: Notify::new(),
            inherited: Mutex::default(),
            successor: OnceLock::new(),
        }
    }

    /// What the latest server reported when it was new.
    pub(super) fn welcome(&self) -> Option<Arc<Parameters>> {
        let welcome = self.welcome.lock();
        welcome.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what a new server reports: its defaults may have changed with a restart.
    pub(super) fn greet_with(&self, parameters: Arc<Parameters>) {
        let mut welcome = self.welcome.lock().unwrap_or_else(PoisonError::into_inner);
        if welcome.as_deref() != Some(&*parameters) {
            *welcome = Some(parameters);
        }
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

    /// The pool's last failure if it still counts, and for how long it does.
    pub(super) fn recent_failure(&self) -> Option<(Arc<ConnectError>, Duration)> {
        let pause = self.database.pool.server_login_retry;
        self.failures.recent(pause.max(LEAST_PAUSE))
    }

    /// Whether the pool has servers that who waits may get, lent or not.
    pub(super) fn has_servers(&self) -> bool {
        self.registry.has_lasting()
    }

    /// Gives the servers that come back to another pool, which can use them.
    pub(super) fn succeed(&self, successor: &Arc<Self>) {
        if let Some(welcome) = self.welcome() {
            successor.greet_with(welcome);
        }
        let old = std::mem::take(&mut *self.heirlooms());
        // There can be one successor only: its pool is out of the map by then.
        drop(self.successor.set(successor.clone()));
        for server in old {
            successor.inherit(server);
        }
    }

    /// What has taken the place of this one, or of that.
    pub(super) fn successor(&self) -> Option<&Arc<Self>> {
        let mut last = self.successor.get()?;
        while let Some(next) = last.successor.get() {
            last = next;
        }
        Some(last)
    }

    /// Takes over an idle server.
    pub(super) fn inherit(&self, server: Box<Server>) {
        self.heirlooms().push(server);
        self.server_returned();
    }

    /// The servers that were taken over and are not in use yet.
    pub(super) fn heirlooms(&self) -> std::sync::MutexGuard<'_, Heirlooms> {
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Places under the limits, as far as there are any: what runs already is not stopped for
    /// limits that have become narrower.
    pub(super) fn places_at_once(&self) -> Vec<OwnedSemaphorePermit> {
        self.budgets
            .iter()
            .filter_map(|budget| budget.try_place())
            .collect()
    }

    pub(super) async fn make(&self) -> Result<Box<Server>, Arc<ConnectError>> {
        if let Some(server) = self.heirloom() {
            return Ok(server);
        }
        self.after_failure().await?;
        // The turn is never closed; an error would only mean that nobody takes turns.
        let _turn = self.or_returned(self.turn.acquire()).await?;
        self.after_failure().await?;
        let mut places = Vec::new();
        for budget in &self.budgets {
            places.push(self.place(budget).await?);
        }
        let _login = self.registry.begin_login();
        let made = self.connect(places).await.map_err(Arc::new);
        self.note(&made);
        match made {
            // RECONNECT was faster than the login.
            Ok(server) if server.info.is_obsolete() => Err(Arc::new(ConnectError::Retry)),
            Err(error) if self.has_servers() || error.may_pass() => {
                Err(Arc::new(ConnectError::Retry))
            }
            made => made,
        }
    }

    /// One of the servers that were taken over, if one still lives.
    fn heirloom(&self) -> Option<Box<Server>> {
        loop {
            let mut server = self.heirlooms().pop()?;
            if server.info.is_obsolete() || !server.looks_alive() || server.stream.adopt().is_err()
            {
                server.line.because(line::CRASHED);
                continue;
            }
            let lifetime = self.database.pool.server_lifetime;
            server.expires = lifetime.map(|age| server.born + jittered(age, server.info.id));
            return Some(server);
        }
    }

    /// Until server_login_retry has passed since a login failed, no other is tried.
    async fn after_failure(&self) -> Result<(), Arc<ConnectError>> {
        while let Some((_, left)) = self.recent_failure() {
            self.or_returned(tokio::time::sleep(left)).await?;
        }
        Ok(())
    }

    /// A place under a limit: free, evicted from another pool, or waited for.
    async fn place(&self, budget: &Arc<Budget>) -> Result<OwnedSemaphorePermit, Arc<ConnectError>> {
        if let Some(place) = budget.try_place() {
            return Ok(place);
        }
        // Before the search: what falls idle after it is given up by who returns it.
        budget.waiting().fetch_add(1, Ordering::SeqCst);
        let _waiting = Leave(budget.waiting());
        if let Some(pools) = self.pools.upgrade() {
            pools.evict(budget, &self.registry);
        }
        let place = self.or_returned(budget.place()).await?;
        place.ok_or_else(|| Arc::new(ConnectError::Retry))
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
        let epoch = self.registry.epoch();
        let asks = LogIn {
            credentials: &self.credentials,
            parameters: &parameters,
            connect_query: self.database.connect_query.as_deref(),
            allow_cleartext: self.target.tls.allow_cleartext,
        };
        let whose = (
            self.database.name.as_str(),
            self.credentials.user().as_str(),
        );
        let passed_over = |host: &ServerAddress, error: &ConnectError| {
            ServerLine::failed(whose, &host.to_string(), &error.reason());
        };
        let (logged_in, place) = self.target.open(&asks, passed_over).await?;
        let LoggedIn {
            stream,
            parameters,
            key,
        } = logged_in;
        let values = self.tracked.values_of(&parameters);
        self.greet_with(Arc::new(parameters));
        let id = next_id();
        let seen = (stream.socket(), stream.tls());
        let info = ServerInfo::register(&self.registry, place, key, seen, (id, epoch));
        let line = ServerLine::open(&info, whose, stream.socket().peer_name());
        let now = Instant::now();
        let lifetime = self.database.pool.server_lifetime;
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
            expires: lifetime.map(|age| now + jittered(age, id)),
            born: now,
            used: now,
            _places: places,
            stream,
        }))
    }

    pub(super) async fn check(&self, server: &mut Server, query: &str) -> bool {
        server.info.set_tested(true);
        let limit = self.target.timeout.unwrap_or(CHECK_LIMIT);
        let checked = tokio::time::timeout(limit, server.run(query)).await;
        server.info.set_tested(false);
        matches!(checked, Ok(Ok(())))
    }

    fn note(&self, made: &Result<Box<Server>, Arc<ConnectError>>) {
        // One login at a time: no other thread counts these.
        let counters = self.registry.stats.of(0);
        match made {
            Ok(_) => {
                counters.server_logins.add(1);
                self.failures.forget();
            }
            Err(error) => {
                counters.server_login_failures.add(1);
                self.tell_failure(error);
                let ends_waiting = !(error.may_pass() || self.has_servers());
                self.failures
                    .note(error.clone(), ends_waiting && !self.is_replication());
            }
        }
    }

    /// Logs that a server could not be opened.
    fn tell_failure(&self, error: &ConnectError) {
        let (database, user) = (
            self.database.name.as_str(),
            self.credentials.user().as_str(),
        );
        let mut reason = error.reason();
        if let ConnectError::Refused(refusal) = error {
            warn!(
                database,
                user, "server login failed: FATAL {}", refusal.message
            );
            // The others are told so, too; a client with a server of its own is not.
            if self.is_replication() {
                reason = "login failed".into();
            }
        } else {
            warn!(database, user, "server login failed: {error}");
        }
        let hosts = &self.database.hosts.addresses;
        let address = hosts.first().map(ToString::to_string).unwrap_or_default();
        ServerLine::failed((database, user), &address, &reason);
    }

    /// Whether each client has a server of its own here, which concerns no other.
    fn is_replication(&self) -> bool {
        let parameters = &self.database.startup_parameters;
        parameters.contains_key("replication")
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
/// The shortest pause after a failure, however short server_login_retry is.
const LEAST_PAUSE: Duration = Duration::from_millis(300);
/// For a check query where server_connect_timeout is off.
const CHECK_LIMIT: Duration = Duration::from_secs(15);
