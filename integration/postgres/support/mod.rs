//! What the tests against a real PostgreSQL share: a private server, a pooler in front of it,
//! a client that speaks the protocol by hand, and waiting for conditions.

#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod authority;
pub(crate) mod pooler;
pub(crate) mod postgres;
pub(crate) mod raw;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Config, NoTls};

/// Longer than anything here takes on a busy machine; what takes longer is stuck.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds, and fails the test if it does not within the deadline.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(
            began.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails the test if `work` takes longer than the deadline.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("stuck for {DEADLINE:?}: {what}"),
    }
}

/// Connects a tokio-postgres client to a port of ours.
pub(crate) async fn connect(
    port: u16,
    user: &str,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .password(user)
        .dbname(database);
    connect_with(&config).await
}

/// Connects with all that `config` says.
pub(crate) async fn connect_with(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = in_time("a login", config.connect(NoTls)).await?;
    tokio::spawn(async move {
        // The client's next call reports how it ended.
        let _ = connection.await;
    });
    Ok(client)
}

/// A free port outside the range that outgoing connections take theirs from: a server that is
/// restarted must find it free again.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 19_000).unwrap_or_default();
    for _ in 0..19_000 {
        let port = 12_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 19_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
