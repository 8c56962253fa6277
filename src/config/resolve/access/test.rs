//! `[[test]]`: what an operator expects of the rules, checked whenever the file is loaded.

use std::time::SystemTime;

use super::super::super::forms::{AnyText, Text};
use super::super::super::values::Table;
use super::forms::INSTANT;
use crate::policy::admission::Policy;
use crate::policy::condition::Circumstances;
use crate::policy::judge::Judge;
use crate::policy::role::RoleName;
use crate::policy::sql::classify;
use crate::policy::verdict::Verdict;

/// Runs all tests; one that fails is a problem of the file.
pub(in super::super) fn run(root: &Table<'_>, policy: &Policy) {
    for table in root.each("test") {
        test(&table, policy);
    }
}

fn test(table: &Table<'_>, policy: &Policy) {
    let role = table.maybe("role", &Text);
    let sql = table.maybe("sql", &Text);
    let expect = table.maybe("expect", &Text);
    let user = table.or("user", &AnyText, String::new());
    let from = table.maybe("from", &Text);
    let database = table.or("database", &AnyText, String::new());
    let at = table.maybe("at", &INSTANT);
    for key in ["role", "sql", "expect"] {
        if !table.has(key) {
            table.complain_of_table(format!("{key} is missing"));
            return;
        }
    }
    let (Some(role), Some(sql), Some(expect)) = (role, sql, expect) else {
        return;
    };
    let address = match from.as_deref().map(str::parse) {
        None => None,
        Some(Ok(address)) => Some(address),
        Some(Err(_)) => return table.complain("from", "expected an address"),
    };
    let Some(role) = policy.roles.get(&RoleName::new(&role)) else {
        return table.complain("role", "there is no such role");
    };
    let judge = Judge {
        role,
        maintenance: &policy.maintenance,
        observe: false,
        at: Circumstances {
            now: at.map_or_else(SystemTime::now, |instant| instant.1),
            user: &user,
            address,
            database: &database,
        },
    };
    let classified = classify(sql.as_bytes()).map(std::sync::Arc::new);
    let got = match judge.verdict(&classified) {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Observe(denial) => format!("allow (observed: {})", denial.rule),
        Verdict::Deny(denial) => format!("deny: {}", denial.rule),
    };
    let word = got.split([':', ' ']).next().unwrap_or_default();
    if expect != got && expect != word {
        let known = expect == "allow" || expect == "deny" || expect.starts_with("deny: ");
        let complaint = if known {
            format!("the test fails: got {got}")
        } else {
            "expected \"allow\", \"deny\" or \"deny: RULE\"".into()
        };
        table.complain("expect", complaint);
    }
}
