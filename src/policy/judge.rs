//! From what a text does and what a role may do to a verdict.
//!
//! Every rule is a lock of its own: one that fires refuses, whatever the others say. The order
//! only decides which of them the client hears of.

use std::ops::ControlFlow;

use crate::policy::catalog;
use crate::policy::classification::{
    Classification, Classified, Name, Relation, Setting, Statement, Unclassifiable, Value,
};
use crate::policy::condition::Circumstances;
use crate::policy::functions::{Class, class_of};
use crate::policy::kind::{Kind, Kinds};
use crate::policy::role::Role;
use crate::policy::rule::{Hit, Rule, RuleName, may_match, must_match};
use crate::policy::verdict::{Denial, Verdict};
use crate::policy::window::Window;
use crate::wire::sqlstate::SqlState;

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

/// A rule of a role's, its own or one that a setting stands for, for people to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// Its name.
    pub name: RuleName,
    /// What it refuses.
    pub about: String,
    /// When it holds.
    pub holds: String,
    /// Whether it is only observed.
    pub observe: bool,
}

/// What a lock has against a statement.
enum Objection<'a> {
    Hit(Hit<'a>),
    /// An update or delete without a WHERE.
    WholeTable,
}

impl<'a> Judge<'a> {
    /// Every rule of a role, in the order in which clients hear of them.
    pub fn rules_of(role: &Role, maintenance: &[Window]) -> Vec<Described> {
        let judge = Judge {
            role,
            maintenance,
            observe: false,
            at: Circumstances {
                now: std::time::SystemTime::UNIX_EPOCH,
                user: "",
                address: None,
                database: "",
            },
        };
        judge.locks().map(|lock| judge.described(lock)).collect()
    }

    /// Whether the text may run.
    pub fn verdict(&self, classified: &Classified) -> Verdict {
        let mut observed = None;
        let denied = self.each(classified, &mut |finding| match finding.outcome {
            Outcome::Fired(denial) => ControlFlow::Break(denial),
            Outcome::Observed(denial) => {
                observed.get_or_insert(denial);
                ControlFlow::Continue(())
            }
            Outcome::Missed | Outcome::NotInForce => ControlFlow::Continue(()),
        });
        match (denied, observed) {
            (ControlFlow::Break(denial), _) => Verdict::Deny(denial),
            (ControlFlow::Continue(()), Some(denial)) => Verdict::Observe(denial),
            (ControlFlow::Continue(()), None) => Verdict::Allow,
        }
    }

    /// Every rule and what came of it.
    pub fn trace(&self, classified: &Classified) -> Vec<Finding> {
        let mut findings = Vec::new();
        let _: ControlFlow<()> = self.each(classified, &mut |finding| {
            findings.push(finding);
            ControlFlow::Continue(())
        });
        findings
    }

    fn each<B>(
        &self,
        classified: &Classified,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let classification = match classified {
            Ok(classification) => classification,
            Err(reason) => return self.unknown(reason, tell),
        };
        for lock in self.locks() {
            let name = lock.name();
            if !self.is_in_force(lock) {
                tell(Finding {
                    rule: name,
                    outcome: Outcome::NotInForce,
                })?;
                continue;
            }
            let outcome = match self.objects(lock, classification) {
                None => Outcome::Missed,
                Some(denial) if self.is_observed(lock) => Outcome::Observed(Box::new(denial)),
                Some(denial) => Outcome::Fired(Box::new(denial)),
            };
            tell(Finding {
                rule: name,
                outcome,
            })?;
        }
        ControlFlow::Continue(())
    }

    fn unknown<B>(
        &self,
        reason: &Unclassifiable,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
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
        let outcome =
            if self.role.unknown_allowed || !self.role.has_rules() && self.maintenance.is_empty() {
                Outcome::NotInForce
            } else if self.observe || self.role.observe {
                Outcome::Observed(denial)
            } else {
                Outcome::Fired(denial)
            };
        tell(Finding {
            rule: rule_name("unknown"),
            outcome,
        })
    }

