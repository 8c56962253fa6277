//! From what a text does and what a role may do to a verdict.
//!
//! Every rule is a lock of its own: one that fires refuses, whatever the others say. The order
//! only decides which of them the client hears of.

mod denial;
mod described;
mod objections;

use crate::policy::classification::{Classification, Classified, Unclassifiable};
use crate::policy::condition::Circumstances;
use crate::policy::role::Role;
use crate::policy::rule::{Hit, Rule, RuleName};
use crate::policy::verdict::{Denial, Verdict};
use crate::policy::window::Window;
use crate::wire::sqlstate::SqlState;

pub use described::Described;

/// A role's rules under given circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The role.
    pub role: &'a Role,
    /// When the house or the database may only be read, whatever the role.
    pub maintenance: &'a [Window],
    /// Whether everything is only observed.
    pub observe: bool,
    /// What else may decide.
    pub at: Circumstances<'a>,
}

/// What became of one rule: for who asks why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: RuleName,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It refuses.
    Fired(Box<Denial>),
    /// It is not about anything that the text does.
    Missed,
    /// It would refuse, and is only observed.
    Observed(Box<Denial>),
    /// It does not hold at this time, or for this client.
    NotInForce,
}

/// One lock, in the order in which clients hear of them.
#[derive(Clone, Copy, Debug)]
enum Lock<'a> {
    Default,
    Deny(&'a Rule),
    Lexing,
    Maintenance,
    Opaque,
    ReadOnly,
    SearchPath,
    TablesAllow,
    TablesDeny,
}
/// What a lock has against a statement.
enum Objection<'a> {
    Hit(Hit<'a>),
    /// An update or delete without a WHERE.
    WholeTable,
}
impl<'a> Judge<'a> {
    /// Whether the text may run.
    pub fn verdict(&self, classified: &Classified) -> Verdict {
        let classification = match classified {
            Ok(classification) => classification,
            Err(reason) => {
                return match self.unknown(reason) {
                    Outcome::Fired(denial) => Verdict::Deny(denial),
                    Outcome::Observed(denial) => Verdict::Observe(denial),
                    Outcome::Missed | Outcome::NotInForce => Verdict::Allow,
                };
            }
        };
        let mut observed = None;
        for lock in self.locks() {
            // What a text does is cheaper to look at than what time it is.
            let Some(denial) = self.objects(lock, classification) else {
                continue;
            };
            if !self.is_in_force(lock) {
                continue;
            }
            if !self.is_observed(lock) {
                return Verdict::Deny(Box::new(denial));
            }
            observed.get_or_insert_with(|| Box::new(denial));
        }
        observed.map_or(Verdict::Allow, Verdict::Observe)
    }

    /// Whether no rule has anything against a text, whatever the time and whoever the client:
    /// that can be kept.
    pub fn has_nothing_against(&self, classification: &Classification) -> bool {
        // What is allowed by a rule may be so for a time.
        let is_lasting = self.role.allow.is_empty() && !self.role.default_deny;
        is_lasting
            && self
                .locks()
                .all(|lock| self.objects(lock, classification).is_none())
    }

    /// Every rule and what came of it.
    pub fn trace(&self, classified: &Classified) -> Vec<Finding> {
        let classification = match classified {
            Ok(classification) => classification,
            Err(reason) => {
                return vec![Finding {
                    rule: rule_name("unknown"),
                    outcome: self.unknown(reason),
                }];
            }
        };
        let findings = self.locks().map(|lock| Finding {
            rule: lock.name(),
            outcome: match self.objects(lock, classification) {
                _ if !self.is_in_force(lock) => Outcome::NotInForce,
                None => Outcome::Missed,
                Some(denial) if self.is_observed(lock) => Outcome::Observed(Box::new(denial)),
                Some(denial) => Outcome::Fired(Box::new(denial)),
            },
        });
        findings.collect()
    }

    /// What comes of a text that cannot be judged.
    fn unknown(&self, reason: &Unclassifiable) -> Outcome {
        let denial = Box::new(Denial {
            rule: rule_name("unknown"),
            code: SqlState::FEATURE_NOT_SUPPORTED,
            message: format!("this text cannot be judged: {reason}"),
            statement: 0,
            statements: 0,
            command: "",
            subject: "a text that cannot be judged".into(),
            position: None,
            hint: None,
        });
        if self.role.unknown_allowed || !self.role.has_rules() && self.maintenance.is_empty() {
            Outcome::NotInForce
        } else if self.observe || self.role.observe {
            Outcome::Observed(denial)
        } else {
            Outcome::Fired(denial)
        }
    }

    /// The locks that the role has.
    fn locks(&self) -> impl Iterator<Item = Lock<'a>> {
        let role = self.role;
        let judged = role.has_rules() || !self.maintenance.is_empty();
        let built_in = [
            (
                Lock::ReadOnly,
                role.read_only != crate::policy::role::ReadOnly::Never,
            ),
            (Lock::Maintenance, !self.maintenance.is_empty()),
            (Lock::Lexing, judged),
            (Lock::Opaque, judged),
            (Lock::SearchPath, role.has_table_rules()),
            (Lock::TablesDeny, !role.deny_tables.is_empty()),
            (Lock::TablesAllow, !role.allow_tables.is_empty()),
        ];
        built_in
            .into_iter()
            .filter_map(|(lock, there)| there.then_some(lock))
            .chain(role.deny.iter().map(Lock::Deny))
            .chain(role.default_deny.then_some(Lock::Default))
    }

    fn is_in_force(&self, lock: Lock<'_>) -> bool {
        match lock {
            Lock::Deny(rule) => rule.is_in_force(&self.at),
            Lock::Maintenance => self.is_under_maintenance(),
            Lock::ReadOnly => self.role.is_read_only(self.at.now),
            Lock::Default
            | Lock::Lexing
            | Lock::Opaque
            | Lock::SearchPath
            | Lock::TablesAllow
            | Lock::TablesDeny => true,
        }
    }

    fn is_under_maintenance(&self) -> bool {
        self.maintenance
            .iter()
            .any(|window| window.contains(self.at.now))
    }

    fn is_observed(&self, lock: Lock<'_>) -> bool {
        self.observe || self.role.observe || matches!(lock, Lock::Deny(rule) if rule.observe)
    }

    /// What the lock has against the first statement that it refuses.
    fn objects(&self, lock: Lock<'_>, classification: &Classification) -> Option<Denial> {
        let statements = &classification.statements;
        let mut numbered = statements.iter().zip(1..);
        numbered.find_map(|(statement, number)| {
            let objection = self.objection(lock, statement)?;
            Some(self.denial(lock, statement, (number, statements.len()), &objection))
        })
    }
}

impl Lock<'_> {
    fn name(self) -> RuleName {
        rule_name(match self {
            Self::Default => "default",
            Self::Deny(rule) => return rule.name.clone(),
            Self::Lexing => "lexing",
            Self::Maintenance => "maintenance",
            Self::Opaque => "opaque",
            Self::ReadOnly => "read_only",
            Self::SearchPath => "search_path",
            Self::TablesAllow => "tables.allow",
            Self::TablesDeny => "tables.deny",
        })
    }
}

fn rule_name(name: &str) -> RuleName {
    RuleName(name.into())
}
