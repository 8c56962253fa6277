//! What a role may use up: each limit is kept, says its name, and leaves client and server as
//! they were.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::house::House;
use crate::play::{q, run, say};
use crate::row::Step::{self, Sync};
use crate::support::eventually;
use crate::support::raw::{Failure, Raw};

/// `bi` has these limits, `free` has none.
fn limited(limits: &str, pool: &str) -> String {
    format!(
        r#"
[roles.bi]
server = {{ user = "app_rw", password = "x" }}
pool = {{ {pool} }}
limits = {{ {limits} }}
[roles.free]
server = {{ user = "app_rw", password = "x" }}
[[grant]]
role = "bi"
user = "bi"
[[grant]]
role = "free"
user = "free"
"#
    )
}

async fn house(limits: &str) -> House {
    House::with_access(&limited(limits, "size = 1")).await
}

/// Fails the test unless this is what is said of that limit.
#[track_caller]
fn is_of(failure: &Failure, limit: &str, value: &str) {
    let code = if limit == "time" { "57014" } else { "53400" };
    assert_eq!(failure.code, code, "{failure:?}");
    assert!(failure.message.ends_with(" for role \"bi\""), "{failure:?}");
    let detail = format!("The limit \"{limit}\" of role \"bi\" is {value}.");
    assert_eq!(failure.detail, detail);
}

/// Fails the test unless the client goes on, with the same server.
async fn goes_on(raw: &mut Raw, pid: &str) {
    assert_eq!(raw.value("select 1").await, "1");
    assert_eq!(raw.value(PID).await, pid);
    let reply = say(raw, &[&run("select 2")[..], &[Sync]].concat()).await;
    assert_eq!(reply.values(), ["2"]);
}

/// Holds an advisory lock until it is told to let go, so that others can be made to wait.
struct Lock<'a>(&'a House);

impl<'a> Lock<'a> {
    async fn take(house: &'a House) -> Self {
        let sql = "select pg_advisory_lock(1)";
        house.fixture.admin().batch_execute(sql).await.unwrap();
        Self(house)
    }

    /// Waits until so many wait for it.
    async fn is_awaited_by(&self, number: i64) {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
        eventually("somebody waits for the lock", async || {
            let row = self.0.fixture.admin().query_one(sql, &[]).await.unwrap();
            row.get::<_, i64>(0) == number
        })
        .await;
    }

