//! What is told of each kind of statement.

mod extremes;
mod parameters;
mod rules;
mod schema;

use std::fmt::Write as _;

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
            "EXPLAIN: create, select; select t; !create x",
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
        "rollback",
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
