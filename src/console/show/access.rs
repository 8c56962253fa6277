//! Who may do what: SHOW ACCESS, DENIALS, GRANTS, IDENTITIES and ROLES. PgBouncer has none of
//! them.

use std::fmt::Display;
use std::time::SystemTime;

use super::View;
use crate::console::control::Control;
use crate::console::table::{Column, Table, Value};
use crate::policy::condition::Circumstances;
use crate::policy::explain::of_role;
use crate::policy::grant::Grant;
use crate::policy::judge::Judge;
use crate::policy::role::{ReadOnly, Role, RoleName};
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

pub(super) const ACCESS: &[Column] = &[
    Column::text("role"),
    Column::text("rule"),
    Column::text("mode"),
    Column::text("about"),
    Column::text("holds"),
    Column::numeric("denied"),
    Column::numeric("observed"),
];

pub(super) const DENIALS: &[Column] = &[
    Column::text("time"),
    Column::text("reference"),
    Column::text("user"),
    Column::text("role"),
    Column::text("database"),
    Column::text("address"),
    Column::text("rule"),
    Column::text("sqlstate"),
    Column::text("command"),
    Column::text("subject"),
    Column::text("verdict"),
];

pub(super) const GRANTS: &[Column] = &[
    Column::int4("grant"),
    Column::text("role"),
    Column::text("user"),
    Column::text("database"),
    Column::text("from"),
    Column::text("certificate"),
    Column::text("oauth"),
    Column::text("uid"),
    Column::text("tls"),
    Column::text("window"),
    Column::text("expires"),
    Column::int4("clients"),
];

pub(super) const IDENTITIES: &[Column] = &[
    Column::text("id"),
    Column::text("user"),
    Column::text("method"),
    Column::text("certificate"),
    Column::text("issuer"),
    Column::text("subject"),
    Column::text("address"),
    Column::text("database"),
    Column::text("role"),
    Column::int4("grant"),
    Column::text("server_user"),
    Column::text("until"),
];

pub(super) const ROLES: &[Column] = &[
    Column::text("role"),
    Column::text("mode"),
    Column::text("default"),
    Column::text("read_only"),
    Column::int4("rules"),
    Column::int4("clients"),
    Column::int4("running"),
    Column::text("limits"),
];

pub(super) const EXPLANATION: &[Column] = &[
    Column::int4("statement"),
    Column::text("item"),
    Column::text("rule"),
    Column::text("outcome"),
    Column::text("detail"),
];

/// EXPLAIN ACCESS: why a role may run a text now, or may not.
pub(in crate::console) fn explain(
    control: &dyn Control,
    sql: &str,
    role: &str,
) -> Result<Table, ErrorResponse> {
    let policy = control.policy();
    let Some(role) = policy.roles.get(&RoleName::new(role)) else {
        let error = ErrorResponse::error(
            SqlState::UNDEFINED_OBJECT,
            format!("role \"{role}\" does not exist"),
        );
        return Err(error.with_hint("SHOW ROLES lists those of the configuration."));
    };
    let judge = Judge {
        role,
        maintenance: &policy.maintenance,
        observe: policy.observe,
        at: Circumstances {
            now: SystemTime::now(),
            user: "",
            address: None,
            database: "",
        },
    };
    let explanation = of_role(&judge, sql.as_bytes(), policy.max_statement);
    let rows = explanation.rows.into_iter().map(|row| {
        vec![
            row.statement.map_or(Value::Null, Value::int4),
            Value::text(row.item),
            some(row.rule),
            some(row.outcome.to_owned()),
            some(row.detail),
        ]
    });
    Ok(Table {
        columns: EXPLANATION,
        rows: rows.collect(),
    })
}

pub(super) fn access(view: &View<'_>) -> Vec<Vec<Value>> {
    let policy = view.control.policy();
    let mut rows = Vec::new();
    for role in policy.roles.values() {
        let observed = policy.observe || role.observe;
        for rule in Judge::rules_of(role, &policy.maintenance) {
            let counts = view
                .control
                .denials()
                .counts(role.name.as_str(), &rule.name.to_string());
            rows.push(vec![
                text(&role.name),
                text(&rule.name),
                Value::text(if observed || rule.observe {
                    "observe"
                } else {
                    "enforce"
                }),
                Value::text(rule.about),
                Value::text(rule.holds),
                Value::Numeric(counts.denied),
                Value::Numeric(counts.observed),
            ]);
        }
    }
    rows
}

