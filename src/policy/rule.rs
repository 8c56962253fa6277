//! One rule: which effects it is about, and when.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::policy::classification::{Name, Relation, Setting, Statement};
use crate::policy::condition::{Circumstances, Condition};
use crate::policy::functions::FunctionPattern;
use crate::policy::kind::{Kind, Kinds};
use crate::policy::pattern::{Glob, TablePattern, schemas_of};

/// What a rule is called in errors, reports and the audit log.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleName(pub Arc<str>);

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A deny or an allow rule.
///
/// `statements`, `functions` and `settings` are alternatives; `tables`, `access` and
/// `missing_where` narrow `statements`. A rule with `tables` and no alternative is about
/// everything done to these tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// Kinds of effects.
    pub statements: Kinds,
    /// Functions that are called.
    pub functions: Vec<FunctionPattern>,
    /// Run-time parameters that are changed.
    pub settings: Vec<Glob>,
    /// Tables that are touched.
    pub tables: Vec<TablePattern>,
    /// Only reading, or only writing of `tables`; `None`: both.
    pub access: Option<Access>,
    /// Only updates and deletes without a WHERE.
    pub missing_where: bool,
    /// It holds only then.
    pub when: Option<Condition>,
    /// It does not hold then.
    pub except: Option<Condition>,
    /// What to do instead, for who was refused.
    pub hint: Option<Box<str>>,
    /// Log what it would refuse, and let it pass.
    pub observe: bool,
}

/// Reading or writing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Access {
    Read,
    Write,
}

impl Access {
    /// The name in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl FromStr for Access {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut all = [Self::Read, Self::Write].into_iter();
        all.find(|access| access.as_str() == name).ok_or(())
    }
}

/// What of a statement a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hit<'a> {
    /// A function.
    Function(&'a Name),
    /// An effect, on no table in particular.
    Kind(Kind),
    /// A table.
    Relation(&'a Relation),
    /// A run-time parameter.
    Setting(&'a Setting),
}

impl Rule {
    /// A rule of this name about nothing.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self {
            name: RuleName(name.as_ref().into()),
            statements: Kinds::NONE,
            functions: Vec::new(),
            settings: Vec::new(),
            tables: Vec::new(),
            access: None,
            missing_where: false,
            when: None,
            except: None,
            hint: None,
            observe: false,
        }
    }

    /// Whether it holds under these circumstances.
    pub fn is_in_force(&self, at: &Circumstances<'_>) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(at))
            && !self.except.as_ref().is_some_and(|except| except.holds(at))
    }

    /// What it is about, in the words of the settings.
    pub fn about(&self) -> String {
        let mut parts = Vec::new();
        if !self.statements.is_empty() {
            parts.push(format!("statements {}", self.statements));
        }
        let mut add = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                parts.push(format!("{what} {}", names.join(", ")));
            }
        };
        add(
            "functions",
            self.functions.iter().map(ToString::to_string).collect(),
        );
        add(
            "settings",
            self.settings.iter().map(ToString::to_string).collect(),
        );
        add(
            "tables",
            self.tables.iter().map(ToString::to_string).collect(),
        );
        let access = match self.access {
            None => "",
            Some(Access::Read) => " (read)",
            Some(Access::Write) => " (write)",
        };
        let missing = if self.missing_where {
            ", without WHERE"
        } else {
            ""
        };
        format!("{}{access}{missing}", parts.join("; "))
    }

    /// When it holds, in words.
    pub fn holds(&self) -> String {
        match (&self.when, &self.except) {
            (None, None) => "always".to_owned(),
            (Some(when), None) => format!("when {when}"),
            (None, Some(except)) => format!("except {except}"),
            (Some(when), Some(except)) => format!("when {when}, except {except}"),
        }
    }

    /// Whether that changes with time.
    pub fn is_timed(&self) -> bool {
        let conditions = [&self.when, &self.except];
        conditions.into_iter().flatten().any(Condition::is_timed)
    }

    /// The first thing in a statement that it is about.
    pub fn hit<'a>(&self, statement: &'a Statement, search_path: &[Box<str>]) -> Option<Hit<'a>> {
        self.kind_hit(statement, search_path)
            .or_else(|| {
                let called = statement.functions.iter();
                let mut called = called.filter(|name| self.covers_function(name));
                called.next().map(Hit::Function)
            })
            .or_else(|| {
                let changed = statement.settings.iter();
                let mut changed = changed.filter(|setting| self.covers_setting(setting));
                changed.next().map(Hit::Setting)
            })
    }

    fn kind_hit<'a>(&self, statement: &'a Statement, search_path: &[Box<str>]) -> Option<Hit<'a>> {
        let kinds = self.kinds_of(statement);
        if self.tables.is_empty() {
            return kinds.iter().next().map(Hit::Kind);
        }
        let mut touched = statement.relations.iter();
        touched
            .find(|relation| {
                kinds.contains(relation.kind) && self.covers_table(relation, search_path)
            })
            .map(Hit::Relation)
    }

    /// The effects of a statement that it may be about.
    fn kinds_of(&self, statement: &Statement) -> Kinds {
        let about_tables_only = self.statements.is_empty()
            && self.functions.is_empty()
            && self.settings.is_empty()
            && !self.tables.is_empty();
        let kinds = if about_tables_only {
            statement.kinds
        } else {
            statement.kinds.and(self.statements)
        };
        if self.missing_where {
            kinds.and(statement.whole_table)
        } else {
            kinds
        }
    }

    /// Whether it is about this effect; for an allow rule. A kind that touches no table is
    /// covered whatever tables the rule names.
    pub fn covers_kind(&self, kind: Kind, statement: &Statement) -> bool {
        self.kinds_of(statement).contains(kind)
    }

    /// Whether a table is one of those it names; by an unqualified name, if it may be.
    pub fn covers_table(&self, relation: &Relation, search_path: &[Box<str>]) -> bool {
        let access = if relation.writes {
            Access::Write
        } else {
            Access::Read
        };
        self.access.is_none_or(|asked| asked == access)
            && may_match(&self.tables, &relation.name, search_path)
    }

    /// Whether it names a function.
    pub fn covers_function(&self, name: &Name) -> bool {
        self.functions.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether it names a run-time parameter; a computed name may be any.
    pub fn covers_setting(&self, setting: &Setting) -> bool {
        match &setting.name {
            Some(name) => self.settings.iter().any(|glob| glob.matches(name)),
            None => !self.settings.is_empty(),
        }
    }
}

/// Whether a name may be that of a table which one of the patterns stands for.
pub fn may_match(patterns: &[TablePattern], name: &Name, search_path: &[Box<str>]) -> bool {
    schemas_of(name, search_path).any(|schema| is_one_of(patterns, schema, &name.name))
}

/// Whether a name is that of a table which one of the patterns stands for, wherever in the
/// search path it is found.
pub fn must_match(patterns: &[TablePattern], name: &Name, search_path: &[Box<str>]) -> bool {
    let mut schemas = schemas_of(name, search_path).peekable();
    schemas.peek().is_some() && schemas.all(|schema| is_one_of(patterns, schema, &name.name))
}

fn is_one_of(patterns: &[TablePattern], schema: &str, name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(schema, name))
}
