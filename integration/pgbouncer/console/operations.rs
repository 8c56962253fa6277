//! What commands do to clients and servers.

use super::{Table, answer, console, pooler, said};
use crate::support::eventually;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

/// Waits until the console shows a client of `app` in this state.
async fn app_is(console: &mut Raw, state: &str) {
    eventually("the client's state", async || {
        let clients = Table::of(console, "SHOW CLIENTS").await;
        clients
            .rows
            .iter()
            .any(|row| row[1].as_deref() == Some("app") && row[4].as_deref() == Some(state))
    })
    .await;
}

#[tokio::test]
async fn pause_waits_for_transactions_and_resume_lets_waiting_clients_go_on() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut busy = Raw::app(pooler.port).await;
    busy.query("begin").await.fine();
    let (mut waiting, mut other) = (console(&pooler).await, console(&pooler).await);
    waiting.send_query(b"PAUSE").await;
    eventually("the pause has begun", async || {
        let state = Table::of(&mut other, "SHOW STATE").await;
        state.value("value", ("key", "paused")) == "yes"
    })
    .await;
    assert_eq!(
        answer(&mut other, "PAUSE").await,
        "08P01 already suspended/paused"
    );
    busy.query("select 1").await.fine();
    busy.query("commit").await.fine();
    assert_eq!(said(&waiting.reply().await), "PAUSE");
    busy.send_query(b"select 2").await;
    app_is(&mut other, "waiting").await;
    assert_eq!(answer(&mut other, "RESUME").await, "RESUME");
    assert_eq!(busy.reply().await.fine().value(), "2");
}

#[tokio::test]
async fn wait_close_waits_for_the_servers_that_reconnect_has_outdated() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut busy = Raw::app(pooler.port).await;
    let (mut waiting, mut other) = (console(&pooler).await, console(&pooler).await);
    assert_eq!(answer(&mut waiting, "WAIT_CLOSE shop").await, "WAIT_CLOSE");
    busy.query("begin").await.fine();
    let before = busy.value("select pg_backend_pid()").await;
    assert_eq!(answer(&mut waiting, "WAIT_CLOSE").await, "WAIT_CLOSE");
    assert_eq!(answer(&mut waiting, "RECONNECT shop").await, "RECONNECT");
    waiting.send_query(b"WAIT_CLOSE shop").await;
    eventually("the console waits", async || {
        let clients = Table::of(&mut other, "SHOW CLIENTS").await;
        clients
            .rows
            .iter()
            .any(|row| row[1].as_deref() == Some("ops") && row[4].as_deref() == Some("waiting"))
    })
    .await;
    let servers = Table::of(&mut other, "SHOW SERVERS").await;
    assert_eq!(servers.value("close_needed", ("remote_pid", &before)), "1");
    busy.query("commit").await.fine();
    assert_eq!(said(&waiting.reply().await), "WAIT_CLOSE");
    assert_ne!(busy.value("select pg_backend_pid()").await, before);
}

#[tokio::test]
async fn a_disabled_database_keeps_its_clients_and_takes_no_new_ones() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut client = Raw::app(pooler.port).await;
    let mut console = console(&pooler).await;
    assert_eq!(answer(&mut console, "DISABLE shop").await, "DISABLE");
    let refused = Raw::login(pooler.port, "app", "shop", &[])
        .await
        .unwrap_err();
    // PostgreSQL's words for it, where clients.errors does not say otherwise.
    assert_eq!(refused.code, "55000", "{refused:?}");
    client.query("select 1").await.fine();
    let databases = Table::of(&mut console, "SHOW DATABASES").await;
    assert_eq!(databases.value("disabled", ("name", "shop")), "1");
    assert_eq!(answer(&mut console, "ENABLE shop").await, "ENABLE");
    Raw::app(pooler.port).await.query("select 1").await.fine();
}

#[tokio::test]
async fn kill_sends_clients_away_and_resume_undoes_it() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    let mut console = console(&pooler).await;
    assert_eq!(answer(&mut console, "KILL").await, "KILL");
    let told = client.try_reply().await.unwrap_err().unwrap();
    assert_eq!(told.message, "database removed");
    let databases = Table::of(&mut console, "SHOW DATABASES").await;
    assert_eq!(databases.value("paused", ("name", "shop")), "1");
    eventually("its server is closed", async || {
        Table::of(&mut console, "SHOW SERVERS")
            .await
            .rows
            .is_empty()
    })
    .await;
    assert_eq!(answer(&mut console, "RESUME").await, "RESUME");
    Raw::app(pooler.port).await.query("select 1").await.fine();
}

#[tokio::test]
async fn kill_client_ends_the_client_with_the_number_that_show_clients_prints() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let (mut one, mut other) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
    one.query("begin").await.fine();
    let mut console = console(&pooler).await;
    let mut clients = Table::of(&mut console, "SHOW CLIENTS").await;
    // The console itself is active as well.
    clients.rows.retain(|row| row[1].as_deref() == Some("app"));
    let id = clients.value("id", ("state", "active")).to_owned();
    assert_eq!(
        answer(&mut console, &format!("KILL_CLIENT {id}")).await,
        "KILL_CLIENT"
    );
    assert!(one.try_reply().await.unwrap_err().is_some());
    assert_eq!(
        answer(&mut console, &format!("KILL_CLIENT {id}")).await,
        "08P01 client not found"
    );
    other.query("select 1").await.fine();
}

