//! Prepared statements: followed, and not followed where max_prepared_statements is 0.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::{pooler, settings};
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, bind_execute};

const OFF: &str = "mode = \"transaction\"\nsize = 1\nmax_prepared_statements = 0";
const ON: &str = "mode = \"transaction\"\nsize = 1\nmax_prepared_statements = 100";

#[tokio::test]
async fn statements_that_are_not_tracked_pass_as_they_are_and_clients_collide() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", OFF).await;
    let mut one = Raw::app(pooler.port).await;
    let mut two = Raw::app(pooler.port).await;
    one.prepare("s", "select 'one'").await.fine();
    // The server knows the client's own name.
    let names = "select string_agg(name, ',') from pg_prepared_statements";
    assert_eq!(one.value(names).await, "s");
    assert_eq!(two.prepare("s", "select 'two'").await.code(), Some("42P05"));
    assert_eq!(two.execute("s").await.fine().value(), "one");
    two.close_statement("s").await.fine();
    assert_eq!(one.execute("s").await.code(), Some("26000"));
}

#[tokio::test]
async fn tracked_statements_are_each_clients_own() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", ON).await;
    let mut one = Raw::app(pooler.port).await;
    let mut two = Raw::app(pooler.port).await;
    one.prepare("s", "select 'one'").await.fine();
    two.prepare("s", "select 'two'").await.fine();
    assert_eq!(one.execute("s").await.fine().value(), "one");
    assert_eq!(two.execute("s").await.fine().value(), "two");
    two.close_statement("s").await.fine();
    two.close_statement("unknown").await.fine();
    assert_eq!(one.execute("s").await.fine().value(), "one");
    // PgBouncer ends the client here; PostgreSQL, and pgwarden, do not.
    assert_eq!(one.prepare("s", "select 3").await.code(), Some("42P05"));
    assert_eq!(two.execute("s").await.code(), Some("26000"));
    one.query("deallocate all").await.fine();
    assert_eq!(one.execute("s").await.code(), Some("26000"));
    one.prepare("s", "select 'again'").await.fine();
    assert_eq!(one.execute("s").await.fine().value(), "again");
}

#[tokio::test]
async fn a_reload_begins_and_ends_the_tracking() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", ON).await;
    let mut one = Raw::app(pooler.port).await;
    let mut two = Raw::app(pooler.port).await;
    one.prepare("kept", "select 'kept'").await.fine();
    pooler.reload(&settings(&postgres, "", OFF)).await;
    // What was tracked goes on being the client's own.
    assert_eq!(one.execute("kept").await.fine().value(), "kept");
    assert_eq!(one.prepare("kept", "select 2").await.code(), Some("42P05"));
    one.prepare("s", "select 'one'").await.fine();
    assert_eq!(two.prepare("s", "select 'two'").await.code(), Some("42P05"));
    two.close_statement("s").await.fine();
    pooler.reload(&settings(&postgres, "", ON)).await;
    one.prepare("t", "select 'one'").await.fine();
    two.prepare("t", "select 'two'").await.fine();
    assert_eq!(one.execute("t").await.fine().value(), "one");
}

#[tokio::test]
async fn copy_data_may_come_with_the_statement_that_asks_for_it() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", ON).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("create table copied (n int)").await.fine();
    let pid = client.value("select pg_backend_pid()").await;
    for rounds in 1..=3 {
        let mut out = BytesMut::new();
        for _ in 0..rounds {
            frontend::parse("", "copy copied from stdin", [], &mut out).unwrap();
            bind_execute("", &mut out);
            let data = frontend::CopyData::new(&b"1\n2\n"[..]).unwrap();
            data.write(&mut out);
            frontend::copy_done(&mut out);
        }
        frontend::sync(&mut out);
        client.send(&out).await;
        let reply = client.reply().await.fine();
        assert_eq!(reply.tags, vec!["COPY 2"; rounds]);
    }
    assert_eq!(client.value("select count(*) from copied").await, "12");
    // Data that does not fit fails the statement and nothing else.
    let mut out = BytesMut::new();
    frontend::parse("", "copy copied from stdin", [], &mut out).unwrap();
    bind_execute("", &mut out);
    let data = frontend::CopyData::new(&b"x\n"[..]).unwrap();
    data.write(&mut out);
    frontend::copy_done(&mut out);
    frontend::sync(&mut out);
    client.send(&out).await;
    assert_eq!(client.reply().await.code(), Some("22P02"));
    assert_eq!(client.value("select pg_backend_pid()").await, pid);
}

#[tokio::test]
async fn a_lowered_limit_closes_all_statements_above_it() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", ON).await;
    let mut client = Raw::app(pooler.port).await;
    for name in ["a", "b", "c", "d"] {
        client.prepare(name, "select 1").await.fine();
        client
            .prepare(&name.repeat(2), &format!("select '{name}'"))
            .await
            .fine();
    }
    let count = "select count(*) from pg_prepared_statements";
    assert_eq!(client.value(count).await, "5");
    pooler
        .reload(&settings(&postgres, "", &ON.replace("100", "2")))
        .await;
    client.prepare("last", "select 'last'").await.fine();
    assert_eq!(client.value(count).await, "2");
}

#[tokio::test]
async fn a_long_name_is_a_name() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", ON).await;
    let mut client = Raw::app(pooler.port).await;
    let name = "a".repeat(16 * 1024);
    client.prepare(&name, "select 'long'").await.fine();
    assert_eq!(client.execute(&name).await.fine().value(), "long");
}

/// A statement makes room for another in a group that the server skips: it is there still, and the
/// other is not.
#[tokio::test]
async fn what_made_room_in_a_pipeline_that_failed_is_still_there() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", &ON.replace("100", "1")).await;
    let mut client = Raw::app(pooler.port).await;
    client.prepare("a", "select 'a'").await.fine();
    let mut out = BytesMut::new();
    frontend::parse("", "select nonsense", [], &mut out).unwrap();
    frontend::parse("b", "select 'b'", [], &mut out).unwrap();
    bind_execute("b", &mut out);
    frontend::sync(&mut out);
    client.send(&out).await;
    assert_eq!(client.reply().await.code(), Some("42703"));
    let texts = "select string_agg(statement, ';') from pg_prepared_statements";
    assert_eq!(client.value(texts).await, "select 'a'");
    assert_eq!(client.execute("b").await.code(), Some("26000"));
    assert_eq!(client.execute("a").await.fine().value(), "a");
    // Not prepared a second time under the same name, nor lost sight of.
    client.prepare("b", "select 'b'").await.fine();
    assert_eq!(client.value(texts).await, "select 'b'");
    for name in ["a", "b", "a"] {
        assert_eq!(client.execute(name).await.fine().value(), name);
    }
    assert_eq!(client.value(texts).await, "select 'a'");
}
