//! What a client has set follows it from server to server, and stays its own.

use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

async fn pooler(postgres: &Postgres, size: usize) -> Pooler {
    Pooler::start(&format!("[pool]\nsize = {size}\n{}", shop(postgres))).await
}

/// Takes the server that was used last, so that whoever comes next gets another.
async fn pin(port: u16) -> (Raw, String) {
    let mut client = Raw::app(port).await;
    client.query("begin").await.fine();
    let pid = client.value("select pg_backend_pid()").await;
    (client, pid)
}

const REPORTED: &str = "select current_setting('TimeZone') || '|' || current_setting('DateStyle')
    || '|' || current_setting('application_name') || '|' || current_setting('IntervalStyle')
    || '|' || current_setting('standard_conforming_strings')";

#[tokio::test]
async fn reported_parameters_follow_a_client_to_every_server() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 2).await;
    let mut other = Raw::app(pooler.port).await;
    let defaults = other.value(REPORTED).await;
    let mut client = Raw::app(pooler.port).await;
    client
        .query(
            "set timezone = 'Asia/Tokyo'; set datestyle = 'german'; set application_name = 'mine';
             set intervalstyle = 'iso_8601'; set standard_conforming_strings = off",
        )
        .await
        .fine();
    let mine = "Asia/Tokyo|German, DMY|mine|iso_8601|off";
    let pid = "select pg_backend_pid()";
    let here = client.value(pid).await;
    for _ in 0..3 {
        let (mut pinned, pinned_pid) = pin(pooler.port).await;
        assert_eq!(client.value(REPORTED).await, mine);
        assert_ne!(client.value(pid).await, pinned_pid);
        assert_eq!(other.value(REPORTED).await, defaults);
        pinned.query("commit").await.fine();
        assert_eq!(other.value(REPORTED).await, defaults);
        assert_eq!(client.value(REPORTED).await, mine);
    }
    let (mut pinned, pinned_pid) = pin(pooler.port).await;
    let there = client.value(pid).await;
    assert!(
        pinned_pid == here || there == here,
        "the pool has two servers"
    );
    // A new value, set on one server, is the value on the other.
    client.query("set timezone = 'Europe/Paris'").await.fine();
    assert_eq!(client.parameters["TimeZone"], "Europe/Paris");
    pinned.query("commit").await.fine();
    let (_second, _) = pin(pooler.port).await;
    assert_eq!(
        client.value("select current_setting('TimeZone')").await,
        "Europe/Paris"
    );
    assert_eq!(other.value(REPORTED).await, defaults);
}

#[tokio::test]
async fn a_rolled_back_setting_does_not_follow() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 2).await;
    let mut client = Raw::app(pooler.port).await;
    client
        .query("begin; set timezone = 'Asia/Tokyo'")
        .await
        .fine();
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    client.query("rollback").await.fine();
    assert_eq!(client.parameters["TimeZone"], "UTC");
    client
        .query("begin; set local timezone = 'Asia/Tokyo'; commit")
        .await
        .fine();
    let (_pinned, _) = pin(pooler.port).await;
    assert_eq!(
        client.value("select current_setting('TimeZone')").await,
        "UTC"
    );
    assert_eq!(client.parameters["TimeZone"], "UTC");
}

#[tokio::test]
async fn startup_options_are_their_clients_own_on_every_server() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 2).await;
    let options = [("options", "-c statement_timeout=1234 -c search_path=a,b")];
    let mut client = Raw::login(pooler.port, "app", "shop", &options)
        .await
        .unwrap();
    let more = [("options", "-c statement_timeout=99s"), ("work_mem", "1MB")];
    let mut another = Raw::login(pooler.port, "app", "shop", &more).await.unwrap();
    let mut plain = Raw::app(pooler.port).await;
    let row = "select current_setting('statement_timeout') || ' ' || current_setting('search_path')
        || ' ' || current_setting('work_mem')";
    for _ in 0..3 {
        let (mut pinned, _) = pin(pooler.port).await;
        for _ in 0..2 {
            assert_eq!(client.value(row).await, "1234ms a,b 4MB");
            assert_eq!(another.value(row).await, "99s \"$user\", public 1MB");
            assert_eq!(plain.value(row).await, "0 \"$user\", public 4MB");
        }
        pinned.query("commit").await.fine();
    }
    // A session-level SET of what is not reported ends with the transaction.
    client
        .query("set statement_timeout = 1; set work_mem = '9MB'")
        .await
        .fine();
    assert_eq!(client.value(row).await, "1234ms a,b 4MB");
}

#[tokio::test]
async fn a_setting_holds_to_the_end_of_its_transaction() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("begin").await.fine();
    client
        .query("set role auditor; set work_mem = '1MB'")
        .await
        .fine();
    assert_eq!(client.value("select current_user").await, "auditor");
    assert_eq!(client.value("show work_mem").await, "1MB");
    client.query("commit").await.fine();
    assert_eq!(client.value("select current_user").await, "app");
    assert_eq!(client.value("show work_mem").await, "4MB");
}

#[tokio::test]
async fn one_clients_bad_startup_parameter_is_its_own_problem() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1).await;
    let mut good = Raw::app(pooler.port).await;
    good.query("select 1").await.fine();
    for parameter in [("TimeZone", "Nowhere/At_All"), ("no_such_setting", "1")] {
        let told = match Raw::login(pooler.port, "app", "shop", &[parameter]).await {
            Err(failure) => Some(failure),
            Ok(mut bad) => {
                bad.send_query(b"select 1").await;
                bad.try_reply().await.unwrap_err()
            }
        };
        let code = told.unwrap().code;
        assert!(["22023", "42704"].contains(&code.as_str()), "{code}");
        good.query("select 1").await.fine();
    }
}

#[tokio::test]
async fn resetting_one_parameter_leaves_another_that_was_set_to_the_default() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1).await;
    let began = [("TimeZone", "Asia/Tokyo"), ("DateStyle", "German")];
    let mut client = Raw::login(pooler.port, "app", "shop", &began)
        .await
        .unwrap();
    client.query("set timezone = 'UTC'").await.fine();
    client.query("reset work_mem").await.fine();
    client.query("reset datestyle").await.fine();
    let both = "select current_setting('TimeZone') || ' ' || current_setting('DateStyle')";
    assert_eq!(client.value(both).await, "UTC German, DMY");
    client.query("discard all").await.fine();
    assert_eq!(client.value(both).await, "Asia/Tokyo German, DMY");
}
