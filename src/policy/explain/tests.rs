use std::time::SystemTime;

use super::{Explanation, of_role, rules};
use crate::policy::condition::{Circumstances, Condition};
use crate::policy::judge::Judge;
use crate::policy::kind::Kinds;
use crate::policy::pattern::TablePattern;
use crate::policy::role::{ReadOnly, Role, RoleName};
use crate::policy::rule::Rule;
use crate::policy::window::Window;

fn role() -> Role {
    let mut role = Role::free(RoleName::new("app"));
    let mut deny = Rule::new("no-ddl");
    deny.statements = Kinds::named("ddl").unwrap();
    deny.hint = Some("ask the DBA".into());
    deny.except = Some(Condition {
        window: Some(Window::parse("1970-01-02 00:00/01:00 UTC").unwrap()),
        ..Condition::default()
    });
    role.deny.push(deny);
    role.deny_tables = vec![TablePattern::parse("hr.*").unwrap()];
    role
}

fn judge(role: &Role, days: u64) -> Judge<'_> {
    Judge {
        role,
        maintenance: &[],
        observe: false,
        at: Circumstances {
            now: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400),
            user: "u",
            address: None,
            database: "d",
        },
    }
}

fn explain(role: &Role, days: u64, sql: &str) -> Explanation {
    of_role(&judge(role, days), sql.as_bytes(), 1000)
}

#[test]
fn every_rule_and_what_came_of_it_is_told() {
    let role = role();
    let text = explain(&role, 0, "select 1; drop table hr.pay").to_string();
    let lines: Vec<&str> = text.lines().collect();
    for line in [
        "statement 1: SELECT",
        "statement 2: DROP TABLE",
        "  effects   drop",
        "  table     hr.pay (drop, writes)",
        "rule tables.deny          refuses         table \"hr.pay\", in statement 2",
        "rule no-ddl               refuses         DROP TABLE, in statement 2",
        "rule lexing               is not about it parameters that change how texts are read (always)",
    ] {
        assert!(lines.contains(&line), "{line}\n{text}");
    }
    let verdict = lines.last().unwrap();
    assert!(
        verdict.starts_with("verdict: deny by rule tables.deny: 42501 permission denied"),
        "{verdict}"
    );
}

#[test]
fn a_rule_that_is_not_in_force_says_when_it_is() {
    let role = role();
    let explanation = explain(&role, 1, "drop table t");
    let rule = explanation.rows.iter().find(|row| row.rule == "no-ddl");
    let rule = rule.unwrap();
    assert_eq!(rule.outcome, "not in force");
    assert!(
        rule.detail.ends_with("(except 1970-01-02 00:00/01:00 UTC)"),
        "{rule}"
    );
    assert!(explanation.to_string().ends_with("verdict: allow\n"));
}

#[test]
fn functions_and_settings_are_told_with_what_they_are() {
    let role = role();
    let sql = "select pg_terminate_backend(1); set work_mem = '1GB'; update t set a = 1";
    let text = explain(&role, 0, sql).to_string();
    for line in [
        "  function  pg_terminate_backend (@signal)",
        "  setting   work_mem to \"1GB\"",
        "  no WHERE  update",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_text_that_cannot_be_judged_is_told_why() {
    let role = role();
    let text = explain(&role, 0, "selec 1").to_string();
    assert!(text.contains("rule unknown              refuses"), "{text}");
    assert!(
        text.contains("verdict: deny by rule unknown: 0A000"),
        "{text}"
    );
    let long = explain(&role, 0, &format!("select '{}'", "x".repeat(1000))).to_string();
    assert!(long.contains("at most 1000 are judged"), "{long}");
}

#[test]
fn what_is_only_observed_is_told_so() {
    let mut role = role();
    role.observe = true;
    let text = explain(&role, 0, "drop table t").to_string();
    assert!(
        text.contains("rule no-ddl               would refuse"),
        "{text}"
    );
    assert!(text.contains("verdict: observe by rule no-ddl"), "{text}");
}

#[test]
fn read_only_is_spelled_out() {
    let mut role = role();
    role.read_only = ReadOnly::Always;
    let rows = rules(&judge(&role, 0));
    let reading = rows.iter().find(|row| row.rule == "read_only").unwrap();
    for word in ["insert", "do", "@large_object", "(always)"] {
        assert!(reading.detail.contains(word), "{word}: {reading}");
    }
}
