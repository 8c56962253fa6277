//! `conf/` against the code: neither may know a key or a default that the other does not.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::check;
use super::super::settings::Entry;
use super::Setup;

const REFERENCE: &str = include_str!("../../../conf/reference.toml");

/// The file with every key that is commented out brought to life.
fn uncommented() -> String {
    let is_key = |line: &str| line.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
    let lines = REFERENCE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if is_key(rest) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn entries() -> Vec<Entry> {
    let setup = Setup::new().with("LEDGER_PASSWORD", "secret");
    setup.write_certificate("server.crt", "server.key");
    setup.write_certificate("pgwarden.crt", "pgwarden.key");
    setup.write_certificate("clients.crt", "unused.key");
    setup.write_certificate("servers.crt", "unused.key");
    setup.write_certificate("provider.crt", "unused.key");
    setup.write("archive.password", "secret\n");
    let loaded = setup.load(&uncommented());
    loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .entries
}

/// `databases.NAME.…` without the name, and elements of lists without their number; what a
/// database or a role has from `[pool]` or `[server_tls]` is explained there.
fn general(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    match parts[..] {
        ["databases" | "roles", _, "pool", key] => format!("pool.{key}"),
        ["roles", _, "server", ..] => format!("databases.*.{}", parts[2..].join(".")),
        ["roles", _, rule, "when" | "except", key] if rule.ends_with(']') => {
            format!("roles.*.deny[].when.{key}")
        }
        // Rules that allow have the form of those that deny.
        ["roles", _, rule, key] if rule.ends_with(']') => format!("roles.*.deny[].{key}"),
        [grant, "oauth", ..] if grant.starts_with("grant[") => "grant[].oauth.*".into(),
        [grant, ..] if grant.starts_with("grant[") => format!("grant[].{}", parts[1..].join(".")),
        [test, key] if test.starts_with("test[") => format!("test[].{key}"),
        ["databases", _, "tls", key] => format!("server_tls.{key}"),
        ["databases", _, "lookup", key] => format!("auth.lookup.{key}"),
        ["databases", _, "startup_parameters", _] => "databases.*.startup_parameters".into(),
        ["databases" | "peers" | "roles" | "users", _, ..] => {
            format!("{}.*.{}", parts[0], parts[2..].join("."))
        }
        _ => key.to_owned(),
    }
}

/// Every key that has a value in the text, whether its line says "# example".
fn written() -> BTreeSet<(String, bool)> {
    fn walk(table: &toml::Table, parent: &str, found: &mut Vec<String>) {
        for (key, value) in table {
            let path = format!("{parent}{key}");
            if let Some(table) = value.as_table() {
                walk(table, &format!("{path}."), found);
            } else if let Some(tables) = tables(value) {
                for (number, table) in (1..).zip(tables) {
                    walk(table, &format!("{path}[{number}]."), found);
                }
            } else {
                found.push(path);
            }
        }
    }
    fn tables(value: &toml::Value) -> Option<Vec<&toml::Table>> {
        let elements = value.as_array().filter(|elements| !elements.is_empty())?;
        elements.iter().map(toml::Value::as_table).collect()
    }
    let mut found = BTreeSet::new();
    for (text, is_example) in [(examples(true), true), (examples(false), false)] {
        let mut keys = Vec::new();
        walk(&text.parse().unwrap(), "", &mut keys);
        // What a database or role overrides must still be explained where all have it.
        keys.retain(|key| {
            let parts: Vec<&str> = key.split('.').collect();
            let of_role = matches!(parts[..], ["roles", _, "pool" | "server", ..]);
            !of_role && !matches!(parts[..], ["databases", _, "pool" | "tls", _])
        });
        found.extend(keys.iter().map(|key| (general(key), is_example)));
    }
    found
}

/// Only the keys that are examples, or only those that are not.
fn examples(wanted: bool) -> String {
    let lines = uncommented();
    let lines = lines
        .lines()
        .filter(|line| line.starts_with('[') || line.trim_end().ends_with("# example") == wanted);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_has_every_key_of_the_code_and_no_other() {
    let known: BTreeSet<_> = entries()
        .iter()
        .map(|entry| (general(&entry.key), entry.default.is_none()))
        .collect();
    let written = written();
    let unexplained: Vec<_> = known.difference(&written).collect();
    assert!(unexplained.is_empty(), "not in the file: {unexplained:?}");
    let invented: Vec<_> = written.difference(&known).collect();
    assert!(invented.is_empty(), "not in the code: {invented:?}");
}

#[test]
fn the_reference_shows_the_defaults_of_the_code() {
    for entry in entries() {
        if entry.default.is_some() {
            assert_eq!(entry.value, entry.default, "{}", entry.key);
        }
    }
}

#[test]
fn the_files_in_conf_work_as_they_are() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    for name in ["access.toml", "minimal.toml", "reference.toml"] {
        let (code, text) = check(&conf.join(name));
        assert_eq!(code, 0, "{text}");
    }
}
