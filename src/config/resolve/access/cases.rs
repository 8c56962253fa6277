//! `[[test]]`: what the rules must say, tried whenever the file is read.

use std::net::IpAddr;
use std::time::SystemTime;

use super::super::super::forms::{INSTANT, Parsed, Text};
use super::super::super::suggest::closest;
use super::super::super::values::Table;
use super::grants::role;
use super::rules::BUILT_IN;
use crate::policy::admission::Policy;
use crate::policy::cache::Cache;
use crate::policy::condition::Circumstances;
use crate::policy::judge::{Judge, Outcome};
use crate::policy::role::Role;

/// What is expected of a text.
enum Expected {
    Allow,
    /// By this rule, if one is named.
    Deny(Option<String>),
}

/// Tries all tests; what fails is a problem. Returns how many there are.
pub(super) fn run(root: &Table<'_>, policy: &Policy) -> usize {
    let tables = root.list("test");
    for table in &tables {
        try_one(table, policy);
    }
    tables.len()
}

fn try_one(table: &Table<'_>, policy: &Policy) {
    let name = role(table, &policy.roles);
    let sql = required(table, "sql");
    let expected = required(table, "expect");
    let user = table.maybe("user", &Text);
    let from = table.maybe("from", &ADDRESS);
    let database = table.maybe("database", &Text).unwrap_or_default();
    let now = match table.maybe("at", &INSTANT) {
        Some(instant) => instant.0,
        None => SystemTime::now(),
    };
    let (Some(role), Some(sql), Some(expected)) = (policy.roles.get(&name), sql, expected) else {
        return;
    };
    let Some(expected) = parse_expected(table, &expected, role) else {
        return;
    };
    let maintenance = policy.maintenance_of(&database);
    let judge = Judge {
        role,
        maintenance: &maintenance,
        observe: policy.observe,
        at: Circumstances {
            now,
            user: user.as_deref().unwrap_or(name.as_str()),
            address: from,
            database: &database,
        },
    };
    if let Err(complaint) = try_on(&judge, &sql, &expected, policy.max_statement) {
        table.complain("expect", complaint);
    }
}

/// What a rule only observes counts as refused: tests are about the rules, and remain true when
/// they are put in force.
fn try_on(judge: &Judge<'_>, sql: &str, expected: &Expected, limit: usize) -> Result<(), String> {
    let classified = Cache::new(0).classify(sql.as_bytes(), limit);
    let findings = judge.trace(&classified);
    let denied: Vec<String> = findings
        .into_iter()
        .filter_map(|finding| match finding.outcome {
            Outcome::Fired(_) | Outcome::Observed(_) => Some(finding.rule.to_string()),
            Outcome::Missed | Outcome::NotInForce => None,
        })
        .collect();
    let met = match expected {
        Expected::Allow => denied.is_empty(),
        Expected::Deny(None) => !denied.is_empty(),
        Expected::Deny(Some(rule)) => denied.contains(rule),
    };
    if met {
        return Ok(());
    }
    let wanted = match expected {
        Expected::Allow => "allow".into(),
        Expected::Deny(None) => "deny".into(),
        Expected::Deny(Some(rule)) => format!("deny: {rule}"),
    };
    let got = match denied[..] {
        [] => "allow".into(),
        [..] => format!("deny: {}", denied.join(", ")),
    };
    let reason = classified.err().map(|reason| format!(" ({reason})"));
    Err(format!(
        "the test failed: expected {wanted}, got {got}{}",
        reason.unwrap_or_default()
    ))
}

fn parse_expected(table: &Table<'_>, text: &str, role: &Role) -> Option<Expected> {
    match text {
        "allow" => return Some(Expected::Allow),
        "deny" => return Some(Expected::Deny(None)),
        _ => {}
    }
    let Some(rule) = text.strip_prefix("deny:").map(str::trim) else {
        table.complain("expect", "expected \"allow\", \"deny\" or \"deny: RULE\"");
        return None;
    };
    let own = role.deny.iter().map(|rule| &*rule.name.0);
    let mut known = own.chain(BUILT_IN);
    if known.clone().any(|known| known == rule) {
        return Some(Expected::Deny(Some(rule.to_owned())));
    }
    let complaint = match closest(rule, &mut known) {
        Some(meant) => format!("the role has no such deny rule; did you mean {meant:?}?"),
        None => "the role has no such deny rule".into(),
    };
    table.complain("expect", complaint);
    None
}

fn required(table: &Table<'_>, key: &str) -> Option<String> {
    let value = table.maybe(key, &Text);
    if !table.has(key) {
        table.complain_of_table(format!("{key} is missing"));
    }
    value
}

const ADDRESS: Parsed<IpAddr> = Parsed {
    expected: ADDRESS_EXPECTED,
    parse: |text| {
        text.parse()
            .map_err(|_| format!("expected {ADDRESS_EXPECTED}"))
    },
};
const ADDRESS_EXPECTED: &str = "an address such as \"10.2.1.1\"";
