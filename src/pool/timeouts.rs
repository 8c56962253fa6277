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
    /// Those of a client in a pool: of its login depends how long it waits and is silent, of
    /// its servers' user how long it may keep one of them.
    pub(super) fn new(
        pool: &PoolSettings,
        login: Option<&UserSettings>,
        server: Option<&UserSettings>,
    ) -> Self {
        let of_server = |own: fn(&UserSettings) -> Option<Duration>| server.and_then(own);
        Self {
            idle: login.and_then(|user| user.idle_timeout),
            query: of_server(|user| user.pool.query_timeout).or(pool.query_timeout),
            query_wait: login
                .and_then(|user| user.query_wait_timeout)
                .unwrap_or(pool.query_wait_timeout),
            query_wait_notify: pool.query_wait_notify,
            transaction: of_server(|user| user.pool.transaction_timeout)
                .or(pool.transaction_timeout),
            idle_transaction: of_server(|user| user.pool.idle_transaction_timeout)
                .or(pool.idle_transaction_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::settings::users::UserPool;

    #[test]
    fn a_users_own_values_come_first_and_its_off_as_well() {
        let [one, two, three] = [1, 2, 3].map(Duration::from_secs);
        let pool = PoolSettings {
            query_timeout: Some(one),
            query_wait_timeout: Some(one),
            transaction_timeout: Some(one),
            ..PoolSettings::default()
        };
        let login = UserSettings {
            idle_timeout: Some(two),
            query_wait_timeout: Some(None),
            pool: UserPool {
                query_timeout: Some(two),
                ..UserPool::default()
            },
            ..UserSettings::default()
        };
        let server = UserSettings {
            idle_timeout: Some(three),
            query_wait_timeout: Some(Some(three)),
            pool: UserPool {
                idle_transaction_timeout: Some(three),
                ..UserPool::default()
            },
            ..UserSettings::default()
        };
        let timeouts = Timeouts::new(&pool, Some(&login), Some(&server));
        let expected = Timeouts {
            idle: Some(two),
            query: Some(one),
            query_wait: None,
            query_wait_notify: pool.query_wait_notify,
            transaction: Some(one),
            idle_transaction: Some(three),
        };
        assert_eq!(timeouts, expected);
        let plain = Timeouts::new(&pool, None, None);
        assert_eq!((plain.idle, plain.query_wait), (None, Some(one)));
    }
}
