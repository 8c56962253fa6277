//! What an operator turns on and off at the console: PAUSE, KILL, DISABLE, and waiting for it.

use std::collections::HashSet;

use super::{Pools, State};
use crate::auth::names::DatabaseName;
use crate::pool::server::info::ServerInfo;

/// What PAUSE and KILL were asked for: pools made later are paused as well.
#[derive(Debug, Default)]
pub(super) struct Paused {
    all: bool,
    /// By name: until they are resumed by name.
    databases: HashSet<DatabaseName>,
    /// By KILL: until they are resumed by name, or all are.
    killed: HashSet<DatabaseName>,
}

impl Paused {
    pub(super) fn holds(&self, database: &DatabaseName) -> bool {
        self.all || self.databases.contains(database) || self.killed.contains(database)
    }

    /// Forgets the databases that are gone.
    pub(super) fn retain(&mut self, is_known: impl Fn(&DatabaseName) -> bool) {
        self.databases.retain(&is_known);
        self.killed.retain(&is_known);
    }
}

impl Pools {
    /// Stops lending servers of one database, or of all: also those of pools made later.
    pub fn pause(&self, database: Option<&DatabaseName>) {
        let mut state = self.state();
        match database {
            None => state.paused.all = true,
            Some(name) => drop(state.paused.databases.insert(name.clone())),
        }
        pause_pools(&state);
    }

    /// Pauses one database, or every one there is, as [`Self::pause`] does by name; but resuming
    /// all undoes it too.
    pub fn kill(&self, database: Option<&DatabaseName>) {
        let mut state = self.state();
        let names = match database {
            Some(name) => vec![name.clone()],
            None => state
                .known()
                .iter()
                .map(|known| known.name.clone())
                .collect(),
        };
        state.paused.killed.extend(names);
        pause_pools(&state);
    }

    /// Undoes [`Self::pause`] and [`Self::kill`] of one database, or those of all; a database
    /// paused by name stays so until it is resumed by name. False if there was nothing to undo.
    pub fn resume(&self, database: Option<&DatabaseName>) -> bool {
        let mut state = self.state();
        let paused = &mut state.paused;
        let undone = match database {
            None => {
                let killed = std::mem::take(&mut paused.killed);
                std::mem::take(&mut paused.all) || !killed.is_empty()
            }
            Some(name) => paused.databases.remove(name) | paused.killed.remove(name),
        };
        for pool in state.pools.values() {
            if !state.paused.holds(pool.database_name()) && pool.is_paused() {
                pool.resume();
            }
        }
        undone
    }

    /// Whether [`Self::pause`] or [`Self::kill`] holds for one database, by its name or for all;
    /// or [`Self::pause`] for all.
    pub fn is_paused(&self, database: Option<&DatabaseName>) -> bool {
        let state = self.state();
        database.map_or(state.paused.all, |name| state.paused.holds(name))
    }

    /// Lets no new clients into a database; those it has go on. False if it was so before.
    pub fn disable(&self, database: &DatabaseName) -> bool {
        self.state().disabled.insert(database.clone())
    }

    /// Undoes [`Self::disable`]. False if there was nothing to undo.
    pub fn enable(&self, database: &DatabaseName) -> bool {
        self.state().disabled.remove(database)
    }

    /// Whether a database takes no new clients.
    pub fn is_disabled(&self, database: &DatabaseName) -> bool {
        self.state().disabled.contains(database)
    }

    /// Has every server of one database, or of all, closed: idle ones now, others when they come
    /// back.
    pub fn reconnect(&self, database: Option<&DatabaseName>) {
        for pool in self.all() {
            if database.is_none_or(|name| name == pool.database_name()) {
                pool.reconnect();
            }
        }
    }

    /// Waits until no server of one database, or of any, is to be closed when it comes back: at
    /// once if there is none. Cancel safe.
    pub async fn wait_close(&self, database: Option<&DatabaseName>) {
        self.none_left(database, |server| {
            server.is_some_and(ServerInfo::is_obsolete)
        })
        .await;
    }

    /// Waits until one database, or any, has no server. Whoever waits for this has paused it.
    /// Cancel safe.
    pub async fn wait_empty(&self, database: Option<&DatabaseName>) {
        self.none_left(database, |_| true).await;
    }
}

fn pause_pools(state: &State) {
    for pool in state.pools.values() {
        if state.paused.holds(pool.database_name()) && !pool.is_paused() {
            pool.pause();
        }
    }
}
