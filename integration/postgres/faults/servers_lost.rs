//! Servers that die under load: errors, but no wrong answer, no stuck client, no lost slot.

use rustix::process::{Pid, Signal, kill_process};

use crate::load::{Load, assert_whole, servers_of};
use crate::support::eventually;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

const SIZE: usize = 4;
const CLIENTS: u64 = 12;

async fn pooler(postgres: &Postgres) -> Pooler {
    let pool = format!("[pool]\nsize = {SIZE}\nserver_login_retry = \"50ms\"\n");
    Pooler::start(&(pool + &shop(postgres))).await
}

#[tokio::test]
async fn terminated_servers_are_replaced_under_load() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    let load = Load::start(&postgres, pooler.port, CLIENTS).await;
    let admin = postgres.admin().await;
    for _ in 0..20 {
        let one = "select pg_terminate_backend(pid) from pg_stat_activity
            where usename = 'app' order by random() limit 1";
        admin.query(one, &[]).await.unwrap();
        load.progress(20).await;
    }
    // Each death costs its client one transaction and perhaps the connection, nobody else's.
    assert!(load.failed() <= 20 * 3, "{} failures", load.failed());
    load.stop(&postgres).await;
    assert_whole(pooler.port, SIZE).await;
    assert!(servers_of(&admin, "app").await.len() <= SIZE);
}

#[tokio::test]
async fn idle_servers_that_were_terminated_are_not_lent() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    assert_whole(pooler.port, SIZE).await;
    let mut client = Raw::app(pooler.port).await;
    let admin = postgres.admin().await;
    let all = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
    admin.query(all, &[]).await.unwrap();
    eventually("they are gone", async || {
        servers_of(&admin, "app").await.is_empty()
    })
    .await;
    for _ in 0..SIZE {
        client.query("select 1").await.fine();
    }
    assert_whole(pooler.port, SIZE).await;
}

#[tokio::test]
async fn a_crash_of_one_server_that_restarts_postgresql_is_survived() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    let load = Load::start(&postgres, pooler.port, CLIENTS).await;
    for _ in 0..2 {
        let admin = postgres.admin().await;
        let victim = servers_of(&admin, "app").await[0];
        kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
        // PostgreSQL ends all sessions, this one too, and starts anew.
        eventually("PostgreSQL notices", async || {
            admin.simple_query("").await.is_err()
        })
        .await;
        postgres.is_up().await;
        load.progress(200).await;
    }
    load.stop(&postgres).await;
    assert_whole(pooler.port, SIZE).await;
    assert!(servers_of(&postgres.admin().await, "app").await.len() <= SIZE);
}

async fn a_restart_is_survived(signal: Signal) {
    let mut postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    let load = Load::start(&postgres, pooler.port, CLIENTS).await;
    for _ in 0..2 {
        // Clients are told, or wait for it to come back: it is down for longer than
        // server_login_retry.
        postgres.stop(signal).await;
        eventually("a server is missed", async || {
            pooler.log().contains("connect failed")
        })
        .await;
        postgres.start_again().await;
        load.progress(200).await;
    }
    load.stop(&postgres).await;
    assert_whole(pooler.port, SIZE).await;
    assert!(servers_of(&postgres.admin().await, "app").await.len() <= SIZE);
}

#[tokio::test]
async fn a_fast_restart_of_postgresql_is_survived() {
    a_restart_is_survived(Signal::INT).await;
}

#[tokio::test]
async fn an_immediate_restart_of_postgresql_is_survived() {
    a_restart_is_survived(Signal::QUIT).await;
}

#[tokio::test]
async fn a_client_hears_what_the_server_says_at_its_end() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    let pid = client.value("select pg_backend_pid()").await;
    postgres
        .run(&format!("select pg_terminate_backend({pid})"))
        .await;
    client.send_query(b"select 1").await;
    let failure = client.try_reply().await.unwrap_err();
    assert_eq!(failure.map(|f| f.code).as_deref(), Some("57P01"));
}

#[tokio::test]
async fn a_client_that_waits_while_postgresql_is_down_is_served_when_it_is_back() {
    let mut postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("select 1").await.fine();
    postgres.stop(Signal::QUIT).await;
    client.send_query(b"select 1").await;
    eventually("a server is missed", async || {
        pooler.log().contains("connect failed")
    })
    .await;
    postgres.start_again().await;
    assert_eq!(client.reply().await.fine().value(), "1");
    assert_whole(pooler.port, SIZE).await;
}
