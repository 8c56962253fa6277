//! What is set for one user, and comes before what is set for databases and for all.

use std::time::Duration;

use crate::pool::settings::{PoolMode, PoolSettings};

/// One user's settings; what is `None` is as for all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserSettings {
    /// Most servers opened in this user's name.
    pub max_connections: Option<usize>,
    /// Most clients who log in as this user.
    pub max_clients: Option<usize>,
    /// How long such a client may be silent without a server.
    pub idle_timeout: Option<Duration>,
    /// How long such a client waits for a server; `Some(None)`: for ever.
    pub query_wait_timeout: Option<Option<Duration>>,
    /// The pools of this server user.
    pub pool: UserPool,
}

/// What is different in the pools of one server user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserPool {
    /// See [`PoolSettings`].
    pub mode: Option<PoolMode>,
    /// See [`PoolSettings`].
    pub size: Option<usize>,
    /// See [`PoolSettings`].
    pub reserve_size: Option<usize>,
    /// See [`PoolSettings`].
    pub query_timeout: Option<Duration>,
    /// See [`PoolSettings`].
    pub idle_transaction_timeout: Option<Duration>,
    /// See [`PoolSettings`].
    pub transaction_timeout: Option<Duration>,
}

impl UserPool {
    /// Puts what is set here in the place of what a pool would have otherwise.
    pub fn put_over(&self, pool: &mut PoolSettings) {
        pool.mode = self.mode.unwrap_or(pool.mode);
        pool.size = self.size.unwrap_or(pool.size);
        pool.reserve_size = self.reserve_size.unwrap_or(pool.reserve_size);
        pool.query_timeout = self.query_timeout.or(pool.query_timeout);
        pool.idle_transaction_timeout = self
            .idle_transaction_timeout
            .or(pool.idle_transaction_timeout);
        pool.transaction_timeout = self.transaction_timeout.or(pool.transaction_timeout);
    }
}
