//! The gate to the servers of one database and one server user.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, PoolConfig, PoolError, QueueMode, Timeouts};
use tokio::sync::{Notify, Semaphore};
use tracing::info;

use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::Keys;
use crate::auth::secret::Secret;
use crate::pool::error::{CheckoutError, ConnectError};
use crate::pool::lease::Lease;
use crate::pool::lines;
use crate::pool::manager::{Manager, Workshop, jittered};
use crate::pool::server::info::{Registry, ServerInfo};
use crate::pool::server::line;
use crate::pool::server::reset::TellingWords;
use crate::pool::settings::{DatabaseSettings, PoolSettings};
use crate::pool::statement::Statements;
use crate::pool::stats::Stats;
use crate::pool::tracked::{Tracked, Values};
use crate::wire::parameters::Parameters;

pub(super) type Store = managed::Pool<Manager>;

/// Servers of one database and one server user, with the same start-up parameters.
///
/// Two deadpools hold them: the ordinary one of `size`, and a reserve that opens to who has
/// waited for `reserve_timeout`. Each is an exact ceiling, which resizing one would not be.
#[derive(Debug)]
pub struct Pool {
    workshop: Arc<Workshop>,
    ordinary: Store,
    reserve: Option<Store>,
    statements: Statements,
    telling: TellingWords,
    paused: AtomicBool,
    resumed: Notify,
    /// Clients that wait for a server.
    waiting: AtomicUsize,
    filling: Semaphore,
}

impl Pool {
    pub(super) fn new(workshop: Workshop) -> Self {
        let workshop = Arc::new(workshop);
        let settings = &workshop.database.pool;
        let store = |size| {
            let mut config = PoolConfig::new(size);
            config.queue_mode = QueueMode::Lifo;
            Store::builder(Manager(workshop.clone()))
                .config(config)
                .build()
                .expect("no timeouts are set, so no runtime is missing")
        };
        Self {
            ordinary: store(settings.size),
            reserve: (settings.reserve_size > 0).then(|| store(settings.reserve_size)),
            statements: Statements::default(),
            telling: TellingWords::default(),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
            waiting: AtomicUsize::new(0),
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
        if !self.is_paused() {
            // The way of nearly every transaction: a server is idle.
            let mut now = pin!(self.ordinary.timeout_get(&AT_ONCE));
            let mut waiting = None;
            let got = poll_fn(|cx| {
                let polled = now.as_mut().poll(cx);
                if polled.is_pending() && waiting.is_none() {
                    // A new server is being opened, or an old one checked.
                    waiting = Some(Waiting::new(&self.waiting));
                }
                polled
            })
            .await;
            match got {
                Ok(object) => return Ok(self.lend(object)),
                Err(PoolError::Timeout(_)) => {}
                Err(error) => {
                    if let Some(error) = explain(error) {
                        return Err(error);
                    }
                }
            }
        }
        let _waiting = Waiting::new(&self.waiting);
        // Boxed: an idle client need not keep room for this.
        Box::pin(self.wait()).await
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
        self.workshop.epoch.fetch_add(1, Ordering::SeqCst);
        let reason = if self.is_paused() {
            line::PAUSED
        } else {
            line::CHANGED
        };
        for store in self.stores() {
            drop(store.retain(|server, _| {
                server.line.because(reason);
                false
            }));
        }
    }

    /// Lends nothing any more; who waits is told that the pool is gone.
    pub fn close(&self) {
        self.reconnect();
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
            drop(self.checkout().await?.release(Instant::now()));
        }
    }

    /// The tracked values that a server begins with, once one has told.
    pub fn defaults(&self) -> Option<Values> {
        Some(self.tracked().values_of(&*self.workshop.welcome()?))
    }

