//! A server lent to a client.

use std::sync::Arc;
use std::time::Instant;

use deadpool::managed::Object;
use tracing::{debug, warn};

use crate::pool::manager::{Manager, Workshop};
use crate::pool::server::Server;
use crate::pool::server::line;
use crate::pool::server::reset::Soil;

/// A server lent to a client.
///
/// Dropping a lease closes the connection: a cancelled or panicked session says nothing about
/// the state it left behind. [`Lease::release`] is the only way back.
#[derive(Debug)]
#[must_use = "dropping a lease closes its server connection"]
pub struct Lease {
    object: Option<Object<Manager>>,
    workshop: Arc<Workshop>,
}

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
    pub(super) fn new(object: Object<Manager>, workshop: Arc<Workshop>) -> Self {
        Self {
            object: Some(object),
            workshop,
        }
    }

    /// The server.
    pub fn server(&mut self) -> &mut Server {
        self.object
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
        let epoch = server.epoch;
        if !ready || expired || !self.workshop.is_current(epoch) {
            if ready {
                let reason = if expired {
                    line::LIFETIME
                } else {
                    line::CHANGED
                };
                self.server().line.because(reason);
            }
            return Released::Closed;
        }
        let server = self.server();
        if server.soil == Soil::Clean && !server.info.is_being_canceled() {
            self.give_back(now);
            return Released::Returned;
        }
        server.info.take_back();
        Released::Unready(Cleaning(self))
    }

    /// Closes the server after its running query was cancelled, for a client that is gone.
    pub async fn cancel_and_close(mut self) {
        if let Some(cancel) = self.server().info.begin_cancel() {
            cancel.deliver().await;
        }
    }

    fn give_back(&mut self, now: Instant) {
        if let Some(mut object) = self.object.take() {
            object.used = now;
            object.info.take_back();
            let nobody_waits =
                || Object::pool(&object).is_none_or(|pool| pool.status().waiting == 0);
            if self.workshop.should_make_room() && nobody_waits() {
                object.line.because(line::EVICTED);
                drop(Object::take(object));
            } else {
                drop(object); // to deadpool
            }
            self.workshop.server_returned();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object)); // take, or deadpool would hand it out again
            self.workshop.server_returned();
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
        let limit = lease.workshop.target.timeout.unwrap_or(LIMIT);
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
            if let Some(sql) = server.soil.cleaning() {
                server.run(sql).await?;
            }
            Ok::<(), super::server::RunError>(())
        };
        let cleaned = tokio::time::timeout(limit, clean).await;
        match cleaned {
            Ok(Ok(())) if server.info.may_be_canceled_later() => {
                debug!("server closed: a cancel request for it may still arrive");
            }
            Ok(Ok(())) if server.inbox.unread().is_empty() => {
                if server.soil == Soil::Statements {
                    server.statements.clear();
                }
                if server.soil > Soil::Clean {
                    server.applied = Arc::default();
                    lease.workshop.registry.stats.of(worker).resets.add(1);
                }
                let server = lease.server();
                server.soil = Soil::Clean;
                server.info.set_tested(false);
                let epoch = server.epoch;
                if lease.workshop.is_current(epoch) {
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
