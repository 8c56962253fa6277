//! How long what a client does may last: what the settings of its database and the entries of
//! its users say together.

use std::time::Duration;

use crate::pool::settings::PoolSettings;
use crate::pool::settings::users::UserSettings;

/// How long what a client does may last. `None`: for ever.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timeouts {
    /// The silence of a client that has no server, if that is its user's own affair.
    pub idle: Option<Duration>,
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
    /// Those of a client in a pool: of its own name depends how long it waits and is silent.
    /// What is set for the servers' user is in the pool's settings.
    pub(super) fn new(pool: &PoolSettings, login: Option<&UserSettings>) -> Self {
        Self {
            idle: login.and_then(|user| user.idle_timeout),
            query: pool.query_timeout,
            query_wait: login
                .and_then(|user| user.query_wait_timeout)
                .unwrap_or(pool.query_wait_timeout),
            query_wait_notify: pool.query_wait_notify,
            transaction: pool.transaction_timeout,
            idle_transaction: pool.idle_transaction_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_values_come_first_and_its_off_as_well() {
        let [one, two] = [1, 2].map(Duration::from_secs);
        let pool = PoolSettings {
            query_timeout: Some(one),
            query_wait_timeout: Some(one),
            ..PoolSettings::default()
        };
        let login = UserSettings {
            idle_timeout: Some(two),
            query_wait_timeout: Some(None),
            ..UserSettings::default()
        };
        let timeouts = Timeouts::new(&pool, Some(&login));
        assert_eq!((timeouts.idle, timeouts.query_wait), (Some(two), None));
        assert_eq!(timeouts.query, Some(one));
        let plain = Timeouts::new(&pool, None);
        assert_eq!((plain.idle, plain.query_wait), (None, Some(one)));
    }
}
