//! The gate to the servers of one database and one server user.

mod queue;
mod upkeep;

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::Keys;
use crate::auth::secret::Secret;
use crate::pool::error::CheckoutError;
use crate::pool::lease::Lease;
use crate::pool::manager::Manager;
use crate::pool::pool::queue::Patience;
use crate::pool::recent::Recent;
use crate::pool::server::info::{Registry, ServerInfo};
use crate::pool::server::{Server, line};
use crate::pool::settings::{DatabaseSettings, PoolSettings};
use crate::pool::statement::Statements;
use crate::pool::stats::Stats;
use crate::pool::store::Store;
use crate::pool::tracked::{Tracked, Values};
use crate::pool::workshop::Workshop;
use crate::wire::parameters::Parameters;

/// Servers of one database and one server user, with the same start-up parameters.
///
/// Two stores hold them: the ordinary one of `size`, and a reserve that opens to who has waited
/// for `reserve_timeout`.
#[derive(Debug)]
pub struct Pool {
    workshop: Arc<Workshop>,
    ordinary: Store,
    reserve: Option<Store>,
    statements: Statements,
    values: Recent<[Option<Box<str>>]>,
    settings: Recent<Parameters>,
    paused: AtomicBool,
    resumed: Notify,
    /// Clients that wait for a server.
    waiting: AtomicUsize,
    /// Clients that are in this pool, whatever they do.
    clients: AtomicUsize,
    /// Since when there have been neither clients nor servers.
    unused: Mutex<Option<Instant>>,
    filling: Semaphore,
}

/// A client's place in its pool, which is not forgotten as long as there is one.
#[derive(Debug)]
pub struct Member(Arc<Pool>);

impl Member {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        pool.clients.fetch_add(1, Ordering::SeqCst);
        Self(pool)
    }

    /// The pool, to be kept without being a member.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.0
    }
}

impl Deref for Member {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.0
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pool {
    pub(super) fn new(workshop: Workshop) -> Self {
        let workshop = Arc::new(workshop);
        let settings = &workshop.database.pool;
        let store = |size, is_reserve| {
            let manager = Manager {
                workshop: workshop.clone(),
                is_reserve,
            };
            Store::new(manager, size, settings.server_round_robin)
        };
        let size = match settings.size {
            0 => NO_LIMIT,
            size => size,
        };
        let has_reserve = settings.reserve_size > 0 && !settings.reserve_timeout.is_zero();
        Self {
            ordinary: store(size, false),
            reserve: has_reserve.then(|| store(settings.reserve_size, true)),
            statements: Statements::default(),
            values: Recent::default(),
            settings: Recent::default(),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
            waiting: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            unused: Mutex::new(None),
            filling: Semaphore::new(1),
            workshop,
        }
    }

    /// Borrows a server. First come, first served. How long a client waits is the caller's
    /// business: `query_wait_timeout` needs no timer of its own for each of them. Cancel safe.
    ///
    /// # Errors
    /// None could be opened, or the pool is gone.
    pub async fn checkout(&self) -> Result<Lease, CheckoutError> {
        self.borrow(Patience::Little).await
    }

    /// Stops lending and closes idle servers.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        self.reconnect();
    }