    fn described(&self, lock: Lock<'_>) -> Described {
        let list = |patterns: &[crate::policy::pattern::TablePattern]| {
            let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
            patterns.join(", ")
        };
        let about = match lock {
            Lock::Default => "what no allow rule speaks of".to_owned(),
            Lock::Deny(rule) => rule.about(),
            Lock::Lexing => "parameters that change how texts are read".to_owned(),
            Lock::Maintenance | Lock::ReadOnly => format!(
                "{}; parameters that end read-only mode; functions {}",
                not_reading(),
                Class::ALL
                    .iter()
                    .filter(|class| class.is_denied_to_readers())
                    .map(|class| format!("@{class}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
            Lock::Opaque => "do, function_call: what they do cannot be seen".to_owned(),
            Lock::SearchPath => "search_path; functions @runs_sql".to_owned(),
            Lock::TablesAllow => format!("tables other than {}", list(&self.role.allow_tables)),
            Lock::TablesDeny => format!("tables {}", list(&self.role.deny_tables)),
        };
        let holds = match lock {
            Lock::Deny(rule) => rule.holds(),
            Lock::Maintenance => self
                .maintenance
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            Lock::ReadOnly => match &self.role.read_only {
                crate::policy::role::ReadOnly::During(window) => window.to_string(),
                crate::policy::role::ReadOnly::Always | crate::policy::role::ReadOnly::Never => {
                    "always".to_owned()
                }
            },
            Lock::Default
            | Lock::Lexing
            | Lock::Opaque
            | Lock::SearchPath
            | Lock::TablesAllow
            | Lock::TablesDeny => "always".to_owned(),
        };
        Described {
            name: lock.name(),
            about,
            holds,
            observe: matches!(lock, Lock::Deny(rule) if rule.observe),
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

    fn objection<'s>(&self, lock: Lock<'_>, statement: &'s Statement) -> Option<Objection<'s>> {
        let hit = match lock {
            Lock::ReadOnly | Lock::Maintenance => against_read_only(statement),
            Lock::Lexing => {
                let mut changed = statement.settings.iter();
                changed.find(|s| changes_lexing(s)).map(Hit::Setting)
            }
            Lock::Opaque => {
                let hidden = Kinds::from(Kind::Do).or(Kind::FunctionCall.into());
                let mut hidden = statement.kinds.and(hidden).iter();
                let allowed = |kind: &Kind| {
                    let mut allow = self.role.allow.iter();
                    allow.any(|rule| rule.statements.contains(*kind) && rule.is_in_force(&self.at))
                };
                hidden.find(|kind| !allowed(kind)).map(Hit::Kind)
            }
            Lock::SearchPath => self.against_search_path(statement),
            Lock::TablesDeny => {
                let (tables, path) = (&self.role.deny_tables, &self.role.search_path);
                let mut touched = statement.relations.iter();
                touched
                    .find(|relation| may_match(tables, &relation.name, path))
                    .map(Hit::Relation)
            }
            Lock::TablesAllow => {
                let mut touched = statement.relations.iter();
                touched
                    .find(|relation| !self.is_allowed_table(relation))
                    .map(Hit::Relation)
            }
            Lock::Deny(rule) => {
                let hit = rule.hit(statement, &self.role.search_path);
                if rule.missing_where && matches!(hit, Some(Hit::Kind(_) | Hit::Relation(_))) {
                    return Some(Objection::WholeTable);
                }
                hit
            }
            Lock::Default => self.against_default(statement),
        };
        hit.map(Objection::Hit)
    }

    /// A function that runs SQL of its own reads any table; a search_path of the client's makes
    /// any table answer to an unqualified name.
    fn against_search_path<'s>(&self, statement: &'s Statement) -> Option<Hit<'s>> {
        let pinned = |setting: &&Setting| {
            setting
                .name
                .as_deref()
                .is_none_or(|name| name == "search_path")
                && setting.value != Value::Default
        };
        let runs_sql = |name: &&Name| class_of(&name.name) == Some(Class::RunsSql);
        let changed = statement.settings.iter().find(pinned).map(Hit::Setting);
        changed.or_else(|| statement.functions.iter().find(runs_sql).map(Hit::Function))
    }

    fn is_allowed_table(&self, relation: &Relation) -> bool {
        let (name, path) = (&relation.name, &self.role.search_path);
        must_match(&self.role.allow_tables, name, path)
            || (!relation.writes && catalog::is_catalog(name))
            || name.schema.as_deref() == Some("pg_temp")
    }

    /// The first effect that no allow rule covers.
    fn against_default<'s>(&self, statement: &'s Statement) -> Option<Hit<'s>> {
        let role = self.role;
        let rules: Vec<_> = role
            .allow
            .iter()
            .filter(|rule| rule.is_in_force(&self.at))
            .collect();
        let covers_kind = |kind: Kind| {
            let mut covering = rules
                .iter()
                .filter(|rule| rule.covers_kind(kind, statement))
                .peekable();
            covering.peek().is_some()
        };
        let covers_table = |relation: &Relation| {
            (!relation.writes && catalog::is_catalog(&relation.name))
                || rules.iter().any(|rule| {
                    rule.covers_kind(relation.kind, statement)
                        && (rule.tables.is_empty()
                            || (rule.covers_table(relation, &role.search_path)
                                && must_match(&rule.tables, &relation.name, &role.search_path)))
                })
        };
        let covers_function = |name: &Name| {
            class_of(&name.name).is_none() || rules.iter().any(|rule| rule.covers_function(name))
        };
        let covers_setting = |setting: &Setting| {
            !needs_permission(setting) || rules.iter().any(|rule| rule.covers_setting(setting))
        };
        let kind = statement.kinds.iter().find(|kind| !covers_kind(*kind));
        kind.map(Hit::Kind)
            .or_else(|| {
                statement
                    .relations
                    .iter()
                    .find(|r| !covers_table(r))
                    .map(Hit::Relation)
            })
            .or_else(|| {
                statement
                    .functions
                    .iter()
                    .find(|f| !covers_function(f))
                    .map(Hit::Function)
            })
            .or_else(|| {
                statement
                    .settings
                    .iter()
                    .find(|s| !covers_setting(s))
                    .map(Hit::Setting)
            })
    }

    fn denial(
        &self,
        lock: Lock<'_>,
        statement: &Statement,
        (number, statements): (usize, usize),
        objection: &Objection<'_>,
    ) -> Denial {
        let command = statement.command;
        let subject = match objection {
            Objection::WholeTable => format!("{command} without WHERE"),
            Objection::Hit(Hit::Kind(_)) => command.to_owned(),
            Objection::Hit(Hit::Relation(relation)) => format!("table {}", quoted(&relation.name)),
            Objection::Hit(Hit::Function(name)) => format!("function {}", quoted(name)),
            Objection::Hit(Hit::Setting(setting)) => match &setting.name {
                Some(name) => format!("setting parameter \"{name}\""),
                None => "setting a parameter whose name is computed".into(),
            },
        };
        let role = &self.role.name;
        let (code, message) = match lock {
            Lock::ReadOnly | Lock::Maintenance => (
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {subject} in a read-only transaction"),
            ),
            Lock::Opaque => (
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{subject} cannot be judged for role \"{role}\""),
            ),
            Lock::Default
            | Lock::Deny(_)
            | Lock::Lexing
            | Lock::SearchPath
            | Lock::TablesAllow
            | Lock::TablesDeny => (
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: {subject} is not allowed for role \"{role}\""),
            ),
        };
        let hint = match lock {
            Lock::Deny(rule) => rule.hint.clone(),
            Lock::Maintenance => {
                Some("The database is under maintenance: it may only be read for now.".into())
            }
            Lock::Default
            | Lock::Lexing
            | Lock::Opaque
            | Lock::ReadOnly
            | Lock::SearchPath
            | Lock::TablesAllow
            | Lock::TablesDeny => None,
        };
        Denial {
            rule: lock.name(),
            code,
            message,
            statement: number,
            statements,
            command,
            subject,
            position: Some(statement.position),
            hint,
        }
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

fn quoted(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("\"{schema}.{}\"", name.name),
        None => format!("\"{}\"", name.name),
    }
}