    /// Closes servers that are too old or idle for too long, and opens some up to `min_size`.
    /// To be called about once a second, on a thread with a runtime.
    pub async fn tidy(&self) {
        let (settings, now) = (self.settings(), Instant::now());
        let mut size = self.size();
        let mut news = false;
        for store in self.stores() {
            drop(store.retain(|server, _| {
                let expired = server.expires.is_some_and(|expires| expires <= now);
                let idle = settings.server_idle_timeout.is_some_and(|limit| {
                    now.duration_since(server.used) >= jittered(limit, server.info.id)
                });
                // A login or a filling-up may have ended after the pause or RECONNECT began.
                let old = self.is_paused() || !self.workshop.is_current(server.epoch);
                let close = old || expired || (idle && size > settings.min_size);
                server.line.because(match (self.is_paused(), old, expired) {
                    _ if !close => line::UNCLEAN,
                    (true, ..) => line::PAUSED,
                    (false, true, _) => line::CHANGED,
                    (false, false, true) => line::LIFETIME,
                    (false, false, false) => line::IDLE,
                });
                size -= usize::from(close);
                news |= !close && server.has_news();
                !close
            }));
        }
        // A server that has closed its connection says so; whether it did is seen when it is lent.
        let short = self.size() < settings.min_size || news;
        if short && !self.is_paused() && !self.is_closed() {
            self.fill(settings.min_size).await;
        }
    }

    /// When the idle server that has waited for the longest was used last.
    pub(super) fn oldest_idle(&self) -> Option<Instant> {
        let mut oldest = None;
        for store in self.stores() {
            drop(store.retain(|server, _| {
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
            drop(store.retain(|server, _| {
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
            self.workshop.forget_failure();
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

    /// What it has counted.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.workshop.registry.stats
    }

    /// The statements its clients have prepared.
    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// The words that tell of something left behind.
    pub fn telling_words(&self) -> &TellingWords {
        &self.telling
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
        self.workshop.logins()
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
        self.stores().map(|store| store.status().size).sum()
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = &Store> {
        std::iter::once(&self.ordinary).chain(&self.reserve)
    }

    pub(super) fn lend(&self, object: managed::Object<Manager>) -> Lease {
        Lease::new(object, self.workshop.clone())
    }

    /// The way of a client that must wait, whatever it waits for.
    async fn wait(&self) -> Result<Lease, CheckoutError> {
        loop {
            loop {
                let resumed = self.resumed.notified();
                if !self.is_paused() {
                    break;
                }
                resumed.await;
            }
            let got = match &self.reserve {
                None => self.ordinary.get().await,
                Some(reserve) => {
                    let later = async {
                        tokio::time::sleep(self.settings().reserve_timeout).await;
                        let (database, user) = (self.database_name(), self.user());
                        info!(
                            target: lines::PLAIN, %database, %user,
                            "taking connection from reserve_pool"
                        );
                        reserve.get().await
                    };
                    tokio::select! {
                        biased;
                        got = self.ordinary.get() => got,
                        got = later => got,
                    }
                }
            };
            match got {
                // A pause may have begun while this client stood in the queue.
                Ok(object) if self.is_paused() => drop(managed::Object::take(object)),
                Ok(object) => return Ok(self.lend(object)),
                Err(error) => {
                    if let Some(error) = explain(error) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Opens servers until there are `min`: deadpool opens one only for who finds none idle, so
    /// the idle ones are held for the moment that takes, or until somebody needs one.
    async fn fill(&self, min: usize) {
        // One at a time: a second would take the first for a client in need.
        let Ok(_one) = self.filling.try_acquire() else {
            return;
        };
        let mut held = Vec::new();
        let need = self.workshop.need.notified();
        let fill = async {
            while held.len() < min && self.waiting() == 0 {
                match self.ordinary.timeout_get(&AT_ONCE).await {
                    Ok(object) => held.push(object),
                    Err(_) => break,
                }
            }
        };
        tokio::select! {
            biased;
            () = need => {}
            () = fill => {}
        }
        for object in held {
            drop(object);
            self.workshop.server_returned();
        }
    }
}

/// What a client is told; `None`: to try again.
fn explain(error: PoolError<Arc<ConnectError>>) -> Option<CheckoutError> {
    match error {
        PoolError::Backend(error) if matches!(*error, ConnectError::Retry) => None,
        PoolError::Backend(error) => Some(CheckoutError::Connect(error)),
        PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(_)
        | PoolError::Timeout(_) => Some(CheckoutError::Closed),
    }
}

/// Counts a client as waiting while it exists.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Try and do not wait; opening a server has its own limit.
const AT_ONCE: Timeouts = Timeouts {
    wait: Some(Duration::ZERO),
    create: None,
    recycle: None,
};
