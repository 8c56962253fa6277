//! Simple queries, idle and in transactions.

use super::{REFUSED, same_as_postgres};
use crate::house::House;
use crate::play::{q, say};
use crate::row::Step;

#[tokio::test]
async fn an_idle_client_is_refused_and_goes_on() {
    let house = House::start().await;
    let (mut raw, answers) = same_as_postgres(&house, &[q(REFUSED), q("select 1")]).await;
    assert_eq!(answers.shape(), "E(25006) Z(I) T D C(SELECT 1) Z(I)");
    // What follows does not wait for an answer, and comes in its order.
    let all = [q("select 1"), q(REFUSED), q("select 2")];
    let mut out = Vec::new();
    for step in &all {
        step.encode(&mut out);
    }
    raw.send(&out).await;
    let replies = [raw.reply().await, raw.reply().await, raw.reply().await];
    assert_eq!(replies[0].value(), "1");
    assert_eq!(replies[1].code(), Some("25006"));
    assert_eq!(replies[2].value(), "2");
}

#[tokio::test]
async fn nothing_of_a_text_runs_if_one_of_its_statements_is_refused() {
    let mut house = House::start().await;
    let mut raw = house.login("noddl").await;
    for text in [
        "insert into u values (2, 'x'); commit; drop table secret",
        "insert into u values (2, 'x'); drop table secret; insert into u values (3, 'x')",
        "begin; insert into u values (2, 'x'); commit; drop table secret",
    ] {
        let answers = say(&mut raw, &[q(text)]).await;
        assert_eq!(answers.shape(), "E(42501) Z(I)", "{text}");
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn a_refusal_fails_the_transaction_it_is_in() {
    let house = House::start().await;
    for steps in [
        &[q("begin"), q(REFUSED), q("select 1"), q("commit")][..],
        &[
            q("begin"),
            q("select 1"),
            q(REFUSED),
            q(REFUSED),
            q("rollback"),
        ],
        &[q("begin"), q(REFUSED), q("begin"), q("end")],
        &[
            q("begin; select 1"),
            q(REFUSED),
            q(""),
            q("rollback; select 1"),
        ],
    ] {
        let (mut raw, answers) = same_as_postgres(&house, steps).await;
        assert!(answers.shape().contains("Z(E)"), "{}", answers.shape());
        assert_eq!(raw.query("select 1").await.fine().status, 'I');
    }
    let (_, answers) = same_as_postgres(
        &house,
        &[q("begin"), q(REFUSED), q("select 1"), q("commit")],
    )
    .await;
    assert_eq!(
        answers.shape(),
        "C(BEGIN) Z(T) E(25006) Z(E) E(25P02) Z(E) C(ROLLBACK) Z(I)"
    );
}

#[tokio::test]
async fn a_savepoint_revives_the_transaction() {
    let mut house = House::start().await;
    let steps = [
        q("begin"),
        q("savepoint a"),
        q("select 1"),
        q("savepoint b"),
        q(REFUSED),
        q("release b"),
        q("rollback to a"),
        q("select 2"),
        q("commit"),
    ];
    let (_, answers) = same_as_postgres(&house, &steps).await;
    let end = "E(25P02) Z(E) C(ROLLBACK) Z(T) T D C(SELECT 1) Z(T) C(COMMIT) Z(I)";
    assert!(answers.shape().ends_with(end), "{}", answers.shape());
    // What was done before the savepoint stays.
    let mut raw = house.login("noddl").await;
    for (sql, code) in [
        ("begin", None),
        ("insert into u values (2, 'kept')", None),
        ("savepoint a", None),
        ("insert into u values (3, 'lost')", None),
        ("drop table secret", Some("42501")),
        ("rollback to a", None),
        ("commit", None),
    ] {
        assert_eq!(raw.query(sql).await.code(), code, "{sql}");
    }
    let rows = raw.query("select id from u order by id").await.fine().rows;
    assert_eq!(rows.len(), 2);
    let changes = house.fixture.changes().await;
    assert_eq!(changes.parts, ["rows of u"]);
}

#[tokio::test]
async fn a_transaction_that_was_refused_something_commits_nothing() {
    let mut house = House::start().await;
    let mut raw = house.login("noddl").await;
    raw.query("begin").await.fine();
    raw.query("insert into u values (2, 'x')").await.fine();
    assert_eq!(raw.query("drop table secret").await.code(), Some("42501"));
    assert_eq!(raw.query("commit").await.fine().tags, ["ROLLBACK"]);
    assert_eq!(raw.value("select count(*) from u").await, "1");
    house.is_untouched().await;
}

#[tokio::test]
async fn copy_data_after_a_refused_copy_is_ignored() {
    let mut house = House::start().await;
    let mut raw = house.login("reader").await;
    for begin in [&[][..], &[q("begin")]] {
        let mut steps = begin.to_vec();
        steps.extend([
            q("copy u from stdin"),
            Step::CopyData(b"5\tx\n".to_vec()),
            Step::CopyData(b"drop table u;\n".to_vec()),
            Step::CopyDone,
            q("select 1"),
            q("rollback"),
            q("select 2"),
        ]);
        let answers = say(&mut raw, &steps).await;
        let shape = answers.shape();
        let expected = if begin.is_empty() {
            "E(25006) Z(I) T D C(SELECT 1) Z(I) C(ROLLBACK) Z(I) T D C(SELECT 1) Z(I)"
        } else {
            "C(BEGIN) Z(T) E(25006) Z(E) E(25P02) Z(E) C(ROLLBACK) Z(I) T D C(SELECT 1) Z(I)"
        };
        assert_eq!(shape, expected);
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn the_server_goes_back_to_the_pool_clean() {
    let mut house = House::start().await;
    let clean = "select current_setting('transaction_read_only') || current_user
        || (select count(*) from pg_prepared_statements where name !~ '^pgwarden')
        || (select count(*) from pg_cursors where name <> '')";
    let mut next = house.login("reader").await;
    let before = next.value(clean).await;
    let mut pid = next.value("select pg_backend_pid()").await;
    for steps in [
        &[q("begin"), q(REFUSED)][..],
        &[q("begin"), q("savepoint a"), q(REFUSED), q("rollback to a")],
        &[q(REFUSED)],
        &[q("begin"), crate::play::p("s", REFUSED), Step::Sync],
        &[q("begin"), crate::play::p("", REFUSED)],
    ] {
        let mut raw = house.login("reader").await;
        let answers = say(&mut raw, steps).await;
        drop(raw);
        assert_eq!(next.value(clean).await, before);
        let same = pid == next.value("select pg_backend_pid()").await;
        // Who leaves in the middle of a transaction takes the server along.
        assert!(same || answers.status() != Some('I'), "{steps:?}");
        pid = next.value("select pg_backend_pid()").await;
    }
    house.is_untouched().await;
}
