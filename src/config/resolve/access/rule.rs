//! `[[roles.NAME.deny]]` and `[[roles.NAME.allow]]`.

use super::super::super::forms::{OneOf, Text, Word};
use super::super::super::values::Table;
use super::forms::{FUNCTIONS, GLOBS, KINDS, NETWORKS, TABLES, WINDOW};
use crate::policy::condition::Condition;
use crate::policy::kind::{Kind, Kinds};
use crate::policy::rule::{Access, Rule, RuleName};

/// The rules of one list of a role's.
pub(super) fn rules(role: &Table<'_>, list: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (table, number) in role.each(list).iter().zip(1..) {
        let rule = rule(table, &format!("{list} {number}"));
        if rules.iter().any(|other| other.name == rule.name) {
            let complaint = format!(
                "expected a name of its own: there is another \"{}\"",
                rule.name
            );
            table.complain("name", complaint);
        }
        rules.push(rule);
    }
    rules
}

fn rule(table: &Table<'_>, default_name: &str) -> Rule {
    let kinds = table.or("statements", &KINDS, Vec::new());
    let statements = kinds
        .iter()
        .map(|named| named.1)
        .fold(Kinds::NONE, Kinds::or);
    let settings = table.or("settings", &GLOBS, Vec::new());
    let rule = Rule {
        name: RuleName(table.or("name", &Text, default_name.into()).as_str().into()),
        statements,
        functions: table.or("functions", &FUNCTIONS, Vec::new()),
        settings,
        tables: table.or("tables", &TABLES, Vec::new()),
        access: table.maybe("access", &ACCESS),
        missing_where: table.maybe("missing", &Word(&["where"])).is_some(),
        when: condition(table, "when"),
        except: condition(table, "except"),
        hint: table.maybe("hint", &Text).map(Into::into),
        observe: table.or("mode", &Word(&["enforce", "observe"]), "enforce".into()) == "observe",
    };
    let about_nothing = statements.is_empty()
        && rule.functions.is_empty()
        && rule.settings.is_empty()
        && rule.tables.is_empty();
    let well_formed = ["statements", "functions", "settings", "tables"];
    if about_nothing && !well_formed.iter().any(|key| table.has(key)) {
        table.complain_of_table(
            "expected statements, functions, settings or tables: the rule is about nothing",
        );
    }
    let of_where: Kinds = [Kind::Update, Kind::Delete].into_iter().collect();
    if rule.missing_where && statements.and(of_where).is_empty() {
        table.complain(
            "missing",
            "expected \"update\" or \"delete\" among statements",
        );
    }
    if rule.access.is_some() && rule.tables.is_empty() {
        table.complain("access", "expected tables beside it");
    }
    rule
}

/// `{ window, from, user, database }`; `None`: not given.
fn condition(rule: &Table<'_>, key: &str) -> Option<Condition> {
    let table = rule.table(key);
    let condition = Condition {
        window: table.maybe("window", &WINDOW),
        from: table.or("from", &NETWORKS, Vec::new()),
        user: table.or("user", &GLOBS, Vec::new()),
        database: table.or("database", &GLOBS, Vec::new()),
    };
    // One that was written and is about nothing would hold always.
    (condition != Condition::default()).then_some(condition)
}

const ACCESS: OneOf<Access> = OneOf {
    all: &[Access::Read, Access::Write],
    name: Access::as_str,
};
