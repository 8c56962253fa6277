//! Rules that change, by a reload or by the clock, count for whoever is there already.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use crate::house::{House, before};
use crate::play::{q, run, say};
use crate::row::Step::Sync;
use crate::support::eventually;
use crate::support::raw::{Failure, Raw};

/// `app` with these further settings of its role, and rules.
fn app(settings: &str, rules: &str) -> String {
    format!(
        "[roles.app]\nserver = {{ user = \"app_rw\", password = \"x\" }}\n{settings}\n{rules}\n\
         [[grant]]\nrole = \"app\"\nuser = \"app\"\n"
    )
}

const NO_DELETE: &str = "[[roles.app.deny]]\nname = \"no-delete\"\nstatements = [\"delete\"]\n";
const NO_DROP: &str = "[[roles.app.deny]]\nname = \"no-drop\"\nstatements = [\"drop\"]\n";
const DELETE: &str = "delete from u where false";

/// An instant as the settings have it.
fn instant(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap().to_string()
}

/// What a client is told at its end, without having asked for anything.
async fn farewell(raw: &mut Raw) -> Failure {
    let ended = raw.try_reply().await;
    ended.expect_err("the session ends").expect("with an error")
}

#[track_caller]
fn is_withdrawn(failure: &Failure) {
    assert_eq!((&*failure.severity, &*failure.code), ("FATAL", "57P01"));
    assert_eq!(
        failure.message,
        "terminating connection because access was withdrawn"
    );
    assert_eq!(
        failure.detail,
        "the grant of role \"app\" no longer holds for this client."
    );
}

#[tokio::test]
async fn new_rules_hold_for_idle_sessions_and_in_transactions() {
    for (settings, rules) in [
        ("pool = { size = 2 }", ""),
        ("pool = { size = 2 }", NO_DROP),
        ("pool = { size = 2, mode = \"session\" }", ""),
        ("pool = { size = 2, mode = \"session\" }", NO_DROP),
    ] {
        let house = House::with_access(&app(settings, rules)).await;
        let mut idle = house.login("app").await;
        let mut busy = house.login("app").await;
        idle.query(DELETE).await.fine();
        busy.query("begin").await.fine();
        busy.query(DELETE).await.fine();
        house
            .reload(&app(settings, &format!("{rules}{NO_DELETE}")))
            .await;
        for sql in [DELETE, "begin; delete from u"] {
            let failure = idle.query(sql).await.failure.unwrap();
            assert_eq!(failure.code, "42501");
            assert!(
                failure.detail.ends_with("rule \"no-delete\"."),
                "{failure:?}"
            );
        }
        let reply = busy.query(DELETE).await;
        assert_eq!((reply.code(), reply.status), (Some("42501"), 'E'));
        assert_eq!(busy.query("commit").await.fine().tags, ["ROLLBACK"]);
        assert_eq!(busy.query(DELETE).await.code(), Some("42501"));
        // And no longer, when they are gone.
        house.reload(&app(settings, rules)).await;
        idle.query(DELETE).await.fine();
        busy.query(DELETE).await.fine();
    }
}

#[tokio::test]
async fn new_rules_hold_for_what_was_prepared_before() {
    for mode in ["transaction", "session"] {
        for rules in ["", NO_DROP] {
            let case = format!("{mode}, {rules:?}");
            let settings = format!("pool = {{ size = 1, mode = \"{mode}\" }}");
            let house = House::with_access(&app(&settings, rules)).await;
            let mut raw = house.login("app").await;
            raw.prepare("d", DELETE).await.fine();
            raw.prepare("s", "select 1").await.fine();
            raw.execute("d").await.fine();
            raw.query("begin").await.fine();
            raw.query(&format!("prepare q as {DELETE}")).await.fine();
            raw.query("execute q").await.fine();
            raw.query("savepoint a").await.fine();
            house
                .reload(&app(&settings, &format!("{rules}{NO_DELETE}")))
                .await;
            // Who had no rules may have prepared what nobody has seen.
            let seen = !rules.is_empty();
            for (is_seen, attempt) in [(seen, "execute q"), (seen || mode == "transaction", "d")] {
                let reply = match attempt {
                    "d" => raw.execute("d").await,
                    sql => raw.query(sql).await,
                };
                let code = reply.code().expect(&case).to_owned();
                assert_eq!(
                    code,
                    if is_seen { "42501" } else { "0A000" },
                    "{attempt} {case}"
                );
                assert_eq!(reply.status, 'E', "{case}");
                raw.query("rollback to a").await.fine();
                if is_seen {
                    assert_eq!(raw.execute("s").await.fine().value(), "1");
                }
            }
            raw.query("commit").await.fine();
            assert!(raw.execute("d").await.failure.is_some(), "{case}");
            // What is prepared now is known.
            raw.prepare("n", "select 2").await.fine();
            assert_eq!(raw.execute("n").await.fine().value(), "2");
        }
    }
}

