//! Databases that nobody listed and somebody asks for who has proved nothing yet: they are there
//! while users are looked up in them, a few at a time, and stay only once somebody is let in.
//! Strangers can think of more names than there is memory.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::Pools;
use crate::auth::names::DatabaseName;

/// Keeps a database as long as users are looked up in it.
#[derive(Debug)]
#[must_use = "the database is gone when this is dropped"]
pub struct Trial {
    pools: Arc<Pools>,
    database: DatabaseName,
    place: Option<Arc<Place>>,
}

/// One of the databases that may be on trial at a time.
#[derive(Debug)]
pub(super) struct Place(
    #[allow(dead_code, reason = "it counts until dropped")] OwnedSemaphorePermit,
);

impl Pools {
    /// Prepares a database for looking up users in it. One that is made for that alone waits for
    /// its turn first, and is forgotten when the last lookup in it is over, unless somebody was
    /// let in meanwhile. `None`: the database stays anyway, or there is none. Cancel safe.
    pub async fn trial(self: &Arc<Self>, database: &DatabaseName) -> Option<Trial> {
        let mut place = None;
        loop {
            if let Ok(trial) = self.join_trial(database, &mut place) {
                return trial;
            }
            let turn = self.trials.clone().try_acquire_owned();
            let turn = match turn {
                Ok(turn) => turn,
                Err(_) => {
                    self.warn_of_strangers(database);
                    // It is never closed.
                    self.trials.clone().acquire_owned().await.ok()?
                }
            };
            place = Some(Place(turn));
        }
    }

    /// `Err`: a place is needed.
    fn join_trial(
        self: &Arc<Self>,
        database: &DatabaseName,
        place: &mut Option<Place>,
    ) -> Result<Option<Trial>, ()> {
        let mut state = self.state();
        if state.settings.template.is_none() || state.settings.databases.contains_key(database) {
            return Ok(None);
        }
        let known = state.automatic.get(database);
        let place = match known.map(|made| made.trial.as_ref().map(Weak::upgrade)) {
            Some(None) => return Ok(None),
            // Each of these is given back with the lock held.
            Some(Some(shared)) => shared,
            None => {
                let place = Arc::new(place.take().ok_or(())?);
                let _ = state.make(database, Some(Arc::downgrade(&place)));
                Some(place)
            }
        };
        Ok(Some(Trial {
            pools: self.clone(),
            database: database.clone(),
            place,
        }))
    }

    /// Tells an operator, now and then, why logins take long.
    fn warn_of_strangers(&self, database: &DatabaseName) {
        let mut state = self.state();
        let now = Instant::now();
        let warned = state.warned_of_strangers;
        if warned.is_none_or(|warned| now.duration_since(warned) >= WARN_AGAIN) {
            state.warned_of_strangers = Some(now);
            drop(state);
            tracing::warn!(
                %database, most = MOST_TRIALS,
                "logins wait: clients ask for too many databases at once that nobody has been let \
                 in to yet, and each has its users looked up in itself; auth_dbname \
                 (auth.lookup.database) names one place for all"
            );
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut state = self.pools.state();
        let is_last = self.place.take().and_then(Arc::into_inner).is_some();
        if is_last && state.is_on_trial(&self.database) {
            state.forget(&self.database);
        }
    }
}

/// Most databases that are on trial at a time.
pub(super) const MOST_TRIALS: usize = 20;
const WARN_AGAIN: Duration = Duration::from_secs(60);
