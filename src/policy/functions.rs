//! Functions that do more than compute: a table of them by class, each with its reason.

pub mod table;

use std::fmt;

use crate::policy::classification::Name;
use crate::policy::pattern::Glob;
use table::{GUARDED, Guarded};

/// What a guarded function does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Administers the server: configuration, replication slots, statistics, logs.
    Admin,
    /// Writes large objects.
    LargeObject,
    /// Runs SQL that stands in an argument, here or on another server.
    RunsSql,
    /// Reads or writes the server's files.
    ServerFile,
    /// Signals other sessions.
    Signal,
    /// Writes.
    Write,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::LargeObject => "large_object",
            Self::RunsSql => "runs_sql",
            Self::ServerFile => "server_file",
            Self::Signal => "signal",
            Self::Write => "write",
        })
    }
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [
        Self::Admin,
        Self::LargeObject,
        Self::RunsSql,
        Self::ServerFile,
        Self::Signal,
        Self::Write,
    ];

    /// Whether who may only read may not call it.
    pub fn is_denied_to_readers(self) -> bool {
        match self {
            Self::Admin
            | Self::LargeObject
            | Self::RunsSql
            | Self::ServerFile
            | Self::Signal
            | Self::Write => true,
        }
    }
}

/// A guarded function by its last name, whatever its schema.
pub fn guarded(name: &str) -> Option<&'static Guarded> {
    let found = GUARDED.binary_search_by(|guarded| guarded.name.cmp(name));
    found.ok().and_then(|at| GUARDED.get(at))
}

/// The class of a function by its last name, whatever its schema.
pub fn class_of(name: &str) -> Option<Class> {
    guarded(name).map(|guarded| guarded.class)
}

/// Functions by class, such as `@signal`, or by name, with wildcards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FunctionPattern {
    /// All of a class.
    Class(Class),
    /// Those of this name, of any schema or of one.
    Named(Option<Glob>, Glob),
}

impl FunctionPattern {
    /// Reads `@class`, `name` or `schema.name`; names may have wildcards. `None`: of no such
    /// form, or of a class that there is not.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_prefix('@') {
            let mut all = Class::ALL.into_iter();
            return all.find(|c| c.to_string() == class).map(Self::Class);
        }
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        let is_name = |name: &str| !name.is_empty() && !name.contains(['.', '@']);
        (is_name(name) && schema.is_none_or(is_name))
            .then(|| Self::Named(schema.map(Glob::new), Glob::new(name)))
    }

    /// Whether it stands for this function.
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Self::Class(class) => class_of(&name.name) == Some(*class),
            Self::Named(schema, last) => {
                let fits = |schema: &Glob| name.schema.as_deref().is_none_or(|s| schema.matches(s));
                last.matches(&name.name) && schema.as_ref().is_none_or(fits)
            }
        }
    }
}

impl fmt::Display for FunctionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "@{class}"),
            Self::Named(Some(schema), name) => write!(f, "{schema}.{name}"),
            Self::Named(None, name) => write!(f, "{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_function_is_found() {
        assert!(GUARDED.is_sorted_by(|a, b| a.name < b.name));
        for function in GUARDED {
            assert_eq!(guarded(function.name), Some(function));
            assert!(function.since >= 13 && !function.reason.is_empty());
        }
        assert_eq!(class_of("pg_terminate_backend"), Some(Class::Signal));
        assert_eq!(class_of("lower"), None);
    }

    #[test]
    fn every_class_has_functions() {
        for class in Class::ALL {
            assert!(GUARDED.iter().any(|f| f.class == class), "{class}");
        }
    }

    #[test]
    fn patterns_are_read_as_they_are_written() {
        for text in [
            "@signal",
            "@large_object",
            "lo_*",
            "pg_catalog.lo_get",
            "app*.f",
        ] {
            let pattern = FunctionPattern::parse(text);
            assert_eq!(pattern.map(|p| p.to_string()).as_deref(), Some(text));
        }
        for text in ["", "@", "@signals", "a.b.c", ".f", "s.", "@Signal"] {
            assert_eq!(FunctionPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_schema_that_is_not_written_may_be_any() {
        let name = |schema: Option<&str>| Name {
            schema: schema.map(Into::into),
            name: "f".into(),
        };
        let pattern = FunctionPattern::parse("app.f").unwrap();
        assert!(pattern.matches(&name(None)) && pattern.matches(&name(Some("app"))));
        assert!(!pattern.matches(&name(Some("other"))));
        let class = FunctionPattern::parse("@write").unwrap();
        assert!(class.matches(&Name {
            schema: Some("x".into()),
            name: "nextval".into(),
        }));
    }
}