pub(super) fn denials(view: &View<'_>) -> Vec<Vec<Value>> {
    let latest = view.control.denials().latest().into_iter();
    latest
        .map(|denied| {
            vec![
                text(&instant(denied.time)),
                Value::text(format!("{:016x}", denied.reference)),
                Value::text(denied.user),
                Value::text(denied.role),
                Value::text(denied.database),
                Value::text(denied.address),
                Value::text(denied.rule),
                Value::text(denied.code),
                Value::text(denied.command),
                Value::text(denied.subject),
                Value::text(if denied.observed {
                    "would_deny"
                } else {
                    "deny"
                }),
            ]
        })
        .collect()
}

pub(super) fn grants(view: &View<'_>) -> Vec<Vec<Value>> {
    let policy = view.control.policy();
    let numbered = policy.grants.iter().enumerate();
    numbered
        .map(|(at, grant)| {
            let holders = view
                .clients
                .iter()
                .filter(|client| client.grant == Some(at));
            grant_row(at, grant, holders.count())
        })
        .collect()
}

fn grant_row(at: usize, grant: &Grant, clients: usize) -> Vec<Value> {
    let certificate = grant.certificate.as_ref().map(|wanted| {
        let cn = wanted.cn.as_ref().map(|glob| format!("cn={glob}"));
        let san = wanted.san.as_ref().map(|glob| format!("san={glob}"));
        list(cn.into_iter().chain(san))
    });
    let claims = grant
        .oauth
        .iter()
        .map(|(claim, values)| format!("{claim}={}", list(values)));
    vec![
        Value::int4(at + 1),
        text(&grant.role),
        some(list(&grant.user)),
        some(list(&grant.database)),
        some(list(&grant.from)),
        some(certificate.unwrap_or_default()),
        some(list(claims)),
        some(list(&grant.uid)),
        some(list(grant.tls)),
        some(list(&grant.window)),
        grant
            .expires
            .map_or(Value::Null, |time| text(&instant(time))),
        Value::int4(clients),
    ]
}

pub(super) fn identities(view: &View<'_>) -> Vec<Vec<Value>> {
    let admitted = view.clients.iter().filter(|client| !client.role.is_empty());
    admitted
        .map(|client| {
            let who = &client.who;
            let (issuer, subject) = who.token.as_deref().cloned().unwrap_or_default();
            vec![
                text(&client.id),
                text(&client.user),
                Value::text(who.method),
                some(list(&who.certificate)),
                some(issuer),
                some(subject),
                text(&client.address),
                text(&client.database),
                text(&client.role),
                client.grant.map_or(Value::Null, |at| Value::int4(at + 1)),
                text(&client.pool_user),
                client
                    .until
                    .map_or(Value::Null, |time| text(&instant(time))),
            ]
        })
        .collect()
}

pub(super) fn roles(view: &View<'_>) -> Vec<Vec<Value>> {
    let policy = view.control.policy();
    policy
        .roles
        .values()
        .map(|role| {
            let usage = view.control.usages().of(&role.name);
            let holders = view
                .clients
                .iter()
                .filter(|client| client.grant.is_some() && client.role == role.name.as_str());
            let read_only = match &role.read_only {
                ReadOnly::Always => "always".to_owned(),
                ReadOnly::During(window) => window.to_string(),
                ReadOnly::Never => "never".to_owned(),
            };
            let observed = policy.observe || role.observe;
            vec![
                text(&role.name),
                Value::text(if observed { "observe" } else { "enforce" }),
                Value::text(if role.default_deny { "deny" } else { "allow" }),
                Value::text(read_only),
                Value::int4(Judge::rules_of(role, &policy.maintenance).len()),
                Value::int4(holders.count()),
                Value::int4(usage.running()),
                some(limits(role)),
            ]
        })
        .collect()
}

fn limits(role: &Role) -> String {
    let limits = &role.limits;
    let rate = limits
        .rate
        .map(|rate| format!("{} in {:?}", rate.count, rate.per));
    let time = limits.time.map(|time| format!("{time:?}"));
    let named = [
        ("concurrent", limits.concurrent.map(|n| n.to_string())),
        ("rate", rate),
        ("rows", limits.rows.map(|n| n.to_string())),
        ("bytes", limits.bytes.map(|n| n.to_string())),
        ("time", time),
        ("connections", limits.connections.map(|n| n.to_string())),
    ];
    let set = named
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    list(set)
}

fn text(value: &impl Display) -> Value {
    Value::text(value.to_string())
}

/// What is empty is NULL: it does not matter.
fn some(text: String) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::text(text)
    }
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(", ")
}

/// An instant in UTC, to the second.
fn instant(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}
