//! The entries of `[databases]`, `[users]` and `[peers]`.

use ::config::{Map, ValueKind};

use super::super::suggest::closest;
use super::keys::{DATABASE, EntryKey, PEER, USER};
use super::origin::Origin;
use super::pairs::pairs;
use super::parse::Spot;
use super::tree::Tree;

/// A name and what stands behind it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) spot: Spot,
}

/// Databases; one without a host is behind the Unix socket in `folder`.
pub(super) fn databases(tree: &mut Tree, entries: &[Entry], folder: &str) {
    tree.insert(&["databases"], ValueKind::Table(Map::new()), None);
    let folder = match folder {
        "" => String::new(),
        folder if folder.starts_with('@') => folder.to_owned(),
        folder => std::path::absolute(folder)
            .unwrap_or_default()
            .display()
            .to_string(),
    };
    for entry in entries {
        let Some(mut pairs) = read(tree, entry, DATABASE) else {
            continue;
        };
        let has = |key: &str| pairs.iter().any(|(name, _)| name == key);
        if has("password") && !has("user") {
            let warning = "no effect without user, as with PgBouncer";
            let key = format!("{}: password", entry.name);
            tree.warnings.push(entry.spot.problem(&key, None, warning));
            pairs.retain(|(name, _)| name != "password");
        }
        if !pairs.iter().any(|(name, _)| name == "host") {
            if folder.is_empty() {
                let complaint = "expected a host, as unix_socket_dir is empty";
                tree.problems
                    .push(entry.spot.problem(&entry.name, None, complaint));
            }
            let path = ["databases", &entry.name, "host"];
            tree.insert(&path, ValueKind::String(folder.clone()), None);
        }
        write(tree, "databases", entry, &pairs, DATABASE);
    }
}

pub(super) fn users(tree: &mut Tree, entries: &[Entry]) {
    for entry in entries {
        if let Some(pairs) = read(tree, entry, USER) {
            write(tree, "users", entry, &pairs, USER);
        }
    }
}

/// Peers; one without a pool_size has the default one.
pub(super) fn peers(tree: &mut Tree, entries: &[Entry], pool_size: &str) {
    let pool_size = match super::forms::integer(pool_size) {
        None | Some(..=0) => MOST_CANCELS,
        Some(number) => number,
    };
    for entry in entries {
        if let Some(pairs) = read(tree, entry, PEER) {
            let path = ["peers", &entry.name, "pool_size"];
            tree.insert(&path, pool_size.into(), None);
            write(tree, "peers", entry, &pairs, PEER);
        }
    }
}

/// The pairs of an entry; `None` where it has none that could be read.
fn read(tree: &mut Tree, entry: &Entry, keys: &[EntryKey]) -> Option<Vec<(String, String)>> {
    let pairs = match pairs(&entry.value) {
        Ok(pairs) => pairs,
        Err(complaint) => {
            let problem = entry.spot.problem(&entry.name, None, complaint);
            tree.problems.push(problem);
            return None;
        }
    };
    for (name, _) in &pairs {
        if keys.iter().all(|key| key.name != name) {
            let complaint = match closest(name, keys.iter().map(|key| key.name)) {
                Some(meant) => format!("unknown key; did you mean {meant}?"),
                None => "unknown key".into(),
            };
            let key = format!("{}: {name}", entry.name);
            tree.problems
                .push(entry.spot.problem(&key, None, complaint));
        }
    }
    Some(pairs)
}

fn write(
    tree: &mut Tree,
    section: &str,
    entry: &Entry,
    pairs: &[(String, String)],
    keys: &[EntryKey],
) {
    // So that an entry without keys is one.
    if pairs.is_empty() && section != "databases" {
        let table = ValueKind::Table(Map::new());
        tree.insert(&[section, &entry.name], table, None);
    }
    tree.origins.insert(
        vec![section.to_owned(), entry.name.clone()],
        Origin::new(&entry.spot, &entry.name, ""),
    );
    for (name, text) in pairs {
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            continue;
        };
        let named = format!("{}: {name}", entry.name);
        let number = key.inherits.zip(super::forms::integer(text));
        if number.is_some_and(|(up_to, number)| number <= up_to) {
            continue;
        }
        match key.form.to_toml(text) {
            Ok(Some(value)) => {
                let path: Vec<&str> = [section, &entry.name]
                    .into_iter()
                    .chain(key.toml.split('.'))
                    .collect();
                tree.insert(&path, value, Some(Origin::new(&entry.spot, named, text)));
            }
            Ok(None) => {}
            Err(complaint) => {
                let problem = entry.spot.problem(&named, Some(text), complaint);
                tree.problems.push(problem);
            }
        }
    }
}

/// Where the pools have no limit.
const MOST_CANCELS: i64 = 10_000;
