//! Queries that the settings have run on servers.

use super::{pid, shop};
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

async fn count(postgres: &Postgres) -> i64 {
    let admin = postgres.admin().await;
    let row = admin.query_one("select count(*) from runs", &[]).await;
    row.unwrap().get(0)
}

async fn with_runs(postgres: &Postgres) {
    postgres
        .run("create table runs (pid int); grant all on runs to app")
        .await;
}

#[tokio::test]
async fn the_reset_query_runs_when_a_client_of_session_mode_leaves() {
    let postgres = Postgres::start().await;
    with_runs(&postgres).await;
    for (reset, kept, runs) in [
        ("", false, 0),
        ("server_reset_query = \"off\"", true, 0),
        (
            "server_reset_query = \"insert into runs values (1)\"",
            true,
            1,
        ),
    ] {
        let pool = format!("mode = \"session\"\nsize = 1\n{reset}");
        let pooler = Pooler::start(&shop(&postgres, &pool)).await;
        let mut first = Raw::app(pooler.port).await;
        first.query("set work_mem to '9MB'").await.fine();
        let server = pid(&mut first).await;
        first.send(b"X\0\0\0\x04").await;
        let mut second = Raw::app(pooler.port).await;
        assert_eq!(pid(&mut second).await, server, "{reset}");
        let work_mem = second.query("show work_mem").await.fine();
        assert_eq!(work_mem.value() == "9MB", kept, "{reset}");
        assert_eq!(count(&postgres).await, runs, "{reset}");
    }
}

#[tokio::test]
async fn the_reset_query_runs_after_each_transaction_if_it_always_does() {
    let postgres = Postgres::start().await;
    with_runs(&postgres).await;
    for (always, runs) in [(false, 0), (true, 2)] {
        let pool = format!(
            "size = 1\nserver_reset_query = \"insert into runs values (1)\"\n\
             server_reset_query_always = {always}"
        );
        let pooler = Pooler::start(&shop(&postgres, &pool)).await;
        let mut client = Raw::app(pooler.port).await;
        client.query("select 1").await.fine();
        client.query("select 1").await.fine();
        client.query("begin").await.fine();
        assert_eq!(count(&postgres).await, runs);
    }
}

#[tokio::test]
async fn the_connect_query_holds_for_every_client() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "[databases.shop]\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n\
         connect_query = \"set work_mem to '3MB'; set datestyle to 'German'\"\npool.size = 1\n",
        postgres.port
    );
    let pooler = Pooler::start(&settings).await;
    let mut client = Raw::app(pooler.port).await;
    assert_eq!(client.parameters["DateStyle"], "German, DMY");
    assert_eq!(client.query("show work_mem").await.fine().value(), "3MB");
    client.query("set work_mem to '9MB'").await.fine();
    let mut other = Raw::app(pooler.port).await;
    assert_eq!(other.query("show work_mem").await.fine().value(), "3MB");
    assert_eq!(
        other.query("show datestyle").await.fine().value(),
        "German, DMY"
    );
}

#[tokio::test]
async fn a_connect_query_that_fails_is_logged_and_no_more() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "[databases.shop]\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n\
         connect_query = \"select broken\"\n",
        postgres.port
    );
    let pooler = Pooler::start(&settings).await;
    let mut client = Raw::app(pooler.port).await;
    assert_eq!(client.query("select 1").await.fine().value(), "1");
    eventually("it is logged", async || {
        pooler.log().contains("column \"broken\" does not exist")
    })
    .await;
}

#[tokio::test]
async fn a_server_that_fails_its_check_is_replaced_without_a_word() {
    let postgres = Postgres::start().await;
    with_runs(&postgres).await;
    let pool = "size = 1\nserver_check_delay = \"0s\"\n\
                server_check_query = \"insert into runs values (1)\"";
    let pooler = Pooler::start(&shop(&postgres, pool)).await;
    let mut client = Raw::app(pooler.port).await;
    let before = pid(&mut client).await;
    let checked = count(&postgres).await;
    assert!(checked > 0, "with no delay each use is checked");
    postgres.run("drop table runs").await;
    assert_ne!(pid(&mut client).await, before);
}
