//! Changes of the schema, of privileges and of roles.

use super::check;

#[test]
fn what_is_created_is_named() {
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
            "CREATE TABLE AS: create, select; select t; !create x",
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
            "CREATE MATERIALIZED VIEW: create, select; select t; !create v",
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
    ]);
}

#[test]
fn what_belongs_to_a_table_or_a_server_is_created_too() {
    check(&[
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
    ]);
}

#[test]
fn what_is_altered_or_dropped_is_named() {
    check(&[
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
        ("alter table i set schema x", "ALTER TABLE: alter; !alter i"),
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
