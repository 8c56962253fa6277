//! The order of keys in conf/reference.toml.

use super::super::locate::KeyPath;

/// The tables of a file and the keys within them, in the order of the reference.
pub(super) struct Order {
    /// Tables by their path, with `*` for names; keys by their path within the table.
    tables: Vec<(KeyPath, Vec<String>)>,
}

impl Order {
    pub(super) fn of_the_reference() -> Self {
        let mut tables: Vec<(KeyPath, Vec<String>)> = vec![(KeyPath::new(), Vec::new())];
        for line in REFERENCE.lines() {
            let line = line.strip_prefix('#').unwrap_or(line);
            let header = line.strip_prefix('[').and_then(|line| line.split_once(']'));
            if let Some((path, _)) = header {
                let path: KeyPath = path.split('.').map(str::to_owned).collect();
                tables.push((general(&path), Vec::new()));
            } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| is_key(key))
                && let Some((_, keys)) = tables.last_mut()
            {
                keys.push(key.to_owned());
            }
        }
        Self { tables }
    }

    /// The table in which a key is written, as a number of keys of its path, and its place.
    pub(super) fn place(&self, path: &[String]) -> (usize, (usize, usize)) {
        let general_path = general(path);
        let found = self
            .tables
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, (table, _))| general_path.starts_with(table))
            .max_by_key(|(at, (table, _))| (table.len(), std::cmp::Reverse(*at)));
        let Some((at, (table, keys))) = found else {
            return (0, (usize::MAX, 0));
        };
        let rest = path[table.len()..].join(".");
        let place = keys.iter().position(|key| *key == rest);
        // What a database overrides is explained in a table of its own.
        let place = place.unwrap_or_else(|| {
            let elsewhere = self.tables.iter().flat_map(|(table, keys)| {
                keys.iter()
                    .map(move |key| [&table[..], std::slice::from_ref(key)].concat().join("."))
            });
            let mut elsewhere = elsewhere.enumerate();
            let found =
                elsewhere.find(|(_, key)| *key == rest || key.ends_with(&format!(".{rest}")));
            keys.len() + found.map_or(usize::MAX / 2, |(at, _)| at)
        });
        (table.len(), (at, place))
    }
}

fn is_key(text: &str) -> bool {
    let is_letter =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.');
    !text.is_empty() && text.bytes().all(is_letter)
}

/// The path without the names of databases, users and peers.
fn general(path: &[String]) -> KeyPath {
    let mut path = path.to_vec();
    if let [kind, name, ..] = &mut path[..]
        && matches!(kind.as_str(), "databases" | "peers" | "roles" | "users")
    {
        "*".clone_into(name);
    }
    path
}

const REFERENCE: &str = include_str!("../../../conf/reference.toml");
