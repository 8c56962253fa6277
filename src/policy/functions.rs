//! Functions that do more than compute: a table of them by class, each with its reason.

use std::fmt;

use crate::policy::classification::Name;
use crate::policy::pattern::Glob;

/// What a guarded function does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Administers the server: configuration, replication slots, statistics, logs.
    Admin,
    /// Reads or writes large objects.
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
        true
    }
}

/// The class of a function by its last name, whatever its schema.
pub fn class_of(_name: &str) -> Option<Class> {
    None
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
            Self::Class(class) => write!(f, "@{class:?}"),
            Self::Named(Some(schema), name) => write!(f, "{schema}.{name}"),
            Self::Named(None, name) => write!(f, "{name}"),
        }
    }
}