#[tokio::test]
async fn a_session_whose_grant_is_gone_ends() {
    let house = House::with_access(&app("", "")).await;
    let mut idle = house.login("app").await;
    let mut busy = house.login("app").await;
    let mut running = house.login("app").await;
    busy.query("begin").await.fine();
    running.send_query(b"select pg_sleep(60)").await;
    let other = app("", "").replace("user = \"app\"\n", "user = \"other\"\n");
    house.reload(&other).await;
    for raw in [&mut idle, &mut busy, &mut running] {
        is_withdrawn(&farewell(raw).await);
    }
    let refused = Raw::login(house.port(), "app", "acl", &[]).await;
    assert_eq!(refused.unwrap_err().code, "28000");
    // What ran is not left running.
    let sql = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' \
        and state = 'active' and pid <> pg_backend_pid()";
    eventually("nothing runs", async || {
        let row = house.fixture.admin().query_one(sql, &[]).await.unwrap();
        row.get::<_, i64>(0) == 0
    })
    .await;
}

#[tokio::test]
async fn a_session_that_would_get_another_role_ends() {
    let house = House::with_access(&app("", "")).await;
    let mut raw = house.login("app").await;
    raw.query("select 1").await.fine();
    let first = "[roles.first]\n[[grant]]\nrole = \"first\"\nuser = \"app\"\n";
    house.reload(&format!("{first}{}", app("", ""))).await;
    is_withdrawn(&farewell(&mut raw).await);
}

#[tokio::test]
async fn a_grant_that_expires_ends_its_sessions() {
    let house = House::with_access(&app("", "")).await;
    let mut idle = house.login("app").await;
    let mut busy = house.login("app").await;
    busy.query("begin").await.fine();
    idle.query(DELETE).await.fine();
    let until = SystemTime::now() + Duration::from_secs(5);
    let access = format!("{}expires = \"{}\"\n", app("", ""), instant(until));
    house.reload(&access).await;
    for raw in [&mut idle, &mut busy] {
        is_withdrawn(&farewell(raw).await);
    }
    let late = SystemTime::now().duration_since(until).unwrap();
    assert!(late < Duration::from_secs(2), "{late:?}");
    let refused = Raw::login(house.port(), "app", "acl", &[]).await;
    assert_eq!(refused.unwrap_err().code, "28000");
}

/// Windows are exact to a minute, so this can take one.
#[tokio::test]
async fn windows_that_close_end_sessions_and_windows_that_open_stop_writes() {
    let now = Timestamp::now().as_second();
    // At least twenty seconds from now.
    let change = (now + 20).div_euclid(60) * 60 + 60;
    let minute = |second: i64| {
        let time = Timestamp::from_second(second).unwrap();
        time.strftime("%Y-%m-%d %H:%M").to_string()
    };
    let (begin, middle, end) = (minute(change - 600), minute(change), minute(change + 600));
    let access = format!(
        "{}window = \"{begin}/{middle} UTC\"\n\
         [roles.timed]\nserver = {{ user = \"app_rw\" }}\n\
         read_only = {{ window = \"{middle}/{end} UTC\" }}\n\
         [[grant]]\nrole = \"timed\"\nuser = \"timed\"\n",
        app("", "")
    );
    let house = House::with_access(&access).await;
    let mut app = house.login("app").await;
    let mut timed = house.login("timed").await;
    app.query(DELETE).await.fine();
    timed.query(DELETE).await.fine();
    timed.prepare("d", DELETE).await.fine();
    timed.execute("d").await.fine();
    assert_eq!(timed.value(READ_ONLY).await, "off");
    let left = change - Timestamp::now().as_second();
    let wait = Duration::from_secs(u64::try_from(left).unwrap_or_default());
    tokio::time::sleep(wait.saturating_sub(Duration::from_secs(1))).await;
    is_withdrawn(&farewell(&mut app).await);
    assert!(Timestamp::now().as_second() >= change);
    eventually("nothing is written", async || {
        timed.query(DELETE).await.code() == Some("25006")
    })
    .await;
    assert_eq!(timed.execute("d").await.code(), Some("25006"));
    assert_eq!(timed.value(READ_ONLY).await, "on");
    assert!(Timestamp::now().as_second() < change + 5);
}

