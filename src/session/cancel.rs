//! Cancel requests: which server they are for, and when they may set out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use crate::pool::server::info::{CancelInFlight, ServerInfo};
use crate::session::roster::{ClientState, Roster};
use crate::wire::cancel_key::CancelKey;

/// A cancel request for what one client is waiting for.
#[derive(Debug)]
pub struct Cancel {
    key: CancelKey,
    server: Arc<ServerInfo>,
    /// When the query began that is to be cancelled.
    query: Option<Instant>,
    begun: Option<CancelInFlight>,
}

impl Roster {
    /// Begins to cancel what the client with this key is waiting for; `None`: there is nothing to
    /// send to a server. A client that waits for one is told to give up here and now.
    ///
    /// From now on nobody else gets the server, until the request has been delivered.
    pub fn cancel(&self, key: &CancelKey) -> Option<Cancel> {
        let client = self.by_key(key)?;
        match client.state.get() {
            ClientState::Active => {}
            ClientState::Waiting => {
                client.cancel_wait();
                return None;
            }
            ClientState::Idle | ClientState::Login => return None,
        }
        // What runs is a statement of ours, of which the client knows nothing.
        if client.is_settling.get() {
            return None;
        }
        let server = client.server.borrow().clone()?;
        let begun = if server.is_being_canceled() {
            None
        } else {
            server.begin_cancel()
        };
        Some(Cancel {
            key: key.clone(),
            query: client.progress.query(),
            server,
            begun,
        })
    }
}

impl Cancel {
    /// Sends the request and waits until the server has signalled. One at a time for each
    /// server: however many a client sends, they take no more connections than there are servers.
    /// One that had to wait is dropped if its query has ended meanwhile, or who asked has
    /// `given_up`. Not cancel safe.
    pub async fn deliver(self, roster: &Roster, given_up: impl Future<Output = ()>) {
        if let Some(begun) = self.begun {
            return begun.deliver().await;
        }
        let mut given_up = pin!(given_up);
        loop {
            let waiting = self.server.wait_to_cancel();
            tokio::select! {
                biased;
                () = &mut given_up => return,
                () = self.server.cancels_delivered() => {}
            }
            drop(waiting);
            let still = roster.by_key(&self.key).is_some_and(|client| {
                let server = client.server.borrow();
                let same_server = server
                    .as_ref()
                    .is_some_and(|s| Arc::ptr_eq(s, &self.server));
                same_server && client.progress.query() == self.query && self.query.is_some()
            });
            if !still {
                return;
            }
            if !self.server.is_being_canceled() {
                if let Some(begun) = self.server.begin_cancel() {
                    begun.deliver().await;
                }
                return;
            }
        }
    }
}
