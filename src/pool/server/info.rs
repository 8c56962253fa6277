//! What others may know of a server while somebody uses it: for SHOW SERVERS, KILL and cancel.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;

use crate::pool::server::connect::Place;
use crate::pool::stats::Stats;
use crate::wire::cancel_key::CancelKey;
use crate::wire::socket::Socket;

/// One server connection, seen from outside.
#[derive(Debug)]
pub struct ServerInfo {
    /// A number that no other connection of this process has.
    pub id: u64,
    /// Process id at the server; 0 if it did not tell.
    pub pid: u32,
    /// The number of its socket's descriptor.
    pub fd: i32,
    /// When it had logged in.
    pub connected: SystemTime,
    /// The server's address and port, and ours; empty for a Unix socket.
    pub addresses: (String, String),
    /// TLS version and cipher; empty without.
    pub tls: String,
    /// Where it is.
    pub place: Place,
    key: Option<CancelKey>,
    /// The registry's count of when it was opened; [`OBSOLETE`] has no equal there.
    epoch: AtomicU64,
    /// The client it is lent to; 0: none.
    client: AtomicU64,
    /// When it was last lent, in microseconds since `born`.
    lent: AtomicU64,
    born: Instant,
    /// Being cleaned or checked.
    tested: AtomicBool,
    /// Cancel requests for it that have not been delivered.
    cancels: AtomicU32,
    /// Cancel requests that wait for those.
    cancels_waiting: AtomicU32,
    delivered: Notify,
    /// A cancel request may still arrive at any time.
    unsure: AtomicBool,
    registry: Arc<Registry>,
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerState {
    /// Lent to a client.
    Active,
    /// Waiting for a cancel request to be delivered.
    BeingCanceled,
    /// In the pool.
    Idle,
    /// Being cleaned or checked.
    Tested,
}

impl ServerInfo {
    /// Registers a new connection.
    pub(in crate::pool) fn register(
        registry: &Arc<Registry>,
        place: Place,
        key: Option<CancelKey>,
        socket: (&Socket, Option<String>),
        (id, epoch): (u64, u64),
    ) -> Arc<Self> {
        Self::register_since(SystemTime::now(), registry, place, key, (socket, id, epoch))
    }

    /// The same for a connection that is not new.
    pub(in crate::pool) fn register_since(
        connected: SystemTime,
        registry: &Arc<Registry>,
        place: Place,
        key: Option<CancelKey>,
        (socket, id, epoch): ((&Socket, Option<String>), u64, u64),
    ) -> Arc<Self> {
        let (socket, tls) = socket;
        let address =
            |a: Option<std::net::SocketAddr>| a.map(|a| a.to_string()).unwrap_or_default();
        let info = Arc::new(Self {
            id,
            pid: key.as_ref().map_or(0, CancelKey::pid),
            fd: socket.number(),
            connected,
            addresses: (address(socket.peer_addr()), address(socket.local_addr())),
            tls: tls.unwrap_or_default(),
            place,
            key,
            epoch: AtomicU64::new(epoch),
            client: AtomicU64::new(0),
            lent: AtomicU64::new(0),
            born: Instant::now(),
            tested: AtomicBool::new(false),
            cancels: AtomicU32::new(0),
            cancels_waiting: AtomicU32::new(0),
            delivered: Notify::new(),
            unsure: AtomicBool::new(false),
            registry: registry.clone(),
        });
        registry.servers().push(info.clone());
        info
    }

    /// The key to cancel its queries with.
    pub fn key(&self) -> Option<&CancelKey> {
        self.key.as_ref()
    }

    /// Notes who has it now; 0: nobody.
    pub fn lend(&self, client: u64, now: Instant) {
        let micros = now.saturating_duration_since(self.born).as_micros();
        self.client.store(client, Ordering::Relaxed);
        self.lent
            .store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Notes that nobody has it any more.
    pub fn take_back(&self) {
        self.client.store(0, Ordering::Relaxed);
    }

    /// The client that has it; 0: nobody.
    pub fn client(&self) -> u64 {
        self.client.load(Ordering::Relaxed)
    }

    /// When it was last lent, in microseconds since 1970.
    pub fn lent_micros(&self) -> u64 {
        let connected = self
            .connected
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let since_1970 = u64::try_from(connected.as_micros()).unwrap_or_default();
        since_1970.saturating_add(self.lent.load(Ordering::Relaxed))
    }

    /// Notes that it is being cleaned or checked, or no more.
    pub fn set_tested(&self, tested: bool) {
        self.tested.store(tested, Ordering::Relaxed);
    }

    /// What it is doing.
    pub fn state(&self) -> ServerState {
        if self.cancels.load(Ordering::Relaxed) > 0 && self.client() == 0 {
            ServerState::BeingCanceled
        } else if self.tested.load(Ordering::Relaxed) {
            ServerState::Tested
        } else if self.client() > 0 {
            ServerState::Active
        } else {
            ServerState::Idle
        }
    }

    /// Announces a cancel request for what the server is doing now. Until the returned value
    /// is dropped nobody else gets the server.
    pub fn begin_cancel(self: &Arc<Self>) -> Option<CancelInFlight> {
        let key = self.key.clone()?;
        self.cancels.fetch_add(1, Ordering::SeqCst);
        self.registry.stats.of(0).cancels.add(1);
        Some(CancelInFlight {
            info: self.clone(),
            key,
        })
    }

    /// Whether a cancel request is under way.
    pub fn is_being_canceled(&self) -> bool {
        self.cancels.load(Ordering::SeqCst) > 0
    }

    /// Cancel requests that are under way, and those that wait until these have been delivered.
    pub fn cancels(&self) -> (u32, u32) {
        let count = |of: &AtomicU32| of.load(Ordering::Relaxed);
        (count(&self.cancels), count(&self.cancels_waiting))
    }

    /// Notes that a cancel request waits, as long as the returned value lives.
    pub fn wait_to_cancel(&self) -> CancelWaiting<'_> {
        self.cancels_waiting.fetch_add(1, Ordering::Relaxed);
        CancelWaiting(self)
    }