#[tokio::test]
async fn a_reload_with_a_mistake_or_a_failing_test_changes_nothing() {
    let house = House::with_access(&app("", NO_DELETE)).await;
    let mut raw = house.login("app").await;
    for (access, line, problem) in [
        (
            app("", "[[roles.app.deny]]\nstatements = [\"delet\"]"),
            "statements",
            "delete",
        ),
        (
            app("", "").replace("role = \"app\"", "role = \"apb\""),
            "role = \"apb\"",
            "unknown role",
        ),
        (app("this is no toml", ""), "this is", ""),
        (
            app(
                "",
                "[[test]]\nrole = \"app\"\nsql = \"delete from u\"\nexpect = \"deny\"",
            ),
            "expect",
            "the test failed: expected deny, got allow",
        ),
    ] {
        let text = before(house.fixture.postgres.port, &access);
        house.pooler.write(&text);
        let failure = house.console("reload").await.failure.unwrap();
        assert_eq!(failure.code, "F0000", "{failure:?}");
        assert!(failure.detail.contains(problem), "{failure:?}");
        let file = std::fs::read_to_string(house.pooler.dir().join("pgwarden.toml")).unwrap();
        let number = file
            .lines()
            .position(|text| text.starts_with(line))
            .unwrap()
            + 1;
        assert!(
            failure.detail.contains(&format!(":{number}")),
            "{number} {failure:?}"
        );
        assert_eq!(raw.query(DELETE).await.code(), Some("42501"));
        let mut new = house.login("app").await;
        assert_eq!(new.query(DELETE).await.code(), Some("42501"));
    }
    house.reload(&app("", "")).await;
    raw.query(DELETE).await.fine();
}

#[tokio::test]
async fn a_role_that_becomes_read_only_gets_servers_that_only_read() {
    let house = House::with_access(&app("pool = { size = 1 }", "")).await;
    let mut raw = house.login("app").await;
    let pid = raw.value(PID).await;
    assert_eq!(raw.value(READ_ONLY).await, "off");
    house
        .reload(&app("read_only = true\npool = { size = 1 }", ""))
        .await;
    assert_eq!(raw.query(DELETE).await.code(), Some("25006"));
    assert_eq!(raw.value(READ_ONLY).await, "on");
    assert_eq!(raw.value(SOURCE).await, "client");
    assert_ne!(raw.value(PID).await, pid);
    house.reload(&app("pool = { size = 1 }", "")).await;
    raw.query(DELETE).await.fine();
    assert_eq!(raw.value(READ_ONLY).await, "off");
}

#[tokio::test]
async fn in_maintenance_everybody_only_reads() {
    let house = House::with_access(&app("pool = { size = 1 }", "")).await;
    let mut raw = house.login("app").await;
    raw.prepare("d", DELETE).await.fine();
    raw.execute("d").await.fine();
    let maintenance = "[maintenance]\nread_only = { window = \"Mon-Sun UTC\" }\n";
    let of_database = "[databases.acl.maintenance]\nread_only = { window = \"Mon-Sun UTC\" }\n";
    for maintenance in [maintenance, of_database] {
        house
            .reload(&format!("{}{maintenance}", app("pool = { size = 1 }", "")))
            .await;
        for sql in [DELETE, "begin read write", "create table x()"] {
            assert_eq!(raw.query(sql).await.code(), Some("25006"), "{sql}");
        }
        assert_eq!(raw.execute("d").await.code(), Some("25006"));
        assert_eq!(raw.value(READ_ONLY).await, "on");
        assert_eq!(raw.value(SOURCE).await, "client");
        assert_eq!(raw.value("select count(*) from u").await, "1");
        let mut new = house.login("app").await;
        assert_eq!(new.query(DELETE).await.code(), Some("25006"));
        house.reload(&app("pool = { size = 1 }", "")).await;
        raw.query(DELETE).await.fine();
        raw.execute("d").await.fine();
        assert_eq!(raw.value(READ_ONLY).await, "off");
    }
}

