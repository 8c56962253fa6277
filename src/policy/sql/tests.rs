use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::policy::classification::{Name, Value};
use crate::policy::kind::{Kind, Kinds};

/// All statements of a text as one line each: `COMMAND: kinds; relations; functions; settings`.
/// A relation that is written has a `!` before it.
fn told(text: &str) -> String {
    let classification = match classify(text.as_bytes()) {
        Ok(classification) => classification,
        Err(reason) => return format!("{reason:?}"),
    };
    let lines: Vec<_> = classification.statements.iter().map(told_of).collect();
    lines.join("\n")
}

fn told_of(statement: &Statement) -> String {
    let mut line = format!("{}: {}", statement.command, statement.kinds);
    for relation in &statement.relations {
        let mark = if relation.writes { "!" } else { "" };
        let (kind, name) = (relation.kind.as_str(), told_name(&relation.name));
        write!(line, "; {mark}{kind} {name}").unwrap();
    }
    for function in &statement.functions {
        write!(line, "; {}()", told_name(function)).unwrap();
    }
    for setting in &statement.settings {
        let value = match &setting.value {
            Value::Computed => "?",
            Value::Constant(text) => text,
            Value::Default => "DEFAULT",
        };
        let name = setting.name.as_deref().unwrap_or("?");
        write!(line, "; {name} = {value}").unwrap();
    }
    for kind in statement.whole_table.iter() {
        write!(line, "; whole table {}", kind.as_str()).unwrap();
    }
    for name in statement.prepares.iter() {
        write!(line, "; prepares {name}").unwrap();
    }
    for name in statement.executes.iter() {
        write!(line, "; executes {name}").unwrap();
    }
    line
}

