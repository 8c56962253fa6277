//! `[[roles.NAME.deny]]` and `[[roles.NAME.allow]]`.

use std::collections::BTreeSet;

use super::super::super::forms::{Choice, FUNCTION, GLOB, List, STATEMENTS, TABLE, Text, Word};
use super::super::super::values::Table;
use super::MODE;
use super::conditions::condition;
use crate::policy::kind::{Kind, Kinds};
use crate::policy::pattern::Glob;
use crate::policy::rule::{Access, Rule, RuleName};

/// A role's rules.
pub(super) struct Rules {
    pub(super) deny: Vec<Rule>,
    pub(super) allow: Vec<Rule>,
}

pub(super) fn rules(role: &Table<'_>, default_deny: bool) -> Rules {
    let mut names = BTreeSet::new();
    let mut read = |key: &str| -> Vec<Rule> {
        let tables = role.list(key);
        let numbered = (1..).zip(&tables);
        let rules = numbered.map(|(number, table)| {
            let rule = rule(table, &format!("{key} {number}"));
            if BUILT_IN.contains(&&*rule.name.0) {
                table.complain(
                    "name",
                    "is that of a rule which is built in: expected another",
                );
            } else if !names.insert(rule.name.clone()) {
                let key = if table.has("name") { "name" } else { "" };
                let complaint = format!("the role has two rules \"{}\"", rule.name);
                match key {
                    "" => table.complain_of_table(complaint),
                    key => table.complain(key, complaint),
                }
            }
            if key == "allow" && !default_deny && rule.statements.and(hidden()).is_empty() {
                table.complain_of_table(
                    "allows what is allowed anyway: expected default = \"deny\" in the role",
                );
            }
            rule
        });
        rules.collect()
    };
    Rules {
        deny: read("deny"),
        allow: read("allow"),
    }
}

fn rule(table: &Table<'_>, default_name: &str) -> Rule {
    let name = table.maybe("name", &Text);
    let statements = table.maybe("statements", &List(STATEMENTS));
    let statements = statements.unwrap_or_default().into_iter();
    let settings = table.maybe("settings", &List(GLOB)).unwrap_or_default();
    let rule = Rule {
        name: RuleName(name.as_deref().unwrap_or(default_name).into()),
        statements: statements
            .map(|named| named.kinds)
            .fold(Kinds::NONE, Kinds::or),
        functions: table
            .maybe("functions", &List(FUNCTION))
            .unwrap_or_default(),
        // Names of run-time parameters have no case.
        settings: settings
            .iter()
            .map(|glob| Glob::new(&glob.as_str().to_lowercase()))
            .collect(),
        tables: table.maybe("tables", &List(TABLE)).unwrap_or_default(),
        access: table.maybe("access", &ACCESS),
        missing_where: table.maybe("missing", &Word(&["where"])).is_some(),
        when: condition(table, "when"),
        except: condition(table, "except"),
        hint: table.maybe("hint", &Text).map(String::into_boxed_str),
        observe: table.or("mode", &MODE, false),
    };
    check(table, &rule);
    rule
}

/// A rule that cannot mean what it says is refused.
fn check(table: &Table<'_>, rule: &Rule) {
    let names_something = |keys: &[&str]| keys.iter().any(|key| table.has(key));
    if !names_something(&["statements", "functions", "settings", "tables"]) {
        table.complain_of_table(
            "a rule about nothing: expected statements, functions, settings or tables",
        );
    }
    let row_changes = Kinds::from(Kind::Update).or(Kind::Delete.into());
    if table.has("missing") && rule.statements.and(row_changes).is_empty() {
        table.complain(
            "missing",
            "expected \"update\" or \"delete\" among the rule's statements",
        );
    }
    if table.has("access") && !table.has("tables") {
        table.complain("access", "expected tables to go with it");
    }
    if table.has("tables")
        && !table.has("statements")
        && names_something(&["functions", "settings"])
    {
        table.complain(
            "tables",
            "expected statements to go with them, or a rule of their own: \
             functions and settings have no tables",
        );
    }
}

/// What is refused unless it is allowed by name, whatever the role's default.
fn hidden() -> Kinds {
    Kinds::from(Kind::Do).or(Kind::FunctionCall.into())
}

const ACCESS: Choice<Access> = Choice(&[("read", Access::Read), ("write", Access::Write)]);
/// What settings of the role are called where a rule's name is wanted.
pub(super) const BUILT_IN: [&str; 9] = [
    "default",
    "lexing",
    "maintenance",
    "opaque",
    "read_only",
    "search_path",
    "tables.allow",
    "tables.deny",
    "unknown",
];
