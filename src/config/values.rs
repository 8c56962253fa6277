//! A typed reader of tables: hands out values, writes down problems, and knows which keys
//! anybody asked for, so that all others are unknown.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::config::{Map, Value, ValueKind};

use super::file::{Variables, Written};
use super::forms::{Form, Given};
use super::locate::{KeyPath, dotted, element_key};
use super::problem::Problem;
use super::settings::Entry;
use super::suggest::closest;

/// One configuration while it is being read.
pub(super) struct Document<'a> {
    written: &'a Written<'a>,
    /// Relative paths start here.
    base: &'a Path,
    /// Where `{ env = "…" }` looks.
    pub(super) variables: &'a Variables,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    entries: RefCell<Vec<Entry>>,
    /// The keys that have an entry.
    remembered: RefCell<BTreeSet<KeyPath>>,
    asked: RefCell<BTreeMap<KeyPath, Asked>>,
}

/// What has come of reading a document.
pub(super) struct Finished {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// What somebody wanted a key to be.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Asked {
    /// A list of tables.
    List,
    /// A table, whose keys are asked for one by one.
    Table,
    Value,
}

impl<'a> Document<'a> {
    pub(super) fn new(written: &'a Written<'a>, base: &'a Path, variables: &'a Variables) -> Self {
        Self {
            written,
            base,
            variables,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            remembered: RefCell::default(),
            entries: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub(super) fn root(&self) -> Table<'_> {
        Table {
            document: self,
            path: KeyPath::new(),
            values: Some(&self.written.tree),
        }
    }

    /// Every key that was asked for, and everything wrong, unknown keys included.
    pub(super) fn finish(self) -> Finished {
        self.find_unknown(&[], &self.written.tree);
        Finished {
            entries: self.entries.into_inner(),
            problems: self.problems.into_inner(),
            warnings: self.warnings.into_inner(),
        }
    }

    fn find_unknown(&self, parent: &[String], table: &Map<String, Value>) {
        for (key, value) in table {
            let mut path = parent.to_vec();
            path.push(key.clone());
            let asked = self.asked.borrow().get(&path).copied();
            match (asked, &value.kind) {
                (Some(Asked::Table), ValueKind::Table(table)) => self.find_unknown(&path, table),
                (Some(Asked::List), ValueKind::Array(elements)) => {
                    for (number, element) in (1..).zip(elements) {
                        if let ValueKind::Table(table) = &element.kind {
                            let element = [&path[..], &[element_key(number)]].concat();
                            self.find_unknown(&element, table);
                        }
                    }
                }
                // So that the variable is named, not a table that no file has.
                (_, ValueKind::Table(table)) if self.written.has_override_below(&path) => {
                    self.find_unknown(&path, table);
                }
                (Some(_), _) => {}
                // The value is not shown: a key with a slip in it may be a password's.
                (None, _) => self.push(&path, None, self.unknown(&path)),
            }
        }
    }

    fn unknown(&self, path: &[String]) -> String {
        let asked = self.asked.borrow();
        let Some((key, parent)) = path.split_last() else {
            return "unknown key".into();
        };
        let siblings = asked
            .keys()
            .filter_map(|other| other.strip_prefix(parent))
            .filter_map(|rest| match rest {
                [sibling] => Some(sibling.as_str()),
                _ => None,
            });
        let namesake = asked
            .keys()
            .filter(|other| other.last() == Some(key))
            .max_by_key(|other| other.iter().zip(path).take_while(|(a, b)| a == b).count());
        let beside = |keys: &[&str]| {
            let keys = keys.iter().map(|&key| key.to_owned());
            parent.iter().cloned().chain(keys).collect::<KeyPath>()
        };
        // `pool_mode` for `pool.mode`.
        let in_table = key
            .match_indices('_')
            .map(|(at, _)| beside(&[&key[..at], &key[at + 1..]]))
            .find(|path| asked.contains_key(path));
        let meant = namesake
            .cloned()
            .or(in_table)
            .or_else(|| closest(key, siblings).map(|sibling| beside(&[sibling])))
            .map(|path| dotted(&path));
        match meant {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => "unknown key".into(),
        }
    }

    /// A table that is read twice is complained of once.
    fn push(&self, path: &[String], value: Option<String>, complaint: String) {
        let problem = self.problem(path, value, complaint);
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    fn problem(&self, path: &[String], value: Option<String>, complaint: String) -> Problem {
        self.written.problem(path, value, complaint)
    }
}

/// One table of the file, or an empty one where the file has none.
pub(super) struct Table<'a> {
    pub(super) document: &'a Document<'a>,
    path: KeyPath,
    values: Option<&'a Map<String, Value>>,
}

impl<'a> Table<'a> {
    /// The last key of the table's path: the name of a database or a user.
    pub(super) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Whether nothing is set in it.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_none_or(|values| values.is_empty())
    }