    /// Lends again.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
        self.resumed.notify_waiters();
    }

    /// Whether it lends nothing at the moment.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Has every server closed: idle ones now, others when they come back.
    pub fn reconnect(&self) {
        self.registry().renew();
        self.close_obsolete();
    }

    /// Closes idle servers that are to be closed.
    pub(super) fn close_obsolete(&self) {
        let reason = if self.is_paused() {
            line::PAUSED
        } else {
            line::CHANGED
        };
        let has_to_go = |server: &Server| {
            let is_obsolete = server.info.is_obsolete();
            if is_obsolete {
                server.line.because(reason);
            }
            is_obsolete
        };
        self.workshop
            .heirlooms()
            .retain(|server| !has_to_go(server));
        for store in self.stores() {
            drop(store.retain(|server| !has_to_go(server)));
        }
    }

    /// Lends nothing any more; who waits is told that the pool is gone.
    pub fn close(&self) {
        self.reconnect();
        self.end();
    }

    /// Lends nothing any more, and gives its servers to another pool: idle ones now, others when
    /// they come back.
    pub(super) fn hand_over(&self, successor: &Self) {
        self.workshop.succeed(&successor.workshop);
        for store in self.stores() {
            for server in store.retain(|_| false) {
                successor.workshop.inherit(server);
            }
        }
        self.end();
    }

    fn end(&self) {
        for store in self.stores() {
            store.close();
        }
        self.resume();
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.ordinary.is_closed()
    }

    /// What the server told its first visitor, and new clients are told; asks a server if none
    /// has been asked yet. Cancel safe.
    ///
    /// # Errors
    /// As [`Self::checkout`].
    pub async fn welcome(&self) -> Result<Arc<Parameters>, CheckoutError> {
        loop {
            if let Some(welcome) = self.workshop.welcome() {
                return Ok(welcome);
            }
            self.borrow(Patience::Much).await?.put_back(Instant::now());
        }
    }

    /// The tracked values that a server begins with, once one has told.
    pub fn defaults(&self) -> Option<Values> {
        Some(self.tracked().values_of(&*self.workshop.welcome()?))
    }

    /// Whether it is filled up to `min_size` without any client: all clients have one server user.
    pub(super) fn is_kept_filled(&self) -> bool {
        self.database().server.is_some() && self.settings().min_size > 0
    }

    /// Whether it has clients or servers.
    pub(super) fn is_in_use(&self) -> bool {
        self.clients() > 0 || self.logins() > 0 || !self.registry().is_empty()
    }

    /// How long it has not been in use, as far as was asked.
    pub(super) fn unused_for(&self, now: Instant) -> Option<Duration> {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_in_use() {
            *unused = None;
        } else {
            unused.get_or_insert(now);
        }
        unused.map(|since| now.saturating_duration_since(since))
    }

    /// When the idle server that has waited for the longest was used last.
    pub(super) fn oldest_idle(&self) -> Option<Instant> {
        let mut oldest = None;
        for store in self.stores() {
            drop(store.retain(|server| {
                oldest = Some(oldest.map_or(server.used, |o: Instant| o.min(server.used)));
                true
            }));
        }
        oldest
    }

    /// Closes the idle server that was used last at this time.
    pub(super) fn evict(&self, used: Instant) -> bool {
        let mut evicted = false;
        for store in self.stores() {
            drop(store.retain(|server| {
                let this_one = !evicted && server.used == used;
                evicted |= this_one;
                if this_one {
                    server.line.because(line::EVICTED);
                }
                !this_one
            }));
        }
        evicted
    }

    /// Takes over the secret that a login has brought, if servers are opened in the client's
    /// name; a login at the server that has failed is tried again with it. A login that brings
    /// none, such as one by certificate, leaves the one that is there.
    pub fn renew_secret(&self, user: &UserName, secret: Option<Arc<Secret>>) {
        let own = self.database().server.is_none() && self.user() == user;
        if own && secret.is_some() && self.workshop.credentials.renew(secret) {
            self.workshop.failures.forget();
        }
    }

    /// The SCRAM keys that a client's login has left, if servers are opened in the client's name.
    pub fn learned_keys(&self) -> Option<Keys> {
        self.workshop.credentials.client_keys()
    }

    /// Keeps the SCRAM keys of a client's login, if servers are opened in the client's name.
    pub fn learn(&self, user: &UserName, keys: Keys) {
        if self.database().server.is_none() && self.user() == user {
            self.workshop.credentials.learn(keys);
        }
    }

    /// The database.
    pub fn database(&self) -> &Arc<DatabaseSettings> {
        &self.workshop.database
    }

    /// What clients call the database.
    pub fn database_name(&self) -> &DatabaseName {
        &self.workshop.database.name
    }

    /// The server's user.
    pub fn user(&self) -> &UserName {
        self.workshop.credentials.user()
    }

    /// How it behaves.
    pub fn settings(&self) -> &PoolSettings {
        &self.workshop.database.pool
    }

    /// How long a client that logged in as `login` waits for a server.
    pub fn query_wait_timeout(&self, login: &str) -> Option<Duration> {
        let own = self.workshop.users.get(login);
        own.and_then(|user| user.query_wait_timeout)
            .unwrap_or(self.settings().query_wait_timeout)
    }

    /// What it has counted.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.workshop.registry.stats
    }

    /// The statements its clients have prepared.
    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// The values and settings of a new client, in the copy that others have as well.
    pub fn share(&self, values: Values, settings: Parameters) -> (Values, Arc<Parameters>) {
        let settings = self.settings.share(Arc::new(settings));
        (self.values.share(values), settings)
    }

    /// The parameters that follow its clients.
    pub fn tracked(&self) -> &Arc<Tracked> {
        &self.workshop.tracked
    }

    /// Its servers, lent or not.
    pub fn servers(&self) -> Vec<Arc<ServerInfo>> {
        self.registry().snapshot()
    }

    /// Servers being opened.
    pub fn logins(&self) -> usize {
        self.registry().logins()
    }

    /// Clients that are in it, whatever they do.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::SeqCst)
    }

    /// Clients that wait for a server.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.workshop.registry
    }

    pub(super) fn workshop(&self) -> &Arc<Workshop> {
        &self.workshop
    }

    fn size(&self) -> usize {
        self.stores().map(Store::size).sum()
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = &Store> {
        std::iter::once(&self.ordinary).chain(&self.reserve)
    }
}

/// What a store is given that has no limit: more than one user of one server ever has.
const NO_LIMIT: usize = 16_384;
