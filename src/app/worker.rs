//! The threads that serve clients. Each has a runtime of its own; a client stays on its thread.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;
use tracing::debug;

use crate::app::connection;
use crate::app::process::Process;
use crate::console::control::{ClientRow, forced_disconnect};
use crate::console::settings::ConsoleSettings;
use crate::console::{Console, is_console};
use crate::session::context::Context;
use crate::session::roster::{Client, ClientState};
use crate::session::settings::SessionSettings;
use crate::session::welcome::worker_of;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::ErrorResponse;
use crate::wire::socket::Socket;

/// What a worker is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Cancel what the client with this key waits for, and tell when that is done.
    Cancel(CancelKey, oneshot::Sender<()>),
    /// List the clients.
    Clients(oneshot::Sender<Vec<ClientRow>>),
    /// Serve a new connection.
    Connection(Socket),
    /// Send clients away as they fall idle.
    Drain,
    /// End one client; tells whether it was here.
    Kill(u64, oneshot::Sender<bool>),
    /// End the clients of a database, or all.
    KillAll(Option<String>, ErrorResponse),
    /// Use other settings from now on.
    Reload(Arc<SessionSettings>, Arc<ConsoleSettings>),
}

/// All workers, from outside.
#[derive(Debug)]
pub(super) struct Workers {
    orders: Vec<UnboundedSender<Order>>,
    load: Vec<AtomicUsize>,
    /// Told whenever a connection ends.
    pub(super) departed: Notify,
}

impl Workers {
    /// Channels for this many workers, which are not running yet.
    pub(super) fn new(count: usize) -> (Self, Vec<UnboundedReceiver<Order>>) {
        let (orders, receivers) = (0..count).map(|_| unbounded_channel()).unzip();
        let load = (0..count).map(|_| AtomicUsize::new(0)).collect();
        (
            Self {
                orders,
                load,
                departed: Notify::new(),
            },
            receivers,
        )
    }

    /// Gives a new connection to the worker that has the fewest.
    pub(super) fn give(&self, socket: Socket) {
        let least = self
            .load
            .iter()
            .enumerate()
            .min_by_key(|(_, load)| load.load(Ordering::Relaxed));
        let worker = least.map_or(0, |(worker, _)| worker);
        self.load[worker].fetch_add(1, Ordering::Relaxed);
        self.send(worker, Order::Connection(socket));
    }

    /// Has a query cancelled; returns when the server has been told. Cancel safe.
    pub(super) async fn cancel(&self, key: CancelKey) {
        let (done, wait) = oneshot::channel();
        self.send(worker_of(&key), Order::Cancel(key, done));
        // An error only says that there was nothing to wait for.
        let _ = wait.await;
    }

