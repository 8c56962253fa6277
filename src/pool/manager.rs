//! How servers are made, and whether one may be lent again.

use std::sync::Arc;

use crate::pool::error::ConnectError;
use crate::pool::server::{Server, line};
use crate::pool::workshop::Workshop;

/// Makes servers for one of a pool's two stores, the ordinary and the reserve.
#[derive(Debug)]
pub(super) struct Manager {
    pub(super) workshop: Arc<Workshop>,
    pub(super) is_reserve: bool,
}

impl Manager {
    /// Opens a server.
    ///
    /// # Errors
    /// As [`Workshop::make`].
    pub(super) async fn make(&self) -> Result<Box<Server>, Arc<ConnectError>> {
        // Boxed: every client's task would have room for a whole login otherwise.
        let made = Box::pin(self.workshop.make()).await;
        if let Ok(server) = &made
            && self.is_reserve
        {
            server.line.is_extra();
        }
        made
    }

    /// Whether an idle server may be lent, as far as can be told without asking it. It was
    /// cleaned when it came back.
    pub(super) fn is_fit(&self, server: &mut Server) -> bool {
        // Its age was looked at when it came back, and is every second.
        if server.info.is_obsolete() {
            server.line.because(line::CHANGED);
            return false;
        }
        let is_fit = server.looks_alive() && server.stream.adopt().is_ok();
        if !is_fit {
            server.line.because(line::CRASHED);
        }
        is_fit
    }

    /// Whether a check query is set, and the server has been idle for long enough.
    pub(super) fn is_check_due(&self, server: &Server) -> bool {
        let settings = &self.workshop.database.pool;
        settings.server_check_query.is_some()
            && server.used.elapsed() >= settings.server_check_delay
    }

    /// Runs the check query, if it is due.
    pub(super) async fn passes_check(&self, server: &mut Server) -> bool {
        let query = &self.workshop.database.pool.server_check_query;
        let Some(query) = query.as_ref().filter(|_| self.is_check_due(server)) else {
            return true;
        };
        // Boxed, as above.
        let passes = Box::pin(self.workshop.check(server, query)).await;
        if !passes {
            server.line.because(line::TEST_FAILED);
        }
        passes
    }
}