/// What in a statement may not be done by who may only read.
fn against_read_only(statement: &Statement) -> Option<Hit<'_>> {
    let kind = statement.kinds.and(not_reading()).iter().next();
    kind.map(Hit::Kind)
        .or_else(|| {
            statement
                .settings
                .iter()
                .find(|s| escapes_read_only(s))
                .map(Hit::Setting)
        })
        .or_else(|| {
            let guarded =
                |name: &&Name| class_of(&name.name).is_some_and(Class::is_denied_to_readers);
            statement.functions.iter().find(guarded).map(Hit::Function)
        })
}

/// The kinds of effects that change something, or may hide a change.
fn not_reading() -> Kinds {
    use crate::policy::kind::Group;
    let single = [
        Kind::CopyFile,
        Kind::CopyProgram,
        Kind::Load,
        Kind::Notify,
        Kind::ReadWrite,
        Kind::RowLock,
        Kind::SetRole,
    ];
    let groups = [
        Group::Dcl,
        Group::Ddl,
        Group::Maintenance,
        Group::Opaque,
        Group::RoleAdmin,
        Group::Write,
    ];
    let groups = groups.into_iter().map(Group::kinds);
    groups.fold(single.into_iter().collect(), Kinds::or)
}

/// Whether a change of a parameter would end read-only mode, or do what only a superuser may.
fn escapes_read_only(setting: &Setting) -> bool {
    match setting.name.as_deref() {
        None => true,
        // On PostgreSQL 15 and older a RESET of this one makes the transaction read-write.
        Some("transaction_read_only") => !is_true(&setting.value),
        Some("default_transaction_read_only") => {
            setting.value != Value::Default && !is_true(&setting.value)
        }
        Some(name) => SUPERUSERS.contains(&name) && setting.value != Value::Default,
    }
}