    /// The clients of all workers.
    pub(super) async fn clients(&self) -> Vec<ClientRow> {
        let mut rows = Vec::new();
        for worker in 0..self.orders.len() {
            let (answer, wait) = oneshot::channel();
            self.send(worker, Order::Clients(answer));
            rows.extend(wait.await.unwrap_or_default());
        }
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// Ends one client.
    pub(super) async fn kill(&self, id: u64) -> bool {
        for worker in 0..self.orders.len() {
            let (answer, wait) = oneshot::channel();
            self.send(worker, Order::Kill(id, answer));
            if wait.await.unwrap_or(false) {
                return true;
            }
        }
        false
    }

    /// Asks the same of every worker.
    pub(super) fn ask_all(&self, order: impl Fn() -> Order) {
        for worker in 0..self.orders.len() {
            self.send(worker, order());
        }
    }

    fn send(&self, worker: usize, order: Order) {
        if let Some(orders) = self.orders.get(worker) {
            // A worker that is gone is the end of the process; nobody waits for its answer.
            let _ = orders.send(order);
        }
    }
}

/// What the tasks of one worker share.
pub(super) struct Place {
    pub(super) session: Context,
    pub(super) console: Arc<Console>,
    pub(super) console_settings: RefCell<Arc<ConsoleSettings>>,
    pub(super) process: Arc<Process>,
}

/// Starts a worker's thread.
pub(super) fn start(
    place: impl FnOnce() -> Place + Send + 'static,
    number: usize,
    orders: UnboundedReceiver<Order>,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        // For hashing passwords, beside the clients.
        .max_blocking_threads(HASHING_THREADS)
        .build()?;
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .stack_size(STACK)
        .spawn(move || {
            let local = LocalSet::new();
            let place = Rc::new(place());
            runtime.block_on(local.run_until(obey(place, number, orders)));
        })?;
    Ok(())
}

async fn obey(place: Rc<Place>, number: usize, mut orders: UnboundedReceiver<Order>) {
    let watched = place.clone();
    tokio::task::spawn_local(async move {
        let mut tick = tokio::time::interval(EXPIRY_PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = tick.tick().await;
            watched.session.roster.expire(now.into_std());
        }
    });
    while let Some(order) = orders.recv().await {
        match order {
            Order::Cancel(key, done) => {
                if let Some(cancel) = place
                    .session
                    .roster
                    .cancel(&key)
                    .and_then(|server| server.begin_cancel())
                {
                    tokio::task::spawn_local(async move {
                        if let Err(error) = cancel.target().cancel(cancel.key()).await {
                            debug!(%error, "a cancel request could not be delivered");
                        }
                        let _ = done.send(());
                    });
                }
            }
            Order::Clients(answer) => {
                let rows = place
                    .session
                    .roster
                    .all()
                    .iter()
                    .map(|client| row(client))
                    .collect();
                let _ = answer.send(rows);
            }
            Order::Connection(socket) => {
                let place = place.clone();
                tokio::task::spawn_local(async move {
                    let _leave = Leave(place.process.clone(), number);
                    connection::serve(socket, &place).await;
                });
            }
            Order::Drain => place.session.drain(),
            Order::Kill(id, answer) => {
                let client = place.session.roster.client(id);
                if let Some(client) = &client {
                    client.end(forced_disconnect());
                }
                let _ = answer.send(client.is_some());
            }
            Order::KillAll(database, error) => {
                for client in place.session.roster.all() {
                    let concerned = database
                        .as_ref()
                        .is_none_or(|d| *d == *client.database.borrow());
                    if concerned && !is_console(&client.database.borrow()) {
                        client.end(error.clone());
                    }
                }
            }
            Order::Reload(session, console) => {
                place.session.reload(session);
                *place.console_settings.borrow_mut() = console;
            }
        }
    }
}

fn row(client: &Client) -> ClientRow {
    let server = client.server.borrow();
    let state = match client.state.get() {
        ClientState::Active => "active",
        ClientState::Idle => "idle",
        ClientState::Login => "login",
        ClientState::Waiting => "waiting",
    };
    ClientRow {
        id: client.id,
        user: client.user.borrow().clone(),
        database: client.database.borrow().clone(),
        replication: client.replication.get(),
        state,
        address: client.addresses.0.clone(),
        local_address: client.addresses.1.clone(),
        connected: client.connected,
        in_state: client.since.get().elapsed(),
        server: server.as_ref().map_or(0, |server| server.id),
        server_pid: server.as_ref().map_or(0, |server| server.pid),
        tls: client.tls.borrow().clone(),
        application_name: client.application_name.borrow().clone(),
        prepared: client.prepared.get(),
    }
}

/// Tells when a connection has ended, however it did.
struct Leave(Arc<Process>, usize);

impl Drop for Leave {
    fn drop(&mut self) {
        let workers = &self.0.workers;
        workers.load[self.1].fetch_sub(1, Ordering::Relaxed);
        workers.departed.notify_waiters();
    }
}

/// How late a timeout of a client's may come.
const EXPIRY_PERIOD: Duration = Duration::from_millis(100);
/// Enough that one slow derivation does not hold up the next login; more would take the
/// worker's core.
const HASHING_THREADS: usize = 2;
/// Reserved, not used: a parser of deeply nested statements will need it.
const STACK: usize = 64 * 1024 * 1024;
