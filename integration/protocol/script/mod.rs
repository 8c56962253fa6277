//! The script: a pgwarden between scripted clients and a scripted PostgreSQL, real bytes on real
//! sockets. Every step waits for its condition with a deadline and says what it waited for.

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod frontend;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod pooler;
pub(crate) mod server;
pub(crate) mod setup;

use std::time::{Duration, Instant};

pub(crate) use client::Client;
pub(crate) use message::Message;
pub(crate) use peer::{Peer, Wire};
pub(crate) use pooler::Pooler;
pub(crate) use server::{Host, Server};
pub(crate) use setup::Setup;

/// How long a step may wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A running pgwarden and the PostgreSQL behind it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) pooler: Pooler,
    pub(crate) host: Host,
}

impl Stage {
    /// Starts pgwarden with these settings in front of a scripted PostgreSQL.
    pub(crate) fn new(setup: &Setup) -> Self {
        let host = Host::new();
        let pooler = Pooler::start(setup, host.port());
        Self { pooler, host }
    }

    /// With these keys in `[pool]`.
    pub(crate) fn with_pool(keys: &str) -> Self {
        Self::new(&Setup::default().pool(keys))
    }

    /// A first client and the server that its login has opened.
    pub(crate) fn pair(&self) -> (Client, Server) {
        let mut client = self.enters("alice");
        let server = self.host.accepts();
        client.is_welcomed();
        (client, server)
    }

    /// A client that has sent its start-up packet.
    pub(crate) fn enters(&self, user: &str) -> Client {
        let mut client = self.pooler.connects();
        client.sends(frontend::startup(user, "shop"));
        client
    }

    /// A client that has logged in while a server is known.
    pub(crate) fn client(&self, user: &str) -> Client {
        let mut client = self.enters(user);
        client.is_welcomed();
        client
    }
}

/// Waits until `done`; fails with `what` at the deadline.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}
