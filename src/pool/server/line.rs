//! The log's lines about one server: when it was opened, and when it is closed, however that
//! comes.

use std::cell::Cell;
use std::time::Instant;

use tracing::info;

use crate::pool::lines;
use crate::pool::server::info::ServerInfo;
use crate::pool::workshop::next_id;

/// Who a server is, for the log. Tells of its opening when made and of its end when dropped.
#[derive(Debug)]
pub struct ServerLine {
    id: u64,
    database: String,
    user: String,
    address: String,
    opened: Instant,
    reason: Cell<Option<&'static str>>,
    /// It was opened from the reserve, and its first client has not said so.
    is_extra: Cell<bool>,
}

impl ServerLine {
    /// Notes a server that has logged in, at `address`.
    pub(in crate::pool) fn open(
        info: &ServerInfo,
        (database, user): (&str, &str),
        address: String,
    ) -> Self {
        let this = Self {
            id: info.id,
            database: database.to_owned(),
            user: user.to_owned(),
            address,
            opened: Instant::now(),
            reason: Cell::default(),
            is_extra: Cell::default(),
        };
        let (id, address, own) = (this.id, &this.address, &info.addresses.1);
        let from = match own.as_str() {
            "" => String::new(),
            own => format!(" (from {own})"),
        };
        info!(
            target: lines::CONNECTIONS, server = id, database, user, address, pid = info.pid,
            "new connection to server{from}"
        );
        if !info.tls.is_empty() {
            info!(
                target: lines::CONNECTIONS, server = id, database, user, address,
                "SSL established: {}", info.tls
            );
        }
        this
    }

    /// Notes a server that was never one: it could not be connected to, or did not let us in.
    pub(in crate::pool) fn failed((database, user): (&str, &str), address: &str, reason: &str) {
        info!(
            target: lines::DISCONNECTIONS, server = next_id(), database, user, address, reason,
            age = 0, "closing because: {reason} (age=0s)"
        );
    }

    /// Notes that it was opened from the reserve.
    pub(in crate::pool) fn is_extra(&self) {
        self.is_extra.set(true);
    }

    /// Whether it was opened from the reserve, once: for the log's line about the client it was
    /// opened for.
    pub fn take_extra(&self) -> bool {
        self.is_extra.take()
    }

    /// Says why the server will be closed; the last reason counts.
    pub fn because(&self, reason: &'static str) {
        self.reason.set(Some(reason));
    }

    /// Says the same where nobody has said why.
    pub fn or_because(&self, reason: &'static str) {
        self.reason.set(self.reason.get().or(Some(reason)));
    }
}

impl Drop for ServerLine {
    fn drop(&mut self) {
        let reason = self.reason.get().unwrap_or(UNCLEAN);
        let age = self.opened.elapsed().as_secs();
        let Self {
            id,
            database,
            user,
            address,
            ..
        } = self;
        info!(
            target: lines::DISCONNECTIONS, server = *id, %database, %user, %address, reason, age,
            "closing because: {reason} (age={age}s)"
        );
    }
}

// PgBouncer's words.

/// Its settings are others now, or it was told to RECONNECT.
pub const CHANGED: &str = "database configuration changed";
/// It closed the connection, or broke the protocol.
pub const CRASHED: &str = "server conn crashed?";
/// Another pool needs its place.
pub const EVICTED: &str = "evicted";
/// Nobody has used it for too long.
pub const IDLE: &str = "server idle timeout";
/// It is too old.
pub const LIFETIME: &str = "server lifetime over";
/// A transaction stood still for too long.
pub const IDLE_TRANSACTION: &str = "idle transaction timeout";
/// It is paused.
pub const PAUSED: &str = "pause mode";
/// A query took too long.
pub const QUERY_TIMEOUT: &str = "query timeout";
/// It was a replication client's, and nobody else could use it.
pub const REPLICATION: &str = "replication client was closed";
/// It did not answer the check.
pub const TEST_FAILED: &str = "test query failed";
/// Its client has begun a transaction block in statement mode.
pub const TRANSACTION_BLOCK: &str = "transaction blocks not allowed in statement pooling mode";
/// A transaction took too long.
pub const TRANSACTION_TIMEOUT: &str = "transaction timeout";
/// Its client went away, and something may still be under way.
pub const UNCLEAN: &str = "client disconnected with query in progress";
/// Its client went away and left something behind that cannot be cleaned.
pub const UNREADY: &str = "client disconnect while server was not ready";
