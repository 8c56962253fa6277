//! What a client's replication connection asks of its server.

use std::sync::Arc;

use crate::pool::pools::Pools;

/// A replication connection: it has a server of its own, which begins with what the client has
/// asked for, word for word. A WAL sender takes no SET afterwards.
/// <https://www.postgresql.org/docs/current/protocol-replication.html>
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Replication {
    /// The client's number: nobody else gets its server.
    pub client: u64,
    /// `database` or `true`: logical or physical.
    pub kind: &'static str,
    /// What else is in the client's start-up packet.
    pub parameters: Vec<(String, String)>,
}

impl Replication {
    /// Whether it may have a connection to one database only, and speak SQL there.
    pub fn is_logical(&self) -> bool {
        self.kind == "database"
    }
}

/// The pool of one replication client; the pools forget it when this is dropped.
#[derive(Debug)]
pub struct OwnPool {
    pools: Arc<Pools>,
    client: u64,
}

impl OwnPool {
    /// The pool that is or will be made for this client.
    pub fn new(pools: &Arc<Pools>, client: u64) -> Self {
        Self {
            pools: pools.clone(),
            client,
        }
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        self.pools.forget_replication(self.client);
    }
}
