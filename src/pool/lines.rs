//! The lines of the log that tools read, and an operator can switch off by kind: their targets.
//!
//! An event of such a target says all in its message, in PgBouncer's words, and its fields repeat
//! it for machines. Every event about a client has the fields `client` (its number), `user`,
//! `database` and `address`; about a server, `server` instead of `client`.

/// Logins, and new connections to servers. `log.connections`.
pub const CONNECTIONS: &str = "pgwarden::connections";
/// Ends of connections, with their reason. `log.disconnections`.
pub const DISCONNECTIONS: &str = "pgwarden::disconnections";
/// The process cannot go on.
pub const FATAL: &str = "pgwarden::fatal";
/// Any other line in PgBouncer's words.
pub const PLAIN: &str = "pgwarden::plain";
/// Errors that the pooler itself sends to clients. `log.pooler_errors`.
pub const POOLER_ERRORS: &str = "pgwarden::pooler_errors";
/// Counts, now and then. `log.stats`.
pub const STATS: &str = "pgwarden::stats";