    /// Whether a cancel request may still arrive that nobody waits for any more.
    pub fn may_be_canceled_later(&self) -> bool {
        self.unsure.load(Ordering::SeqCst)
    }

    /// Waits until no cancel request is under way. Cancel safe.
    pub async fn cancels_delivered(&self) {
        loop {
            let delivered = self.delivered.notified();
            if !self.is_being_canceled() {
                return;
            }
            delivered.await;
        }
    }

    /// Whether it is to be closed when it comes back: RECONNECT, KILL, a reload or another
    /// address of its host want another in its place.
    pub fn is_obsolete(&self) -> bool {
        self.epoch.load(Ordering::Relaxed) != self.registry.epoch.load(Ordering::Relaxed)
    }

    /// Whether that is not waited for: its client is sent away between two transactions.
    pub fn closes_fast(&self) -> bool {
        self.registry.closes_fast.load(Ordering::Relaxed)
    }

    /// Has it closed when it comes back.
    pub(in crate::pool) fn make_obsolete(&self) {
        self.epoch.store(OBSOLETE, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.registry.servers().retain(|info| info.id != self.id);
        self.registry.changed.notify_waiters();
    }
}

/// A cancel request that is under way.
#[derive(Debug)]
pub struct CancelInFlight {
    info: Arc<ServerInfo>,
    key: CancelKey,
}

impl CancelInFlight {
    /// Sends it and waits until the server has signalled. If that cannot be told, the request
    /// may still arrive, and the server is not used again. Not cancel safe.
    pub async fn deliver(self) {
        if let Err(error) = self.info.place.cancel(&self.key).await {
            tracing::debug!(server = self.info.id, %error, "a cancel request may not have arrived");
            self.info.unsure.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for CancelInFlight {
    fn drop(&mut self) {
        self.info.cancels.fetch_sub(1, Ordering::SeqCst);
        self.info.delivered.notify_waiters();
    }
}

/// A cancel request that waits for another one.
#[derive(Debug)]
#[must_use = "it waits no longer once this is dropped"]
pub struct CancelWaiting<'a>(&'a ServerInfo);

impl Drop for CancelWaiting<'_> {
    fn drop(&mut self) {
        self.0.cancels_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All servers of one pool, lent or not, and what the pool has counted. The pool that a reload
/// puts in the place of another goes on with it.
#[derive(Debug)]
pub struct Registry {
    servers: Mutex<Vec<Arc<ServerInfo>>>,
    /// The pool's counters.
    pub stats: Arc<Stats>,
    /// Raised to have all servers of before closed.
    epoch: AtomicU64,
    /// Whether clients of session mode are ended for that, as the settings are now.
    closes_fast: AtomicBool,
    /// Servers being opened.
    logins: AtomicUsize,
    /// Told when a server is closed or a login has ended: one for all pools.
    changed: Arc<Notify>,
}

impl Registry {
    /// By `server_fast_close`, for the servers that there are as well.
    pub(in crate::pool) fn close_fast(&self, wanted: bool) {
        self.closes_fast.store(wanted, Ordering::Relaxed);
    }

    pub(in crate::pool) fn new(workers: usize, changed: Arc<Notify>) -> Self {
        Self {
            servers: Mutex::default(),
            stats: Arc::new(Stats::new(workers)),
            epoch: AtomicU64::new(0),
            closes_fast: AtomicBool::new(false),
            logins: AtomicUsize::new(0),
            changed,
        }
    }

    /// All servers at the moment.
    pub fn snapshot(&self) -> Vec<Arc<ServerInfo>> {
        self.servers().clone()
    }

    /// Whether the pool has no server.
    pub fn is_empty(&self) -> bool {
        self.servers().is_empty()
    }

    /// Whether the pool has a server that will be lent again.
    pub(in crate::pool) fn has_lasting(&self) -> bool {
        !self.servers().iter().all(|server| server.is_obsolete())
    }

    /// Servers being opened.
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// Counts a server as being opened until the value is dropped.
    pub(in crate::pool) fn begin_login(&self) -> LoginInProgress<'_> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        LoginInProgress(self)
    }

    /// What a server opened from now on is given as its epoch.
    pub(in crate::pool) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Has all servers of now closed when they come back.
    pub(in crate::pool) fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<ServerInfo>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that is being opened.
#[derive(Debug)]
pub(in crate::pool) struct LoginInProgress<'a>(&'a Registry);

impl Drop for LoginInProgress<'_> {
    fn drop(&mut self) {
        self.0.logins.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

/// The epoch of a server that is to be closed.
const OBSOLETE: u64 = u64::MAX;
