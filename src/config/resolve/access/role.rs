//! `[roles.NAME]`.

use std::collections::BTreeMap;

use super::super::super::forms::{Bytes, Count, Flag, OrOff, RateForm, Span, Text, Texts};
use super::super::super::values::Table;
use super::super::password::credentials;
use super::super::pools::pool;
use super::forms::{TABLES, WINDOW};
use super::rule::rules;
use super::{ALLOW_OR_DENY, MODE};
use crate::auth::names::DatabaseName;
use crate::policy::limits::Limits;
use crate::policy::role::{ReadOnly, Role, RoleAudit, RoleName};
use crate::pool::settings::{PoolSettings, PoolsSettings, RoleServers};

pub(super) fn role(table: &Table<'_>, unknown_allowed: bool) -> Role {
    let default = Role::free(RoleName::new(table.name()));
    if table.name().is_empty() {
        table.complain_of_table("expected a name that is not empty");
    }
    let tables = table.table("tables");
    let unknown = if unknown_allowed { "allow" } else { "deny" };
    let search_path = default
        .search_path
        .iter()
        .map(ToString::to_string)
        .collect();
    let search_path = table.or("search_path", &Texts, search_path);
    let role = Role {
        observe: table.or("mode", &MODE, "enforce".into()) == "observe",
        default_deny: table.or("default", &ALLOW_OR_DENY, "allow".into()) == "deny",
        read_only: read_only(table),
        unknown_allowed: table.or("unknown", &ALLOW_OR_DENY, unknown.into()) == "allow",
        allow_tables: tables.or("allow", &TABLES, Vec::new()),
        deny_tables: tables.or("deny", &TABLES, Vec::new()),
        search_path: search_path.into_iter().map(Into::into).collect(),
        deny: rules(table, "deny"),
        allow: rules(table, "allow"),
        limits: limits(&table.table("limits")),
        replication: table.or("replication", &Flag, default.replication),
        audit: RoleAudit {
            statements: table
                .table("audit")
                .or("statements", &Flag, default.audit.statements),
        },
        application_name: table.maybe("application_name", &Text).map(Into::into),
        name: default.name,
    };
    if table.has("search_path") && !role.has_table_rules() {
        table.complain(
            "search_path",
            "expected tables, or a rule with tables: without them it has no effect",
        );
    }
    role
}

/// `read_only = true`, or `{ window = … }` here or of `maintenance`.
fn read_only(table: &Table<'_>) -> ReadOnly {
    let maintenance = super::maintenance(&table.table("maintenance"));
    let own = if table.is_table("read_only") {
        let window = table.table("read_only").maybe("window", &WINDOW);
        window.map_or(ReadOnly::Never, ReadOnly::During)
    } else if table.or("read_only", &Flag, false) {
        ReadOnly::Always
    } else {
        ReadOnly::Never
    };
    match (own, maintenance) {
        (ReadOnly::Never, Some(window)) => ReadOnly::During(window),
        (ReadOnly::During(_), Some(_)) => {
            table
                .complain_of_table("expected a window in read_only or in maintenance, not in both");
            ReadOnly::Always
        }
        (own, _) => own,
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let count = Count(1..=usize::MAX);
    let rows = table.or("rows", &OrOff(count.clone()), None);
    Limits {
        concurrent: table.or("concurrent", &OrOff(count.clone()), None),
        rate: table.or("rate", &OrOff(RateForm), None),
        rows: rows.and_then(|rows| u64::try_from(rows).ok()),
        bytes: table.or("bytes", &OrOff(Bytes { most: u64::MAX }), None),
        time: table.or("time", &OrOff(Span), None),
        connections: table.or("connections", &OrOff(count), None),
    }
}

/// The servers of every role, over those of the databases.
pub(in super::super) fn servers(
    root: &Table<'_>,
    pools: &PoolsSettings,
) -> BTreeMap<RoleName, RoleServers> {
    let tables = root.named("roles");
    let each = tables.iter().map(|table| {
        // Read once for what is wrong with it and for SHOW CONFIG, and once for each database.
        let own = table.table("pool");
        pool(&own, &PoolSettings::default());
        let of = |default: &PoolSettings| pool(&own.unseen(), default);
        let pools = pools.databases.values();
        let pools: BTreeMap<DatabaseName, PoolSettings> = pools
            .map(|database| (database.name.clone(), of(&database.pool)))
            .collect();
        let servers = RoleServers {
            server: credentials(table),
            pools,
        };
        (RoleName::new(table.name()), servers)
    });
    each.collect()
}
