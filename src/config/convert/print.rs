//! The text of the TOML file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ::config::{Map, Value, ValueKind};

use super::super::forms::quote;
use super::super::ini;
use super::super::locate::{KeyPath, dotted};
use super::super::problem::{Place, Problem};
use super::super::settings::Entry;
use super::super::source::Source;
use super::order::Order;

/// What the tree has, as far as it differs from the defaults of the entries.
pub(super) fn print(source: &Source, entries: &[Entry]) -> String {
    let order = Order::of_the_reference();
    let entries: BTreeMap<&str, &Entry> = entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry))
        .collect();
    let mut lines: Vec<Line> = Vec::new();
    for (number, (path, value)) in leaves(&source.tree).into_iter().enumerate() {
        let (depth, (table, place)) = order.place(&path);
        let rank = (table, names(&source.tree, &path), place, number);
        let entry = entries.get(dotted(&path).as_str());
        let text = match value {
            // A table that is there, be it empty.
            None => None,
            Some(value) => {
                let shown = entry.and_then(|entry| entry.value.clone());
                let is_default = shown.is_some() && entry.is_some_and(|e| e.value == e.default);
                if is_default {
                    None
                } else {
                    let shown = shown.filter(|shown| shown != HIDDEN);
                    Some(shown.unwrap_or_else(|| written(value)))
                }
            }
        };
        lines.push(Line {
            rank,
            table: path[..depth].to_vec(),
            key: dotted(&path[depth..]),
            comment: comment(source, &path, text.as_deref()),
            text,
        });
    }
    lines.sort_by_key(|line| line.rank);
    let mut toml = format!("# From {} by pgwarden convert.\n", source.file.display());
    let mut table = KeyPath::new();
    for line in &lines {
        // Entries are there even if nothing is set in them.
        let is_entry = line.table.len() == 2 && line.table[0] != "listen";
        if (line.text.is_some() || is_entry) && line.table != table {
            table.clone_from(&line.table);
            let _ = write!(toml, "\n[{}]\n", dotted(&table));
        }
        if let Some(text) = &line.text {
            let key = &line.key;
            let _ = writeln!(toml, "{key} = {text}{}", line.comment);
        }
    }
    let has_databases = matches!(
        source.tree.get("databases").map(|value| &value.kind),
        Some(ValueKind::Table(table)) if !table.is_empty()
    );
    if !has_databases {
        toml.push_str("\n[databases]\n");
    }
    toml.push_str(&without_effect(&source.notes));
    toml
}

/// A key with its value, or without one that would have to be written.
struct Line {
    /// Table, name of the entry, key, and as the tree has it.
    rank: (usize, usize, usize, usize),
    table: KeyPath,
    key: String,
    text: Option<String>,
    /// With its `#`.
    comment: String,
}

/// Every value with its path, and every table that is empty.
fn leaves(table: &Map<String, Value>) -> Vec<(KeyPath, Option<&Value>)> {
    let mut leaves = Vec::new();
    for (key, value) in table {
        match &value.kind {
            ValueKind::Table(inner) if inner.is_empty() => leaves.push((vec![key.clone()], None)),
            ValueKind::Table(inner) => {
                for (mut path, value) in self::leaves(inner) {
                    path.insert(0, key.clone());
                    leaves.push((path, value));
                }
            }
            ValueKind::Array(_)
            | ValueKind::Boolean(_)
            | ValueKind::Float(_)
            | ValueKind::I64(_)
            | ValueKind::I128(_)
            | ValueKind::Nil
            | ValueKind::String(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_) => leaves.push((vec![key.clone()], Some(value))),
        }
    }
    leaves
}

/// The place of an entry among those of its table, so that each stays in one piece.
fn names(tree: &Map<String, Value>, path: &[String]) -> usize {
    let [kind, name, ..] = path else {
        return 0;
    };
    match tree.get(kind).map(|value| &value.kind) {
        Some(ValueKind::Table(table))
            if matches!(kind.as_str(), "databases" | "users" | "peers") =>
        {
            table.keys().position(|key| key == name).unwrap_or(0)
        }
        _ => 0,
    }
}

/// What the INI says, where TOML has another word or form for it.
fn comment(source: &Source, path: &[String], text: Option<&str>) -> String {
    let own = path.last().map_or("", String::as_str);
    let comment = match source.origin(path) {
        Some(_) if own == "password" => return String::new(),
        Some(origin) => {
            // `shop: pool_size` of a database.
            let name = origin.key.rsplit(": ").next().unwrap_or(&origin.key);
            let is_same = text == Some(&origin.value) || text == Some(&quote(&origin.value));
            match (name == own, is_same) {
                (true, true) => return String::new(),
                (false, true) => format!("  # {name}"),
                (_, false) => format!("  # {name} = {}", origin.value),
            }
        }
        None => match ini::name(path) {
            Some(name) => format!("  # {name}: PgBouncer's default"),
            None => "  # as PgBouncer".into(),
        },
    };
    // TOML has none of these in comments.
    if comment.contains(|c: char| c.is_control()) {
        return String::new();
    }
    comment
}

/// The last part of the file: what has no equivalent.
fn without_effect(notes: &[Problem]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Set by the INI, and without effect in pgwarden:\n");
    for note in notes {
        let line = match &note.place {
            Place::File {
                line: Some(line), ..
            } => format!(" (line {line})"),
            Place::Environment { .. } | Place::File { .. } | Place::Set { .. } => String::new(),
        };
        let value = note.value.as_deref().unwrap_or_default();
        let value = value.replace(|c: char| c.is_control(), " ");
        let _ = writeln!(text, "#   {} = {value}{line}: {}", note.key, note.complaint);
    }
    text
}

fn written(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => quote(text),
        ValueKind::Array(values) => {
            let values: Vec<_> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        ValueKind::Boolean(_)
        | ValueKind::Float(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::Nil
        | ValueKind::Table(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_) => value.to_string(),
    }
}

const HIDDEN: &str = "(hidden)";
