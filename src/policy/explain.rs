//! Why a text would be allowed or refused, for people to read.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::policy::cache::Cache;
use crate::policy::classification::{Classified, Name, Statement, Value};
use crate::policy::judge::{Described, Finding, Judge, Outcome};
use crate::policy::verdict::Verdict;

/// What a text does, what each rule of a role has to say to that, and what comes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// What it does, statement by statement, then every rule, then the verdict.
    pub rows: Vec<Row>,
    /// What comes of it.
    pub verdict: Verdict,
}

/// One thing about a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Which statement it is about, from 1; `None`: the text as a whole.
    pub statement: Option<usize>,
    /// What it tells of: `command`, `effects`, `table`, `function`, `setting`, `rule` or
    /// `verdict`.
    pub item: &'static str,
    /// The rule, of rules and of a verdict that one has led to.
    pub rule: String,
    /// What came of a rule: `refuses`, `would refuse`, `is not about it` or `not in force`; of
    /// the verdict: `allow`, `observe` or `deny`.
    pub outcome: &'static str,
    /// What there is to say about it.
    pub detail: String,
}

/// Explains what a judge says to a text; one of more than `limit` bytes cannot be judged.
pub fn of_role(judge: &Judge<'_>, text: &[u8], limit: usize) -> Explanation {
    let classified = Cache::new(0).classify(text, limit);
    let verdict = judge.verdict(&classified);
    let mut rows = effects(&classified);
    let described = Judge::rules_of(judge.role, judge.maintenance);
    let findings = judge.trace(&classified).into_iter();
    rows.extend(findings.map(|finding| of_finding(finding, &described)));
    rows.push(of_verdict(&verdict));
    Explanation { rows, verdict }
}

/// Everything that is refused to a role, a rule a line.
pub fn rules(judge: &Judge<'_>) -> Vec<Row> {
    let described = Judge::rules_of(judge.role, judge.maintenance);
    let observed = judge.observe || judge.role.observe;
    let rows = described.into_iter().map(|rule| Row {
        statement: None,
        item: "rule",
        outcome: if observed || rule.observe {
            "would refuse"
        } else {
            "refuses"
        },
        detail: format!("{} ({})", rule.about, rule.holds),
        rule: rule.name.to_string(),
    });
    rows.collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            item,
            rule,
            outcome,
            detail,
            ..
        } = self;
        match (*item, self.statement) {
            ("command", Some(number)) => write!(f, "statement {number}: {detail}"),
            ("verdict", _) => {
                write!(f, "verdict: {outcome}")?;
                if !rule.is_empty() {
                    write!(f, " by rule {rule}")?;
                }
                if !detail.is_empty() {
                    write!(f, ": {detail}")?;
                }
                Ok(())
            }
            ("rule", _) => {
                write!(f, "rule {rule:<20} {outcome:<15} {detail}")
            }
            (item, _) => write!(f, "  {item:<9} {detail}"),
        }
    }
}

fn effects(classified: &Classified) -> Vec<Row> {
    let row = |statement, item, detail| Row {
        statement,
        item,
        rule: String::new(),
        outcome: "",
        detail,
    };
    match classified {
        Ok(classification) => {
            let numbered = (1..).zip(&classification.statements);
            let rows = numbered.flat_map(|(number, statement)| {
                let lines = of_statement(statement).into_iter();
                lines.map(move |(item, detail)| row(Some(number), item, detail))
            });
            rows.collect()
        }
        Err(reason) => vec![row(None, "unknown", reason.to_string())],
    }
}

fn of_statement(statement: &Statement) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("command", statement.command.to_owned()),
        ("effects", statement.kinds.to_string()),
    ];
    for relation in &statement.relations {
        let access = if relation.writes { "writes" } else { "reads" };
        let kind = relation.kind.as_str();
        lines.push((
            "table",
            format!("{} ({kind}, {access})", shown(&relation.name)),
        ));
    }
    for function in &statement.functions {
        let class = crate::policy::functions::class_of(&function.name);
        let class = class
            .map(|class| format!(" (@{class})"))
            .unwrap_or_default();
        lines.push(("function", format!("{}{class}", shown(function))));
    }
    for setting in &statement.settings {
        let name = setting.name.as_deref().unwrap_or("a computed name");
        let value = match &setting.value {
            Value::Computed => "a computed value".into(),
            Value::Constant(value) => format!("{value:?}"),
            Value::Default => "its default".into(),
        };
        lines.push(("setting", format!("{name} to {value}")));
    }
    if !statement.whole_table.is_empty() {
        lines.push(("no WHERE", statement.whole_table.to_string()));
    }
    if let Some(name) = &statement.prepares {
        lines.push(("prepares", name.to_string()));
    }
    if let Some(name) = &statement.executes {
        lines.push(("executes", name.to_string()));
    }
    lines
}

fn of_finding(finding: Finding, described: &[Described]) -> Row {
    let rule = described.iter().find(|rule| rule.name == finding.rule);
    let about = rule.map(|rule| format!("{} ({})", rule.about, rule.holds));
    let about = about.unwrap_or_else(|| "texts that cannot be judged".into());
    let (statement, outcome, detail) = match finding.outcome {
        Outcome::Fired(denial) => (Some(denial.statement), "refuses", denial.subject),
        Outcome::Observed(denial) => (Some(denial.statement), "would refuse", denial.subject),
        Outcome::Missed => (None, "is not about it", about),
        Outcome::NotInForce => (None, "not in force", about),
    };
    let statement = statement.filter(|number| *number > 0);
    let detail = match statement {
        Some(number) => format!("{detail}, in statement {number}"),
        None => detail,
    };
    Row {
        statement,
        item: "rule",
        rule: finding.rule.to_string(),
        outcome,
        detail,
    }
}

fn of_verdict(verdict: &Verdict) -> Row {
    let (outcome, denial) = match verdict {
        Verdict::Allow => ("allow", None),
        Verdict::Observe(denial) => ("observe", Some(denial)),
        Verdict::Deny(denial) => ("deny", Some(denial)),
    };
    let detail = denial.map(|denial| {
        let hint = denial.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
        let code = denial.code;
        format!("{code} {}{}", denial.message, hint.unwrap_or_default())
    });
    Row {
        statement: None,
        item: "verdict",
        rule: denial
            .map(|denial| denial.rule.to_string())
            .unwrap_or_default(),
        outcome,
        detail: detail.unwrap_or_default(),
    }
}

fn shown(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    }
}
