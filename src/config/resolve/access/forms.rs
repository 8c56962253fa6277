//! How the values of roles, rules and grants are written.

use std::time::SystemTime;

use ipnet::IpNet;

use super::super::super::forms::{Many, One};
use super::super::super::suggest::closest;
use crate::policy::functions::{Class, FunctionPattern};
use crate::policy::kind::{Group, Kind, Kinds};
use crate::policy::pattern::{Glob, TablePattern};
use crate::policy::window::{EXPECTED, Window};

pub(super) const WINDOW: One<Window> = One {
    expected: EXPECTED,
    read: Window::parse,
};

pub(super) const GLOBS: Many<Glob> = Many(GLOB);

pub(super) const GLOB: One<Glob> = One {
    expected: "a text, in which \"*\" stands for anything",
    read: |text| some(!text.is_empty(), Glob::new(text)),
};

pub(super) const NETWORKS: Many<IpNet> = Many(One {
    expected: "networks such as \"10.2.0.0/16\" or addresses",
    read: |text| {
        let address = || {
            text.parse()
                .ok()
                .map(|address: std::net::IpAddr| address.into())
        };
        text.parse().ok().or_else(address).ok_or_else(String::new)
    },
});

pub(super) const TABLES: Many<TablePattern> = Many(One {
    expected: "tables such as \"public.orders\" or \"public.*\"",
    read: |text| TablePattern::parse(text).ok_or_else(String::new),
});

pub(super) const FUNCTIONS: Many<FunctionPattern> = Many(One {
    expected: "functions such as \"pg_sleep\", \"public.*\" or \"@signal\"",
    read: |text| {
        FunctionPattern::parse(text).ok_or_else(|| {
            if text.starts_with('@') {
                let classes: Vec<_> = Class::ALL.iter().map(|c| format!("@{c}")).collect();
                format!(
                    "unknown class {text}: expected one of {}",
                    classes.join(", ")
                )
            } else {
                String::new()
            }
        })
    },
});

/// Kinds of statements, with the names they were written by.
pub(super) const KINDS: Many<Named> = Many(One {
    expected: "kinds of statements such as \"ddl\" or \"update\"",
    read: |text| {
        Kinds::named(text)
            .map(|kinds| Named(text.into(), kinds))
            .ok_or_else(|| unknown_kind(text))
    },
});

/// The kinds that a name stands for.
pub(super) struct Named(Box<str>, pub(super) Kinds);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn unknown_kind(text: &str) -> String {
    let groups = Group::ALL.into_iter().map(Group::as_str);
    let kinds = Kind::ALL.iter().map(|kind| kind.as_str());
    match closest(text, groups.clone().chain(kinds.clone())) {
        Some(meant) => format!("unknown kind of statements \"{text}\"; did you mean \"{meant}\"?"),
        None => {
            let known: Vec<_> = groups.chain(kinds).collect();
            format!(
                "unknown kind of statements \"{text}\": expected some of {}",
                known.join(", ")
            )
        }
    }
}

pub(super) const UIDS: Many<u32> = Many(One {
    expected: "user ids",
    read: |text| text.parse().map_err(|_| String::new()),
});

/// An instant, as RFC 3339 writes it.
pub(super) const INSTANT: One<Instant> = One {
    expected: "an instant such as \"2026-12-01T00:00:00Z\"",
    read: |text| {
        let time: jiff::Timestamp = text.parse().map_err(|_| String::new())?;
        let time = SystemTime::try_from(time).map_err(|_| String::new())?;
        Ok(Instant(text.into(), time))
    },
};

/// An instant, and how it was written.
pub(super) struct Instant(Box<str>, pub(super) SystemTime);

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn some<T>(is: bool, value: T) -> Result<T, String> {
    if is { Ok(value) } else { Err(String::new()) }
}
