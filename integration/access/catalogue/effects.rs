//! Effects that the server's read-only mode does not stop.

use super::{passes, refused, refused_steps, still_reads};
use crate::house::{House, settings};
use crate::play::{b, e, p, q, say};
use crate::row::Step::{FunctionCall, Sync};
use crate::support::pooler::Pooler;
use crate::support::raw::Raw;

#[tokio::test]
async fn row_12_large_objects() {
    let mut house = House::start().await;
    let texts = [
        "select lo_creat(-1)",
        "select lo_create(0)",
        "select lo_from_bytea(0, '\\x01')",
        "select lo_put(lo_create(0), 0, '\\x01')",
        "select lowrite(lo_open(lo_creat(-1), 131072), 'x')",
        "select lo_unlink(1)",
        "select lo_truncate(0, 0)",
    ];
    refused(&mut house, "reader", &texts).await;
}

#[tokio::test]
async fn row_13_signals_to_other_sessions() {
    let mut house = House::start().await;
    let mut victim = house.login("free").await;
    victim.query("begin").await.fine();
    let pid = victim.value("select pg_backend_pid()").await;
    let texts = [
        format!("select pg_terminate_backend({pid})"),
        format!("select pg_cancel_backend({pid})"),
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            .into(),
        format!("select pg_catalog.\"pg_terminate_backend\"({pid}, 100)"),
    ];
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    refused(&mut house, "reader", &texts).await;
    assert_eq!(victim.value("select pg_backend_pid()").await, pid);
}

/// A role whose server user may do nothing but read.
async fn poor(house: &House) -> (Pooler, Raw) {
    let admin = house.fixture.admin();
    admin
        .batch_execute(
            "create role poor login password 'x'; grant pg_read_all_data to poor;
             revoke create, temp on database acl from public;
             revoke create on schema public from public",
        )
        .await
        .unwrap();
    let port = house.fixture.postgres.port;
    let text = settings(port, "size = 1").replace("\"app_rw\"", "\"poor\"");
    let pooler = Pooler::start(&text).await;
    let raw = Raw::login(pooler.port, "free", "acl", &[]).await.unwrap();
    (pooler, raw)
}

#[tokio::test]
async fn row_14_other_clients_texts() {
    let house = House::start().await;
    let mut other = house.login("free").await;
    other.query("select 'a secret'").await.fine();
    let (_pooler, mut poor) = poor(&house).await;
    let texts = "select count(*) from pg_stat_activity where query ~ 'a secre[t]'";
    // A server user of one's own sees no other's texts. Who shares one does.
    assert_eq!(poor.value(texts).await, "0");
    assert_eq!(house.login("reader").await.value(texts).await, "1");
}

#[tokio::test]
async fn row_15_what_a_session_leaves_behind() {
    let house = House::start().await;
    let left = "select (select count(*) from pg_locks where locktype = 'advisory')
        + (select count(*) from pg_listening_channels())
        + (select count(*) from pg_cursors where name <> '')
        + (select count(*) from pg_prepared_statements where from_sql)";
    for text in [
        "select pg_advisory_lock(1)",
        "declare c cursor with hold for select 1",
        "prepare s as select 1",
        "set work_mem = '1MB'",
        "set search_path = pg_catalog",
        "listen c",
    ] {
        let mut raw = house.login("reader").await;
        // Refused or not: the next client finds nothing of it.
        say(&mut raw, &[q(text)]).await;
        let mut next = house.login("reader").await;
        assert_eq!(next.value(left).await, "0", "{text}");
        assert_eq!(next.value("show work_mem").await, "4MB");
        assert_eq!(next.value("show search_path").await, "\"$user\", public");
        still_reads(&mut next).await;
    }
}

#[tokio::test]
async fn row_16_notifications_and_messages() {
    let mut house = House::start().await;
    let texts = [
        "select pg_logical_emit_message(true, 'a', 'b')",
        "select pg_logical_emit_message(false, 'a', 'b')",
        "notify c, 'x'",
        "select pg_notify('c', 'x')",
    ];
    refused(&mut house, "reader", &texts).await;
    let texts = [
        "begin isolation level repeatable read; select pg_export_snapshot(); commit",
        "select txid_current_if_assigned()",
    ];
    passes(&house, "reader", &texts).await;
}

#[tokio::test]
async fn row_17_files_programs_and_the_servers_administration() {
    let mut house = House::start().await;
    house
        .fixture
        .admin()
        .batch_execute("alter role app_rw superuser; alter role app_rw replication")
        .await
        .unwrap();
    house.fixture.forget().await;
    // Even a server user that may do all of it.
    let texts = [
        "select pg_switch_wal()",
        "select pg_read_file('postgresql.conf')",
        "select pg_ls_dir('.')",
        "select lo_import('/etc/hostname')",
        "select lo_export(1, '/tmp/pgwarden-x')",
        "copy t to '/tmp/pgwarden-x'",
        "copy u from '/etc/passwd'",
        "copy t to program 'cat'",
        "copy (select 1) to program 'cat'",
        "select pg_reload_conf()",
        "select pg_rotate_logfile()",
        "select pg_create_physical_replication_slot('x')",
        "select pg_create_logical_replication_slot('x', 'test_decoding')",
        "select pg_drop_replication_slot('x')",
        "select pg_stat_reset()",
        "load 'plpgsql'",
    ];
    refused(&mut house, "reader", &texts).await;
}

