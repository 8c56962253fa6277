//! The tables of docs/pgbouncer.md, which a test compares with it.

use super::keys::{DATABASE, Effect, EntryKey, PEER, SETTINGS, USER};

/// A line for every key.
pub(in super::super) fn documented() -> Vec<String> {
    let settings = SETTINGS.iter().map(|key| {
        let toml = match key.toml {
            "" => String::new(),
            toml => format!("`{toml}`"),
        };
        let default = match key.default {
            None | Some("") => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let effect = match key.effect {
            Effect::Better(how) => format!("works better: {how}"),
            Effect::None(why) => format!("accepted without effect: {why}"),
            Effect::Works => "works".into(),
        };
        format!("| `{}` | {default} | {toml} | {effect} |", key.name)
    });
    let entries = |section: &'static str, keys: &'static [EntryKey]| {
        keys.iter()
            .map(move |key| format!("| `{}` | `{section}.{}` |", key.name, key.toml))
    };
    settings
        .chain(entries("databases.NAME", DATABASE))
        .chain(entries("users.NAME", USER))
        .chain(entries("peers.N", PEER))
        .collect()
}
