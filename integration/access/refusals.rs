//! A refusal looks like an error of PostgreSQL's, and everything after it goes on as it would
//! there.

mod fields;
mod pipelines;
mod simple;

use crate::house::House;
use crate::play::{Answers, say};
use crate::row::Step;
use crate::support::raw::Raw;

/// What we refuse a reader.
const REFUSED: &str = "delete from u";
/// What PostgreSQL refuses in the same place: before it is planned.
const FAILS: &str = "delete from no_such_table";

/// Says the same to us and to PostgreSQL, where `REFUSED` is replaced by something that fails
/// in the same place, and compares the answers. The connection to us and its answers.
async fn same_as_postgres(house: &House, steps: &[Step]) -> (Raw, Answers) {
    let mut without_us = house.reader_without_us().await;
    let expected = say(&mut without_us, &failing(steps)).await.shape();
    let mut raw = house.login("reader").await;
    let answers = say(&mut raw, steps).await;
    assert_eq!(
        answers.shape().replace("E(25006)", "E(refused)"),
        expected.replace("E(42P01)", "E(refused)"),
        "{steps:?}"
    );
    assert!(answers.shape().contains("E(25006)"), "{}", answers.shape());
    (raw, answers)
}

/// The same steps, but what fails is something that PostgreSQL does not know.
fn failing(steps: &[Step]) -> Vec<Step> {
    let replaced = |sql: &[u8]| {
        String::from_utf8(sql.to_vec())
            .unwrap()
            .replace(REFUSED, FAILS)
            .into_bytes()
    };
    let steps = steps.iter().cloned().map(|mut step| {
        if let Step::Query(sql) | Step::Parse { sql, .. } = &mut step {
            *sql = replaced(sql);
        }
        step
    });
    steps.collect()
}