#[tokio::test]
async fn row_18_alter_system() {
    let mut house = House::start().await;
    house
        .fixture
        .admin()
        .batch_execute("grant alter system on parameter work_mem to app_rw")
        .await
        .unwrap();
    house.fixture.forget().await;
    let texts = [
        "alter system set work_mem = '1MB'",
        "alter system reset all",
    ];
    refused(&mut house, "reader", &texts).await;
    refused(&mut house, "noddl", &texts).await;
}

#[tokio::test]
async fn row_19_maintenance() {
    let mut house = House::start().await;
    let texts = [
        "vacuum",
        "vacuum full t",
        "vacuum (full, analyze) t",
        "analyze t",
        "reindex table t",
        "reindex (concurrently) index t_name",
        "cluster t using t_name",
        "refresh materialized view mv",
        "checkpoint",
        "begin; lock table t; commit",
        "begin; lock table t in row exclusive mode nowait; commit",
        "begin; prepare transaction 'x'",
        "commit prepared 'x'",
    ];
    refused(&mut house, "reader", &texts).await;
    passes(
        &house,
        "reader",
        &["begin; lock table t in access share mode; commit"],
    )
    .await;
}

#[tokio::test]
async fn row_20_explain_analyze_of_what_creates() {
    let mut house = House::start().await;
    let texts = [
        "explain analyze create table x as select 1 as a",
        "explain analyze select 1 as a into x",
        "explain (analyze) create materialized view x as select 1 as a",
        "explain (analyze off, analyze) create table x as select 1 as a",
        "explain (costs off, analyze 1) create table if not exists x as table secret",
        "prepare p as select 1 as a; explain analyze create table x as execute p",
        "explain analyze create temp table x as select 1 as a",
    ];
    refused(&mut house, "reader", &texts).await;
    refused(&mut house, "noddl", &texts).await;
    let texts = [
        "explain analyze select * from t",
        "explain (analyze, analyze off) delete from u",
        "explain delete from u",
    ];
    passes(&house, "reader", &texts).await;
}

#[tokio::test]
async fn row_21_row_locks() {
    let mut house = House::start().await;
    let texts = [
        "select * from t for update",
        "select * from t where false for no key update",
        "select * from t for share",
        "select * from vt for key share skip locked",
        "with x as (select * from t for update) select * from x",
        "begin; declare c cursor for select * from t for update; commit",
        "select (select id from t limit 1 for update)",
    ];
    refused(&mut house, "reader", &texts).await;
    passes(&house, "noddl", &texts[..2]).await;
}

#[tokio::test]
async fn row_22_temporary_tables() {
    let mut house = House::start().await;
    let texts = [
        "create temp table x (a int)",
        "create temporary table x as select 1",
        "select 1 as a into temp x",
        "create temp view x as select 1",
        "create temp sequence x",
        "create function pg_temp.f() returns int language sql as 'select 1'",
    ];
    refused(&mut house, "reader", &texts).await;
}

#[tokio::test]
async fn row_23_functions_by_number() {
    let mut house = House::start().await;
    for user in ["reader", "noddl"] {
        for (oid, arguments) in [
            (957, vec!["-1"]),
            (2078, vec!["default_transaction_read_only", "off", "f"]),
            (2096, vec!["0"]),
            (1317, vec!["abc"]),
        ] {
            let arguments = arguments.into_iter().map(Into::into).collect();
            refused_steps(&house, user, &[FunctionCall { oid, arguments }]).await;
        }
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_24_replication_connections() {
    let mut house = House::start().await;
    let admin = house.fixture.admin();
    admin
        .batch_execute("alter role app_rw replication")
        .await
        .unwrap();
    house.fixture.forget().await;
    for user in ["reader", "noddl"] {
        for value in ["database", "true", "1", "on", "yes", "DATABASE", "t"] {
            let login = Raw::login(house.port(), user, "acl", &[("replication", value)]).await;
            let failure = login.expect_err(value);
            assert_eq!(failure.severity, "FATAL");
        }
        let off = Raw::login(house.port(), user, "acl", &[("replication", "off")]).await;
        off.unwrap().query("select 1").await.fine();
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_32_and_33_a_poor_server_user_is_the_second_lock() {
    let mut house = House::start().await;
    let (_pooler, mut poor) = poor(&house).await;
    house.fixture.forget().await;
    // The role `free` has no rules at all: only the server's rights stand in the way.
    for text in [
        "begin read write; insert into u values (1, 'x'); commit",
        "set default_transaction_read_only = off; commit; delete from u",
        "select f_setcfg(); commit; select f_write()",
        "select f_write()",
        "call p_escape()",
        "do $$ begin insert into u values (1, 'x'); end $$",
        "create table public.x (a int)",
        "explain analyze create table public.x as select 1 as a",
        "create temp table x (a int)",
        "select * from t for update",
        "begin; lock table t in exclusive mode",
        "select nextval('sq')",
        "drop table u",
        "update pg_class set relname = 'x'",
        "create extension postgres_fdw",
        "create server s foreign data wrapper x",
        "copy t to program 'cat'",
        "select pg_read_file('postgresql.conf')",
        "alter system set work_mem = '1MB'",
        "set role app_rw",
    ] {
        let reply = poor.query(text).await;
        assert!(reply.failure.is_some(), "{text}: {reply:?}");
        poor.query("rollback").await.fine();
    }
    house.is_untouched().await;
    poor.query("select * from t, u, secret").await.fine();
    // What it does not stop on this server, and a role with `read_only = true` does.
    poor.query("select lo_creat(-1)").await.fine();
    let changes = house.fixture.changes().await;
    assert!(
        changes
            .parts
            .contains(&"pg_largeobject_metadata".to_owned())
    );
    let steps = [p("", "select lo_creat(-1)"), b(""), e(), Sync];
    refused_steps(&house, "reader", &steps).await;
}