/// Whether a change of a parameter changes how the server reads texts: what was judged would
/// not be what runs.
fn changes_lexing(setting: &Setting) -> bool {
    match (setting.name.as_deref(), &setting.value) {
        // It may be one of these: see `Classification::sets_computed`.
        (None, _) => false,
        (Some("standard_conforming_strings"), value) => *value != Value::Default && !is_true(value),
        (Some("backslash_quote"), value) => *value != Value::Default,
        (Some("client_encoding"), Value::Constant(name)) => !is_safe_encoding(name),
        (Some("client_encoding"), Value::Computed) => true,
        (Some(_), _) => false,
    }
}

/// Where the default is to refuse: whether a change of a parameter is more than "set" covers.
pub fn needs_permission(setting: &Setting) -> bool {
    setting.name.is_none() || changes_lexing(setting) || escapes_read_only(setting)
}

/// Whether texts in a client encoding are read by the server as they are judged here. In
/// encodings like SJIS the second byte of a character can be a backslash.
pub fn is_safe_encoding(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii")
}

/// Whether a constant is one of PostgreSQL's ways to write true: `on`, `1`, or the beginning of
/// `true` or `yes`.
fn is_true(value: &Value) -> bool {
    let Value::Constant(text) = value else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    !text.is_empty()
        && (matches!(text.as_str(), "on" | "1")
            || "true".starts_with(&text)
            || "yes".starts_with(&text))
}

/// Parameters that nobody who only reads has to do with.
const SUPERUSERS: [&str; 4] = [
    "allow_system_table_mods",
    "lo_compat_privileges",
    "session_replication_role",
    "zero_damaged_pages",
];