fn told_name(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| told(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  is {}\n not {expected}", told(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn queries_read_what_they_name() {
    check(&[
        ("", ""),
        (" -- nothing\n;;", ""),
        ("select 1; select", "SELECT: select\nSELECT: select"),
        ("table t", "SELECT: select; select t"),
        ("values (1)", "SELECT: select"),
        (
            "select f(a), s.g(b) from db.s.t, u join v on true where exists (select from w)",
            "SELECT: select; select s.t; select u; select v; select w; f(); s.g()",
        ),
        (
            "select * from f() x, t t2, t",
            "SELECT: select; select t; f()",
        ),
        (
            "select \"T\".x from U&\"\\0074\"",
            "SELECT: select; select t",
        ),
        ("select 1 union select 2 from t", "SELECT: select; select t"),
    ]);
}

#[test]
fn with_queries_hide_tables_where_they_are_in_force() {
    check(&[
        (
            "with a as (select 1) select from a, b, s.a",
            "SELECT: select; select b; select s.a",
        ),
        ("with a as (table a) table a", "SELECT: select; select a"),
        ("with recursive a as (table a) table a", "SELECT: select"),
        (
            "with a as (table b), b as (table a) table b",
            "SELECT: select; select b",
        ),
        (
            "select from (with a as (select 1) table a) x, a",
            "SELECT: select; select a",
        ),
        (
            "with a as (select 1) insert into a table a",
            "INSERT: insert, select; !insert a",
        ),
        (
            "with a as (with b as (select 1) table b) select from a, b",
            "SELECT: select; select b",
        ),
        (
            "with x as (select 1) select from t, lateral (with y as (table x) select from y, t2) z",
            "SELECT: select; select t; select t2",
        ),
    ]);
}

#[test]
fn writes_are_told_from_what_they_read() {
    check(&[
        ("insert into t values (1)", "INSERT: insert; !insert t"),
        ("insert into t default values", "INSERT: insert; !insert t"),
        (
            "insert into t select from u",
            "INSERT: insert, select; !insert t; select u",
        ),
        (
            "insert into t values ((select max(a) from u))",
            "INSERT: insert, select; !insert t; select u; max()",
        ),
        (
            "insert into t values (1) on conflict (a) do update set b = 1",
            "INSERT: insert, update; !update t; !insert t",
        ),
        (
            "insert into t values (1) on conflict do nothing",
            "INSERT: insert; !insert t",
        ),
        (
            "update t set a = u.a from u where t.b = u.b",
            "UPDATE: select, update; !update t; select u",
        ),
        (
            "delete from t using u where true or t.a = u.a",
            "DELETE: delete, select; !delete t; select u",
        ),
        (
            "merge into t using u on t.a = u.a when matched then delete \
             when not matched then insert values (1)",
            "MERGE: delete, insert, merge, select; !delete t; !insert t; !merge t; select u",
        ),
        (
            "with x as (delete from t where a = 1 returning *) table x",
            "SELECT: delete, select; !delete t",
        ),
        (
            "truncate s.t, u",
            "TRUNCATE TABLE: truncate; !truncate s.t; !truncate u",
        ),
        (
            "update pg_settings set setting = 'off' where name = 'x'",
            "UPDATE: set, update; !update pg_settings; ? = ?",
        ),
    ]);
}

#[test]
fn a_missing_where_is_seen_wherever_it_is_missing() {
    let whole = |text: &str| {
        let classification = classify(text.as_bytes()).unwrap();
        let mut statements = classification.statements.iter();
        statements
            .find(|s| !s.whole_table.is_empty())
            .map(|s| s.whole_table)
    };
    for text in [
        "delete from t",
        "delete from t where true",
        "delete from t where 1 = 1 and not false",
        "delete from t where 'a'::text like 'a%'",
        "with x as (delete from t returning 1) table x",
        "copy (delete from t returning 1) to stdout",
        "explain analyze delete from t",
        "prepare p as delete from t",
        "select 1; delete from t",
    ] {
        assert_eq!(whole(text), Some(Kind::Delete.into()), "{text}");
    }
    assert_eq!(whole("update t set a = 1"), Some(Kind::Update.into()));
    for text in [
        "delete from t where a = 1",
        "delete from t where current of c",
        "delete from t where $1",
        "delete from t where f()",
        "delete from t where exists (select 1)",
        "explain delete from t",
        "create rule r as on insert to t do also delete from t",
    ] {
        assert_eq!(whole(text), None, "{text}");
    }
}

#[test]
fn explain_is_what_it_runs() {
    check(&[
        ("explain delete from t", "EXPLAIN: explain; explain t"),
        (
            "explain select set_config('role', 'x', false), f() from t",
            "EXPLAIN: explain; explain t",
        ),
        (
            "explain (analyze off) delete from t",
            "EXPLAIN: explain; explain t",
        ),
        (
            "explain (analyze on, analyze 0) delete from t",
            "EXPLAIN: explain; explain t",
        ),
        (
            "explain analyze delete from t",
            "EXPLAIN: delete; !delete t; whole table delete",
        ),
        (
            "explain (analyze off, analyze) table t",
            "EXPLAIN: select; select t",
        ),
        (
            "explain (analyze maybe) table t",
            "EXPLAIN: select; select t",
        ),
        (
            "explain (analyze 'OFF') table t",
            "EXPLAIN: explain; explain t",
        ),
        (
            "explain (costs, verbose) table t",
            "EXPLAIN: explain; explain t",
        ),
        (
            "explain analyze create table x as table t",
            "EXPLAIN: create, select; !create x; select t",
        ),
        (
            "explain analyze create table x as execute p(f())",
            "EXPLAIN: create, execute; !create x; f(); executes p",
        ),
        (
            "explain execute p(set_config('a', 'b', true))",
            "EXPLAIN: explain, set; set_config(); a = b",
        ),
    ]);
}

#[test]
fn transactions_and_their_modes() {
    check(&[
        ("begin; commit", "BEGIN: begin\nCOMMIT: commit"),
        ("begin read write", "BEGIN: begin, read_write"),
        ("begin read write, read only", "BEGIN: begin"),
        (
            "start transaction read only, read write",
            "START TRANSACTION: begin, read_write",
        ),
        ("set transaction read write", "SET: set, read_write"),
        ("set transaction read only", "SET: set"),
        ("set transaction snapshot '1'", "SET: set"),
        (
            "set local transaction isolation level serializable, read write",
            "SET: set, read_write",
        ),
        (
            "set session characteristics as transaction read write",
            "SET: set, read_write",
        ),
        (
            "savepoint a; release a; rollback to a",
            "SAVEPOINT: savepoint\nRELEASE: savepoint\nROLLBACK: savepoint",
        ),
        (
            "rollback and chain; abort; end",
            "ROLLBACK: rollback\nROLLBACK: rollback\nCOMMIT: commit",
        ),
        ("prepare transaction 'a'", "PREPARE TRANSACTION: two_phase"),
        ("commit prepared 'a'", "COMMIT PREPARED: two_phase"),
        (
            "set constraints all deferred",
            "SET CONSTRAINTS: set_constraints",
        ),
    ]);
}

#[test]
fn parameters_and_their_values() {
    check(&[
        ("set Work_Mem = '1MB'", "SET: set; work_mem = 1MB"),
        ("set \"Work_Mem\" to 10", "SET: set; work_mem = 10"),
        (
            "set search_path to a, \"B\"",
            "SET: set; search_path = a, B",
        ),
        ("set x to default", "SET: reset; x = DEFAULT"),
        ("reset x", "RESET: reset; x = DEFAULT"),
        ("reset all", "RESET: reset"),
        ("set names 'SJIS'", "SET: set; client_encoding = SJIS"),
        ("set names", "SET: reset; client_encoding = DEFAULT"),
        ("set time zone 'UTC'", "SET: set; timezone = UTC"),
        ("set time zone interval '1' hour", "SET: set; timezone = ?"),
        ("set schema 'x'", "SET: set; search_path = x"),
        ("set role x", "SET: set, set_role; role = x"),
        ("set role none", "SET: set, set_role; role = none"),
        ("reset role", "RESET: reset; role = DEFAULT"),
        (
            "set session authorization x",
            "SET: set, set_role; session_authorization = x",
        ),
        (
            "set session authorization default",
            "SET: reset; session_authorization = DEFAULT",
        ),
        ("set local \"ROLE\" = x", "SET: set, set_role; role = x"),
        (
            "alter role x set client_encoding = 'SJIS'",
            "ALTER ROLE: alter, role; client_encoding = SJIS",
        ),
        (
            "alter system set a.b = 1",
            "ALTER SYSTEM: alter, alter_system; a.b = 1",
        ),
        ("alter database d reset all", "ALTER DATABASE: alter"),
        (
            "create function f() returns int language sql set search_path = x as 'select 1'",
            "CREATE FUNCTION: create",
        ),
    ]);
}

#[test]
fn set_config_sets_wherever_it_is_called() {
    let calls = |call: &str, setting: &str| {
        for text in [
            format!("select {call}"),
            format!("select * from {call} x"),
            format!("values ({call})"),
            format!("select 1 order by {call}"),
            format!("select array[count({call})]"),
            format!("with x as (select {call}) select 1"),
            format!("prepare p as select {call}"),
            format!("explain analyze select {call}"),
            format!("select 1 limit {call}"),
        ] {
            let told = told(&text);
            assert!(told.contains("set_config()"), "{text}: {told}");
            assert!(
                told.ends_with(setting) || told.contains(&format!("{setting};")),
                "{text}: {told}"
            );
            let kinds = classify(text.as_bytes()).unwrap().statements[0].kinds;
            assert!(kinds.contains(Kind::Set), "{text}");
        }
    };
    calls("set_config('A', 'b', false)", "; a = b");
    calls("pg_catalog.set_config('a', 'b', false)", "; a = b");
    calls("U&\"\\0073et_config\"('a', E'\\x62', false)", "; a = b");
    calls(
        "set_config('a'::text, 'b'::pg_catalog.varchar, false)",
        "; a = b",
    );
    calls("set_config('a' || '.' || 'b', 'c', false)", "; a.b = c");
    calls("set_config('a', null, false)", "; a = DEFAULT");
    calls("set_config('a', $1, false)", "; a = ?");
    calls("set_config('a'::varchar(1), 'b', false)", "; ? = b");
    calls("set_config('a'::x, 'b', false)", "; ? = b");
    calls("set_config($1, 'b', false)", "; ? = b");
    calls(
        "set_config(name => 'a', value => 'b', is_local => false)",
        "; ? = ?",
    );
    calls("set_config(variadic array['a', 'b', 'c'])", "; ? = ?");
    check(&[
        (
            "select set_config('Role', 'x', true)",
            "SELECT: select, set, set_role; set_config(); role = x",
        ),
        (
            "create view v as select set_config('role', 'x', true)",
            "CREATE VIEW: create; !create v; set_config(); role = x",
        ),
    ]);
}

#[test]
fn copies() {
    check(&[
        ("copy t to stdout", "COPY: copy_to; copy_to t"),
        (
            "copy s.t (a) from stdin where f(a)",
            "COPY: copy_from; !copy_from s.t; f()",
        ),
        (
            "copy t to program 'id'",
            "COPY: copy_program, copy_to; copy_to t",
        ),
        (
            "copy t from '/x'",
            "COPY: copy_file, copy_from; !copy_from t",
        ),
        (
            "copy (select f() from t) to stdout",
            "COPY: copy_to, select; select t; f()",
        ),
        (
            "copy (insert into t values (1) returning a) to '/x'",
            "COPY: copy_file, copy_to, insert; !insert t",
        ),
    ]);
}

#[test]
fn locks() {
    check(&[
        (
            "lock t in access share mode",
            "LOCK TABLE: select; select t",
        ),
        ("lock t, u", "LOCK TABLE: lock; !lock t; !lock u"),
        (
            "lock t in row share mode nowait",
            "LOCK TABLE: lock; !lock t",
        ),
        (
            "select * from t a, u for no key update of a skip locked",
            "SELECT: row_lock, select; select t; row_lock t; select u; row_lock u",
        ),
        (
            "with x as (select from t for share) table x",
            "SELECT: row_lock, select; select t; row_lock t",
        ),
        (
            "declare c cursor for select from t for update",
            "DECLARE CURSOR: cursor, row_lock, select; select t; row_lock t",
        ),
    ]);
}

#[test]
fn schema_changes_name_what_they_change() {
    check(&[
        (
            "create table t (a int default f(), b int references u)",
            "CREATE TABLE: create; !create t; !create u; f()",
        ),
        (
            "create table t (like s.u)",
            "CREATE TABLE: create; !create t; create s.u",
        ),
        (
            "create temp table t (a int)",
            "CREATE TABLE: create, temp; !create t",
        ),
        (
            "create table pg_temp.t (a int)",
            "CREATE TABLE: create, temp; !create pg_temp.t",
        ),
        (
            "create temp view v as select 1",
            "CREATE VIEW: create, temp; !create v",
        ),
        (
            "create temp sequence s",
            "CREATE SEQUENCE: create, temp; !create s",
        ),
        (
            "create table x as table t",
            "CREATE TABLE AS: create, select; !create x; select t",
        ),
        (
            "create temp table x as select 1",
            "CREATE TABLE AS: create, select, temp; !create x",
        ),
        (
            "create table x as execute p",
            "CREATE TABLE AS: create, execute; !create x; executes p",
        ),
        (
            "select 1 into temp x",
            "SELECT INTO: create, select, temp; !create x",
        ),
        (
            "create materialized view v as table t",
            "CREATE MATERIALIZED VIEW: create, select; !create v; select t",
        ),
        (
            "create view v as select f() from t",
            "CREATE VIEW: create, select; !create v; select t; f()",
        ),
        (
            "create rule r as on insert to t do instead (delete from u; notify x)",
            "CREATE RULE: create, select; !create t; select u",
        ),
        (
            "create function pg_temp.f() returns int language sql as ''",
            "CREATE FUNCTION: create, temp",
        ),
        (
            "create procedure p() language sql begin atomic insert into t values (g()); end",
            "CREATE PROCEDURE: create, select; select t; g()",
        ),
        (
            "create schema s create table t (a int) grant select on t to x create view v as table u",
            "CREATE SCHEMA: create, grant, select; !create t; !grant t; !create v; select u",
        ),
        (
            "create index concurrently i on t (f(a)) where b",
            "CREATE INDEX: create; !create t; f()",
        ),
        (
            "create foreign table t (a int) server s",
            "CREATE FOREIGN TABLE: create",
        ),
        (
            "create statistics s on a, b from t",
            "CREATE STATISTICS: create; !create t",
        ),
        (
            "create statistics s on a, b from f()",
            "CREATE STATISTICS: create",
        ),
        (
            "create policy p on t using (exists (table u))",
            "CREATE POLICY: create, select; !create t; select u",
        ),
        (
            "create trigger x before insert on t execute function f()",
            "CREATE TRIGGER: create; !create t",
        ),
        (
            "create publication p for table t where (a > 1)",
            "CREATE PUBLICATION: create; !create t",
        ),
        (
            "create user mapping for x server s",
            "CREATE USER MAPPING: create",
        ),
        (
            "import foreign schema x limit to (a) from server s into y",
            "IMPORT FOREIGN SCHEMA: create, import_foreign_schema",
        ),
        (
            "alter table s.t add b int, attach partition u default",
            "Syntax(\"syntax error\")",
        ),
        (
            "alter table t attach partition u default",
            "ALTER TABLE: alter; !alter t; !alter u",
        ),
        (
            "alter table t rename column a to b",
            "ALTER TABLE: alter; !alter t",
        ),
        ("alter view v rename to w", "ALTER VIEW: alter; !alter v"),
        (
            "alter sequence s restart",
            "ALTER SEQUENCE: alter; !alter s",
        ),
        ("alter index i set schema x", "ALTER INDEX: alter; !alter i"),
        (
            "alter extension e add table t",
            "ALTER EXTENSION: alter; !alter t",
        ),
        (
            "drop table a, s.b, d.s.c cascade",
            "DROP TABLE: drop; !drop a; !drop s.b; !drop s.c",
        ),
        ("drop view v", "DROP VIEW: drop; !drop v"),
        ("drop trigger x on s.t", "DROP TRIGGER: drop; !drop s.t"),
        ("drop function f(int)", "DROP FUNCTION: drop"),
        ("drop schema s", "DROP SCHEMA: drop"),
        ("drop index concurrently i", "DROP INDEX: drop; !drop i"),
        ("drop owned by x", "DROP OWNED: drop, revoke"),
        (
            "comment on column s.t.a is 'x'",
            "COMMENT: comment; !comment s.t",
        ),
        ("comment on function f() is 'x'", "COMMENT: comment"),
        (
            "security label on table t is 'x'",
            "SECURITY LABEL: security_label; !security_label t",
        ),
    ]);
}

#[test]
fn privileges_and_roles() {
    check(&[
        (
            "grant select on t, s.u to x",
            "GRANT: grant; !grant t; !grant s.u",
        ),
        ("grant usage on sequence s to x", "GRANT: grant; !grant s"),
        ("grant execute on function f(int) to x", "GRANT: grant"),
        ("grant all on schema s to x", "GRANT: grant"),
        ("grant all on database d to x", "GRANT: grant"),
        ("grant select on large object 1 to x", "GRANT: grant"),
        ("grant set on parameter a to x", "GRANT: grant"),
        ("grant usage on type ty to x", "GRANT: grant"),
        (
            "grant select on all tables in schema s to x",
            "GRANT: grant",
        ),
        ("revoke all on t from x", "REVOKE: revoke; !revoke t"),
        ("revoke all on foreign server s from x", "REVOKE: revoke"),
        ("grant a to b", "GRANT ROLE: grant, role"),
        ("revoke a from b", "REVOKE ROLE: revoke, role"),
        ("create user x", "CREATE ROLE: create, role"),
        ("alter group x add user y", "ALTER ROLE: alter, role"),
        ("alter role x rename to y", "ALTER ROLE: alter, role"),
        ("drop group x", "DROP ROLE: drop, role"),
        ("reassign owned by x to y", "REASSIGN OWNED: reassign_owned"),
        (
            "alter default privileges grant select on tables to x",
            "ALTER DEFAULT PRIVILEGES: alter, grant",
        ),
        (
            "alter default privileges revoke select on tables from x",
            "ALTER DEFAULT PRIVILEGES: alter, revoke",
        ),
    ]);
}

#[test]
fn what_else_a_server_is_told() {
    check(&[
        ("vacuum", "VACUUM: vacuum"),
        (
            "vacuum (full, analyze) s.t, u",
            "VACUUM: vacuum; !vacuum s.t; !vacuum u",
        ),
        ("analyze t", "ANALYZE: analyze; !analyze t"),
        (
            "reindex index concurrently i",
            "REINDEX: reindex; !reindex i",
        ),
        ("reindex database d", "REINDEX: reindex"),
        ("cluster t using i", "CLUSTER: cluster; !cluster t"),
        (
            "refresh materialized view v",
            "REFRESH MATERIALIZED VIEW: refresh; !refresh v",
        ),
        ("checkpoint", "CHECKPOINT: checkpoint"),
        ("load 'x'", "LOAD: load"),
        (
            "listen a; unlisten *; notify a, 'b'",
            "LISTEN: listen\nUNLISTEN: unlisten\nNOTIFY: notify",
        ),
        ("do $$ begin end $$", "DO: do"),
        ("call s.p(f())", "CALL: call; s.p(); f()"),
        ("show all", "SHOW: show"),
        (
            "discard all; discard temp",
            "DISCARD ALL: discard\nDISCARD TEMP: discard",
        ),
        (
            "prepare p (int) as select f($1) from t",
            "PREPARE: prepare, select; select t; f(); prepares p",
        ),
        (
            "execute p(1, (select g()))",
            "EXECUTE: execute, select; g(); executes p",
        ),
        (
            "deallocate all; deallocate p",
            "DEALLOCATE ALL: deallocate\nDEALLOCATE: deallocate",
        ),
        (
            "fetch all c; move c; close c; close all",
            "FETCH: cursor\nMOVE: cursor\nCLOSE CURSOR: cursor\nCLOSE CURSOR ALL: cursor",
        ),
    ]);
}

#[test]
fn a_statement_begins_at_its_first_token() {
    let text = "/* a; */ select ';' ; -- x\n\n drop table é;;  begin";
    let classification = classify(text.as_bytes()).unwrap();
    let words = ["select", "drop", "begin"];
    assert_eq!(classification.statements.len(), words.len());
    for (statement, word) in classification.statements.iter().zip(words) {
        assert!(
            text[statement.position..].starts_with(word),
            "{statement:?}"
        );
    }
}

#[test]
fn what_is_no_text_is_refused() {
    for text in [
        &b"select 'a\xff'"[..],
        b"select '\xc0\xa7'",
        b"select 1\0; drop table u",
    ] {
        assert_eq!(classify(text), Err(Unclassifiable::Encoding));
    }
    for text in [
        "selec 1",
        "select 'secret",
        "select 'it's secret'",
        "\u{feff}select 1",
    ] {
        let Err(Unclassifiable::Syntax(words)) = classify(text.as_bytes()) else {
            panic!("{text} passes");
        };
        assert!(
            !words.contains("secret") && !words.contains("Invalid"),
            "{words}"
        );
    }
}

#[test]
fn a_million_levels_end_in_an_error_and_not_in_a_crash() {
    let shapes: [(&str, &str, &str); 6] = [
        ("select ", "(", ""),
        ("select ", "(select ", ""),
        ("select ", "not ", "true"),
        ("select ", "f(", ""),
        ("", "with a as (", ""),
        ("select ", "- ", "1"),
    ];
    let small = thread::Builder::new().stack_size(2 << 20);
    let run = small.spawn(move || {
        for (head, level, tail) in shapes {
            let text = format!("{head}{}{tail}", level.repeat(1_000_000));
            // Refused or not, it comes back.
            let _: Result<_, _> = classify(text.as_bytes());
        }
        let closed = format!("select {}1{}", "(".repeat(1_000_000), ")".repeat(1_000_000));
        assert!(matches!(
            classify(closed.as_bytes()),
            Err(Unclassifiable::Syntax(_))
        ));
    });
    run.unwrap().join().unwrap();
}

#[test]
fn a_long_text_takes_a_while_and_passes() {
    let run = thread::Builder::new().stack_size(64 << 20).spawn(|| {
        let started = Instant::now();
        let operands = "||'a'".repeat(1_000_000 / 5);
        let text = format!("select 'a'{operands}");
        assert!(classify(text.as_bytes()).is_ok());
        // Every query of many has a name, and each of them is looked up.
        let mut many = String::from("with a0 as (select 1)");
        for number in 1..20_000 {
            write!(many, ", a{number} as (table a{})", number - 1).unwrap();
        }
        many.push_str(" select f1(), f2() from a9");
        let classification = classify(many.as_bytes()).unwrap();
        assert!(classification.statements[0].relations.is_empty());
        let calls: String = (0..50_000).map(|n| format!("f{n}(),")).collect();
        let classification = classify(format!("select {calls} 1").as_bytes()).unwrap();
        assert_eq!(classification.statements[0].functions.len(), 50_000);
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
    });
    run.unwrap().join().unwrap();
}

#[test]
fn every_kind_can_come_out() {
    let mut seen = Kinds::NONE;
    for line in include_str!("../../../integration/access/corpus.tsv").lines() {
        let text = line.split('\t').nth(3).unwrap_or_default();
        if let Ok(classification) = classify(text.as_bytes()) {
            for statement in &classification.statements {
                seen = seen.or(statement.kinds);
            }
        }
    }
    for text in [
        "checkpoint",
        "load 'x'",
        "alter system reset all",
        "analyze",
        "listen a",
        "call p()",
        "drop owned by x",
        "comment on table t is ''",
        "set constraints all deferred",
    ] {
        for statement in &classify(text.as_bytes()).unwrap().statements {
            seen = seen.or(statement.kinds);
        }
    }
    let all: Kinds = Kind::ALL.iter().copied().collect();
    // A message of its own, without a text.
    let missing = all.without(seen).without(Kind::FunctionCall.into());
    assert!(missing.is_empty(), "{missing}");
}
