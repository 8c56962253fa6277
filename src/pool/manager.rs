//! How deadpool makes servers and decides whether one may be lent again.

use std::sync::Arc;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};

use crate::pool::error::ConnectError;
use crate::pool::server::{Server, line};
use crate::pool::workshop::Workshop;

/// Makes servers for one of a pool's two stores, the ordinary and the reserve.
#[derive(Debug)]
pub struct Manager {
    pub(super) workshop: Arc<Workshop>,
    pub(super) is_reserve: bool,
}

impl managed::Manager for Manager {
    type Type = Box<Server>;
    type Error = Arc<ConnectError>;

    async fn create(&self) -> Result<Self::Type, Self::Error> {
        // Boxed: every client's task would have room for a whole login otherwise.
        let made = Box::pin(self.workshop.make()).await;
        if let Ok(server) = &made
            && self.is_reserve
        {
            server.line.is_extra();
        }
        made
    }

    /// Decides whether an idle server may be lent. It was cleaned when it came back, so this
    /// costs no round trip unless a check query is set and due.
    async fn recycle(&self, server: &mut Self::Type, _: &Metrics) -> RecycleResult<Self::Error> {
        // Its age was looked at when it came back, and is every second.
        let is_current = !server.info.is_obsolete();
        if !is_current || !server.looks_alive() {
            let reason = if is_current {
                line::CRASHED
            } else {
                line::CHANGED
            };
            server.line.because(reason);
            return Err(RecycleError::message("replaced or closed"));
        }
        server
            .stream
            .adopt()
            .map_err(|e| Arc::new(ConnectError::from(e)))?;
        let settings = &self.workshop.database.pool;
        if let Some(query) = &settings.server_check_query
            && server.used.elapsed() >= settings.server_check_delay
            && !Box::pin(self.workshop.check(server, query)).await
        {
            server.line.because(line::TEST_FAILED);
            return Err(RecycleError::message("the check query failed"));
        }
        Ok(())
    }
}
