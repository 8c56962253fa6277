//! From the lines of an INI to the tree of values that a TOML file is read into.
//!
//! The tree has every key of PgBouncer, those that the file does not name with PgBouncer's
//! default: so nothing depends on pgwarden's own, and an INI behaves as with PgBouncer.

use std::collections::BTreeMap;
use std::path::Path;

use ::config::{Map, Value, ValueKind};

use super::super::file::insert;
use super::super::locate::KeyPath;
use super::super::problem::{Place, Problem};
use super::super::suggest::closest;
use super::forms::Form;
use super::keys::{Effect, Key, SETTINGS};
use super::origin::Origin;
use super::parse::{Item, Parsed, Section, Spot};
use super::sections::{self, Entry};

/// What a file says, and where.
#[derive(Debug, Default)]
pub(in super::super) struct Tree {
    pub(in super::super) values: Map<String, Value>,
    pub(in super::super) origins: BTreeMap<KeyPath, Origin>,
    pub(in super::super) problems: Vec<Problem>,
    /// What is allowed and yet hardly meant.
    pub(in super::super) warnings: Vec<Problem>,
    /// What the file sets without effect.
    pub(in super::super) notes: Vec<Problem>,
}

impl Tree {
    /// Reads `text`, which stands in `file`, and the files that it includes.
    pub(in super::super) fn read(text: &[u8], file: &Path) -> Self {
        let parsed = Parsed::read(text, file);
        let mut tree = Self {
            problems: parsed.problems,
            ..Self::default()
        };
        let mut said = Said::default();
        for item in parsed.items {
            match item {
                Item::Section { section, spot } => said.section(section, &spot, &mut tree.warnings),
                Item::Key {
                    section,
                    key,
                    value,
                    spot,
                } => said.key(section, key, value, spot),
            }
        }
        if !said.has_pgbouncer && tree.problems.is_empty() {
            tree.problems.push(Problem {
                place: Place::File {
                    file: file.to_owned(),
                    line: None,
                    column: None,
                },
                key: "[pgbouncer]".into(),
                value: None,
                complaint: "missing".into(),
            });
        }
        tree.settings(&said);
        for (path, value) in WRITTEN {
            tree.insert(&path.split('.').collect::<Vec<_>>(), value.into(), None);
        }
        // PgBouncer sends and takes passwords over TCP as they are.
        tree.insert(&["auth", "allow_cleartext"], true.into(), None);
        tree.insert(&["server_tls", "allow_cleartext"], true.into(), None);
        let folder = said.value("unix_socket_dir").to_owned();
        sections::databases(&mut tree, &said.databases, &folder);
        sections::users(&mut tree, &said.users);
        sections::peers(&mut tree, &said.peers, said.value("default_pool_size"));
        tree.cap_min_sizes();
        tree
    }

    /// Puts a value in its place, `None` for one that nobody has written.
    pub(super) fn insert(&mut self, path: &[&str], value: ValueKind, origin: Option<Origin>) {
        let path: KeyPath = path.iter().map(|&key| key.to_owned()).collect();
        insert(&mut self.values, &path, Value::new(None, value));
        if let Some(origin) = origin {
            self.origins.insert(path, origin);
        }
    }

    fn settings(&mut self, said: &Said) {
        for (name, (_, spot)) in &said.settings {
            if Key::named(name).is_none() {
                let complaint = match closest(name, SETTINGS.iter().map(|key| key.name)) {
                    Some(meant) => format!("unknown key; did you mean {meant}?"),
                    None => "unknown key".into(),
                };
                self.problems.push(spot.problem(name, None, complaint));
            }
        }
        for key in SETTINGS {
            let written = said.settings.get(key.name);
            let origin = written.map(|(value, spot)| Origin::new(spot, key.name, value));
            if let Some((value, spot)) = written {
                self.note(key, value, spot);
            }
            let is_optional = matches!(key.form, Form::Option | Form::Path);
            if key.is_file() || (written.is_none() && is_optional) {
                continue;
            }
            let text = written.map(|(text, _)| text.as_str());
            let text = text.or(key.default).unwrap_or("");
            match key.form.to_toml(text) {
                Ok(Some(value)) => {
                    self.insert(&key.path().collect::<Vec<_>>(), value, origin);
                }
                Ok(None) => {}
                Err(complaint) => {
                    if let Some((value, spot)) = written {
                        let problem = spot.problem(key.name, Some(value), complaint);
                        self.problems.push(problem);
                    }
                }
            }
        }
    }