#[tokio::test]
async fn the_console_opens_when_no_place_is_left_for_clients() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "[clients]\nmax = 1").await;
    let _client = Raw::app(pooler.port).await;
    assert!(Raw::login(pooler.port, "app", "shop", &[]).await.is_err());
    let (mut one, mut other) = (console(&pooler).await, console(&pooler).await);
    for console in [&mut one, &mut other] {
        assert_eq!(answer(console, "SHOW POOLS").await, "SHOW");
    }
}

#[tokio::test]
async fn statistics_count_transactions_and_queries() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut client = Raw::app(pooler.port).await;
    for sql in ["begin", "select 1", "commit", "select 2"] {
        client.query(sql).await.fine();
    }
    let mut console = console(&pooler).await;
    let mut stats = Table::default();
    eventually("all is counted", async || {
        stats = Table::of(&mut console, "SHOW STATS").await;
        stats.value("total_query_count", ("database", "shop")) == "4"
    })
    .await;
    let value = |column: &str| stats.value(column, ("database", "shop"));
    assert_eq!(value("total_xact_count"), "2");
    assert_eq!(value("total_server_assignment_count"), "2");
    assert_eq!(value("total_client_login_count"), "1");
    assert!(value("total_received").parse::<u64>().unwrap() > 40);
    assert!(value("total_sent").parse::<u64>().unwrap() > 40);
    let own = stats.value("total_query_count", ("database", "pgbouncer"));
    let before: u64 = own.parse().unwrap();
    let totals = Table::of(&mut console, "SHOW STATS_TOTALS").await;
    let own = totals.value("query_count", ("database", "pgbouncer"));
    assert_eq!(own.parse::<u64>().unwrap(), before + 1);
    assert_eq!(totals.value("xact_count", ("database", "shop")), "2");
}

#[tokio::test]
async fn averages_are_those_of_the_last_whole_period() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "[log]\nstats_period = \"2s\"\n").await;
    let mut client = Raw::app(pooler.port).await;
    let mut console = console(&pooler).await;
    let lines = || pooler.log().matches("stats: ").count();
    let next = async || {
        let before = lines();
        eventually("a period ends", async || lines() > before).await;
    };
    next().await;
    for _ in 0..40 {
        client.query("begin; select 1; commit").await.fine();
    }
    let mut average = async || -> u64 {
        let stats = Table::of(&mut console, "SHOW STATS").await;
        let averages = Table::of(&mut console, "SHOW STATS_AVERAGES").await;
        let average = stats.value("avg_query_count", ("database", "shop"));
        assert_eq!(averages.value("query_count", ("database", "shop")), average);
        average.parse().unwrap()
    };
    // Nothing of the period that has not ended, all of it in the next, and nothing after that.
    assert_eq!(average().await, 0);
    next().await;
    let log = pooler.log();
    let line = log.lines().rfind(|line| line.contains("stats: ")).unwrap();
    assert!((19..=20).contains(&average().await), "{line}");
    assert!(
        line.contains("stats: 20 xacts/s, 20 queries/s")
            || line.contains("stats: 19 xacts/s, 19 queries/s"),
        "{line}"
    );
    next().await;
    assert_eq!(average().await, 0);
}

#[tokio::test]
async fn a_session_is_counted_while_it_lasts() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "[pool]\nmode = \"session\"\n").await;
    let mut client = Raw::app(pooler.port).await;
    for sql in ["begin", "select 1", "select 1", "commit", "select 2"] {
        client.query(sql).await.fine();
    }
    client.query("begin").await.fine();
    let mut console = console(&pooler).await;
    let mut stats = Table::default();
    eventually("all is counted", async || {
        stats = Table::of(&mut console, "SHOW STATS").await;
        stats.value("total_query_count", ("database", "shop")) == "6"
    })
    .await;
    let value = |column: &str| stats.value(column, ("database", "shop"));
    assert_eq!(value("total_xact_count"), "2");
    assert_eq!(value("total_server_assignment_count"), "1");
    assert!(value("total_sent").parse::<u64>().unwrap() > 40);
    drop(client);
    eventually("the transaction that was open is counted", async || {
        let stats = Table::of(&mut console, "SHOW STATS").await;
        stats.value("total_xact_count", ("database", "shop")) == "3"
    })
    .await;
}

#[tokio::test]
async fn set_changes_a_setting_until_the_next_reload() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut console = console(&pooler).await;
    let size = async |console: &mut Raw| {
        let config = Table::of(console, "SHOW CONFIG").await;
        let databases = Table::of(console, "SHOW DATABASES").await;
        let size = databases.value("pool_size", ("name", "shop"));
        assert_eq!(config.value("value", ("key", "default_pool_size")), size);
        size.to_owned()
    };
    let before = size(&mut console).await;
    for (command, said, now) in [
        ("SET default_pool_size = 7", "SET default_pool_size=7", "7"),
        ("set pool.size to '8';", "SET pool.size=8", "8"),
        ("SET default_pool_size = many", "08P01 SET failed", "8"),
        ("SET nonsense = 1", "08P01 SET failed", "8"),
        ("RELOAD", "RELOAD", before.as_str()),
    ] {
        assert_eq!(answer(&mut console, command).await, said);
        assert_eq!(size(&mut console).await, now, "{command}");
    }
}
