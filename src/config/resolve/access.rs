//! Access control: `[access]`, `[roles.NAME]`, `[[grant]]`, `[maintenance]` and `[[test]]`.

mod cases;
mod conditions;
mod grants;
mod roles;
mod rules;
mod warnings;

use std::collections::BTreeMap;

use super::super::forms::{Bytes, Choice, FilePath, Flag, OrOff};
use super::super::values::Table;
use crate::auth::names::DatabaseName;
use crate::policy::admission::Policy;
use crate::policy::window::Window;
use crate::pool::settings::PoolsSettings;
use crate::session::settings::SessionSettings;
use crate::telemetry::settings::{AuditSettings, AuditSql};
use conditions::maintenance;

/// Reads who may do what, and tries the tests on it; how many there are is returned besides.
pub(super) fn policy(
    root: &Table<'_>,
    pools: &PoolsSettings,
    session: &SessionSettings,
) -> (Policy, usize) {
    let access = root.table("access");
    let defaults = roles::Defaults {
        unknown_allowed: access.or("unknown", &UNKNOWN, false),
    };
    let roles = roles::roles(root, &defaults);
    let policy = Policy {
        generation: 0,
        observe: access.or("mode", &MODE, false),
        grants: grants::grants(root, &roles),
        roles,
        maintenance: maintenance(&root.table("maintenance")),
        database_maintenance: database_maintenance(root),
        max_statement: max_statement(&access),
    };
    warnings::warn(root, &policy, pools, session);
    let tests = cases::run(root, &policy);
    (policy, tests)
}

/// `[access.audit]`.
pub(super) fn audit(root: &Table<'_>) -> AuditSettings {
    let default = AuditSettings::default();
    let table = root.table("access").table("audit");
    AuditSettings {
        file: table.or("file", &OrOff(FilePath), default.file),
        sql: table.or("sql", &AUDIT_SQL, default.sql),
        chain: table.or("chain", &Flag, default.chain),
        deny_on_failure: table.or("on_failure", &ON_FAILURE, default.deny_on_failure),
    }
}

fn database_maintenance(root: &Table<'_>) -> BTreeMap<DatabaseName, Vec<Window>> {
    let databases = root.named("databases");
    let windows = databases.iter().filter_map(|table| {
        let windows = maintenance(&table.table("maintenance"));
        (!windows.is_empty()).then(|| (DatabaseName::new(table.name()), windows))
    });
    windows.collect()
}

fn max_statement(access: &Table<'_>) -> usize {
    let bytes = access.or("max_statement", &Bytes(64 << 20), 4 << 20);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Whether only to observe.
const MODE: Choice<bool> = Choice(&[("enforce", false), ("observe", true)]);
/// Whether what cannot be judged passes.
const UNKNOWN: Choice<bool> = Choice(&[("deny", false), ("allow", true)]);
const ON_FAILURE: Choice<bool> = Choice(&[("deny", true), ("allow", false)]);
const AUDIT_SQL: Choice<AuditSql> = Choice(&[
    ("none", AuditSql::None),
    ("normalized", AuditSql::Normalized),
    ("full", AuditSql::Full),
]);