#[tokio::test]
async fn what_is_only_observed_passes_and_is_counted() {
    let house = House::with_access(&app("mode = \"observe\"", NO_DELETE)).await;
    let mut raw = house.login("app").await;
    for _ in 0..3 {
        raw.query(DELETE).await.fine();
    }
    let steps = [&run(DELETE)[..], &[Sync]].concat();
    assert_eq!(say(&mut raw, &steps).await.failures(), []);
    let denials = house.console("show denials").await.fine().rows;
    assert_eq!(denials.len(), 4);
    for row in &denials {
        let row: Vec<_> = row
            .iter()
            .map(|value| value.as_deref().unwrap_or_default())
            .collect();
        assert_eq!(row[2..5], ["app", "app", "acl"]);
        assert_eq!(
            row[6..],
            ["no-delete", "42501", "DELETE", row[9], "would_deny"]
        );
    }
    assert_eq!(counts(&house).await, ("0".into(), "4".into()));
    house.reload(&app("", NO_DELETE)).await;
    assert_eq!(raw.query(DELETE).await.code(), Some("42501"));
    let mut raw = house.login("app").await;
    assert_eq!(say(&mut raw, &steps).await.failure().code, "42501");
    assert_eq!(counts(&house).await, ("2".into(), "4".into()));
}

/// How often the rule `no-delete` has refused, and would have.
async fn counts(house: &House) -> (String, String) {
    let rows = house.console("show access").await.fine().rows;
    let rule = rows
        .iter()
        .find(|row| row[1].as_deref() == Some("no-delete"));
    let row = rule.unwrap();
    (row[5].clone().unwrap(), row[6].clone().unwrap())
}

#[tokio::test]
async fn an_explanation_agrees_with_what_happens() {
    let rules = format!(
        "{NO_DELETE}[[roles.app.deny]]\nname = \"no-signals\"\nfunctions = [\"@signal\"]\n\
         [[roles.app.deny]]\nname = \"where\"\nstatements = [\"update\"]\nmissing = \"where\"\n"
    );
    let settings = "tables = { deny = \"public.secret\" }";
    let house = House::with_access(&app(settings, &rules)).await;
    let mut raw = house.login("app").await;
    let mut refused = 0;
    for sql in [
        "select 1",
        "select * from t",
        "select * from secret",
        "select * from public.secret s join t on true",
        "delete from u",
        "with x as (delete from u returning *) select * from x",
        "update u set v = v",
        "update u set v = v where id = 1",
        "select pg_terminate_backend(0)",
        "insert into u select 1, 'x' where false",
        "explain delete from u",
        "explain analyze delete from u",
        "copy secret to stdout",
        "do $$ begin end $$",
        "selec 1",
        "select 1; delete from u",
        "set search_path = pg_catalog",
        "begin",
        "rollback",
    ] {
        let quoted = sql.replace('\'', "''");
        let command = format!("explain access '{quoted}' for role app");
        let rows = house.console(&command).await.fine().rows;
        let verdict = rows
            .iter()
            .find(|row| row[1].as_deref() == Some("verdict"))
            .unwrap();
        let answers = say(&mut raw, &[q(sql)]).await;
        let failures = answers.failures();
        let by = failures.first().map(|failure| failure.detail.as_str());
        match verdict[3].as_deref() {
            Some("allow") => assert_eq!(by, None, "{sql}"),
            Some("deny") => {
                refused += 1;
                let rule = format!("rule \"{}\".", verdict[2].as_deref().unwrap());
                assert!(
                    by.is_some_and(|by| by.ends_with(&rule)),
                    "{sql}: {by:?} {rule}"
                );
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert!((8..16).contains(&refused), "{refused}");
}

/// Rules are looked up while clients come and go.
#[tokio::test]
async fn reloads_in_a_row_leave_nobody_behind() {
    let house = House::with_access(&app("pool = { size = 2 }", "")).await;
    let mut raw = house.login("app").await;
    let began = Instant::now();
    for round in 0..6 {
        let rules = if round % 2 == 0 { NO_DELETE } else { "" };
        house.reload(&app("pool = { size = 2 }", rules)).await;
        let refused = raw.query(DELETE).await.failure.is_some();
        assert_eq!(refused, round % 2 == 0);
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

const PID: &str = "select pg_backend_pid()";
const READ_ONLY: &str = "show default_transaction_read_only";
const SOURCE: &str = "select source from pg_settings where name = 'default_transaction_read_only'";
