//! Cancel requests.

use std::time::Duration;

use super::{last_words, pooler};
use crate::support::eventually;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

/// Sends a cancel request and waits until its connection is closed without a word.
async fn cancel(port: u16, key: &[u8]) {
    let mut request = Raw::connect(port).await;
    let len = u32::try_from(8 + key.len()).unwrap();
    let mut packet = len.to_be_bytes().to_vec();
    packet.extend_from_slice(&80_877_102_u32.to_be_bytes());
    packet.extend_from_slice(key);
    request.send(&packet).await;
    assert_eq!(request.message().await, None);
}

#[tokio::test]
async fn a_cancel_request_meets_its_own_query_and_no_other() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "size = 2\nmode = \"transaction\"").await;
    let mut one = Raw::app(pooler.port).await;
    let mut two = Raw::app(pooler.port).await;
    one.send_query(b"select pg_sleep(60)").await;
    two.send_query(b"select 'two', pg_sleep(3)").await;
    let wrong = [&one.key[..4], &[0; 4]].concat();
    cancel(pooler.port, &wrong).await;
    let mut code = None;
    let key = one.key.clone();
    eventually("the query is cancelled", async || {
        cancel(pooler.port, &key).await;
        let reply = tokio::time::timeout(Duration::from_millis(100), one.reply()).await;
        code = reply.ok().map(|reply| reply.code().map(str::to_owned));
        code.is_some()
    })
    .await;
    assert_eq!(code.flatten().as_deref(), Some("57014"));
    two.reply().await.fine();
    // Idle: dropped.
    cancel(pooler.port, &key).await;
    one.query("select 1").await.fine();
}

#[tokio::test]
async fn a_storm_of_cancel_requests_of_one_client_never_meets_another_on_the_same_server() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "size = 1\nmode = \"transaction\"").await;
    let mut stormy = Raw::app(pooler.port).await;
    let mut calm = Raw::app(pooler.port).await;
    let (port, key) = (pooler.port, stormy.key.clone());
    let storm = tokio::spawn(async move {
        loop {
            tokio::join!(cancel(port, &key), cancel(port, &key), cancel(port, &key));
        }
    });
    let queries = async {
        for _ in 0..60 {
            stormy.query("select pg_sleep(0.01)").await;
        }
    };
    let others = async {
        for _ in 0..60 {
            calm.query("select pg_sleep(0.01)").await.fine();
        }
    };
    tokio::join!(queries, others);
    storm.abort();
}

#[tokio::test]
async fn who_waits_for_a_server_can_cancel_and_stays() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "size = 1\nquery_wait_timeout = \"20s\"").await;
    let mut holder = Raw::app(pooler.port).await;
    holder.query("begin").await.fine();
    let mut waiting = Raw::app(pooler.port).await;
    waiting.send_query(b"select 1").await;
    let key = waiting.key.clone();
    let mut code = None;
    eventually("the wait is cancelled", async || {
        cancel(pooler.port, &key).await;
        let reply = tokio::time::timeout(Duration::from_millis(100), waiting.reply()).await;
        code = reply.ok().map(|reply| reply.code().map(str::to_owned));
        code.is_some()
    })
    .await;
    assert_eq!(code.flatten().as_deref(), Some("57014"));
    holder.query("commit").await.fine();
    waiting.query("select 1").await.fine();
}

#[tokio::test]
async fn a_cancelled_query_is_no_timeout_and_a_timeout_is_no_cancel() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "", "query_timeout = \"500ms\"").await;
    let mut client = Raw::app(pooler.port).await;
    client.send_query(b"select pg_sleep(60)").await;
    assert_eq!(last_words(&mut client).await, "query timeout");
}
