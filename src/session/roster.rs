//! The clients of one worker, seen from outside their tasks: for SHOW CLIENTS, KILL and cancel.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime};

use foldhash::fast::RandomState;

use crate::policy::admission::Admission;
use crate::pool::server::info::ServerInfo;
use crate::session::audit::Who;
use crate::session::carried::Carried;
use crate::session::progress::{Patience, Progress};
use crate::session::standstill::Standstill;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::ErrorResponse;
use crate::wire::pooler_error::PoolerError;

/// One client, as its task and others on the same worker see it.
#[derive(Debug)]
pub struct Client {
    /// A number that no other connection of this process has.
    pub id: u64,
    /// Who it is, as far as that is known; for the audit log as well.
    pub who: RefCell<Rc<Who>>,
    /// Our address and port; `None` for a Unix socket.
    pub local: Option<SocketAddr>,
    /// Its process, and the port in the name of its Unix socket.
    pub unix: Cell<Option<(i32, u16)>>,
    /// The number of its socket's descriptor.
    pub fd: Cell<i32>,
    /// When it came.
    pub connected: SystemTime,
    /// TLS version and cipher; empty without.
    pub tls: RefCell<Box<str>>,
    /// `none`, `logical` or `physical`.
    pub replication: Cell<&'static str>,
    /// What it is doing.
    pub state: Cell<ClientState>,
    /// When it began to do that, or sent its latest query.
    pub since: Cell<Instant>,
    /// How long it may be silent while it has no server. `None`: for ever.
    pub idle_timeout: Cell<Option<Duration>>,
    /// Bytes of the longest message.
    pub max_packet_size: Cell<usize>,
    /// What it does with its server, and how long that may last.
    pub progress: Progress,
    /// Statements it has prepared.
    pub prepared: Cell<usize>,
    /// The server it has.
    pub server: RefCell<Option<Arc<ServerInfo>>>,
    /// As what it was let in.
    pub admission: RefCell<Option<Admission>>,
    /// When the statement that runs, or the login, has taken too long. `None`: no limit, or there
    /// is neither.
    pub deadline: Cell<Option<Instant>>,
    /// What runs on its server is a statement of ours, which prepares it for the client.
    pub(super) is_settling: Cell<bool>,
    /// It was admitted anew: its guard and its pool may have to be others.
    pub(super) readmitted: Readmitted,
    pub(super) standstill: Standstill,
    key: RefCell<Option<CancelKey>>,
    signal: RefCell<Signal>,
    waker: RefCell<Option<Waker>>,
}

/// A client's address and port, and ours; `None` for a Unix socket.
pub type Addresses = (Option<SocketAddr>, Option<SocketAddr>);

/// Who has to take notice that a client was admitted anew, and has not.
#[derive(Debug, Default)]
pub(super) struct Readmitted {
    pub(super) guard: Cell<bool>,
    pub(super) pool: Cell<bool>,
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientState {
    /// It has a server.
    Active,
    /// It has none and needs none.
    Idle,
    /// It has not logged in yet.
    Login,
    /// It waits for a server.
    Waiting,
}

/// What others want of a client's task.
#[derive(Clone, Debug, Default)]
pub enum Signal {
    /// To give up waiting for a server: the client's own wish.
    CancelWait,
    /// To end, with this error.
    End(Box<ErrorResponse>),
    /// Nothing.
    #[default]
    None,
    /// To have the statement that runs cancelled: it has taken longer than its role may.
    StopStatement,
    /// To be told that it waits for a server, once.
    TellWaiting,
    /// To give up waiting for a server: it has taken longer than this.
    WaitTimeout(Duration),
}

impl Client {
    /// A client that has just connected.
    pub fn new(id: u64, addresses: Addresses) -> Rc<Self> {
        Self::since(id, addresses, SystemTime::now())
    }

