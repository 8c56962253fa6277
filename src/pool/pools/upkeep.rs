//! What is to be done from time to time.

use std::sync::Arc;
use std::time::Instant;

use super::{Pools, State};
use crate::pool::needs::Needs;

impl Pools {
    /// Makes the pools that are kept filled whether or not anybody comes, and forgets what nobody
    /// has used for long. To be called about once a second, before [`Pool::tidy`] of all.
    ///
    /// [`Pool::tidy`]: crate::pool::Pool::tidy
    pub fn tidy(&self) {
        self.prewarm();
        let now = Instant::now();
        self.dns.tidy(now);
        let mut state = self.state();
        state.forget_pools(now);
        state.forget_automatic(now);
        state
            .leaving
            .retain(|(_, registry)| registry.logins() > 0 || !registry.is_empty());
        // Held by pools and their servers only.
        state
            .sizes
            .retain(|_, budget| Arc::strong_count(budget) > 1);
    }

    /// Makes the pools that are kept filled whether or not anybody comes: those with a
    /// `min_size` and one user for all clients.
    fn prewarm(&self) {
        let mut state = self.state();
        let mut wanted = state.known();
        wanted.retain(|database| database.pool.min_size > 0 && database.server.is_some());
        wanted.retain(|database| !state.is_on_trial(&database.name));
        for database in wanted {
            self.of_all_clients(&mut state, &database, &Needs::default());
        }
    }
}

impl State {
    /// Forgets the pools that have had neither clients nor servers for pool_idle_timeout, and
    /// what they have counted.
    pub(super) fn forget_pools(&mut self, now: Instant) {
        let Some(limit) = self.settings.pool_idle_timeout else {
            return;
        };
        self.pools.retain(|_, pool| {
            let stays = pool.is_kept_filled() || pool.unused_for(now).is_none_or(|t| t < limit);
            if !stays {
                tracing::debug!(database = %pool.database_name(), user = %pool.user(), "pool forgotten");
                pool.close();
            }
            stays
        });
    }
}
