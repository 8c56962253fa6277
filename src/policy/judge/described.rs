//! What each rule of a role refuses, for people to read.

use crate::policy::condition::Circumstances;
use crate::policy::functions::Class;
use crate::policy::judge::objections::NOT_READING;
use crate::policy::judge::{Judge, Lock};
use crate::policy::role::{ReadOnly, Role};
use crate::policy::rule::RuleName;
use crate::policy::window::Window;

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

impl Judge<'_> {
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
                *NOT_READING,
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
                ReadOnly::During(window) => window.to_string(),
                ReadOnly::Always | ReadOnly::Never => "always".to_owned(),
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
}
