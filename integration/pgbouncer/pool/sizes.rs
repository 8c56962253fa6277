//! How many servers there are.

use super::{CONSOLE, console, pools, shop, told};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

#[tokio::test]
async fn a_size_of_nothing_is_no_limit() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&shop(&postgres, "size = 0")).await;
    let mut clients = Vec::new();
    for _ in 0..25 {
        let mut client = Raw::app(pooler.port).await;
        client.query("begin").await.fine();
        clients.push(client);
    }
    assert_eq!(pools(pooler.port, "shop").await, [("app".into(), 25)]);
}

#[tokio::test]
async fn the_reserve_opens_to_who_has_waited() {
    let postgres = Postgres::start().await;
    let pool = "size = 1\nreserve_size = 1\nreserve_timeout = \"300ms\"";
    let log = "[log]\nformat = \"pgbouncer\"\n";
    let pooler = Pooler::start(&format!("{log}{}", shop(&postgres, pool))).await;
    let (mut one, mut other) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
    one.query("begin").await.fine();
    other.query("begin").await.fine();
    let log = pooler.log();
    let line = "{t} [{n}] WARNING C-0x{x}: shop/app@127.0.0.1:{n} taking connection from \
                reserve_pool";
    assert_eq!(crate::life::count(&log, line), 1, "{log}");
}

#[tokio::test]
async fn what_is_set_for_the_server_user_comes_before_the_database_and_all() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "[users.app.pool]\nmode = \"statement\"\nsize = 1\n[pool]\nmode = \"transaction\"\n{}",
        shop(&postgres, "mode = \"session\"\nsize = 7")
    );
    let pooler = Pooler::start(&settings).await;
    // The server user counts, not the one who logs in.
    let mut client = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    let shown = console(pooler.port, "SHOW POOLS").await.fine();
    let row = shown
        .rows
        .iter()
        .find(|row| row[0].as_deref() == Some("shop"))
        .unwrap();
    assert_eq!(row[15].as_deref(), Some("statement"));
    client.query("begin").await.fine();
    let failure = client.try_reply().await.unwrap_err().unwrap();
    assert_eq!(
        failure.message,
        "transaction blocks not allowed in statement pooling mode"
    );
}

#[tokio::test]
async fn the_wait_of_who_logs_in_comes_before_that_of_the_database() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "[users.alice]\nquery_wait_timeout = \"200ms\"\n{}",
        shop(&postgres, "size = 1\nquery_wait_timeout = \"1h\"")
    );
    let pooler = Pooler::start(&settings).await;
    let mut holder = Raw::app(pooler.port).await;
    let mut alice = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    holder.query("begin").await.fine();
    let failure = told(&mut alice, "select 1").await;
    assert_eq!(failure.message, "query_wait_timeout");
}

#[tokio::test]
async fn an_idle_server_makes_room_for_another_user_of_the_database() {
    let postgres = Postgres::start_with(
        &[],
        "local all all trust\nhost all all 127.0.0.1/32 trust\n",
    )
    .await;
    let settings = format!(
        "{CONSOLE}[pool]\nmax_db_connections = 1\n[databases.shop]\nport = {}\n",
        postgres.port
    );
    let pooler = Pooler::start(&settings).await;
    for _ in 0..2 {
        for user in ["alice", "bob"] {
            let mut client = Raw::login(pooler.port, user, "shop", &[]).await.unwrap();
            client.query("select 1").await.fine();
        }
    }
    assert!(pooler.log().contains("evicted"));
    let all = pools(pooler.port, "shop").await;
    assert_eq!(all.iter().map(|(_, servers)| servers).sum::<usize>(), 1);
}
