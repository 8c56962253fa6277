//! Texts that are too much: too long, too deep.

use std::time::{Duration, Instant};

use super::still_reads;
use crate::house::House;
use crate::play::{p, q, say};
use crate::row::Step::Sync;

/// What a text costs whoever judges it grows as its length does.
#[test]
fn row_35_no_text_takes_long_to_judge() {
    let mut slow = Vec::new();
    for (what, text) in of_lexer().into_iter().chain(of_tree()) {
        let began = Instant::now();
        let _ = pgwarden::policy::sql::classify(text.as_bytes());
        let took = began.elapsed();
        if took > Duration::from_millis(700) {
            slow.push(format!("{what}: {} bytes in {took:?}", text.len()));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_35_depth_and_size_end_in_an_error_and_hold_nobody_up() {
    let mut house = House::with_pool("size = 2").await;
    let mut other = house.login("free").await;
    let neighbour = tokio::spawn(async move {
        let mut longest = Duration::ZERO;
        let end = Instant::now() + Duration::from_secs(6);
        while Instant::now() < end {
            let began = Instant::now();
            other.query("select 1").await.fine();
            longest = longest.max(began.elapsed());
        }
        longest
    });
    let deep = |open: &str, close: &str, times: usize| {
        format!("select {}1{}", open.repeat(times), close.repeat(times))
    };
    let texts = [
        format!("select ''{}", "||''".repeat(262_000)),
        format!("select 1{}", "+1".repeat(400_000)),
        deep("(", ")", 100_000),
        deep("(select ", ")", 20_000),
        deep("not ", "", 100_000).replace('1', "true"),
        deep("array[", "]", 50_000),
        deep("abs(", ")", 50_000),
        format!("select {}", "/*".repeat(100_000)),
        format!("select 1{}", " union all select 1".repeat(40_000)),
        ";".repeat(900_000),
        "select 1;".repeat(20_000),
        format!("select '{}'", "x".repeat(10 << 20)),
        format!("drop table u -- {}", "x".repeat(10 << 20)),
    ];
    let mut raw = house.login("reader").await;
    for text in texts {
        for steps in [vec![q(&text)], vec![p("", &text), Sync]] {
            let answers = say(&mut raw, &steps).await;
            let start = &text[..20];
            assert!(
                !answers.closed && !answers.stuck,
                "{start} {}",
                answers.shape()
            );
            assert_eq!(answers.status(), Some('I'), "{start}");
        }
        raw.query("select 1").await.fine();
    }
    let answers = say(
        &mut raw,
        &[q(&format!("delete from u -- {}", "x".repeat(10 << 20)))],
    )
    .await;
    assert_eq!(answers.failure().code, "0A000");
    still_reads(&mut raw).await;
    let longest = neighbour.await.unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    house.is_untouched().await;
}

/// Texts that are much work for the scanner.
fn of_lexer() -> Vec<(&'static str, String)> {
    vec![
        ("open comments", format!("select {}", "/*".repeat(100_000))),
        (
            "nested comments",
            format!("select {} {} 1", "/*".repeat(100_000), "*/".repeat(100_000)),
        ),
        ("pluses", format!("select {}1", "+".repeat(200_000))),
        (
            "pluses and minuses",
            format!("select {}1", "+-".repeat(100_000)),
        ),
        ("stars", format!("select {}1", "*".repeat(200_000))),
        ("slashes", format!("select 1 /{}", "/".repeat(200_000))),
        ("less", format!("select 1 {}+ 1", "<".repeat(200_000))),
        ("dollars", format!("select {}", "$a".repeat(100_000))),
        (
            "dollar tags",
            format!("select $a$ {}", "$a".repeat(100_000)),
        ),
        ("quotes", format!("select {}", "'a'\n".repeat(50_000))),
        (
            "quotes and spaces",
            format!("select 'a'{}x", " ".repeat(200_000)),
        ),
        ("dots", format!("select {}", "1..".repeat(60_000))),
        ("escapes", format!("select U&'{}'", "\\0061".repeat(40_000))),
    ]
}

/// Texts that are a large tree.
fn of_tree() -> Vec<(&'static str, String)> {
    let many = |text: &str, separator: &str, times: usize| {
        let all: Vec<_> = (0..times)
            .map(|n| text.replace('#', &n.to_string()))
            .collect();
        all.join(separator)
    };
    vec![
        ("functions", format!("select {}", many("f#()", ",", 60_000))),
        (
            "tables",
            format!("select 1 from {}", many("t#", ",", 60_000)),
        ),
        (
            "subselects",
            format!("select {}", many("(select 1 from t#)", ",", 30_000)),
        ),
        (
            "with",
            format!("with {} select 1", many("x# as (select 1)", ",", 30_000)),
        ),
        (
            "with, used",
            format!(
                "with {} select 1",
                many("x# as (select * from y#)", ",", 20_000)
            ),
        ),
        (
            "nested with",
            format!(
                "{} select 1 {}",
                "with x as (".repeat(3_000),
                ") select 1".repeat(3_000)
            ),
        ),
        ("settings", many("set a.x# = 1", ";", 40_000)),
        (
            "set_config",
            format!(
                "select {}",
                many("set_config('a.x#', '1', false)", ",", 25_000)
            ),
        ),
        ("prepare", many("prepare p# as select 1", ";", 30_000)),
        ("execute", many("execute p#", ";", 60_000)),
        ("drops", format!("drop table {}", many("t#", ",", 60_000))),
        (
            "values",
            format!(
                "insert into t values {}",
                many("(#, 'a', now())", ",", 40_000)
            ),
        ),
        ("statements", many("select 1", ";", 100_000)),
        (
            "joins",
            format!("select 1 from a {}", many("join t# on true", " ", 30_000)),
        ),
        ("unions", many("select #", " union ", 40_000)),
        ("casts", format!("select 1{}", "::int".repeat(100_000))),
        ("names", format!("select {}", many("a#.b.c", ",", 60_000))),
        ("subscripts", format!("select a{}", "[1]".repeat(100_000))),
        (
            "locks",
            format!("select 1 from t for update of {}", many("t#", ",", 60_000)),
        ),
        (
            "windows",
            format!("select 1 window {}", many("w# as ()", ",", 40_000)),
        ),
    ]
}
