//! What the error says.

use crate::house::House;
use crate::play::{p, q, say};
use crate::row::Step::Sync;
use crate::support::raw::Failure;

async fn refusal(house: &House, user: &str, sql: &str) -> Failure {
    let mut raw = house.login(user).await;
    let simple = say(&mut raw, &[q(sql)]).await.failure();
    let extended = say(&mut raw, &[p("", sql), Sync]).await.failure();
    assert_eq!(simple.code, extended.code, "{sql}");
    assert_eq!(simple.detail, extended.detail, "{sql}");
    assert_ne!(
        simple.hint, extended.hint,
        "each refusal has its own number"
    );
    simple
}

#[tokio::test]
async fn the_code_tells_why() {
    let house = House::start().await;
    for (user, sql, code) in [
        ("reader", "insert into u values (1, 'x')", "25006"),
        ("reader", "begin read write", "25006"),
        ("reader", "set default_transaction_read_only = off", "25006"),
        ("reader", "select lo_creat(-1)", "25006"),
        ("noddl", "drop table u", "42501"),
        ("noddl", "set standard_conforming_strings = off", "42501"),
        ("noddl", "do $$ begin end $$", "0A000"),
        ("noddl", "this is not sql", "0A000"),
        ("reader", "selec 1", "0A000"),
    ] {
        let failure = refusal(&house, user, sql).await;
        assert_eq!(failure.code, code, "{sql}: {failure:?}");
        assert_eq!(failure.severity, "ERROR");
        assert!(!failure.message.is_empty());
    }
}

#[tokio::test]
async fn the_detail_names_statement_and_rule_and_the_hint_the_way_out() {
    let house = House::start().await;
    let sql = "select 1; drop table u; select 2";
    let failure = refusal(&house, "noddl", sql).await;
    assert_eq!(
        failure.detail,
        "Statement 2 of 3 (DROP TABLE) matched rule \"no-schema-changes\"."
    );
    let hint = failure
        .hint
        .strip_prefix("Schema changes go through the migration job. ");
    let reference = hint.and_then(|hint| hint.strip_prefix("Reference "));
    let reference = reference.expect(&failure.hint).trim_end_matches('.');
    assert_eq!(reference.len(), 16);
    assert!(reference.bytes().all(|b| b.is_ascii_hexdigit()));
    // By it the operator finds the refusal.
    assert!(house.pooler.log().contains(reference));
    let failure = refusal(&house, "reader", "delete from u").await;
    assert_eq!(
        failure.detail,
        "Statement 1 of 1 (DELETE) matched rule \"read_only\"."
    );
    assert!(failure.hint.starts_with("Reference "), "{}", failure.hint);
}

#[tokio::test]
async fn the_position_is_where_the_statement_begins_in_characters() {
    let house = House::start().await;
    for before in [
        "",
        "  ",
        "select 'é🔥';",
        "select 1; /* ж */ ",
        "select 1;\n\n-- é\n",
    ] {
        let sql = format!("{before}drop table u; select 2");
        let failure = refusal(&house, "noddl", &sql).await;
        let position = before.chars().count() + 1;
        assert_eq!(failure.position, position.to_string(), "{sql:?}");
    }
}

#[tokio::test]
async fn a_refusal_repeats_no_literal() {
    let mut house = House::start().await;
    for (user, sql) in [
        ("reader", "insert into u values (1, 'hunter2')"),
        (
            "reader",
            "select set_config('default_transaction_read_only', 'hunter2', false)",
        ),
        ("reader", "update u set v = 'hunter2' where v = 'hunter2"),
        ("noddl", "alter role app_rw password 'hunter2'"),
        ("noddl", "do 'hunter2'"),
        (
            "noddl",
            "create table x (a text default 'hunter2') with (hunter",
        ),
    ] {
        let failure = refusal(&house, user, sql).await;
        let all = format!("{failure:?}");
        assert!(!all.contains("hunter2"), "{sql}: {all}");
    }
    assert!(!house.pooler.log().contains("hunter2"));
    house.is_untouched().await;
}
