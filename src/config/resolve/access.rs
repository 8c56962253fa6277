//! `[access]`, `[maintenance]`, `[roles.NAME]`, `[[grant]]` and `[[test]]`.

mod forms;
mod grant;
mod role;
mod rule;
mod test;
mod warnings;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::forms::{Bytes, FilePath, Flag, OneOf, OrOff, Word};
use super::super::values::Table;
use crate::auth::names::DatabaseName;
use crate::policy::admission::Policy;
use crate::policy::window::Window;
use crate::telemetry::settings::{AuditSettings, AuditSql};

pub(super) use role::servers;
pub(super) use test::run as run_tests;
pub(super) use warnings::warnings;

pub(super) fn policy(root: &Table<'_>) -> Policy {
    let default = Policy::default();
    let access = root.table("access");
    let observe = access.or("mode", &MODE, "enforce".into()) == "observe";
    let unknown = access.or("unknown", &ALLOW_OR_DENY, "deny".into());
    let most = usize::try_from(MOST_STATEMENT).unwrap_or(usize::MAX);
    let max_statement = access.or(
        "max_statement",
        &Bytes {
            most: MOST_STATEMENT,
        },
        default.max_statement as u64,
    );
    let roles: BTreeMap<_, _> = root
        .named("roles")
        .iter()
        .map(|table| role::role(table, unknown == "allow"))
        .map(|role| (role.name.clone(), Arc::new(role)))
        .collect();
    let grants: Vec<_> = root
        .each("grant")
        .iter()
        .filter_map(|table| grant::grant(table, &roles))
        .collect();
    if !roles.is_empty() && !root.has("grant") {
        root.complain_hidden(
            "roles",
            "roles are defined and nobody gets one: expected at least one [[grant]]",
        );
    }
    let of_databases = root.named("databases").into_iter().filter_map(|table| {
        let window = maintenance(&table.table("maintenance"))?;
        Some((DatabaseName::new(table.name()), vec![window]))
    });
    Policy {
        generation: 0,
        observe,
        roles,
        grants,
        maintenance: maintenance(&root.table("maintenance"))
            .into_iter()
            .collect(),
        database_maintenance: of_databases.collect(),
        max_statement: usize::try_from(max_statement).unwrap_or(most),
    }
}

/// `audit` of `[access]`.
pub(super) fn audit(root: &Table<'_>) -> AuditSettings {
    let default = AuditSettings::default();
    let table = root.table("access").table("audit");
    AuditSettings {
        file: table.or("file", &OrOff(FilePath), default.file),
        sql: table.or("sql", &SQL, default.sql),
        chain: table.or("chain", &Flag, default.chain),
        deny_on_failure: table.or("on_failure", &ALLOW_OR_DENY, "allow".into()) == "deny",
    }
}

/// `read_only = { window = … }` of a `maintenance` table.
fn maintenance(table: &Table<'_>) -> Option<Window> {
    table.table("read_only").maybe("window", &forms::WINDOW)
}

const SQL: OneOf<AuditSql> = OneOf {
    all: &[AuditSql::None, AuditSql::Normalized, AuditSql::Full],
    name: AuditSql::as_str,
};
const MODE: Word = Word(&["enforce", "observe"]);
const ALLOW_OR_DENY: Word = Word(&["allow", "deny"]);
const MOST_STATEMENT: u64 = 64 << 20;
