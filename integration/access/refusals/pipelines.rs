//! The extended protocol: what is skipped, what is rolled back, and in which order one hears.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::{REFUSED, failing, same_as_postgres};
use crate::house::House;
use crate::play::{b, e, p, q, run, say};
use crate::row::Step::{self, Close, Describe, Sync};

/// A pipeline: statements by Parse, Bind and Execute, and a Sync.
fn pipeline(texts: &[&str]) -> Vec<Step> {
    let statements = texts.iter().flat_map(|sql| run(sql));
    statements.chain([Sync]).collect()
}

fn all(parts: &[&[Step]]) -> Vec<Step> {
    parts.concat()
}

#[tokio::test]
async fn everything_up_to_the_sync_is_skipped() {
    let house = House::start().await;
    let close = Close(b"Sx".to_vec());
    for steps in [
        pipeline(&[REFUSED]),
        pipeline(&["select 1", REFUSED, "select 2"]),
        pipeline(&["select 1", "select 2", REFUSED, "begin", "select 3"]),
        pipeline(&[REFUSED, REFUSED]),
        all(&[&[p("s", REFUSED), Describe(b"Ss".to_vec()), Sync]]),
        all(&[&[p("s", REFUSED), close, Sync], &pipeline(&["select 4"])]),
        all(&[
            &pipeline(&["begin"]),
            &pipeline(&[REFUSED]),
            &pipeline(&["select 1"]),
            &pipeline(&["rollback"]),
        ]),
        all(&[
            &[q("begin")],
            &pipeline(&["select 1", REFUSED, "commit"]),
            &[q("select 1"), q("commit")],
        ]),
        all(&[
            &pipeline(&["begin", "savepoint a", REFUSED]),
            &pipeline(&["rollback to a", "select 1"]),
            &[q("commit")],
        ]),
    ] {
        let (mut raw, _) = same_as_postgres(&house, &steps).await;
        assert_eq!(raw.query("select 1").await.fine().status, 'I');
    }
}

#[tokio::test]
async fn a_query_before_the_sync_is_skipped_as_well() {
    let house = House::start().await;
    let steps = [p("", REFUSED), q("select 1"), b(""), Sync, q("select 2")];
    let mut seen = Vec::new();
    for (mut raw, steps) in [
        (house.login("reader").await, steps.to_vec()),
        (house.reader_without_us().await, failing(&steps)),
    ] {
        let mut out = Vec::new();
        for step in &steps {
            step.encode(&mut out);
        }
        raw.send(&out).await;
        let (first, second) = (raw.reply().await, raw.reply().await);
        assert!(first.rows.is_empty() && first.failure.is_some());
        assert_eq!(second.value(), "2");
        seen.push((first.status, second.status));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_refusal_is_heard_without_a_sync() {
    let house = House::start().await;
    let mut raw = house.login("reader").await;
    let mut out = BytesMut::new();
    frontend::parse("", REFUSED, [], &mut out).unwrap();
    frontend::flush(&mut out);
    raw.send(&out).await;
    assert_eq!(raw.expect_message().await.0, b'E');
    let mut out = BytesMut::new();
    frontend::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(raw.expect_message().await, (b'Z', vec![b'I']));
}

#[tokio::test]
async fn earlier_writes_of_the_same_pipeline_are_rolled_back() {
    let mut house = House::start().await;
    let mut raw = house.login("noddl").await;
    for steps in [
        pipeline(&["insert into u values (2, 'x')", "drop table secret"]),
        pipeline(&[
            "insert into u values (2, 'x')",
            "delete from u",
            "drop table secret",
            "insert into u values (3, 'x')",
        ]),
        all(&[
            &pipeline(&[
                "begin",
                "insert into u values (2, 'x')",
                "drop table secret",
                "commit",
            ]),
            &[q("commit")],
        ]),
        all(&[
            &[q("begin")],
            &pipeline(&["insert into u values (2, 'x')"]),
            &[p("", "drop table secret"), Sync, q("commit")],
        ]),
    ] {
        let answers = say(&mut raw, &steps).await;
        assert_eq!(answers.failures().len(), 1, "{}", answers.shape());
        assert_eq!(answers.failures()[0].code, "42501");
        assert_eq!(answers.status(), Some('I'));
        assert_eq!(raw.value("select count(*) from u").await, "1");
    }
    house.is_untouched().await;
    // What a Sync has closed before stays.
    let steps = all(&[
        &pipeline(&["insert into u values (2, 'x')"]),
        &pipeline(&["drop table secret"]),
    ]);
    say(&mut raw, &steps).await;
    assert_eq!(raw.value("select count(*) from u").await, "2");
}

#[tokio::test]
async fn a_refused_parse_leaves_no_name() {
    let house = House::start().await;
    for steps in [
        vec![p("s", REFUSED), Sync, b("s"), e(), Sync],
        vec![p("s", REFUSED), Sync, Describe(b"Ss".to_vec()), Sync],
        vec![p("s", REFUSED), Sync, p("s", "select 1"), b("s"), e(), Sync],
        vec![
            p("", "select 1"),
            Sync,
            p("", REFUSED),
            Sync,
            b(""),
            e(),
            Sync,
        ],
        vec![p("", "select 1"), Sync, q(REFUSED), b(""), e(), Sync],
    ] {
        same_as_postgres(&house, &steps).await;
    }
}

#[tokio::test]
async fn a_refused_parse_keeps_what_the_name_stood_for() {
    let house = House::start().await;
    for steps in [
        vec![
            p("s", "select 1"),
            Sync,
            p("s", REFUSED),
            Sync,
            b("s"),
            e(),
            Sync,
        ],
        vec![
            p("s", "select 1"),
            Sync,
            p("", REFUSED),
            Close(b"Ss".to_vec()),
            Sync,
            b("s"),
            e(),
            Sync,
        ],
        vec![p("s", "select 1"), p("x", REFUSED), Sync, b("s"), e(), Sync],
        vec![
            q("begin"),
            p("s", "select 1"),
            Sync,
            p("x", REFUSED),
            Sync,
            q("rollback"),
            b("s"),
            e(),
            Sync,
        ],
    ] {
        same_as_postgres(&house, &steps).await;
    }
}

#[tokio::test]
async fn a_function_call_is_refused_like_a_query() {
    let mut house = House::start().await;
    for user in ["reader", "noddl"] {
        let mut raw = house.login(user).await;
        // lo_creat, which needs no rights.
        let reply = raw.call_function(957, &["-1"]).await;
        let code = reply.code().unwrap_or_default().to_owned();
        assert!(["0A000", "25006"].contains(&code.as_str()), "{reply:?}");
        assert_eq!(reply.status, 'I');
        raw.query("begin").await.fine();
        assert_eq!(raw.call_function(957, &["-1"]).await.status, 'E');
        assert_eq!(raw.query("select 1").await.code(), Some("25P02"));
        assert_eq!(raw.query("commit").await.fine().tags, ["ROLLBACK"]);
        raw.query("select 1").await.fine();
    }
    house.is_untouched().await;
}
