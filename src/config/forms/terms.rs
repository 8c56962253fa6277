//! The terms of access control, as they are written.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use jiff::Timestamp;

use super::super::suggest::closest;
use super::list::Parsed;
use crate::policy::functions::{Class, FunctionPattern};
use crate::policy::kind::{Group, Kind, Kinds};
use crate::policy::pattern::{Glob, TablePattern};
use crate::policy::window::Window;

/// The kinds that a word stands for, and the word.
#[derive(Clone, Debug)]
pub(in super::super) struct NamedKinds {
    name: String,
    pub(in super::super) kinds: Kinds,
}

impl fmt::Display for NamedKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Instant(pub(in super::super) SystemTime);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::try_from(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => f.write_str("beyond the calendar"),
        }
    }
}

/// A name, with `*` for any characters.
pub(in super::super) const GLOB: Parsed<Glob> = Parsed {
    expected: "a text in quotes that is not empty; * stands for any characters",
    parse: |text| Ok(Glob::new(text)),
};

/// `schema.name`, both perhaps with `*`.
pub(in super::super) const TABLE: Parsed<TablePattern> = Parsed {
    expected: TABLE_EXPECTED,
    parse: |text| {
        TablePattern::parse(text).ok_or_else(|| format!("{text:?}: expected {TABLE_EXPECTED}"))
    },
};

/// `@class`, `name` or `schema.name`.
pub(in super::super) const FUNCTION: Parsed<FunctionPattern> = Parsed {
    expected: FUNCTION_EXPECTED,
    parse: |text| FunctionPattern::parse(text).ok_or_else(|| no_function(text)),
};

/// The name of a kind of statement or of a group of them.
pub(in super::super) const STATEMENTS: Parsed<NamedKinds> = Parsed {
    expected: "a kind of statement such as \"drop\", or a group of them such as \"ddl\"",
    parse: |text| match Kinds::named(text) {
        Some(kinds) => Ok(NamedKinds {
            name: text.to_owned(),
            kinds,
        }),
        None => Err(no_statement(text)),
    },
};

/// An address, or a network with the length of its prefix.
pub(in super::super) const NETWORK: Parsed<IpNet> = Parsed {
    expected: NETWORK_EXPECTED,
    parse: network,
};

/// A window.
pub(in super::super) const WINDOW: Parsed<Window> = Parsed {
    expected: "a window such as \"Sun 02:00-04:00 Europe/Paris\" or \
         \"2026-12-01 22:00/23:30 UTC\"",
    parse: Window::parse,
};

/// A point in time.
pub(in super::super) const INSTANT: Parsed<Instant> = Parsed {
    expected: INSTANT_EXPECTED,
    parse: |text| {
        let instant = text.parse::<Timestamp>().ok();
        instant
            .and_then(|instant| SystemTime::try_from(instant).ok())
            .map(Instant)
            .ok_or_else(|| format!("expected {INSTANT_EXPECTED}"))
    },
};

fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text
            .parse()
            .map_err(|_| format!("{text:?}: expected {NETWORK_EXPECTED}"))?,
    };
    if network.addr() != network.network() {
        let meant = network.trunc();
        return Err(format!(
            "{text:?} has bits beyond its prefix: expected {meant}"
        ));
    }
    // Such a client counts as one with an IPv4 address, so no client would be in it.
    if network.network().to_canonical() != network.network() {
        return Err(format!(
            "{text:?} is an IPv4 address within IPv6: expected it as IPv4"
        ));
    }
    Ok(network)
}

fn no_statement(text: &str) -> String {
    let kinds = Kind::ALL.iter().map(|kind| kind.as_str());
    let groups = Group::ALL.into_iter().map(Group::as_str);
    match closest(&text.to_lowercase(), kinds.chain(groups)) {
        Some(meant) => format!("unknown statement {text:?}; did you mean {meant:?}?"),
        None => {
            let groups: Vec<_> = Group::ALL.into_iter().map(Group::as_str).collect();
            format!(
                "unknown statement {text:?}: expected a command such as \"drop\", or one of {}",
                groups.join(", ")
            )
        }
    }
}

fn no_function(text: &str) -> String {
    let Some(class) = text.strip_prefix('@') else {
        return format!("{text:?}: expected {FUNCTION_EXPECTED}");
    };
    let all = Class::ALL.map(|class| class.to_string());
    match closest(class, all.iter().map(String::as_str)) {
        Some(meant) => format!("unknown class of functions {text:?}; did you mean \"@{meant}\"?"),
        None => format!(
            "unknown class of functions {text:?}: expected one of @{}",
            all.join(", @")
        ),
    }
}

const TABLE_EXPECTED: &str = "a table with its schema, such as \"sales.orders\" or \"public.*\"";
const FUNCTION_EXPECTED: &str =
    "a function such as \"dblink*\" or \"audit.purge\", or a class of them such as \"@signal\"";
const NETWORK_EXPECTED: &str = "an address or a network such as \"10.2.0.0/16\"";
const INSTANT_EXPECTED: &str =
    "a date and time with their offset from UTC, such as \"2026-12-01T00:00:00Z\"";