    /// Whether `key` is set, well or badly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether `key` is a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.value(key)
            .is_some_and(|value| matches!(value.kind, ValueKind::Table(_)))
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &str) -> Table<'a> {
        let path = self.ask(key, Asked::Table);
        let values = self.value(key).and_then(|value| {
            if let ValueKind::Table(values) = &value.kind {
                return Some(values);
            }
            // Only what kind of value it is: somebody may have put a URL with a password here.
            let complaint = format!("expected a table, not {}", kind(value));
            self.document.push(&path, None, complaint);
            None
        });
        Table {
            document: self.document,
            path,
            values,
        }
    }

    /// The tables of a table whose keys are names.
    pub(super) fn named(&self, key: &str) -> Vec<Table<'a>> {
        let outer = self.table(key);
        outer.keys().map(|name| outer.table(name)).collect()
    }

    /// The tables of a list, such as the `[[grant]]`s of the root.
    pub(super) fn list(&self, key: &str) -> Vec<Table<'a>> {
        let path = self.ask(key, Asked::List);
        let elements = match self.value(key).map(|value| &value.kind) {
            None => return Vec::new(),
            Some(ValueKind::Array(elements)) => &elements[..],
            Some(_) => &[],
        };
        let is_table = |value: &Value| matches!(value.kind, ValueKind::Table(_));
        if elements.is_empty() || !elements.iter().all(is_table) {
            let complaint = format!("expected tables, each headed [[{}]]", dotted(&path));
            self.document.push(&path, None, complaint);
        }
        let tables = (1..).zip(elements).filter_map(|(number, element)| {
            let ValueKind::Table(values) = &element.kind else {
                return None;
            };
            Some(Table {
                document: self.document,
                path: [&path[..], &[element_key(number)]].concat(),
                values: Some(values),
            })
        });
        tables.collect()
    }

    /// The keys that are set.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a String> + use<'a> {
        self.values.into_iter().flat_map(|values| values.keys())
    }

    /// The value of a key that has a default.
    pub(super) fn or<F: Form>(&self, key: &str, form: &F, default: F::Value) -> F::Value {
        let (path, read) = self.read(key, form);
        let shown_default = form.write(&default);
        let value = read.unwrap_or(default);
        self.remember(&path, Some(form.write(&value)), Some(shown_default));
        value
    }

    /// The value of a key that has no default.
    pub(super) fn maybe<F: Form>(&self, key: &str, form: &F) -> Option<F::Value> {
        let (path, value) = self.read(key, form);
        self.remember(&path, value.as_ref().map(|value| form.write(value)), None);
        value
    }

    /// The keys and texts of a table that is a value as a whole.
    pub(super) fn texts<F: Form<Value = String>>(
        &self,
        key: &str,
        form: &F,
    ) -> BTreeMap<String, String> {
        let table = self.table(key);
        let keys = table.keys();
        keys.filter_map(|key| Some((key.clone(), table.maybe(key, form)?)))
            .collect()
    }

    /// Writes down that a value, though well formed, will not do.
    pub(super) fn complain(&self, key: &str, complaint: impl Into<String>) {
        let value = self.value(key).map(show);
        self.document.push(&self.at(key), value, complaint.into());
    }

    /// The same without showing the value.
    pub(super) fn complain_hidden(&self, key: &str, complaint: impl Into<String>) {
        self.document.push(&self.at(key), None, complaint.into());
    }

    /// Writes down that the table as a whole will not do.
    pub(super) fn complain_of_table(&self, complaint: impl Into<String>) {
        self.document.push(&self.path, None, complaint.into());
    }

    /// Writes down what is allowed and yet hardly meant.
    pub(super) fn warn(&self, key: &str, warning: impl Into<String>) {
        let warning = self.document.problem(&self.at(key), None, warning.into());
        self.document.warnings.borrow_mut().push(warning);
    }

    fn read<F: Form>(&self, key: &str, form: &F) -> (KeyPath, Option<F::Value>) {
        let path = self.ask(key, Asked::Value);
        let value = self.value(key).and_then(|value| {
            let given = Given {
                value,
                is_from_environment: self.document.written.is_from_environment(&path),
                base: self.document.base,
            };
            match form.read(&given) {
                Ok(value) => Some(value),
                Err(complaint) => {
                    let shown = (!F::IS_SECRET).then(|| show(value));
                    self.document.push(&path, shown, complaint);
                    None
                }
            }
        });
        (path, value)
    }

    /// A role's pool is read once a database: the first is shown.
    fn remember(&self, path: &[String], value: Option<String>, default: Option<String>) {
        if !self.document.remembered.borrow_mut().insert(path.to_vec()) {
            return;
        }
        self.document.entries.borrow_mut().push(Entry {
            key: dotted(path),
            value,
            default,
            is_reloadable: is_reloadable(path),
        });
    }

    fn ask(&self, key: &str, asked: Asked) -> KeyPath {
        let path = self.at(key);
        self.document.asked.borrow_mut().insert(path.clone(), asked);
        path
    }

    fn at(&self, key: &str) -> KeyPath {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        path
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.values.and_then(|values| values.get(key))
    }
}

/// What is bound or built at start stays; certificates do not.
fn is_reloadable(path: &[String]) -> bool {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    !matches!(
        keys[..],
        ["workers"]
            | ["listen", _]
            | ["log", "format"]
            | ["metrics", _]
            | ["process", "pidfile" | "user"]
            | ["dns", "resolv_conf"]
            | ["pgbouncer", _]
    )
}

fn kind(value: &Value) -> &'static str {
    match &value.kind {
        ValueKind::Array(_) => "a list",
        ValueKind::Boolean(_) => "a boolean",
        ValueKind::Float(_) => "a fraction",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => {
            "a number"
        }
        ValueKind::Nil => "nothing",
        ValueKind::String(_) => "a string",
        ValueKind::Table(_) => "a table",
    }
}

/// A value on one line, as TOML would have it.
fn show(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if text.contains("://") && text.contains('@') => {
            "(a URL that may hold a password)".into()
        }
        ValueKind::String(text) if text.chars().count() > SHOWN_CHARS => {
            let start: String = text.chars().take(SHOWN_CHARS).collect();
            format!("{start:?}…")
        }
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(values) => {
            let shown: Vec<_> = values.iter().map(show).collect();
            format!("[{}]", shown.join(", "))
        }
        ValueKind::Table(_) => "{…}".into(),
        ValueKind::Boolean(_)
        | ValueKind::Float(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::Nil
        | ValueKind::U64(_)
        | ValueKind::U128(_) => value.to_string(),
    }
}

const SHOWN_CHARS: usize = 100;
