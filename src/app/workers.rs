//! All workers, from outside: what they can be asked, and which of them to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::time::MissedTickBehavior;

use crate::app::ticket::Ticket;
use crate::console::control::{ClientRow, Descriptor};
use crate::console::settings::ConsoleSettings;
use crate::session::carried::{Arrived, Carried};
use crate::session::keys::worker_of;
use crate::session::settings::SessionSettings;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::ErrorResponse;
use crate::wire::socket::Socket;

/// What a worker is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Go on with a client of another process.
    Arrive(Box<Arrived>),
    /// Cancel what the client with this key waits for, and tell when that is done.
    Cancel(CancelKey, oneshot::Sender<()>),
    /// Tell all that another process needs to know of the clients.
    Carry(oneshot::Sender<Vec<Carried>>),
    /// List the clients.
    Clients(oneshot::Sender<Vec<ClientRow>>),
    /// List the sockets of the clients.
    Descriptors(oneshot::Sender<Vec<Descriptor>>),
    /// Serve a new connection, which may log in if it has a ticket.
    Connection(Socket, Option<Ticket>),
    /// Send clients away as they fall idle.
    Drain,
    /// End one client; tells whether it was here.
    Kill(u64, oneshot::Sender<bool>),
    /// End the clients of a database, or all.
    KillAll(Option<String>, ErrorResponse),
    /// Tell this number of the pooler's in new cancel keys.
    Peer(u16),
    /// Use other settings from now on, and tell when they are in force.
    Reload(
        Arc<SessionSettings>,
        Arc<ConsoleSettings>,
        oneshot::Sender<()>,
    ),
    /// Stop reading from clients as soon as nothing is under way, or go on.
    StandStill(bool),
    /// End the clients that another process has not been given.
    EndTheRest(oneshot::Sender<usize>),
    /// End the clients that something is still under way to or from; tell how many.
    EndMoving(oneshot::Sender<usize>),
    /// Tell of how many clients something is still under way.
    Moving(oneshot::Sender<usize>),
}

/// All workers, from outside.
#[derive(Debug)]
pub(super) struct Workers {
    orders: Vec<UnboundedSender<Order>>,
    load: Vec<AtomicUsize>,
    /// Told several times a second, to look at what has lasted too long.
    beats: Vec<Notify>,
    /// Told whenever a connection ends.
    pub(super) departed: Notify,
}

impl Workers {
    /// Channels for this many workers, which are not running yet.
    pub(super) fn new(count: usize) -> (Self, Vec<UnboundedReceiver<Order>>) {
        let (orders, receivers) = (0..count).map(|_| unbounded_channel()).unzip();
        let load = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let beats = (0..count).map(|_| Notify::new()).collect();
        (
            Self {
                orders,
                load,
                beats,
                departed: Notify::new(),
            },
            receivers,
        )
    }

    /// Has every worker look at what has lasted too long. From outside, as a worker that has no
    /// timer of its own does not look at the clock each time it has nothing to do.
    pub(super) async fn keep_time(&self) {
        let mut tick = tokio::time::interval(BEAT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.beats.iter().for_each(Notify::notify_one);
        }
    }

    /// Waits until it is time to look at what has lasted too long. Cancel safe.
    pub(super) async fn beat(&self, worker: usize) {
        self.beats[worker].notified().await;
    }

    /// Gives a client of another process to the worker that its cancel key tells.
    pub(super) fn arrive(&self, arrived: Arrived) {
        let worker = match arrived.key() {
            Some(key) => worker_of(&key, self.orders.len()),
            None => 0,
        };
        self.load[worker].fetch_add(1, Ordering::Relaxed);
        self.send(worker, Order::Arrive(Box::new(arrived)));
    }

    /// The sockets of the clients of all workers, without secrets.
    pub(super) async fn descriptors(&self) -> Vec<Descriptor> {
        let mut all = Vec::new();
        for worker in 0..self.orders.len() {
            let (answer, wait) = oneshot::channel();
            self.send(worker, Order::Descriptors(answer));
            all.extend(wait.await.unwrap_or_default());
        }
        all
    }

    /// What another process needs to know of the clients of all workers.
    pub(super) async fn carry(&self) -> Vec<Carried> {
        let mut all = Vec::new();
        for worker in 0..self.orders.len() {
            let (answer, wait) = oneshot::channel();
            self.send(worker, Order::Carry(answer));
            all.extend(wait.await.unwrap_or_default());
        }
        all
    }

    /// Gives a new connection to the worker that has the fewest.
    pub(super) fn give(&self, socket: Socket, ticket: Option<Ticket>) {
        let least = self
            .load
            .iter()
            .enumerate()
            .min_by_key(|(_, load)| load.load(Ordering::Relaxed));
        let worker = least.map_or(0, |(worker, _)| worker);
        self.load[worker].fetch_add(1, Ordering::Relaxed);
        self.send(worker, Order::Connection(socket, ticket));
    }

    /// Has a query cancelled; returns when the server has been told. Cancel safe.
    pub(super) async fn cancel(&self, key: CancelKey) {
        let (done, wait) = oneshot::channel();
        let worker = worker_of(&key, self.orders.len());
        self.send(worker, Order::Cancel(key, done));
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

    /// The sum of what all workers answer.
    pub(super) async fn sum(&self, order: impl Fn(oneshot::Sender<usize>) -> Order) -> usize {
        let mut sum = 0;
        for worker in 0..self.orders.len() {
            let (answer, wait) = oneshot::channel();
            self.send(worker, order(answer));
            sum += wait.await.unwrap_or_default();
        }
        sum
    }

    /// Asks the same of every worker.
    pub(super) fn ask_all(&self, order: impl Fn() -> Order) {
        for worker in 0..self.orders.len() {
            self.send(worker, order());
        }
    }

    /// Asks the same of every worker, at once; what is returned waits until all have done it.
    pub(super) fn have_all<F: Fn(oneshot::Sender<()>) -> Order>(
        &self,
        order: F,
    ) -> impl Future<Output = ()> + Send + use<F> {
        let waits: Vec<_> = (0..self.orders.len())
            .map(|worker| {
                let (done, wait) = oneshot::channel();
                self.send(worker, order(done));
                wait
            })
            .collect();
        async {
            for wait in waits {
                // A worker that is gone has nobody to obey the settings for.
                let _ = wait.await;
            }
        }
    }

    /// Notes that a connection of a worker's has ended.
    pub(super) fn left(&self, worker: usize) {
        self.load[worker].fetch_sub(1, Ordering::Relaxed);
        self.departed.notify_waiters();
    }

    fn send(&self, worker: usize, order: Order) {
        if let Some(orders) = self.orders.get(worker) {
            // A worker that is gone is the end of the process; nobody waits for its answer.
            let _ = orders.send(order);
        }
    }
}

/// How late a timeout of a client's may come.
const BEAT: Duration = Duration::from_millis(100);
