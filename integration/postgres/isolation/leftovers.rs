//! What a client leaves behind on its server never reaches the next client. The pool has one
//! server, so the next client always gets it.

use std::fmt::Write as _;

use crate::support::eventually;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

/// Everything that one could leave behind, in one row.
const STATE: &str = "select current_user, session_user, current_setting('role'),
    current_setting('search_path'), current_setting('statement_timeout'),
    current_setting('work_mem'), current_setting('TimeZone'), current_setting('DateStyle'),
    current_setting('client_encoding'), current_setting('standard_conforming_strings'),
    current_setting('default_transaction_read_only'), current_setting('application_name'),
    coalesce(current_setting('my.own', true), ''),
    (select count(*) from pg_class where relnamespace = pg_my_temp_schema()),
    (select count(*) from pg_locks where locktype = 'advisory'),
    (select count(*) from pg_listening_channels()),
    (select count(*) from pg_cursors where name <> ''),
    (select count(*) from pg_prepared_statements where from_sql)";

async fn one_server(postgres: &Postgres, user: &str) -> Pooler {
    let database = shop(postgres).replace("app", user);
    Pooler::start(&format!("[pool]\nsize = 1\n{database}")).await
}

/// Has one client run statements, and compares what another then finds with what it found
/// before. The client must see the effect of its last statement if it is in a transaction.
async fn leave_nothing(pooler: &Pooler, scripts: &[&[&str]]) {
    let mut other = Raw::app(pooler.port).await;
    let clean = other.query(STATE).await.fine();
    for script in scripts {
        for goodbye in [false, true] {
            let mut client = Raw::app(pooler.port).await;
            for sql in *script {
                client.query(sql).await.fine();
            }
            if goodbye {
                drop(client);
                let after = other.query(STATE).await.fine();
                assert_eq!(after, clean, "after a client that left: {script:?}");
            } else {
                let after = other.query(STATE).await.fine();
                assert_eq!(after, clean, "after {script:?}");
                // The client itself finds what is documented: its own defaults.
                client.query("select 1").await.fine();
            }
        }
    }
}

#[tokio::test]
async fn settings_do_not_reach_the_next_client() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "app").await;
    leave_nothing(
        &pooler,
        &[
            &["set statement_timeout = 12345"],
            &["set search_path = pg_catalog"],
            &["set session work_mem = '1MB'"],
            &["select set_config('search_path', 'pg_catalog', false)"],
            &["select pg_catalog.SET_CONFIG('my.own', 'x', false)"],
            &["select /* */ \"set_config\"('work_mem', '2MB', false)"],
            &["do $$ begin perform set_config('work_mem', '3MB', false); end $$"],
            &["do $$ begin set work_mem = '4MB'; end $$"],
            &["do $$ begin execute 'set wo' || 'rk_mem = ''5MB'''; end $$"],
            &["begin", "set work_mem = '6MB'", "commit"],
            &["set time zone 'Asia/Tokyo'; set datestyle = german"],
            &["set session characteristics as transaction read only"],
            &["set application_name = 'left behind'"],
            &["set my.own = 'x'; select 1; select 2"],
        ],
    )
    .await;
}

#[tokio::test]
async fn roles_do_not_reach_the_next_client() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "app").await;
    leave_nothing(
        &pooler,
        &[
            &["set role auditor"],
            &["select set_config('role', 'auditor', false)"],
            &["do $$ begin set role auditor; end $$"],
            &["begin", "set role auditor", "commit"],
            &["set role auditor; select 1"],
            &["set role none"],
        ],
    )
    .await;
    // A superuser's session may become anybody's.
    let pooler = one_server(&postgres, "tester").await;
    leave_nothing(
        &pooler,
        &[
            &["set session authorization alice"],
            &["select set_config('session_authorization', 'alice', false)"],
            &["set session authorization alice", "set role none"],
            &["set role bob"],
            &["begin", "set session authorization bob", "commit"],
            &["do $$ begin set session authorization bob; end $$"],
        ],
    )
    .await;
}

#[tokio::test]
async fn objects_of_a_session_do_not_reach_the_next_client() {
    let postgres = Postgres::start().await;
    postgres.run("grant all on schema public to app").await;
    let pooler = one_server(&postgres, "app").await;
    let mut other = Raw::app(pooler.port).await;
    other.query("create table t (a int)").await.fine();
    other
        .query(
            "create function locker() returns void language sql as 'select pg_advisory_lock(77)'",
        )
        .await
        .fine();
    let gone = |sql: &'static str| sql;
    for (leave, look) in [
        (
            "create temp table x (a int)",
            gone("select to_regclass('x')"),
        ),
        (
            "create temporary view x as select 1",
            gone("select to_regclass('x')"),
        ),
        ("select 1 as a into temp x", gone("select to_regclass('x')")),
        (
            "create table pg_temp.x (a int)",
            gone("select to_regclass('x')"),
        ),
        (
            "create temp table t (a int)",
            gone("select to_regclass('t') = 'public.t'::regclass"),
        ),
        (
            "create\n/**/local\ttemp\nsequence x",
            gone("select to_regclass('x')"),
        ),
        (
            "create function pg_temp.f() returns int language sql as 'select 1'",
            gone("select count(*) from pg_proc where proname = 'f'"),
        ),
    ] {
        let mut client = Raw::app(pooler.port).await;
        client.query(leave).await.fine();
        let found = other.value(look).await;
        assert!(
            ["NULL", "t", "0"].contains(&found.as_str()),
            "{leave}: {found}"
        );
    }
    leave_nothing(
        &pooler,
        &[
            &["select pg_advisory_lock(1)"],
            &["select pg_try_advisory_lock(1, 2)"],
            &["select pg_advisory_lock_shared(3)"],
            &["listen news"],
            &["begin; declare c cursor with hold for select 1; commit"],
            &[
                "begin",
                "declare c cursor with hold for select 1",
                "fetch c",
                "commit",
            ],
            &["prepare p as select 1"],
            &[
                "begin",
                "prepare p as select 1",
                "execute p",
                "deallocate p",
                "prepare p as select 2",
                "commit",
            ],
            &["create temp table y (a int) on commit preserve rows"],
        ],
    )
    .await;
}

