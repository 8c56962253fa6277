//! Texts that are too much: too long, too deep.

use std::time::{Duration, Instant};

use super::still_reads;
use crate::house::House;
use crate::play::{p, q, say};
use crate::row::Step::Sync;

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