    /// PgBouncer keeps no more servers open than a pool may have; TOML takes it for a mistake.
    fn cap_min_sizes(&mut self) {
        let common = Sizes::default();
        let common = self.cap_min_size(&["pool"], &common);
        let names: Vec<String> = match self.values.get("databases").map(|value| &value.kind) {
            Some(ValueKind::Table(databases)) => databases.keys().cloned().collect(),
            _ => Vec::new(),
        };
        for name in names {
            self.cap_min_size(&["databases", &name, "pool"], &common);
        }
    }

    /// Caps the least size of the pool at `path` and says what sizes hold there.
    fn cap_min_size(&mut self, path: &[&str], common: &Sizes) -> Sizes {
        let path_of = |key: &'static str| [path, &[key]].concat();
        let size = self.number(&path_of("size")).or(common.size);
        let min_size = self.number(&path_of("min_size")).or(common.min_size);
        let (Some(most), Some(least)) = (size, min_size) else {
            return Sizes { size, min_size };
        };
        if most == 0 || least <= most {
            return Sizes { size, min_size };
        }
        let key: KeyPath = path_of("min_size").into_iter().map(str::to_owned).collect();
        if let Some(origin) = self.origins.get(&key) {
            let warning = format!("more than the size of the pool: {most} it is");
            self.warnings.push(origin.problem(warning));
        }
        let path = path_of("min_size");
        self.insert(&path, most.into(), None);
        Sizes {
            size,
            min_size: Some(most),
        }
    }

    fn number(&self, path: &[&str]) -> Option<i64> {
        let (last, tables) = path.split_last()?;
        let mut table = &self.values;
        for key in tables {
            let Some(ValueKind::Table(child)) = table.get(*key).map(|value| &value.kind) else {
                return None;
            };
            table = child;
        }
        match table.get(*last).map(|value| &value.kind) {
            Some(ValueKind::I64(number)) => Some(*number),
            _ => None,
        }
    }

    fn note(&mut self, key: &Key, value: &str, spot: &Spot) {
        if let Effect::None(why) = key.effect {
            let note = format!("accepted without effect: {why}");
            self.notes.push(spot.problem(key.name, Some(value), note));
        }
    }
}

/// The sizes of a pool, as far as the file gives them.
#[derive(Debug, Default)]
struct Sizes {
    size: Option<i64>,
    min_size: Option<i64>,
}

/// What has been said so far, a later word over an earlier one.
#[derive(Debug, Default)]
struct Said {
    has_pgbouncer: bool,
    settings: BTreeMap<String, (String, Spot)>,
    databases: Vec<Entry>,
    users: Vec<Entry>,
    peers: Vec<Entry>,
}

impl Said {
    /// As PgBouncer has it, a second `[pgbouncer]` begins with the defaults again.
    fn section(&mut self, section: Section, spot: &Spot, warnings: &mut Vec<Problem>) {
        if section != Section::Pgbouncer {
            return;
        }
        self.has_pgbouncer = true;
        let before = self.settings.len();
        self.settings
            .retain(|name, _| Key::named(name).is_none_or(|key| key.default.is_none()));
        if self.settings.len() < before {
            let warning = "begins with the defaults again, as with PgBouncer: what stands under \
                           the [pgbouncer] before has no effect";
            warnings.push(spot.problem("[pgbouncer]", None, warning));
        }
    }

    fn key(&mut self, section: Section, name: String, value: String, spot: Spot) {
        let entries = match section {
            Section::Pgbouncer => {
                self.settings.insert(name, (value, spot));
                return;
            }
            Section::Databases => &mut self.databases,
            Section::Users => &mut self.users,
            Section::Peers => &mut self.peers,
        };
        entries.retain(|entry| entry.name != name);
        entries.push(Entry { name, value, spot });
    }

    /// The value of a key, from the file or PgBouncer's own.
    fn value(&self, name: &str) -> &str {
        match self.settings.get(name) {
            Some((value, _)) => value,
            None => Key::named(name).and_then(|key| key.default).unwrap_or(""),
        }
    }
}

/// What PgBouncer does and no key of it says, and what is otherwise without an INI.
const WRITTEN: [(&str, &str); 2] = [("clients.errors", "pgbouncer"), ("log.format", "pgbouncer")];