#[tokio::test]
async fn a_notification_for_one_client_is_not_heard_by_the_next() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "app").await;
    let mut client = Raw::app(pooler.port).await;
    client.query("listen news").await.fine();
    let mut other = Raw::app(pooler.port).await;
    other.query("select 1").await.fine();
    postgres.run("notify news, 'for the first'").await;
    other.send_query(b"select pg_sleep(0.1)").await;
    loop {
        let (tag, _) = other.expect_message().await;
        assert_ne!(tag, b'A', "another client's notification");
        if tag == b'Z' {
            break;
        }
    }
}

#[tokio::test]
async fn a_function_called_by_number_leaves_nothing() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "app").await;
    let mut client = Raw::app(pooler.port).await;
    let oid = "select 'pg_catalog.pg_advisory_lock(int8)'::regprocedure::oid";
    let oid = client.value(oid).await.parse().unwrap();
    client.call_function(oid, &["5"]).await.fine();
    let oid = "select 'pg_catalog.set_config(text, text, bool)'::regprocedure::oid";
    let oid = client.value(oid).await.parse().unwrap();
    client
        .call_function(oid, &["role", "auditor", "f"])
        .await
        .fine();
    let mut other = Raw::app(pooler.port).await;
    assert_eq!(other.value("select current_user").await, "app");
    let locks = "select count(*) from pg_locks where locktype = 'advisory'";
    assert_eq!(other.value(locks).await, "0");
}

#[tokio::test]
async fn an_encoding_in_which_a_backslash_hides_leaves_nothing() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "app").await;
    let mut client = Raw::app(pooler.port).await;
    client.query("set client_encoding = 'SJIS'").await.fine();
    client
        .query("set standard_conforming_strings = off")
        .await
        .fine();
    client.query("set backslash_quote = on").await.fine();
    client.query("set role auditor").await.fine();
    // The other one's name is put into a literal of the pooler's own.
    let name = "it's \\ 'x\\'; set role auditor; --";
    let parameters = [("application_name", name), ("my.own", name)];
    let mut other = Raw::login(pooler.port, "app", "shop", &parameters)
        .await
        .unwrap();
    let row = "select current_setting('application_name') || '|' || current_setting('my.own')
        || '|' || current_setting('client_encoding') || '|'
        || current_setting('standard_conforming_strings') || '|' || current_user";
    assert_eq!(other.value(row).await, format!("{name}|{name}|UTF8|on|app"));
    // 0x95 0x5c is one character in SJIS whose second byte looks like a backslash.
    let reply = client
        .query_bytes(b"select '\x95\x5c'::text = U&'\\8868' as same")
        .await;
    assert_eq!(client.parameters["client_encoding"], "SJIS");
    assert!(reply.failure.is_some() || reply.value() == "t", "{reply:?}");
    assert_eq!(other.value("select 'a\\'").await, "a\\");
}

#[tokio::test]
async fn a_failed_cleaning_closes_the_server() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "tester").await;
    let mut client = Raw::app(pooler.port).await;
    // Its role cannot be taken back: the session's own user is no more.
    let mut sql = String::new();
    for step in [
        "create role passing superuser",
        "set session authorization passing",
    ] {
        write!(sql, "{step};").unwrap();
    }
    client.query(&sql).await.fine();
    let mut other = Raw::app(pooler.port).await;
    assert_eq!(other.value("select current_user").await, "tester");
    client.query("load 'auto_explain'").await.fine();
    let pid = "select pg_backend_pid()";
    let before = client.value(pid).await;
    client.query("load 'auto_explain'").await.fine();
    eventually(
        "a server with a library loaded is not used again",
        async || other.value(pid).await != before,
    )
    .await;
}

#[tokio::test]
async fn discard_all_gives_a_client_back_what_it_began_with() {
    let postgres = Postgres::start().await;
    let pooler = one_server(&postgres, "app").await;
    let parameters = [
        ("TimeZone", "Asia/Tokyo"),
        (
            "options",
            "-c statement_timeout=4321 -c search_path=pg_catalog",
        ),
    ];
    let mut client = Raw::login(pooler.port, "app", "shop", &parameters)
        .await
        .unwrap();
    let row = "select current_setting('TimeZone') || ' ' || current_setting('statement_timeout')
        || ' ' || current_setting('search_path')";
    let began = client.value(row).await;
    assert_eq!(began, "Asia/Tokyo 4321ms pg_catalog");
    for back in [
        "discard all",
        "reset all",
        "reset statement_timeout",
        "reset timezone",
    ] {
        client.query("set timezone = 'Europe/Paris'").await.fine();
        client.query(back).await.fine();
        if back == "reset statement_timeout" {
            client.query("reset timezone").await.fine();
        }
        assert_eq!(client.value(row).await, began, "after {back}");
    }
}
