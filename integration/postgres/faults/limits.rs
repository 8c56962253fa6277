//! Limits of servers: of a pool, a database, a user; what is opened beyond and beside them.

use std::process::Command;

use crate::load::{assert_whole, servers_of};
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;
use crate::support::{eventually, in_time};

/// A pooler whose clients have servers of their own name.
async fn with_own_users(settings: &str) -> Pooler {
    let settings = format!("[auth]\nusers = \"users\"\n{settings}");
    let users = "\"alice\" \"alice\"\n\"bob\" \"bob\"\n\"app\" \"app\"\n";
    let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    Pooler::start_with(&settings, &[("users", users)], command).await
}

async fn login(pooler: &Pooler, user: &str, database: &str) -> Raw {
    Raw::login(pooler.port, user, database, &[]).await.unwrap()
}

#[tokio::test]
async fn the_servers_of_a_database_are_limited_and_an_idle_one_makes_room() {
    let postgres = Postgres::start().await;
    let port = postgres.port;
    let pooler = with_own_users(&format!(
        "[databases.shop]\nport = {port}\nmax_connections = 1\n"
    ))
    .await;
    let admin = postgres.admin().await;
    let mut alice = login(&pooler, "alice", "shop").await;
    let mut bob = login(&pooler, "bob", "shop").await;
    for _ in 0..3 {
        assert_eq!(alice.value("select current_user").await, "alice");
        assert_eq!(bob.value("select current_user").await, "bob");
        let all = [
            servers_of(&admin, "alice").await,
            servers_of(&admin, "bob").await,
        ]
        .concat();
        assert!(all.len() <= 1, "{all:?}");
    }
}

#[tokio::test]
async fn a_server_that_falls_idle_makes_room_for_who_waits_under_a_limit() {
    let postgres = Postgres::start().await;
    let port = postgres.port;
    let pooler = with_own_users(&format!(
        "[databases.shop]\nport = {port}\nmax_connections = 1\n"
    ))
    .await;
    let mut alice = login(&pooler, "alice", "shop").await;
    let mut bob = login(&pooler, "bob", "shop").await;
    alice.query("begin").await.fine();
    bob.send_query(b"select current_user").await;
    // It waits: there is no other server, and this one is not idle.
    let none = tokio::time::timeout(std::time::Duration::from_millis(300), bob.message()).await;
    assert!(
        none.is_err(),
        "two servers where one is the limit: {none:?}"
    );
    alice.query("commit").await.fine();
    assert_eq!(bob.reply().await.fine().value(), "bob");
    assert_eq!(alice.value("select current_user").await, "alice");
}

#[tokio::test]
async fn the_servers_of_a_user_are_limited_over_all_databases() {
    let postgres = Postgres::start().await;
    let port = postgres.port;
    let pooler = with_own_users(&format!(
        "[databases.shop]\nport = {port}\n[databases.postgres]\nport = {port}\n\
         [users.alice]\nmax_connections = 2\n"
    ))
    .await;
    let mut clients = Vec::new();
    for database in ["shop", "postgres"] {
        let mut client = login(&pooler, "alice", database).await;
        client.query("begin").await.fine();
        clients.push(client);
    }
    let mut third = login(&pooler, "alice", "postgres").await;
    third.send_query(b"select 3").await;
    // Another user is not concerned.
    login(&pooler, "bob", "shop")
        .await
        .query("select 1")
        .await
        .fine();
    assert_eq!(servers_of(&postgres.admin().await, "alice").await.len(), 2);
    clients[0].query("commit").await.fine();
    assert_eq!(third.reply().await.fine().value(), "3");
    assert!(servers_of(&postgres.admin().await, "alice").await.len() <= 2);
}

#[tokio::test]
async fn who_waits_long_gets_a_reserve_server_and_who_waits_too_long_an_error() {
    let postgres = Postgres::start().await;
    let pool = "[pool]\nsize = 1\nreserve_size = 1\nreserve_timeout = \"100ms\"\n\
        query_wait_timeout = \"1s\"\n";
    let pooler = Pooler::start(&format!("{pool}{}", shop(&postgres))).await;
    let mut first = Raw::app(pooler.port).await;
    first.query("begin").await.fine();
    let mut second = Raw::app(pooler.port).await;
    second.query("begin").await.fine();
    let mut third = Raw::app(pooler.port).await;
    third.send_query(b"select 1").await;
    let failure = third.try_reply().await.unwrap_err().unwrap();
    assert_eq!(failure.message, "query_wait_timeout");
    assert_eq!(servers_of(&postgres.admin().await, "app").await.len(), 2);
    first.query("commit").await.fine();
    second.query("commit").await.fine();
    assert_whole(pooler.port, 2).await;
}

#[tokio::test]
async fn min_size_is_kept_without_clients() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&format!("[pool]\nmin_size = 3\n{}", shop(&postgres))).await;
    let admin = postgres.admin().await;
    eventually("there are three", async || {
        servers_of(&admin, "app").await.len() == 3
    })
    .await;
    let first = servers_of(&admin, "app").await;
    let all = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
    admin.query(all, &[]).await.unwrap();
    // Whether anybody looks at them or not.
    eventually("there are three others", async || {
        let now = servers_of(&admin, "app").await;
        now.len() == 3 && now.iter().all(|pid| !first.contains(pid))
    })
    .await;
    assert_whole(pooler.port, 3).await;
}

#[tokio::test]
async fn min_size_beyond_a_limit_holds_nobody_up() {
    let postgres = Postgres::start().await;
    let port = postgres.port;
    let pooler = with_own_users(&format!(
        "[pool]\nmin_size = 2\n[databases.shop]\nport = {port}\nmax_connections = 3\n"
    ))
    .await;
    let mut alice = login(&pooler, "alice", "shop").await;
    let mut bob = login(&pooler, "bob", "shop").await;
    let mut holder = login(&pooler, "alice", "shop").await;
    let began = std::time::Instant::now();
    // Through a few rounds of the pooler's once-a-second housekeeping.
    while began.elapsed() < std::time::Duration::from_secs(4) {
        holder.query("begin").await.fine();
        alice.query("begin").await.fine();
        let asked = in_time("bob's query", bob.value("select current_user")).await;
        assert_eq!(asked, "bob");
        alice.query("commit").await.fine();
        holder.query("commit").await.fine();
    }
}
