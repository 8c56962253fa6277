//! A server lent to a client.

use std::time::Instant;

use tracing::{debug, warn};

use crate::pool::server::Server;
use crate::pool::server::line;
use crate::pool::server::reset::Soil;
use crate::pool::store::Held;

/// A server lent to a client.
///
/// Dropping a lease closes the connection: a cancelled or panicked session says nothing about
/// the state it left behind. [`Lease::release`] is the only way back.
#[derive(Debug)]
#[must_use = "dropping a lease closes its server connection"]
pub struct Lease(Option<Held>);

/// What became of a server.
#[derive(Debug)]
pub enum Released {
    /// It was closed.
    Closed,
    /// It is back in the pool.
    Returned,
    /// It must be cleaned, or wait for a cancel request, before it can go back: whoever
    /// releases it lets [`Cleaning::run`] run beside the client.
    Unready(Cleaning),
}

impl Lease {
    pub(super) fn new(held: Held) -> Self {
        Self(Some(held))
    }

    /// The server.
    pub fn server(&mut self) -> &mut Server {
        self.held()
    }

    fn held(&mut self) -> &mut Held {
        self.0
            .as_mut()
            .expect("a lease has its server until it is released or dropped")
    }

    /// Gives the server back if nobody could notice whose it was; closes it if in doubt, or if
    /// it is too old at the time `now`.
    pub fn release(mut self, now: Instant) -> Released {
        let server = self.server();
        let ready = server.replies.is_settled()
            && server.outbox.is_empty()
            && server.inbox.unread().is_empty()
            && server.soil < Soil::Lasting
            && !server.info.may_be_canceled_later();
        let expired = server.expires.is_some_and(|expires| expires <= now);
        if !ready || expired || server.info.is_obsolete() {
            server.line.because(match (ready, expired) {
                (false, _) => line::UNREADY,
                (true, true) => line::LIFETIME,
                (true, false) => line::CHANGED,
            });
            return Released::Closed;
        }
        let soil = server.soil;
        let is_being_canceled = server.info.is_being_canceled();
        if !self.held().workshop().hygiene.is_due(soil) && !is_being_canceled {
            self.give_back(now);
            return Released::Returned;
        }
        self.server().info.take_back();
        Released::Unready(Cleaning(self))
    }

    /// Gives a server back that nobody has used. Its age does not matter: with a lifetime of 0
    /// the first client still has to get it.
    pub(super) fn put_back(mut self, now: Instant) {
        let server = self.server();
        if server.info.is_obsolete() {
            server.line.because(line::CHANGED);
        } else {
            self.give_back(now);
        }
    }

    /// Closes the server after its running query was cancelled, for a client that is gone.
    pub async fn cancel_and_close(mut self) {
        if let Some(cancel) = self.server().info.begin_cancel() {
            cancel.deliver().await;
        }
    }

    fn give_back(&mut self, now: Instant) {
        if let Some(mut held) = self.0.take() {
            held.used = now;
            held.info.take_back();
            if let Some(successor) = held.workshop().successor().cloned() {
                successor.inherit(held.take());
                return;
            }
            if held.workshop().should_make_room() && !held.is_wanted() {
                held.line.because(line::EVICTED);
                drop(held.take());
            } else {
                drop(held); // to the store
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            drop(held.take());
        }
    }
}

/// A server on its way back to the pool.
#[derive(Debug)]
#[must_use = "a server that is not cleaned is closed"]
pub struct Cleaning(Lease);

impl Cleaning {
    /// Waits for cancel requests, cleans, and gives the server back; closes it if that fails.
    pub async fn run(self, worker: usize) {
        let Self(mut lease) = self;
        let workshop = lease.held().workshop().clone();
        let limit = workshop.target.timeout.unwrap_or(LIMIT);
        let server = lease.server();
        server.info.set_tested(true);
        let canceled = server.info.is_being_canceled();
        let clean = async {
            server.info.cancels_delivered().await;
            if canceled {
                // A signal that came too late for its query must not meet the next one: this
                // one takes it, and may fail of it.
                let _ = server.run("").await;
            }
            workshop.hygiene.clean(server).await
        };
        let cleaned = tokio::time::timeout(limit, clean).await;
        match cleaned {
            Ok(Ok(())) if server.info.may_be_canceled_later() => {
                debug!("server closed: a cancel request for it may still arrive");
            }
            Ok(Ok(())) if server.inbox.unread().is_empty() => {
                workshop.registry.stats.of(worker).resets.add(1);
                server.soil = Soil::Clean;
                server.info.set_tested(false);
                if !server.info.is_obsolete() {
                    lease.give_back(Instant::now());
                }
            }
            Ok(Ok(())) => warn!("server closed: it said something unasked after it was cleaned"),
            Ok(Err(error)) => warn!(%error, "server closed: it could not be cleaned"),
            Err(_) => warn!(
                ?limit,
                "server closed: cleaning took longer than server_connect_timeout"
            ),
        }
    }
}

const LIMIT: std::time::Duration = std::time::Duration::from_secs(15);