    async fn let_go(self) {
        let sql = "select pg_advisory_unlock(1)";
        self.0.fixture.admin().batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn one_statement_more_at_the_same_time_is_refused() {
    let house = House::with_access(&limited("concurrent = 1", "size = 3")).await;
    let lock = Lock::take(&house).await;
    let mut first = house.login("bi").await;
    let mut second = house.login("bi").await;
    first.send_query(WAITS.as_bytes()).await;
    lock.is_awaited_by(1).await;
    let failure = second.query("select 1").await.failure.unwrap();
    is_of(&failure, "concurrent", "1");
    assert_eq!(
        failure.message,
        "too many statements at the same time for role \"bi\""
    );
    let steps = [&run("select 1")[..], &[Sync]].concat();
    is_of(&say(&mut second, &steps).await.failure(), "concurrent", "1");
    // Nobody else is held up.
    assert_eq!(house.login("free").await.value("select 1").await, "1");
    lock.let_go().await;
    first.reply().await.fine();
    assert_eq!(second.value("select 1").await, "1");
    assert_eq!(first.value("select 1").await, "1");
    assert_eq!(say(&mut second, &steps).await.values(), ["1"]);
}

#[tokio::test]
async fn a_client_that_is_gone_or_cancelled_runs_nothing() {
    let house = House::with_access(&limited("concurrent = 1", "size = 2")).await;
    let lock = Lock::take(&house).await;
    let mut first = house.login("bi").await;
    let mut second = house.login("bi").await;
    first.send_query(WAITS.as_bytes()).await;
    lock.is_awaited_by(1).await;
    assert_eq!(second.query("select 1").await.code(), Some("53400"));
    drop(first);
    lock.is_awaited_by(0).await;
    eventually("there is room again", async || {
        second.query("select 1").await.failure.is_none()
    })
    .await;
    second.send_query(WAITS.as_bytes()).await;
    lock.is_awaited_by(1).await;
    cancel(&house, &second).await;
    assert_eq!(second.reply().await.code(), Some("57014"));
    assert_eq!(house.login("bi").await.value("select 1").await, "1");
    lock.let_go().await;
}

#[tokio::test]
async fn a_refused_statement_fails_its_transaction() {
    let house = House::with_access(&limited("concurrent = 1", "size = 3")).await;
    let lock = Lock::take(&house).await;
    let mut first = house.login("bi").await;
    let mut second = house.login("bi").await;
    second.query("begin").await.fine();
    first.send_query(WAITS.as_bytes()).await;
    lock.is_awaited_by(1).await;
    let reply = second.query("select 1").await;
    is_of(&reply.failure.unwrap(), "concurrent", "1");
    assert_eq!(reply.status, 'E');
    lock.let_go().await;
    first.reply().await.fine();
    assert_eq!(second.query("commit").await.fine().tags, ["ROLLBACK"]);
}

#[tokio::test]
async fn a_cancelled_wait_leaves_nothing_behind() {
    let mut house = House::with_access(&format!(
        "{}\n[[roles.bi.deny]]\nname = \"no-drop\"\nstatements = [\"drop\"]\n",
        limited("concurrent = 2", "size = 1")
    ))
    .await;
    let mut first = house.login("bi").await;
    let mut second = house.login("bi").await;
    first.query("begin").await.fine();
    second.send_query(b"select 1").await;
    waits(&house, 1).await;
    cancel(&house, &second).await;
    assert_eq!(second.reply().await.code(), Some("57014"));
    // It does not count as running.
    let steps = [&run("select 1")[..], &[Sync]].concat();
    assert_eq!(say(&mut first, &steps).await.values(), ["1"]);
    first.query("commit").await.fine();
    let roles = house.console("show roles").await.fine().rows;
    let running = roles.iter().find(|row| row[0].as_deref() == Some("bi"));
    assert_eq!(running.unwrap()[6].as_deref(), Some("0"));
    // That it was judged is not taken for a judgement of what comes next.
    let steps = [
        &run("begin")[..],
        &[Sync, q("drop table secret"), q("commit")],
    ]
    .concat();
    let answers = say(&mut second, &steps).await;
    assert_eq!(answers.failure().code, "42501", "{}", answers.shape());
    house.is_untouched().await;
}

#[tokio::test]
async fn more_statements_than_the_rate_allows_are_refused() {
    let house = house("rate = \"4/h\"").await;
    let mut raw = house.login("bi").await;
    for _ in 0..2 {
        raw.query("select 1").await.fine();
    }
    // Statements of a pipeline count one by one.
    let steps = [
        &run("select 1")[..],
        &run("select 2"),
        &run("select 3"),
        &[Sync],
    ]
    .concat();
    let answers = say(&mut raw, &steps).await;
    assert_eq!(answers.values(), ["1", "2"]);
    is_of(&answers.failure(), "rate", "4 in 3600s");
    let mut other = house.login("bi").await;
    is_of(
        &other.query("select 1").await.failure.unwrap(),
        "rate",
        "4 in 3600s",
    );
    house.login("free").await.query("select 1").await.fine();
}

#[tokio::test]
async fn a_rate_that_was_used_up_comes_back() {
    let house = house("rate = \"2/s\"").await;
    let mut raw = house.login("bi").await;
    let mut refused = false;
    for _ in 0..20 {
        refused |= raw.query("select 1").await.code() == Some("53400");
    }
    assert!(refused);
    eventually("there is room again", async || {
        raw.query("select 1").await.failure.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_result_of_too_many_rows_is_cut_off() {
    let house = house("rows = 10").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    let fits = "select generate_series(1, 10)";
    for sql in ["select generate_series(1, 11)", ENDLESS] {
        assert_eq!(raw.query(fits).await.fine().rows.len(), 10);
        let reply = raw.query(sql).await;
        assert_eq!((reply.rows.len(), reply.status), (10, 'I'), "{sql}");
        assert!(reply.tags.is_empty());
        let failure = reply.failure.unwrap();
        is_of(&failure, "rows", "10");
        assert_eq!(failure.message, "result has too many rows for role \"bi\"");
        goes_on(&mut raw, &pid).await;
        let answers = say(&mut raw, &[&run(sql)[..], &[Sync]].concat()).await;
        assert_eq!(answers.values().len(), 10);
        is_of(&answers.failure(), "rows", "10");
        assert_eq!(answers.status(), Some('I'));
        goes_on(&mut raw, &pid).await;
    }
    // It is about each statement.
    let text = format!("{fits}; {fits}; {ENDLESS}; select 1");
    let reply = raw.query(&text).await;
    assert_eq!(reply.rows.len(), 30);
    assert_eq!(reply.tags.len(), 2);
    is_of(&reply.failure.unwrap(), "rows", "10");
    goes_on(&mut raw, &pid).await;
}

#[tokio::test]
async fn rows_that_are_fetched_in_parts_count_together() {
    let house = house("rows = 10").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    for total in [10, 12] {
        let mut out = BytesMut::new();
        let sql = format!("select generate_series(1, {total})");
        frontend::parse("", &sql, [], &mut out).unwrap();
        let mut steps = Vec::new();
        crate::play::b("").encode(&mut steps);
        out.extend_from_slice(&steps);
        for _ in 0..4 {
            frontend::execute("", 4, &mut out).unwrap();
        }
        frontend::sync(&mut out);
        raw.send(&out).await;
        let reply = raw.reply().await;
        assert_eq!(reply.rows.len(), 10);
        match total {
            10 => assert_eq!(reply.failure, None),
            _ => is_of(&reply.failure.unwrap(), "rows", "10"),
        }
        goes_on(&mut raw, &pid).await;
    }
}

#[tokio::test]
async fn a_copy_of_too_many_rows_is_cut_off() {
    let house = house("rows = 10").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    let fits = say(
        &mut raw,
        &[q("copy (select generate_series(1, 10)) to stdout")],
    )
    .await;
    assert!(fits.failures().is_empty());
    let endless = format!("copy ({ENDLESS}) to stdout");
    for steps in [&[q(&endless)][..], &[&run(&endless)[..], &[Sync]].concat()] {
        let answers = say(&mut raw, steps).await;
        let data = answers.messages.iter().filter(|(tag, _)| *tag == b'd');
        assert_eq!(data.count(), 10);
        is_of(&answers.failure(), "rows", "10");
        assert_eq!(answers.status(), Some('I'));
        goes_on(&mut raw, &pid).await;
    }
}

#[tokio::test]
async fn a_transaction_whose_result_was_cut_off_has_failed() {
    let house = house("rows = 10").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    for steps in [&[q(ENDLESS)][..], &[&run(ENDLESS)[..], &[Sync]].concat()] {
        raw.query("begin").await.fine();
        let answers = say(&mut raw, steps).await;
        is_of(&answers.failure(), "rows", "10");
        assert_eq!(answers.status(), Some('E'));
        assert_eq!(raw.query("select 1").await.code(), Some("25P02"));
        assert_eq!(raw.query("commit").await.fine().tags, ["ROLLBACK"]);
        goes_on(&mut raw, &pid).await;
    }
}

#[tokio::test]
async fn a_result_of_too_many_bytes_is_cut_off() {
    let house = house("bytes = \"1KiB\"").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    raw.query("select repeat('x', 500)").await.fine();
    for sql in [
        "select repeat('x', 2000)",
        "select repeat('x', 100) from generate_series(1, 20)",
        "select repeat('x', 2000000) from generate_series(1, 200)",
        "copy (select repeat('x', 2000000) from generate_series(1, 200)) to stdout",
    ] {
        let answers = say(&mut raw, &[q(sql)]).await;
        is_of(&answers.failure(), "bytes", "1024");
        let data = answers
            .messages
            .iter()
            .filter(|(tag, _)| b"dD".contains(tag));
        assert!(data.map(|(_, body)| body.len()).sum::<usize>() <= 1024);
        goes_on(&mut raw, &pid).await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let house = house("time = \"400ms\"").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    let sleep = "select pg_sleep(20)";
    for (steps, values) in [
        (vec![q(sleep)], 0),
        (vec![q("select 1; select pg_sleep(20); select 2")], 1),
        ([&run(sleep)[..], &[Sync]].concat(), 0),
        (
            [&run("select 1")[..], &run(sleep), &run("select 2"), &[Sync]].concat(),
            1,
        ),
    ] {
        let began = Instant::now();
        let answers = say(&mut raw, &steps).await;
        let took = began.elapsed();
        assert!(
            took > Duration::from_millis(350) && took < Duration::from_secs(5),
            "{took:?}"
        );
        let failure = answers.failure();
        is_of(&failure, "time", "400ms");
        assert_eq!(
            failure.message,
            "canceling statement that takes too long for role \"bi\""
        );
        assert_eq!(answers.values().len(), values, "{}", answers.shape());
        assert_eq!(answers.status(), Some('I'));
        goes_on(&mut raw, &pid).await;
    }
    raw.query("begin").await.fine();
    assert_eq!(raw.query(sleep).await.status, 'E');
    assert_eq!(raw.query("commit").await.fine().tags, ["ROLLBACK"]);
    goes_on(&mut raw, &pid).await;
}

#[tokio::test]
async fn statements_have_their_time_each() {
    let house = house("time = \"1s\"").await;
    let mut raw = house.login("bi").await;
    raw.query("begin").await.fine();
    for _ in 0..4 {
        raw.query("select pg_sleep(0.4)").await.fine();
    }
    // In a pipeline as well, where the server is made to say that one has ended.
    let mut out = Vec::new();
    for _ in 0..4 {
        for step in run("select pg_sleep(0.4)") {
            step.encode(&mut out);
        }
        let mut flush = BytesMut::new();
        frontend::flush(&mut flush);
        out.extend_from_slice(&flush);
    }
    Sync.encode(&mut out);
    raw.send(&out).await;
    raw.reply().await.fine();
    // Nor does the time between statements count.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    raw.query("commit").await.fine();
}

#[tokio::test]
async fn a_cancel_request_hits_nothing_but_what_it_is_for() {
    let house = house("rows = 10").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    raw.query("begin").await.fine();
    // These have ended before they can be cancelled.
    for _ in 0..30 {
        raw.query("savepoint a").await.fine();
        let reply = raw.query("select generate_series(1, 11)").await;
        is_of(&reply.failure.unwrap(), "rows", "10");
        raw.query("rollback to a").await.fine();
        let slow = "select count(*) from generate_series(1, 20000)";
        assert_eq!(raw.value(slow).await, "20000");
    }
    raw.query("commit").await.fine();
    goes_on(&mut raw, &pid).await;
}

#[tokio::test]
async fn a_client_that_thinks_before_its_sync_is_heard() {
    let house = house("time = \"300ms\", rows = 10").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    for with_flush in [true, false] {
        let mut out = Vec::new();
        for step in run("select 1") {
            step.encode(&mut out);
        }
        let mut flush = BytesMut::new();
        frontend::flush(&mut flush);
        if with_flush {
            out.extend_from_slice(&flush);
        }
        raw.send(&out).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        // What has ended has ended in time.
        let answers = say(&mut raw, &[Sync]).await;
        assert_eq!(answers.shape(), "1 2 D C(SELECT 1) Z(I)");
        // The limits hold for what comes after it in the same pipeline.
        for (sql, limit, value) in [
            ("select pg_sleep(20)", "time", "300ms"),
            (ENDLESS, "rows", "10"),
        ] {
            raw.send(&out).await;
            tokio::time::sleep(Duration::from_millis(900)).await;
            let answers = say(&mut raw, &[&run(sql)[..], &[Sync]].concat()).await;
            is_of(&answers.failure(), limit, value);
            goes_on(&mut raw, &pid).await;
        }
    }
}

#[tokio::test]
async fn a_copy_that_takes_its_time_is_ended() {
    let mut house = house("time = \"300ms\"").await;
    let mut raw = house.login("bi").await;
    let pid = raw.value(PID).await;
    raw.send_query(b"copy u from stdin").await;
    while raw.expect_message().await.0 != b'G' {}
    tokio::time::sleep(Duration::from_millis(900)).await;
    let rest = [Step::CopyData(b"5\tx\n".to_vec()), Step::CopyDone];
    let mut out = Vec::new();
    for step in &rest {
        step.encode(&mut out);
    }
    raw.send(&out).await;
    is_of(&raw.reply().await.failure.unwrap(), "time", "300ms");
    goes_on(&mut raw, &pid).await;
    house.is_untouched().await;
}

#[tokio::test]
async fn a_statement_that_had_to_wait_for_a_server_has_its_time_as_well() {
    let house = house("time = \"500ms\"").await;
    let mut first = house.login("bi").await;
    let mut second = house.login("bi").await;
    first.query("begin").await.fine();
    let began = Instant::now();
    second.send_query(b"select pg_sleep(20)").await;
    waits(&house, 1).await;
    // Longer than a statement may take: waiting is not running.
    tokio::time::sleep(Duration::from_millis(900)).await;
    first.query("commit").await.fine();
    is_of(&second.reply().await.failure.unwrap(), "time", "500ms");
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn one_client_more_is_refused_until_another_leaves() {
    let house = house("connections = 2").await;
    let first = house.login("bi").await;
    let _second = house.login("bi").await;
    let refused = Raw::login(house.port(), "bi", "acl", &[])
        .await
        .unwrap_err();
    assert_eq!(refused.severity, "FATAL");
    is_of(&refused, "connections", "2");
    house.login("free").await.query("select 1").await.fine();
    drop(first);
    eventually("there is room again", async || {
        Raw::login(house.port(), "bi", "acl", &[]).await.is_ok()
    })
    .await;
}

/// Waits until so many clients wait for a server.
async fn waits(house: &House, number: usize) {
    eventually("a client waits for a server", async || {
        let clients = house.console("show clients").await.fine().rows;
        let waiting = clients
            .iter()
            .filter(|row| row.iter().flatten().any(|value| value == "waiting"));
        waiting.count() == number
    })
    .await;
}

/// Sends a cancel request for what a client does.
async fn cancel(house: &House, client: &Raw) {
    let (pid, secret) = client.key.split_at(4);
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().unwrap());
    let mut out = BytesMut::new();
    frontend::cancel_request(number(pid), number(secret), &mut out);
    let mut raw = Raw::connect(house.port()).await;
    raw.send(&out).await;
    assert_eq!(raw.message().await, None);
}

const PID: &str = "select pg_backend_pid()";
const WAITS: &str = "select pg_advisory_xact_lock(1)";
const ENDLESS: &str = "select generate_series(1, 2000000000)";
