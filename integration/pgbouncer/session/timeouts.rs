//! What lasts too long ends for the client and for its server.

use std::time::{Duration, Instant};

use super::{last_words, pooler, runs_no_more, servers, settings};
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

const MODES: [&str; 2] = ["session", "transaction"];

#[tokio::test]
async fn a_query_that_runs_too_long_ends_client_and_server_and_is_cancelled() {
    let postgres = Postgres::start().await;
    for mode in MODES {
        let pool = format!("mode = \"{mode}\"\nquery_timeout = \"500ms\"");
        let pooler = pooler(&postgres, "", &pool).await;
        let mut client = Raw::app(pooler.port).await;
        let pid = client.value("select pg_backend_pid()").await;
        client.send_query(b"select pg_sleep(77)").await;
        assert_eq!(last_words(&mut client).await, "query timeout");
        runs_no_more(&postgres, "pg_sleep(77)").await;
        let closed = "closing because: query timeout";
        let says = async || pooler.log().matches(closed).count() == 2; // the client's and its own
        eventually("its server's line has the reason", says).await;
        let mut next = Raw::app(pooler.port).await;
        assert_ne!(next.value("select pg_backend_pid()").await, pid);
    }
}

#[tokio::test]
async fn query_timeout_spares_who_thinks_in_a_transaction_and_each_query_has_its_own_time() {
    let postgres = Postgres::start().await;
    for mode in MODES {
        let pool = format!("mode = \"{mode}\"\nquery_timeout = \"900ms\"");
        let pooler = pooler(&postgres, "", &pool).await;
        let mut client = Raw::app(pooler.port).await;
        client.query("begin").await.fine();
        tokio::time::sleep(Duration::from_millis(1300)).await;
        for _ in 0..3 {
            client.query("select pg_sleep(0.5)").await.fine();
        }
        client.query("commit").await.fine();
        tokio::time::sleep(Duration::from_millis(1300)).await;
        client.query("select 1").await.fine();
    }
}

#[tokio::test]
async fn a_query_that_waits_for_longer_than_query_timeout_has_that_word_for_it() {
    let postgres = Postgres::start().await;
    let pool = "size = 1\nquery_timeout = \"700ms\"";
    let pooler = pooler(&postgres, "", pool).await;
    let mut holder = Raw::app(pooler.port).await;
    holder.query("begin").await.fine();
    let mut waiting = Raw::app(pooler.port).await;
    waiting.send_query(b"select 1").await;
    assert_eq!(last_words(&mut waiting).await, "query_timeout");
    // Who is idle in a transaction runs no query.
    holder.query("commit").await.fine();
}

#[tokio::test]
async fn who_waits_for_longer_than_query_wait_timeout_is_sent_away() {
    let postgres = Postgres::start().await;
    let pool = "size = 1\nquery_wait_timeout = \"400ms\"";
    let pooler = pooler(&postgres, "", pool).await;
    let mut holder = Raw::app(pooler.port).await;
    holder.query("begin").await.fine();
    let mut waiting = Raw::app(pooler.port).await;
    waiting.send_query(b"select 1").await;
    assert_eq!(last_words(&mut waiting).await, "query_wait_timeout");
    holder.query("commit").await.fine();
}

#[tokio::test]
async fn silence_in_a_transaction_ends_client_and_server() {
    let postgres = Postgres::start().await;
    for mode in MODES {
        let pool = format!("mode = \"{mode}\"\nidle_transaction_timeout = \"700ms\"");
        let pooler = pooler(&postgres, "", &pool).await;
        let mut client = Raw::app(pooler.port).await;
        // Outside of a transaction it may be silent, and inside it may work.
        client.query("select 1").await.fine();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        client.query("begin").await.fine();
        client.query("select pg_sleep(1)").await.fine();
        let pid = client.value("select pg_backend_pid()").await;
        assert_eq!(last_words(&mut client).await, "idle transaction timeout");
        let mut next = Raw::app(pooler.port).await;
        assert_ne!(next.value("select pg_backend_pid()").await, pid);
    }
}

#[tokio::test]
async fn silence_in_a_failed_transaction_is_silence_in_a_transaction() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "idle_transaction_timeout = \"300ms\"").await;
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    assert_eq!(client.query("select 1/0").await.status, 'E');
    assert_eq!(last_words(&mut client).await, "idle transaction timeout");
}

