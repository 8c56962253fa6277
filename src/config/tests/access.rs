//! Roles, rules, grants and tests, as an operator writes them.

mod mistakes;
mod warnings;

use std::time::{Duration, SystemTime};

use super::super::Settings;
use super::{SHOP, Setup};
use crate::policy::admission::Policy;
use crate::policy::kind::Kind;
use crate::policy::role::{ReadOnly, Role, RoleName};
use crate::telemetry::settings::{AuditSettings, AuditSql};

/// The issue's example.
const EXAMPLE: &str = r#"
[roles.analyst]
server = { user = "ro_pool", password = { env = "RO_POOL_PASSWORD" } }
pool = { size = 5 }
read_only = true
tables = { allow = ["public.*", "sales.orders"], deny = ["public.secret"] }
limits = { concurrent = 4, rate = "20/s", rows = 100_000, bytes = "64MiB", time = "30s" }
[roles.app]
server = { user = "app_pool", password = { file = "app.pw" } }
[[roles.app.deny]]
name = "no-schema-changes"
statements = ["ddl"]
except = { window = "Sun 02:00-04:00 Europe/Paris" }
hint = "Schema changes go through the migration job, Sundays 02:00-04:00."
[[roles.app.deny]]
name = "where-required"
statements = ["update", "delete"]
missing = "where"
[[roles.app.deny]]
name = "no-shell"
statements = ["copy_program", "copy_file"]
functions = ["@signal", "@server_file", "@runs_sql"]
[maintenance]                          # the whole house, or one database, or one role
read_only = { window = "2026-12-01 22:00/23:30 UTC" }
[[grant]]
role = "analyst"
user = "bi_*"
from = ["10.2.0.0/16"]
[[grant]]
role = "app"
certificate = { san = "spiffe://prod/shop/*" }
[[grant]]
role = "analyst"
oauth = { group = "db-oncall" }
expires = "2026-12-01T00:00:00Z"
"#;

fn setup() -> Setup {
    let setup = Setup::new().with("RO_POOL_PASSWORD", "secret");
    setup.write("app.pw", "secret\n");
    setup
}

