//! What is refused, with the line and what was expected.

use super::super::SHOP;
use super::{EXAMPLE, setup};

/// The problems of a text, without the name of the file.
fn problems(text: &str) -> Vec<String> {
    let problems = setup().problems(&format!("{text}{SHOP}"));
    let lines = problems.iter();
    lines
        .map(|line| line.replacen("pgwarden.toml:", "", 1))
        .collect()
}

/// The one problem of a text whose line counts after the head of a role that is granted.
fn of_role(text: &str) -> String {
    let text = format!("[[grant]]\nrole = \"r\"\n[roles.r]\n{text}");
    let mut found = problems(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn of_rule(text: &str) -> String {
    of_role(&format!("[[roles.r.deny]]\n{text}"))
}

fn of_grant(text: &str) -> String {
    let mut found = problems(&format!(
        "[roles.analyst]\n[[grant]]\nrole = \"analyst\"\n{text}"
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn all_mistakes_are_said_at_once_with_their_lines() {
    let text = r#"[roles.analyst]
read_onl = true
limits = { rows = 0, rate = "20" }
[[roles.analyst.deny]]
statements = ["updaet"]
functions = "@signals"
[[roles.analyst.deny]]
tables = ["secret"]
[[grant]]
role = "analist"
from = "10.2.0.1/16"
usr = "x"
"#;
    assert_eq!(
        problems(text),
        [
            "2: roles.analyst.read_onl: unknown key; did you mean roles.analyst.read_only?",
            "3: roles.analyst.limits.rows = 0: expected a whole number from 1 to 1000000000000, \
             or \"off\"",
            "3: roles.analyst.limits.rate = \"20\": expected a rate such as \"20/s\", \"1000/m\" \
             or \"5000/h\", or \"off\"",
            "5: roles.analyst.deny[1].statements = [\"updaet\"]: unknown statement \"updaet\"; did \
             you mean \"update\"?",
            "6: roles.analyst.deny[1].functions = \"@signals\": unknown class of functions \
             \"@signals\"; did you mean \"@signal\"?",
            "8: roles.analyst.deny[2].tables = [\"secret\"]: \"secret\": expected a table with \
             its schema, such as \"sales.orders\" or \"public.*\"",
            "10: grant[1].role = \"analist\": unknown role; did you mean \"analyst\"?",
            "11: grant[1].from = \"10.2.0.1/16\": \"10.2.0.1/16\" has bits beyond its prefix: \
             expected 10.2.0.0/16",
            "12: grant[1].usr: unknown key; did you mean grant[1].user?",
        ]
    );
}

#[test]
fn roles_without_grants_are_refused() {
    assert_eq!(
        problems("[roles.r]\n"),
        ["1: roles: nobody has a role: expected at least one [[grant]] that gives one"]
    );
}

#[test]
fn a_grant_names_a_role_and_is_a_table_of_a_list() {
    assert_eq!(
        problems("[roles.r]\n[[grant]]\nuser = \"x\"\n"),
        ["2: grant[1]: role is missing: expected the name of a [roles.NAME]"]
    );
    assert_eq!(
        problems("[[grant]]\nrole = \"r\"\n"),
        ["2: grant[1].role = \"r\": unknown role: expected a [roles.r]"]
    );
    for text in ["grant = \"r\"\n", "grant = []\n", "[grant]\nrole = \"r\"\n"] {
        let found = problems(text);
        assert!(
            found[0].ends_with("grant: expected tables, each headed [[grant]]"),
            "{found:?}"
        );
    }
}

#[test]
fn a_grant_is_not_widened_by_an_empty_list() {
    for (text, complaint) in [
        ("from = []", "an empty list"),
        ("oauth = {}", "expected a claim such as"),
        ("certificate = {}", "expected { cn"),
        (
            "expires = \"2026-12-01\"",
            "expected a date and time with their offset",
        ),
        ("window = \"Sun\"", "the time zone is missing"),
        (
            "from = \"::ffff:10.0.0.1\"",
            "is an IPv4 address within IPv6",
        ),
        (
            "from = [\"10.0.0.0/8\", \"x\"]",
            "element 2: \"x\": expected an address",
        ),
        ("uid = -1", "expected a whole number"),
        ("tls = \"yes\"", "expected true or false"),
        ("user = \"\"", "expected a text"),
    ] {
        let found = of_grant(text);
        assert!(found.starts_with("4: grant[1]"), "{found}");
        assert!(found.contains(complaint), "{text}: {found}");
    }
}

#[test]
fn a_rule_that_cannot_mean_what_it_says_is_refused() {
    for (text, complaint) in [
        ("name = \"x\"", "4: roles.r.deny[1]: a rule about nothing"),
        (
            "statements = \"drop\"\nmissing = \"where\"",
            "6: roles.r.deny[1].missing",
        ),
        (
            "statements = \"drop\"\naccess = \"read\"",
            "6: roles.r.deny[1].access",
        ),
        (
            "functions = \"f\"\ntables = \"a.b\"",
            "6: roles.r.deny[1].tables",
        ),
        (
            "statements = \"drop\"\nexcept = {}",
            "6: roles.r.deny[1].except: holds always",
        ),
        (
            "statements = \"drop\"\nmode = \"observed\"",
            "6: roles.r.deny[1].mode",
        ),
        (
            "statements = \"drop\"\nwhen = { windw = \"x\" }",
            "6: roles.r.deny[1].when.windw: unknown key; did you mean roles.r.deny[1].when.window?",
        ),
        (
            "statements = \"drop\"\nname = \"read_only\"",
            "6: roles.r.deny[1].name",
        ),
        (
            "statements = \"frobnicate\"",
            "5: roles.r.deny[1].statements = \"frobnicate\": unknown statement \"frobnicate\": expected a command",
        ),
        ("functions = \"a.b.c\"", "5: roles.r.deny[1].functions"),
        (
            "functions = \"@everything\"",
            "5: roles.r.deny[1].functions",
        ),
        (
            "settings = []",
            "5: roles.r.deny[1].settings = []: an empty list",
        ),
    ] {
        let found = of_rule(text);
        assert!(found.starts_with(complaint), "{text}: {found}");
    }
}

#[test]
fn two_rules_of_one_name_are_refused() {
    let twice = "[[roles.r.deny]]\nname = \"a\"\nstatements = \"drop\"\n";
    let found = of_role(&format!("{twice}{twice}"));
    assert_eq!(
        found,
        "8: roles.r.deny[2].name = \"a\": the role has two rules \"a\""
    );
}

#[test]
fn an_allow_rule_needs_a_default_to_refuse() {
    let found = of_role("[[roles.r.allow]]\nstatements = \"read\"\n");
    assert!(
        found.starts_with("4: roles.r.allow[1]: allows what is allowed anyway"),
        "{found}"
    );
}

#[test]
fn a_role_is_checked_key_by_key() {
    for (text, complaint) in [
        ("read_only = \"yes\"", "4: roles.r.read_only"),
        (
            "read_only = { windw = \"Sun UTC\" }",
            "4: roles.r.read_only",
        ),
        (
            "maintenance = { read_only = true }",
            "4: roles.r.maintenance.read_only: expected a table",
        ),
        (
            "mode = \"observer\"",
            "4: roles.r.mode = \"observer\": expected one of",
        ),
        ("replication = \"on\"", "4: roles.r.replication"),
        (
            "replicatoin = true",
            "4: roles.r.replicatoin: unknown key; did you mean roles.r.replication?",
        ),
        (
            "application_name = \"{usr}\"",
            "4: roles.r.application_name",
        ),
        ("search_path = []", "4: roles.r.search_path"),
        (
            "tables = { alow = \"a.b\" }",
            "4: roles.r.tables.alow: unknown key",
        ),
        (
            "limits = { connections = 0 }",
            "4: roles.r.limits.connections",
        ),
        ("limits = { time = \"0s\" }", "4: roles.r.limits.time"),
        ("limits = { bytes = 0 }", "4: roles.r.limits.bytes"),
        (
            "server = { password = \"x\" }",
            "4: roles.r.server: user is missing",
        ),
    ] {
        let text = format!("[[grant]]\nrole = \"r\"\n[roles.r]\n{text}\n");
        let found = problems(&text);
        assert!(found[0].starts_with(complaint), "{text}: {found:?}");
    }
    assert!(problems("[access]\nmax_statement = \"65MiB\"\n")[0].starts_with("2: access.max"));
}

#[test]
fn a_test_that_fails_is_a_problem_at_its_line() {
    let lines = EXAMPLE.lines().count();
    for (expect, complaint) in [
        (
            "deny: no-shell",
            "the test failed: expected deny: no-shell, got deny: no-schema-changes",
        ),
        (
            "allow",
            "the test failed: expected allow, got deny: no-schema-changes",
        ),
        (
            "deny: no-shel",
            "the role has no such deny rule; did you mean \"no-shell\"?",
        ),
        ("refuse", "expected \"allow\", \"deny\" or \"deny: RULE\""),
    ] {
        let test = format!(
            "[[test]]\nrole = \"app\"\nsql = \"drop table t\"\nat = \"2026-11-24T00:00:00Z\"\n\
             expect = \"{expect}\"\n"
        );
        let line = lines + 5;
        let wanted = format!("{line}: test[1].expect = \"{expect}\": {complaint}");
        assert_eq!(problems(&format!("{EXAMPLE}{test}")), [wanted]);
    }
    let allowed = "[[test]]\nrole = \"app\"\nsql = \"select 1\"\nexpect = \"deny\"\n";
    let found = problems(&format!("{EXAMPLE}{allowed}"));
    assert!(
        found[0].ends_with("the test failed: expected deny, got allow"),
        "{found:?}"
    );
    let broken = "[[test]]\nrole = \"app\"\nsql = \"selec 1\"\nexpect = \"allow\"\n";
    let found = problems(&format!("{EXAMPLE}{broken}"));
    assert!(
        found[0].contains("got deny: unknown (syntax error"),
        "{found:?}"
    );
}

#[test]
fn a_test_says_what_it_lacks() {
    let found = problems(&format!("{EXAMPLE}[[test]]\nrole = \"app\"\n"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("test[1]: sql is missing"), "{found:?}");
}

#[test]
fn tests_hold_in_observe_mode_too() {
    let test = "[[test]]\nrole = \"app\"\nsql = \"copy t to program 'x'\"\nexpect = \"allow\"\n";
    let found = problems(&format!("access.mode = \"observe\"\n{EXAMPLE}{test}"));
    assert!(
        found[0].ends_with("expected allow, got deny: no-shell"),
        "{found:?}"
    );
}
