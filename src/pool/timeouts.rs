//! How long what a client does may last: what the settings of its database and the entries of
//! its users say together.

use std::time::Duration;

use crate::pool::settings::PoolSettings;

/// How long what a client does may last. `None`: for ever.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timeouts {
    /// A query, with the wait for a server.
    pub query: Option<Duration>,
    /// The wait for a server.
    pub query_wait: Option<Duration>,
    /// The wait for a server before the client is told of it.
    pub query_wait_notify: Option<Duration>,
    /// A transaction.
    pub transaction: Option<Duration>,
    /// The client's silence within a transaction.
    pub idle_transaction: Option<Duration>,
}

impl Timeouts {
    /// Those of a pool.
    pub(super) fn of_pool(pool: &PoolSettings) -> Self {
        Self {
            query: None,
            query_wait: pool.query_wait_timeout,
            query_wait_notify: None,
            transaction: None,
            idle_transaction: None,
        }
    }
}