    /// A client that connected at this time, to a process whose place this one has taken.
    pub fn since(id: u64, (address, local): Addresses, connected: SystemTime) -> Rc<Self> {
        let who = Who {
            session: id,
            address,
            ..Who::default()
        };
        Rc::new(Self {
            id,
            who: RefCell::new(Rc::new(who)),
            local,
            unix: Cell::new(None),
            fd: Cell::new(0),
            connected,
            tls: RefCell::default(),
            replication: Cell::new("none"),
            state: Cell::new(ClientState::Login),
            since: Cell::new(Instant::now()),
            idle_timeout: Cell::new(None),
            max_packet_size: Cell::new(usize::MAX),
            progress: Progress::default(),
            prepared: Cell::new(0),
            server: RefCell::default(),
            admission: RefCell::default(),
            deadline: Cell::new(None),
            is_settling: Cell::new(false),
            readmitted: Readmitted::default(),
            standstill: Standstill::default(),
            key: RefCell::default(),
            signal: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    /// The name it says it has, once it has said so.
    pub fn user(&self) -> Arc<str> {
        self.who.borrow().user.clone()
    }

    /// The database it asks for, once it has said so.
    pub fn database(&self) -> Arc<str> {
        self.who.borrow().database.clone()
    }

    /// Its address and port; empty for a Unix socket.
    pub fn address(&self) -> String {
        self.who.borrow().address_text()
    }

    /// Where it is, for the log: `host:port` or `unix(pid):port`.
    pub fn peer(&self) -> String {
        match (self.who.borrow().address, self.unix.get()) {
            (Some(address), _) => address.to_string(),
            (None, Some((pid, port))) => format!("unix({pid}):{port}"),
            (None, None) => "unknown".to_owned(), // it is gone already
        }
    }

    /// Notes what has become known of who it is.
    pub(super) fn note(&self, change: impl FnOnce(&mut Who)) {
        change(Rc::make_mut(&mut self.who.borrow_mut()));
    }

    /// Its cancel key as it is sent.
    pub(super) fn key_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.key.borrow().as_ref()?.put(&mut bytes);
        Some(bytes)
    }

    /// Changes the state, at this time.
    pub fn enter(&self, state: ClientState, now: Instant) {
        self.state.set(state);
        self.since.set(now);
    }

    /// Notes who is to be woken for a signal; to be called by the client's task before it
    /// returns `Pending`.
    pub fn listen(&self, cx: &mut Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }

    /// What others want, once.
    pub fn take_signal(&self) -> Signal {
        if matches!(*self.signal.borrow(), Signal::None) {
            return Signal::None;
        }
        self.signal.take()
    }

    /// Ends the client.
    pub fn end(&self, error: ErrorResponse) {
        self.signal.replace(Signal::End(Box::new(error)));
        self.wake();
    }

    /// Has it give up waiting for a server, as it wishes.
    pub(super) fn cancel_wait(&self) {
        self.signal(Signal::CancelWait);
    }

    /// Asks for something, unless the client is to end already.
    fn signal(&self, signal: Signal) {
        if !matches!(*self.signal.borrow(), Signal::End(_)) {
            self.signal.replace(signal);
        }
        self.wake();
    }

    /// Ends what has lasted too long.
    fn expire(&self, now: Instant) {
        if self.deadline.get().is_some_and(|deadline| now >= deadline) {
            self.deadline.set(None);
            match self.state.get() {
                ClientState::Login => self.wake(), // the login sees for itself what time it is
                ClientState::Active | ClientState::Idle | ClientState::Waiting => {
                    self.signal(Signal::StopStatement);
                }
            }
        }
        let since = self.since.get();
        match self.state.get() {
            ClientState::Active => {
                if let Some(error) = self.progress.overtime(now) {
                    self.signal(Signal::End(Box::new(error.into())));
                }
            }
            ClientState::Idle => {
                let silent = now.saturating_duration_since(since);
                if self.idle_timeout.get().is_some_and(|limit| silent >= limit) {
                    self.signal(Signal::End(Box::new(PoolerError::ClientIdleTimeout.into())));
                }
            }
            ClientState::Login => {}
            ClientState::Waiting => match self.progress.patience(since, now) {
                Patience::QueryTimeout => {
                    self.signal(Signal::End(Box::new(
                        PoolerError::QueryTimeoutWaiting.into(),
                    )));
                }
                Patience::Tell if matches!(*self.signal.borrow(), Signal::None) => {
                    self.signal(Signal::TellWaiting);
                }
                Patience::Tell | Patience::Wait => {}
                Patience::WaitTimeout(limit) => self.signal(Signal::WaitTimeout(limit)),
            },
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// All clients of a worker.
#[derive(Debug, Default)]
pub struct Roster {
    clients: RefCell<HashMap<u64, Rc<Client>, RandomState>>,
    /// By the first eight bytes: with peers a process id has little of its own.
    keys: RefCell<HashMap<u64, u64, RandomState>>,
    /// Clients are to stand still, those that come in meanwhile as well.
    standstill: Cell<bool>,
}

impl Roster {
    /// Adds a client; it leaves when the result is dropped.
    pub fn enter<'a>(&'a self, client: &Rc<Client>) -> Entry<'a> {
        client.standstill.want(self.standstill.get());
        self.clients.borrow_mut().insert(client.id, client.clone());
        Entry {
            roster: self,
            client: client.clone(),
        }
    }

    /// Gives a client its cancel key; false if another has one that begins alike.
    pub fn set_key(&self, client: &Client, key: CancelKey) -> bool {
        let mut keys = self.keys.borrow_mut();
        if keys.contains_key(&key.head()) {
            return false;
        }
        keys.insert(key.head(), client.id);
        client.key.replace(Some(key));
        true
    }

    /// The client whose cancel key this is, to the last byte.
    pub(super) fn by_key(&self, key: &CancelKey) -> Option<Rc<Client>> {
        let id = *self.keys.borrow().get(&key.head())?;
        let client = self.client(id)?;
        let matches = client.key.borrow().as_ref()?.matches(key);
        matches.then_some(client)
    }

    /// Ends what has lasted too long. To be called about ten times a second: no client needs a
    /// timer of its own then.
    pub fn expire(&self, now: Instant) {
        for client in self.clients.borrow().values() {
            // Who stands still may be another process's by now.
            if !client.standstill.is_standing() {
                client.expire(now);
            }
        }
    }

    /// Has all clients stand still as soon as nothing of theirs is under way, or go on.
    pub fn stand_still(&self, wanted: bool) {
        self.standstill.set(wanted);
        for client in self.all() {
            client.standstill.want(wanted);
            client.wake();
        }
    }

    /// Whether clients are to stand still: their connections may be another process's by now.
    pub fn stands_still(&self) -> bool {
        self.standstill.get()
    }

    /// The clients that have logged in, are to stand still and do not.
    pub fn moving(&self) -> Vec<Rc<Client>> {
        self.select(|client| {
            let logged_in = client.state.get() != ClientState::Login;
            // Not those of the console, which have no pool.
            let served = !client.who.borrow().server_user.is_empty();
            logged_in && served && !client.standstill.is_standing()
        })
    }

    /// Has the clients that stand still tell what another process needs to go on with them; to be
    /// followed by [`Self::carried`] once their tasks have run.
    pub fn ask_carried(&self) {
        for client in self.all() {
            client.standstill.ask();
            client.wake();
        }
    }

    /// What they have told, once. Clients that tell nothing cannot be carried.
    pub fn carried(&self) -> Vec<Carried> {
        let told = |client: &Rc<Client>| client.standstill.take().map(|carried| *carried);
        self.all().iter().filter_map(told).collect()
    }

    /// Ends the clients that have not been carried: to be called when the others are another
    /// process's.
    pub fn end_the_rest(&self, error: &ErrorResponse) -> usize {
        let rest = self.select(|client| !client.standstill.has_told());
        for client in &rest {
            client.end(error.clone());
        }
        rest.len()
    }

    /// The client with this number.
    pub fn client(&self, id: u64) -> Option<Rc<Client>> {
        self.clients.borrow().get(&id).cloned()
    }

    /// All clients.
    pub fn all(&self) -> Vec<Rc<Client>> {
        self.clients.borrow().values().cloned().collect()
    }

    /// The clients of which something is true.
    pub(super) fn select(&self, wanted: impl Fn(&Rc<Client>) -> bool) -> Vec<Rc<Client>> {
        let clients = self.clients.borrow();
        clients
            .values()
            .filter(|client| wanted(client))
            .cloned()
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clients.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn wake_all(&self) {
        for client in self.all() {
            client.wake();
        }
    }
}

/// A client's place in the roster.
#[derive(Debug)]
pub struct Entry<'a> {
    roster: &'a Roster,
    client: Rc<Client>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.roster.clients.borrow_mut().remove(&self.client.id);
        if let Some(key) = &*self.client.key.borrow() {
            self.roster.keys.borrow_mut().remove(&key.head());
        }
    }
}