/// What is loaded from a text and a database.
fn load(text: &str) -> Settings {
    let loaded = setup().load(&format!("{text}{SHOP}"));
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

fn policy(text: &str) -> Policy {
    load(text).session.policy.as_ref().clone()
}

/// The only role of a text, which everybody is granted.
fn role(text: &str) -> Role {
    let grant = "[[grant]]\nrole = \"r\"\n";
    let policy = policy(&format!("[roles.r]\n{text}\n{grant}"));
    policy.roles[&RoleName::new("r")].as_ref().clone()
}

fn at(text: &str) -> SystemTime {
    let instant: jiff::Timestamp = text.parse().unwrap();
    instant.try_into().unwrap()
}

#[test]
fn the_roles_of_the_example_are_read_as_written() {
    let settings = load(EXAMPLE);
    let policy = &settings.session.policy;
    let analyst = &policy.roles[&RoleName::new("analyst")];
    assert_eq!(analyst.read_only, ReadOnly::Always);
    assert_eq!(analyst.allow_tables[1].to_string(), "sales.orders");
    assert_eq!(analyst.deny_tables[0].to_string(), "public.secret");
    let limits = &analyst.limits;
    assert_eq!((limits.concurrent, limits.rows), (Some(4), Some(100_000)));
    assert_eq!(limits.bytes, Some(64 << 20));
    assert_eq!(limits.time, Some(Duration::from_secs(30)));
    assert_eq!(limits.rate.unwrap().count.get(), 20);
    assert_eq!(limits.connections, None);

    let app = &policy.roles[&RoleName::new("app")];
    let names: Vec<_> = app.deny.iter().map(|rule| rule.name.to_string()).collect();
    assert_eq!(names, ["no-schema-changes", "where-required", "no-shell"]);
    assert!(app.deny[0].statements.contains(Kind::Drop));
    let window = app.deny[0].except.as_ref().unwrap().window.as_ref();
    assert_eq!(window.unwrap().to_string(), "Sun 02:00-04:00 Europe/Paris");
    assert!(
        app.deny[0]
            .hint
            .as_ref()
            .unwrap()
            .starts_with("Schema changes")
    );
    assert!(app.deny[1].missing_where && !app.deny[0].missing_where);
    assert_eq!(app.deny[2].functions.len(), 3);

    assert!(policy.maintenance[0].contains(at("2026-12-01T22:00:00Z")));
    assert_eq!(policy.max_statement, 4 << 20);
    assert!(!policy.observe && !app.observe && !app.unknown_allowed);
}

#[test]
fn the_grants_of_the_example_are_read_as_written() {
    let policy = policy(EXAMPLE);
    let [bi, shop, oncall] = &policy.grants[..] else {
        panic!("{:?}", policy.grants);
    };
    assert_eq!((bi.role.as_str(), bi.user[0].as_str()), ("analyst", "bi_*"));
    assert_eq!(bi.from[0].to_string(), "10.2.0.0/16");
    let san = shop.certificate.as_ref().unwrap().san.as_ref().unwrap();
    assert_eq!(san.as_str(), "spiffe://prod/shop/*");
    assert_eq!(oncall.oauth["group"][0].as_str(), "db-oncall");
    assert_eq!(oncall.expires, Some(at("2026-12-01T00:00:00Z")));
    assert!(bi.certificate.is_none() && bi.oauth.is_empty() && bi.expires.is_none());
}

#[test]
fn a_role_has_its_own_servers_and_a_pool_for_each_database() {
    let text = format!(
        "[pool]\nsize = 9\n[databases.ledger]\npool = {{ size = 7, min_size = 2 }}\n{EXAMPLE}"
    );
    let settings = load(&text);
    let roles = &settings.pools.roles;
    let analyst = &roles[&RoleName::new("analyst")];
    assert_eq!(analyst.server.as_ref().unwrap().user.as_str(), "ro_pool");
    let sizes = |role: &str, database: &str| {
        let pool = &roles[&RoleName::new(role)].pools[database];
        (pool.size, pool.min_size)
    };
    assert_eq!(sizes("analyst", "shop"), (5, 0));
    assert_eq!(sizes("analyst", "ledger"), (5, 2));
    assert_eq!(sizes("app", "shop"), (9, 0));
    assert_eq!(sizes("app", "ledger"), (7, 2));
    let shown = settings.entries.iter();
    let shown = shown.filter(|entry| entry.key == "roles.analyst.pool.size");
    assert_eq!(shown.count(), 1);
}

#[test]
fn everything_that_can_be_set_reaches_its_setting() {
    let text = r#"
mode = "observe"
unknown = "allow"
default = "deny"
read_only = { window = ["Sun UTC", "Mon 01:00-02:00 UTC"] }
maintenance = { read_only = { window = "2026-12-01 22:00/23:30 UTC" } }
search_path = ["app", "public"]
replication = true
application_name = "{user}@{address}"
audit = { statements = true }
limits = { connections = 3 }
tables.deny = "hr.*"
[[roles.r.deny]]
settings = ["Work_Mem", "log_*"]
tables = "hr.salaries"
statements = "write"
access = "write"
when = { from = "10.0.0.1", user = "bob", database = ["shop", "le*"] }
mode = "observe"
[[roles.r.allow]]
statements = ["read", "do"]
"#;
    let role = role(text);
    assert!(role.observe && role.unknown_allowed && role.default_deny && role.replication);
    let ReadOnly::During(window) = &role.read_only else {
        panic!("{:?}", role.read_only);
    };
    let text = "Sun UTC or Mon 01:00-02:00 UTC or 2026-12-01 22:00/23:30 UTC";
    assert_eq!(window.to_string(), text);
    assert_eq!(role.search_path, ["app".into(), "public".into()]);
    assert_eq!(role.application_name.as_deref(), Some("{user}@{address}"));
    assert!(role.audit.statements);
    assert_eq!(role.limits.connections, Some(3));
    let deny = &role.deny[0];
    assert_eq!(deny.name.to_string(), "deny 1");
    assert_eq!(role.allow[0].name.to_string(), "allow 1");
    assert_eq!(deny.settings[0].as_str(), "work_mem");
    assert!(deny.observe && deny.access.is_some());
    let when = deny.when.as_ref().unwrap();
    assert_eq!(when.from[0].to_string(), "10.0.0.1/32");
    assert_eq!(when.database.len(), 2);
}

#[test]
fn the_house_has_defaults_for_its_roles() {
    let text = "[access]\nmode = \"observe\"\nunknown = \"allow\"\nmax_statement = \"1MiB\"\n\
                [roles.a]\n[roles.b]\nunknown = \"deny\"\n[[grant]]\nrole = \"a\"\n";
    let policy = policy(text);
    assert!(policy.observe);
    assert_eq!(policy.max_statement, 1 << 20);
    assert!(policy.roles[&RoleName::new("a")].unknown_allowed);
    assert!(!policy.roles[&RoleName::new("b")].unknown_allowed);
}

#[test]
fn the_audit_log_is_off_until_it_has_a_file() {
    assert_eq!(load("").telemetry.audit, AuditSettings::default());
    let text = "[access]\naudit = { file = \"audit.jsonl\", sql = \"full\", chain = false, \
                on_failure = \"deny\" }\n";
    let setup = setup();
    let audit = setup
        .load(&format!("{text}{SHOP}"))
        .unwrap()
        .telemetry
        .audit;
    assert_eq!(
        audit,
        AuditSettings {
            file: Some(setup.path("audit.jsonl")),
            sql: AuditSql::Full,
            chain: false,
            deny_on_failure: true,
        }
    );
}

#[test]
fn a_database_can_be_under_maintenance_alone() {
    let text = "[databases.ledger.maintenance]\nread_only = { window = \"Sat UTC\" }\n";
    let policy = policy(text);
    assert!(policy.maintenance.is_empty());
    assert_eq!(
        policy.database_maintenance["ledger"][0].to_string(),
        "Sat UTC"
    );
    assert!(!policy.database_maintenance.contains_key("shop"));
}

#[test]
fn a_grant_can_name_every_trait_of_a_client() {
    let text = r#"
[roles.r]
[[grant]]
role = "r"
user = ["a", "b*"]
database = "shop"
from = ["::1", "10.0.0.0/8"]
uid = [1000, 1001]
tls = true
window = "Mon-Fri UTC"
expires = 2099-12-01T00:00:00+01:00
certificate = { cn = "a" }
oauth = { groups = ["x", "y*"], "realm.roles" = "z" }
"#;
    let grant = policy(text).grants.remove(0);
    assert_eq!(
        (grant.user.len(), grant.database.len(), grant.from.len()),
        (2, 1, 2)
    );
    assert_eq!((grant.uid, grant.tls), (vec![1000, 1001], Some(true)));
    assert_eq!(grant.window.unwrap().to_string(), "Mon-Fri UTC");
    assert_eq!(grant.expires, Some(at("2099-11-30T23:00:00Z")));
    assert_eq!(grant.certificate.unwrap().cn.unwrap().as_str(), "a");
    assert_eq!(grant.oauth["groups"].len(), 2);
    assert_eq!(grant.oauth["realm.roles"][0].as_str(), "z");
}

#[test]
fn an_element_of_a_list_has_its_entry() {
    let settings = load(EXAMPLE);
    let value = |key: &str| {
        let mut entries = settings.entries.iter();
        let entry = entries.find(|entry| entry.key == key);
        entry.unwrap_or_else(|| panic!("{key}")).value.clone()
    };
    assert_eq!(value("grant[3].oauth.group").unwrap(), "[\"db-oncall\"]");
    assert_eq!(
        value("grant[3].expires").unwrap(),
        "\"2026-12-01T00:00:00Z\""
    );
    assert_eq!(value("roles.app.deny[1].statements").unwrap(), "[\"ddl\"]");
    assert_eq!(value("roles.analyst.limits.bytes").unwrap(), "\"64MiB\"");
    assert_eq!(value("roles.app.server.user").unwrap(), "\"app_pool\"");
}

#[test]
fn tests_are_tried_as_the_file_is_read() {
    let tests = r#"
[[test]]
role = "app"
sql = "drop table t"
expect = "deny: no-schema-changes"
at = "2026-11-24T12:00:00Z"
[[test]]
role = "app"
sql = "drop table t"
expect = "allow"
at = 2026-11-22T02:00:00Z
[[test]]
role = "analyst"
sql = "select * from public.orders"
expect = "allow"
user = "bi_anna"
from = "10.2.3.4"
database = "shop"
[[test]]
role = "analyst"
sql = "insert into public.orders values (1)"
expect = "deny: read_only"
[[test]]
role = "app"
sql = "update t set a = 1"
expect = "deny"
[[test]]
role = "app"
sql = "insert into t values (1)"
expect = "deny: maintenance"
at = "2026-12-01T22:30:00Z"
"#;
    assert_eq!(load(&format!("{EXAMPLE}{tests}")).tests, 6);
}

#[test]
fn variables_reach_roles_and_access() {
    let setup = setup()
        .with("PGWARDEN__ACCESS__MODE", "observe")
        .with("PGWARDEN__ROLES__ANALYST__READ_ONLY", "false")
        .with("PGWARDEN__ROLES__ANALYST__LIMITS__RATE", "7/m")
        .with(
            "PGWARDEN__ROLES__ANALYST__TABLES__DENY",
            "hr.*, public.secret",
        );
    let settings = setup.load(&format!("{EXAMPLE}{SHOP}")).unwrap();
    let policy = &settings.session.policy;
    assert!(policy.observe);
    let analyst = &policy.roles[&RoleName::new("analyst")];
    assert_eq!(analyst.read_only, ReadOnly::Never);
    assert_eq!(analyst.limits.rate.unwrap().count.get(), 7);
    assert_eq!(analyst.deny_tables.len(), 2);
    let setup = super::Setup::new().with("PGWARDEN__GRANT__ROLE", "app");
    let problems = setup.problems(SHOP);
    assert!(
        problems[0].contains("expected tables, each headed [[grant]]"),
        "{problems:?}"
    );
}
