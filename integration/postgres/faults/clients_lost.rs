//! Clients that vanish at every stage: what they held is free, what they asked for stops.
//!
//! The pool has one server, so a lost slot is a stuck test.

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend;
use tokio_postgres::Client;

use crate::load::assert_whole;
use crate::support::eventually;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, bind_execute};

async fn one_server(postgres: &Postgres) -> Pooler {
    Pooler::start(&format!("[pool]\nsize = 1\n{}", shop(postgres))).await
}

/// Ends a client's connection: with a FIN, as when its process ends, or with a RST.
fn kill(client: Raw, hard: bool) {
    if hard {
        let linger = Some(std::time::Duration::ZERO);
        socket2::SockRef::from(&client.stream)
            .set_linger(linger)
            .unwrap();
    }
    drop(client);
}

async fn count(admin: &Client, condition: &str) -> i64 {
    let sql =
        format!("select count(*) from pg_stat_activity where usename = 'app' and {condition}");
    admin.query_one(&sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_idle_client_leaves_its_place() {
    let postgres = Postgres::start().await;
    let settings = format!("[pool]\nsize = 1\n{}max_clients = 2\n", shop(&postgres));
    let pooler = Pooler::start(&settings).await;
    for round in 0..20 {
        let mut login = None;
        eventually("there is a place", async || {
            login = Raw::login(pooler.port, "app", "shop", &[]).await.ok();
            login.is_some()
        })
        .await;
        let mut client = login.unwrap();
        if round % 4 < 2 {
            client.query("select 1").await.fine();
        }
        kill(client, round % 2 == 0);
    }
    assert_whole(pooler.port, 1).await;
}

#[tokio::test]
async fn the_query_of_a_vanished_client_is_cancelled() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres).await;
    let admin = postgres.admin().await;
    for hard in [false, true] {
        for extended in [false, true] {
            let mut client = Raw::app(pooler.port).await;
            if extended {
                let mut out = BytesMut::new();
                frontend::parse("", "select pg_sleep(600)", [], &mut out).unwrap();
                bind_execute("", &mut out);
                frontend::sync(&mut out);
                client.send(&out).await;
            } else {
                client.send_query(b"select pg_sleep(600)").await;
            }
            let running = "state = 'active' and query like '%pg_sleep%'";
            eventually("it runs", async || count(&admin, running).await == 1).await;
            kill(client, hard);
            eventually("it stops", async || count(&admin, running).await == 0).await;
            assert_whole(pooler.port, 1).await;
        }
    }
}

#[tokio::test]
async fn the_transaction_of_a_vanished_client_is_rolled_back() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres).await;
    postgres
        .run("create table t (a int); insert into t values (1); grant all on t to app")
        .await;
    let admin = postgres.admin().await;
    for hard in [false, true] {
        let mut client = Raw::app(pooler.port).await;
        client.query("begin; update t set a = 2").await.fine();
        kill(client, hard);
        // Waits for the lock if it is held.
        admin.execute("update t set a = 1", &[]).await.unwrap();
        let mut other = Raw::app(pooler.port).await;
        assert_eq!(other.value("select a from t").await, "1");
    }
    // In a failed transaction as well.
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    assert_eq!(client.query("select 1/0").await.code(), Some("22012"));
    kill(client, false);
    assert_whole(pooler.port, 1).await;
}

#[tokio::test]
async fn a_copy_of_a_vanished_client_ends() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres).await;
    postgres
        .run("create table t (a text); grant all on t to app")
        .await;
    let admin = postgres.admin().await;
    for hard in [false, true] {
        let mut client = Raw::app(pooler.port).await;
        client.send_query(b"copy t from stdin").await;
        while client.expect_message().await.0 != b'G' {}
        let mut out = BytesMut::new();
        // A whole row, and one and a half messages with less than a row.
        frontend::CopyData::new(&b"row\n"[..])
            .unwrap()
            .write(&mut out);
        out.put_slice(b"d\0\0\0\x20half a mes");
        client.send(&out).await;
        kill(client, hard);
        eventually("COPY FROM ends", async || {
            count(&admin, "state <> 'idle'").await == 0
        })
        .await;
        let rows: i64 = admin
            .query_one("select count(*) from t", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(rows, 0, "half a COPY was committed");

        let mut client = Raw::app(pooler.port).await;
        // More than all buffers hold: the server is in the middle of it.
        let endless =
            b"copy (select repeat('x', 1000) from generate_series(1, 10000000)) to stdout";
        client.send_query(endless).await;
        while client.expect_message().await.0 != b'd' {}
        kill(client, hard);
        eventually("COPY TO ends", async || {
            count(&admin, "state <> 'idle'").await == 0
        })
        .await;
        assert_whole(pooler.port, 1).await;
    }
}

#[tokio::test]
async fn a_vanished_client_leaves_the_queue() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres).await;
    postgres
        .run("create table t (a int); grant all on t to app")
        .await;
    let mut holder = Raw::app(pooler.port).await;
    holder.query("begin").await.fine();
    let mut waiting = Vec::new();
    for number in 0..10 {
        let mut client = Raw::app(pooler.port).await;
        client
            .send_query(format!("insert into t values ({number})").as_bytes())
            .await;
        waiting.push(client);
    }
    let mut last = Raw::app(pooler.port).await;
    last.send_query(b"select count(*) from t").await;
    let open = pooler.open_files();
    for (number, client) in waiting.into_iter().enumerate() {
        kill(client, number % 2 == 0);
    }
    eventually("their connections are closed", async || {
        pooler.open_files() == open - 10
    })
    .await;
    holder.query("commit").await.fine();
    assert_eq!(
        last.reply().await.fine().value(),
        "0",
        "a dead client's query was run"
    );
    assert_whole(pooler.port, 1).await;
}

#[tokio::test]
async fn a_client_that_vanishes_between_any_two_bytes_costs_no_slot() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres).await;
    let mut script = BytesMut::new();
    frontend::parse("s", "select generate_series(1, 3)", [], &mut script).unwrap();
    frontend::describe(b'S', "s", &mut script).unwrap();
    bind_execute("s", &mut script);
    frontend::sync(&mut script);
    frontend::query("begin; select 1", &mut script).unwrap();
    frontend::close(b'S', "s", &mut script).unwrap();
    frontend::flush(&mut script);
    frontend::sync(&mut script);
    for length in 1..=script.len() {
        let mut client = Raw::app(pooler.port).await;
        client.send(&script[..length]).await;
        kill(client, length % 2 == 0);
    }
    assert_whole(pooler.port, 1).await;
}
