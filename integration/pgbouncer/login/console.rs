//! Who may use the console without a password.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tokio_postgres::Config;

use super::{client, enters, refused, start, told};
use crate::support::eventually;
use crate::support::postgres::Postgres;

const SETTINGS: &str = "unix_socket_dir = \".\"\n[auth]\nusers = \"users.txt\"\n";

#[tokio::test]
async fn the_poolers_own_user_is_admin_over_the_unix_socket() {
    let postgres = Postgres::start().await;
    let users = [("users.txt", "\"alice\" \"alice\"\n")];
    let pooler = start(&postgres, SETTINGS, &users).await;
    // TCP, which the start waits for, is there before the Unix socket.
    eventually("it is up", async || pooler.log().contains("process up")).await;
    let over_socket = |user: &str, database: &str| {
        let mut config = Config::new();
        config
            .host_path(pooler.dir())
            .port(pooler.port)
            .user(user)
            .dbname(database);
        config.password("wrong");
        config
    };
    let admin = enters(&over_socket("pgbouncer", "pgbouncer"))
        .await
        .unwrap();
    assert!(admin.simple_query("SHOW CONFIG").await.is_ok());
    assert!(admin.simple_query("RELOAD").await.is_ok());
    // Neither by another name, nor for another database, nor over TCP.
    let failed = told("SASL authentication failed");
    for config in [
        over_socket("alice", "pgbouncer"),
        over_socket("pgbouncer", "shop"),
        client(pooler.port, "pgbouncer", "pgbouncer", Some("wrong")),
    ] {
        assert_eq!(refused(enters(&config).await), failed, "{config:?}");
    }
    // A user of the users file is no admin for that.
    let alice = client(pooler.port, "alice", "pgbouncer", Some("alice"));
    assert_eq!(refused(enters(&alice).await), told("not allowed"));
}

#[tokio::test]
async fn another_user_of_the_machine_is_not() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can be somebody else
    }
    let postgres = Postgres::start().await;
    let users = [("users.txt", "\"alice\" \"alice\"\n")];
    let pooler = start(&postgres, SETTINGS, &users).await;
    fs::set_permissions(pooler.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = pooler.dir().display().to_string();
    let target = format!(
        "host={dir} port={} user=pgbouncer dbname=pgbouncer password=x",
        pooler.port
    );
    let output = Command::new("setpriv")
        .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"])
        .args(["psql", "-X", "-c", "SHOW VERSION", &target])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("SASL authentication failed"), "{said}");
}
