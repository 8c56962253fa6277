//! A role: what its holders may do, and how much of it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::policy::limits::Limits;
use crate::policy::pattern::TablePattern;
use crate::policy::rule::Rule;
use crate::policy::window::Window;

/// The name of a role.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RoleName(Arc<str>);

impl RoleName {
    /// A name as it was written.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(name.as_ref().into())
    }

    /// The name without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a role's holders may do. The default is everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Its name; of who has no role, the user's own.
    pub name: RoleName,
    /// Log what would be refused, and let it pass.
    pub observe: bool,
    /// Whether what no rule speaks of is refused.
    pub default_deny: bool,
    /// When it may only read.
    pub read_only: ReadOnly,
    /// Whether a text that cannot be judged passes.
    pub unknown_allowed: bool,
    /// Tables it may use; empty: all.
    pub allow_tables: Vec<TablePattern>,
    /// Tables it may not use.
    pub deny_tables: Vec<TablePattern>,
    /// The servers' search_path where tables matter: in it unqualified names are found.
    pub search_path: Vec<Box<str>>,
    /// What is refused.
    pub deny: Vec<Rule>,
    /// What passes where the default is to refuse.
    pub allow: Vec<Rule>,
    /// How much.
    pub limits: Limits,
    /// Whether replication connections are let in; what they do is not judged.
    pub replication: bool,
    /// What is written to the audit log besides the refusals.
    pub audit: RoleAudit,
    /// What servers see as application_name: `{user}`, `{role}`, `{address}`, `{database}` and
    /// `{application_name}` stand for the client's. `None`: what the client says.
    pub application_name: Option<Box<str>>,
}

/// When a role may only read.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ReadOnly {
    /// Always.
    Always,
    /// In this window.
    During(Window),
    /// Never.
    #[default]
    Never,
}

/// What of a role's doings is written to the audit log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RoleAudit {
    /// Every statement, not only refusals.
    pub statements: bool,
}

impl Role {
    /// A role without rules.
    pub fn free(name: RoleName) -> Self {
        Self {
            name,
            observe: false,
            default_deny: false,
            read_only: ReadOnly::Never,
            unknown_allowed: false,
            allow_tables: Vec::new(),
            deny_tables: Vec::new(),
            search_path: vec!["public".into()],
            deny: Vec::new(),
            allow: Vec::new(),
            limits: Limits::default(),
            replication: false,
            audit: RoleAudit::default(),
            application_name: None,
        }
    }

    /// Whether its statements are judged: if not, their texts are not looked at.
    pub fn has_rules(&self) -> bool {
        self.default_deny
            || self.read_only != ReadOnly::Never
            || self.has_table_rules()
            || !self.deny.is_empty()
    }

    /// Whether it matters which tables a statement names.
    pub fn has_table_rules(&self) -> bool {
        let named = |rules: &[Rule]| rules.iter().any(|rule| !rule.tables.is_empty());
        !self.allow_tables.is_empty()
            || !self.deny_tables.is_empty()
            || named(&self.deny)
            || named(&self.allow)
    }

    /// Whether the same statement may be judged otherwise at another time.
    pub fn is_timed(&self) -> bool {
        matches!(self.read_only, ReadOnly::During(_))
            || self.deny.iter().chain(&self.allow).any(Rule::is_timed)
    }

    /// Whether it may only read at that time.
    pub fn is_read_only(&self, now: SystemTime) -> bool {
        match &self.read_only {
            ReadOnly::Always => true,
            ReadOnly::During(window) => window.contains(now),
            ReadOnly::Never => false,
        }
    }
}
