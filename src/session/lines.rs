//! The log's lines about one client, in PgBouncer's words. They are written before the client is
//! answered: who asks the log of an error finds it there.

use std::time::SystemTime;

use tracing::{info, warn};

use crate::pool::lines;
use crate::session::roster::Client;

/// The client has said who it is, and is to prove it.
pub(super) fn login_attempt(client: &Client, replication: Option<&str>) {
    let (database, user) = (client.database(), client.user());
    let tls = client.tls.borrow();
    let tls = if tls.is_empty() { "no" } else { &**tls };
    let replication = replication_kind(replication);
    info!(
        target: lines::CONNECTIONS, client = client.id, %database, %user,
        address = %client.peer(), tls, replication,
        "login attempt: db={database} user={user} tls={tls} replication={replication}"
    );
}

/// The connection ends, for a reason; whoever is told of it is told `error`.
pub fn closing(client: &Client, reason: &str, error: Option<&str>) {
    let (database, user) = (client.database(), client.user());
    let age = SystemTime::now()
        .duration_since(client.connected)
        .unwrap_or_default()
        .as_secs();
    info!(
        target: lines::DISCONNECTIONS, client = client.id, %database, %user,
        address = %client.peer(), reason, age,
        "closing because: {reason} (age={age}s)"
    );
    if let Some(error) = error {
        pooler_error(client, error);
    }
}

/// The client is the first to get a server of the reserve.
pub(super) fn from_reserve(client: &Client) {
    warn!(
        target: lines::PLAIN, client = client.id, database = %client.database(),
        user = %client.user(), address = %client.peer(),
        "taking connection from reserve_pool"
    );
}

/// The client is told an error that is the pooler's own.
pub fn pooler_error(client: &Client, error: &str) {
    warn!(
        target: lines::POOLER_ERRORS, client = client.id, database = %client.database(),
        user = %client.user(), address = %client.peer(), error,
        "pooler error: {error}"
    );
}

/// In libpq's words, as PostgreSQL reads them.
fn replication_kind(parameter: Option<&str>) -> &'static str {
    let yes = ["true", "on", "yes", "1"];
    match parameter {
        Some(value) if value.eq_ignore_ascii_case("database") => "database",
        Some(value) if yes.iter().any(|yes| value.eq_ignore_ascii_case(yes)) => "yes",
        Some(_) | None => "no",
    }
}
