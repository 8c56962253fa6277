//! Messages that are too long, or of the wrong kind, and servers that say things unasked.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::{last_words, pooler, settings};
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, bind_execute};

#[tokio::test]
async fn a_message_of_the_clients_beyond_max_packet_size_ends_it() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "max_packet_size = 2000", "").await;
    // The tag, the length, the text and its end.
    let fits = format!("select '{}'", "x".repeat(2000 - 6 - 9));
    let mut client = Raw::app(pooler.port).await;
    client.query(&fits).await.fine();
    let too_long = format!("{fits} ");
    client.send_query(too_long.as_bytes()).await;
    let word = last_words(&mut client).await;
    assert_eq!(word, "bad packet header: '51000007d073656c'");
    // In the middle of a transaction as well, and the server is not used again.
    let mut client = Raw::app(pooler.port).await;
    let pid = client.value("select pg_backend_pid()").await;
    client.query("begin").await.fine();
    client.send_query(too_long.as_bytes()).await;
    last_words(&mut client).await;
    let mut next = Raw::app(pooler.port).await;
    assert_ne!(next.value("select pg_backend_pid()").await, pid);
}

#[tokio::test]
async fn a_message_of_the_servers_beyond_max_packet_size_ends_both() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "max_packet_size = 2000", "").await;
    let mut client = Raw::app(pooler.port).await;
    let pid = client.value("select pg_backend_pid()").await;
    client.send_query(b"select repeat('x', 3000)").await;
    assert_eq!(last_words(&mut client).await, "bad pkt header");
    let mut next = Raw::app(pooler.port).await;
    assert_ne!(next.value("select pg_backend_pid()").await, pid);
}

#[tokio::test]
async fn max_packet_size_counts_for_clients_that_are_there_once_it_is_reloaded() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "").await;
    let mut client = Raw::app(pooler.port).await;
    let long = format!("select '{}'", "x".repeat(3000));
    client.query(&long).await.fine();
    pooler
        .reload(&settings(&postgres, "max_packet_size = 2000", ""))
        .await;
    client.send_query(long.as_bytes()).await;
    assert!(
        last_words(&mut client)
            .await
            .starts_with("bad packet header: '51")
    );
}

#[tokio::test]
async fn without_pqexec_the_extended_protocol_is_what_is_left() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "disable_pqexec = true", "").await;
    let mut client = Raw::app(pooler.port).await;
    assert_eq!(
        client.prepare("", "select 'extended'").await.fine().status,
        'I'
    );
    let mut out = BytesMut::new();
    frontend::parse("", "select 'extended'", [], &mut out).unwrap();
    bind_execute("", &mut out);
    frontend::sync(&mut out);
    client.send(&out).await;
    assert_eq!(client.reply().await.fine().value(), "extended");
    client.send_query(b"select 'simple'").await;
    assert_eq!(last_words(&mut client).await, "PQexec disallowed");
}

#[tokio::test]
async fn statement_pooling_refuses_transactions() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "mode = \"statement\"").await;
    let text = "transaction blocks not allowed in statement pooling mode";
    let mut client = Raw::app(pooler.port).await;
    let pid = client.value("select pg_backend_pid()").await;
    client.send_query(b"begin").await;
    assert_eq!(last_words(&mut client).await, text);
    let mut next = Raw::app(pooler.port).await;
    assert_ne!(next.value("select pg_backend_pid()").await, pid);
    // Several statements in one message are one implicit transaction, and allowed.
    next.query("select 1; select 2").await.fine();
}

#[tokio::test]
async fn notifications_reach_who_listens_in_session_mode_and_nobody_in_transaction_mode() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&settings(&postgres, "", "mode = \"session\"")).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("listen news").await.fine();
    postgres.run("notify news, 'first'").await;
    let (tag, body) = client.expect_message().await;
    assert_eq!(tag, b'A');
    assert!(body.ends_with(b"news\0first\0"), "{}", body.escape_ascii());
    drop(client);

    let pooler = Pooler::start(&settings(&postgres, "", "mode = \"transaction\"\nsize = 1")).await;
    let mut client = Raw::app(pooler.port).await;
    let pid = client.value("select pg_backend_pid()").await;
    client.query("listen news").await.fine();
    postgres.run("notify news, 'second'").await;
    // The server is as good as before, and its next client hears nothing.
    assert_eq!(client.value("select pg_backend_pid()").await, pid);
}

#[tokio::test]
async fn a_server_that_leaves_while_it_is_idle_is_noticed_before_it_is_lent() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "size = 1").await;
    let mut client = Raw::app(pooler.port).await;
    for _ in 0..3 {
        let pid = client.value("select pg_backend_pid()").await;
        postgres
            .run(&format!("select pg_terminate_backend({pid})"))
            .await;
        let admin = postgres.admin().await;
        eventually("the server is gone", async || {
            let sql = format!("select count(*) from pg_stat_activity where pid = {pid}");
            admin.query(&sql, &[]).await.unwrap()[0].get::<_, i64>(0) == 0
        })
        .await;
        assert_ne!(client.value("select pg_backend_pid()").await, pid);
    }
}

#[tokio::test]
async fn the_server_of_a_client_that_leaves_in_a_transaction_is_never_used_again() {
    let postgres = Postgres::start().await;
    for mode in ["session", "transaction"] {
        let pool = format!("mode = \"{mode}\"\nsize = 1");
        let pooler = pooler(&postgres, "", &pool).await;
        let mut says_goodbye = Raw::app(pooler.port).await;
        let first = says_goodbye.value("select pg_backend_pid()").await;
        says_goodbye.query("begin").await.fine();
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        says_goodbye.send(&out).await;
        drop(says_goodbye);
        let mut vanishes = Raw::app(pooler.port).await;
        let second = vanishes.value("select pg_backend_pid()").await;
        assert_ne!(first, second);
        vanishes.send_query(b"select pg_sleep(30)").await;
        drop(vanishes);
        let mut next = Raw::app(pooler.port).await;
        assert_ne!(next.value("select pg_backend_pid()").await, second);
    }
}
