//! Places for clients: the limits of the process and of a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Pools;
use crate::auth::names::DatabaseName;
use crate::pool::settings::DatabaseSettings;

impl Pools {
    /// A place for a client that has proved who it is: under the limit of the process and of
    /// its database.
    ///
    /// # Errors
    /// There is none left, or the database takes no new clients.
    pub fn client_place(
        &self,
        database: &DatabaseSettings,
        max_clients: usize,
    ) -> Result<ClientPlace, NoPlace> {
        let of_database = {
            let mut state = self.state();
            if state.disabled.contains(&database.name) {
                return Err(NoPlace::Disabled(database.name.clone()));
            }
            let clients = &mut state.clients;
            clients.entry(database.name.clone()).or_default().clone()
        };
        let of_all = Count::below(&self.clients, Some(max_clients)).ok_or(NoPlace::Process)?;
        let of_database =
            Count::below(&of_database, database.max_clients).ok_or(NoPlace::Database)?;
        Ok(ClientPlace {
            _of_all: of_all,
            _of_database: of_database,
        })
    }

    /// A place for a client of the console, which has a limit like a database's; `None`: there is
    /// none left.
    pub fn console_place(&self, limit: Option<usize>) -> Option<ConsolePlace> {
        Count::below(&self.console, limit).map(ConsolePlace)
    }

    /// Clients that have a place: of all databases, or of one.
    pub fn clients(&self, database: Option<&DatabaseName>) -> usize {
        match database {
            None => self.clients.load(Ordering::Relaxed),
            Some(name) => self
                .state()
                .clients
                .get(name)
                .map_or(0, |count| count.load(Ordering::Relaxed)),
        }
    }
}

/// A client's place; given up when dropped.
#[derive(Debug)]
pub struct ClientPlace {
    _of_all: Count,
    _of_database: Count,
}

/// The place of a client of the console; given up when dropped.
#[derive(Debug)]
pub struct ConsolePlace(#[allow(dead_code, reason = "it counts until it is dropped")] Count);

/// There is no place for another client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoPlace {
    /// In the database.
    #[error("no more connections allowed (max_clients of the database)")]
    Database,
    /// In the database, as long as an operator does not want new clients there.
    #[error("database \"{0}\" is disabled")]
    Disabled(DatabaseName),
    /// In the process.
    #[error("no more connections allowed (clients.max)")]
    Process,
}

/// One of a number that has a limit.
#[derive(Debug)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn below(counter: &Arc<AtomicUsize>, limit: Option<usize>) -> Option<Self> {
        let one = Self(counter.clone());
        let before = counter.fetch_add(1, Ordering::Relaxed);
        // Over the limit `one` is dropped, which counts it out again.
        (before < limit.unwrap_or(usize::MAX)).then_some(one)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
