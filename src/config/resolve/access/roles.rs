//! `[roles.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::forms::{
    Bytes, Choice, Count, Flag, List, OrOff, PerTime, Span, TABLE, Text,
};
use super::super::super::values::Table;
use super::conditions::{maintenance, window};
use super::rules::rules;
use super::{MODE, UNKNOWN};
use crate::policy::limits::Limits;
use crate::policy::role::{ReadOnly, Role, RoleAudit, RoleName};
use crate::policy::window::Window;

/// What holds for a role that says nothing else.
pub(super) struct Defaults {
    pub(super) unknown_allowed: bool,
}

pub(super) fn roles(root: &Table<'_>, defaults: &Defaults) -> BTreeMap<RoleName, Arc<Role>> {
    let tables = root.named("roles");
    if !tables.is_empty() && !root.has("grant") {
        root.complain_hidden(
            "roles",
            "nobody has a role: expected at least one [[grant]] that gives one",
        );
    }
    let roles = tables.iter().map(|table| {
        let role = role(table, defaults);
        (role.name.clone(), Arc::new(role))
    });
    roles.collect()
}

/// The server and the pool of a role are read with the databases'.
fn role(table: &Table<'_>, defaults: &Defaults) -> Role {
    if table.name().is_empty() || table.name().contains('\0') {
        table.complain_of_table("expected a name that is not empty");
    }
    let default_deny = table.or("default", &DEFAULT, false);
    let tables = table.table("tables");
    let search_path = table.or("search_path", &List(Text), vec!["public".into()]);
    let rules = rules(table, default_deny);
    Role {
        name: RoleName::new(table.name()),
        observe: table.or("mode", &MODE, false),
        default_deny,
        read_only: read_only(table),
        unknown_allowed: table.or("unknown", &UNKNOWN, defaults.unknown_allowed),
        allow_tables: tables.maybe("allow", &List(TABLE)).unwrap_or_default(),
        deny_tables: tables.maybe("deny", &List(TABLE)).unwrap_or_default(),
        search_path: search_path
            .into_iter()
            .map(String::into_boxed_str)
            .collect(),
        deny: rules.deny,
        allow: rules.allow,
        limits: limits(&table.table("limits")),
        replication: table.or("replication", &Flag, false),
        audit: RoleAudit {
            statements: table.table("audit").or("statements", &Flag, false),
        },
        application_name: application_name(table),
    }
}

/// `true`, `false` or `{ window = … }`, and what `maintenance` adds.
fn read_only(table: &Table<'_>) -> ReadOnly {
    let mut windows: Vec<Window> = Vec::new();
    if table.is_table("read_only") {
        let own = table.table("read_only");
        windows.extend(window(&own));
        if !own.has("window") {
            own.complain_of_table("expected true, false or { window = \"…\" }");
        }
    } else if table.or("read_only", &Flag, false) {
        maintenance(&table.table("maintenance"));
        return ReadOnly::Always;
    }
    windows.extend(maintenance(&table.table("maintenance")));
    match Window::any_of(&windows) {
        Some(window) => ReadOnly::During(window),
        None => ReadOnly::Never,
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let count = OrOff(Count(1..=1_000_000));
    let rows = table.or("rows", &OrOff(Count(1..=MOST_ROWS)), None);
    Limits {
        concurrent: table.or("concurrent", &count, None),
        rate: table.or("rate", &OrOff(PerTime), None),
        rows: rows.and_then(|rows| u64::try_from(rows).ok()),
        bytes: table.or("bytes", &OrOff(Bytes(MOST_BYTES)), None),
        time: table.or("time", &OrOff(Span), None),
        connections: table.or("connections", &count, None),
    }
}

fn application_name(table: &Table<'_>) -> Option<Box<str>> {
    let template = table.maybe("application_name", &Text)?;
    let unknown = template.split('{').skip(1).find_map(|rest| {
        let name = rest.split_once('}').map(|(name, _)| name);
        match name {
            Some(name) if PLACEHOLDERS.contains(&name) => None,
            Some(name) => Some(name.to_owned()),
            None => Some(rest.to_owned()),
        }
    });
    if let Some(unknown) = unknown {
        let known = PLACEHOLDERS.join("}, {");
        table.complain(
            "application_name",
            format!("unknown \"{{{unknown}\": expected of {{{known}}}"),
        );
    }
    Some(template.into())
}

const DEFAULT: Choice<bool> = Choice(&[("allow", false), ("deny", true)]);
const PLACEHOLDERS: [&str; 5] = ["user", "role", "address", "database", "application_name"];
const MOST_ROWS: usize = 1_000_000_000_000;
const MOST_BYTES: u64 = 1 << 50;