#[tokio::test]
async fn a_transaction_that_lasts_too_long_ends_whatever_it_does() {
    let postgres = Postgres::start().await;
    for mode in MODES {
        let pool = format!("mode = \"{mode}\"\ntransaction_timeout = \"900ms\"");
        let pooler = pooler(&postgres, "", &pool).await;
        let mut client = Raw::app(pooler.port).await;
        // Two short ones have their time each.
        for _ in 0..2 {
            client.query("begin").await.fine();
            client.query("select pg_sleep(0.5)").await.fine();
            client.query("commit").await.fine();
        }
        client.query("begin").await.fine();
        let began = Instant::now();
        let mut queries = 0;
        let last = loop {
            client.send_query(b"select pg_sleep(0.1)").await;
            match client.try_reply().await {
                Ok(_) => queries += 1,
                Err(last) => break last.unwrap(),
            }
            assert!(began.elapsed() < Duration::from_secs(20));
        };
        assert_eq!(
            (&*last.code, &*last.message),
            ("08P01", "transaction timeout")
        );
        assert!(queries > 1);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_nothing_is_sent_away_after_idle_timeout_and_one_in_a_transaction_is_not()
 {
    let postgres = Postgres::start().await;
    let pooler = pooler(
        &postgres,
        "idle_timeout = \"600ms\"",
        "mode = \"transaction\"",
    )
    .await;
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    client.query("commit").await.fine();
    assert_eq!(last_words(&mut client).await, "client_idle_timeout");
}

#[tokio::test]
async fn users_have_timeouts_of_their_own() {
    let postgres = Postgres::start().await;
    let users = "[users.app]\npool = { query_timeout = \"400ms\" }\nidle_timeout = \"30s\"\n\
                 [users.alice]\nidle_timeout = \"400ms\"\n";
    let all = settings(
        &postgres,
        "idle_timeout = \"20s\"",
        "query_timeout = \"20s\"",
    );
    let pooler = Pooler::start(&format!("{all}{users}")).await;
    // The server's user counts for queries: it is app's for all.
    let mut bob = Raw::login(pooler.port, "bob", "shop", &[]).await.unwrap();
    bob.send_query(b"select pg_sleep(9)").await;
    assert_eq!(last_words(&mut bob).await, "query timeout");
    // The client's own name counts for its silence.
    let mut bob = Raw::login(pooler.port, "bob", "shop", &[]).await.unwrap();
    let mut alice = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    assert_eq!(last_words(&mut alice).await, "client_idle_timeout");
    bob.query("select 1").await.fine();
}

#[tokio::test]
async fn the_wait_of_the_login_user_comes_before_that_of_the_pool() {
    let postgres = Postgres::start().await;
    let users = "[users.alice]\nquery_wait_timeout = \"300ms\"\n[users.bob]\nquery_wait_timeout = \"off\"\n";
    let all = settings(&postgres, "", "size = 1\nquery_wait_timeout = \"1s\"");
    let pooler = Pooler::start(&format!("{all}{users}")).await;
    let mut holder = Raw::app(pooler.port).await;
    holder.query("begin").await.fine();
    let began = Instant::now();
    let mut bob = Raw::login(pooler.port, "bob", "shop", &[]).await.unwrap();
    bob.send_query(b"select 'bob'").await;
    let mut app = Raw::app(pooler.port).await;
    app.send_query(b"select 'app'").await;
    let mut alice = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    alice.send_query(b"select 'alice'").await;
    assert_eq!(last_words(&mut alice).await, "query_wait_timeout");
    assert!(began.elapsed() < Duration::from_millis(1000));
    assert_eq!(last_words(&mut app).await, "query_wait_timeout");
    holder.query("commit").await.fine();
    assert_eq!(bob.reply().await.fine().value(), "bob");
}

#[tokio::test]
async fn who_waits_is_told_once_a_wait_and_gets_its_answer_all_the_same() {
    let postgres = Postgres::start().await;
    let pool = "size = 1\nquery_wait_notify = \"300ms\"";
    let pooler = pooler(&postgres, "", pool).await;
    let mut holder = Raw::app(pooler.port).await;
    let mut waiting = Raw::app(pooler.port).await;
    for _ in 0..2 {
        holder.query("begin").await.fine();
        waiting.send_query(b"select 'served'").await;
        let (tag, body) = waiting.expect_message().await;
        assert_eq!(tag, b'N');
        let text = String::from_utf8_lossy(&body).into_owned();
        let expected = "No server connection available in postgres backend, client being queued";
        assert!(text.contains(&format!("M{expected}\0")), "{text}");
        assert!(
            text.contains("SNOTICE\0") && text.contains("C00000\0"),
            "{text}"
        );
        let none = tokio::time::timeout(Duration::from_millis(700), waiting.message()).await;
        assert!(none.is_err(), "it was told once more: {none:?}");
        holder.query("commit").await.fine();
        assert_eq!(waiting.reply().await.fine().value(), "served");
    }
}

#[tokio::test]
async fn a_reload_changes_the_timeouts_of_clients_that_are_there() {
    let postgres = Postgres::start().await;
    for mode in MODES {
        let pool = format!("mode = \"{mode}\"\n");
        let pooler = pooler(&postgres, "", &pool).await;
        let mut busy = Raw::app(pooler.port).await;
        busy.query("begin").await.fine();
        busy.send_query(b"select pg_sleep(60)").await;
        let mut idle = Raw::app(pooler.port).await;
        let timeouts = format!("{pool}query_timeout = \"300ms\"");
        let new = settings(&postgres, "idle_timeout = \"300ms\"", &timeouts);
        pooler.reload(&new).await;
        assert_eq!(last_words(&mut busy).await, "query timeout");
        assert_eq!(last_words(&mut idle).await, "client_idle_timeout");
    }
}

#[tokio::test]
async fn a_server_whose_client_was_timed_out_is_not_counted_any_more() {
    let postgres = Postgres::start().await;
    let pool = "size = 1\nidle_transaction_timeout = \"200ms\"";
    let pooler = pooler(&postgres, "", pool).await;
    for _ in 0..3 {
        let mut client = Raw::app(pooler.port).await;
        client.query("begin").await.fine();
        last_words(&mut client).await;
    }
    let mut client = Raw::app(pooler.port).await;
    client.query("select 1").await.fine();
    assert_eq!(servers(&postgres).await.len(), 1);
}
