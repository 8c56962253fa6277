//! Parameters and transaction modes.

use super::{check, told};
use crate::policy::kind::Kind;
use crate::policy::sql::classify;

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
            "set constraints a, s.b deferred",
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
