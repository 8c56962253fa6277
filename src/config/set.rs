//! What a console has SET since the last reload.

use std::collections::BTreeMap;

use ::config::Value;

use super::ini;
use super::locate::KeyPath;
use super::problem::{Place, Problem, Problems};
use super::settings::Settings;

/// The keys that were SET and what to, a later one over an earlier one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sets(BTreeMap<KeyPath, (String, String)>);

/// One key that was SET.
pub(super) struct Set<'a> {
    pub(super) path: KeyPath,
    /// As the operator called it.
    pub(super) key: &'a str,
    pub(super) text: &'a str,
    /// `None`: no value at all; or the complaint about the text.
    pub(super) value: Result<Option<Value>, String>,
    /// Whether the value is text whatever the key wants.
    pub(super) is_text: bool,
}

impl Sets {
    pub(super) fn iter(&self) -> impl Iterator<Item = Set<'_>> {
        self.0.iter().map(|(path, (key, text))| {
            let read = ini::read(key, text);
            Set {
                path: path.clone(),
                key,
                text,
                is_text: read.is_none(),
                value: read.unwrap_or_else(|| Ok(Some(text.as_str().into()))),
            }
        })
    }
}

/// What SET leads to.
#[derive(Debug)]
pub enum Change {
    /// The key changes on a restart only, and is left as it is, as with PgBouncer.
    AtRestart,
    /// Settings to put in force.
    Now(Box<Settings>),
    /// Nothing yet: what keeps the TLS settings that were SET from going together. They wait in
    /// these settings, which are otherwise those in force.
    Waits(Box<Settings>, Problems),
}

impl Settings {
    /// These settings with a key of PgBouncer, or one of TOML with dots, set to a text. Files that
    /// settings name are read again, the file of the settings is not.
    ///
    /// PgBouncer's TLS keys may be SET one by one, though they only go together in the end: until
    /// then those of before stay in force, all of them.
    ///
    /// # Errors
    /// Everything that is wrong then, at once; an unknown key.
    pub fn set(&self, key: &str, text: &str) -> Result<Change, Problems> {
        let path = match ini::path(key) {
            Some(path) => path,
            None if self.entries.iter().any(|entry| entry.key == key) => self.path(key),
            None => return Err(unknown(key)),
        };
        let dotted = super::locate::dotted(&path);
        let entry = self.entries.iter().find(|entry| entry.key == dotted);
        let is_reloadable = ini::is_reloadable(key)
            .or(entry.map(|entry| entry.is_reloadable))
            .unwrap_or(true);
        if !is_reloadable {
            return Ok(Change::AtRestart);
        }
        let is_tls = is_tls(&path);
        let mut sets = self.sets.clone();
        let mut waiting = self.waiting.clone();
        if is_tls {
            sets.0.append(&mut waiting.0);
        }
        let own = Sets([(path, (key.to_owned(), text.to_owned()))].into());
        sets.0.extend(own.0.clone());
        match Self::resolve(self.source.clone(), sets) {
            Ok(settings) => Ok(Change::Now(Box::new(Self {
                waiting,
                ..settings
            }))),
            Err(problems) if is_tls && matches!(ini::read(key, text), Some(Ok(_))) => {
                let mut same = self.clone();
                same.waiting.0.extend(own.0);
                Ok(Change::Waits(Box::new(same), problems))
            }
            Err(problems) => Err(problems),
        }
    }

    /// The path of a key that stands among the entries.
    fn path(&self, key: &str) -> KeyPath {
        let text = format!("{key} = 1");
        let mut path = KeyPath::new();
        let mut table = toml::from_str::<toml::Table>(&text).unwrap_or_default();
        while let Some((name, value)) = table.into_iter().next() {
            path.push(name);
            table = match value {
                toml::Value::Table(table) => table,
                toml::Value::Array(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Float(_)
                | toml::Value::Integer(_)
                | toml::Value::String(_) => break,
            };
        }
        path
    }
}

fn is_tls(path: &KeyPath) -> bool {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    matches!(path.as_slice(), ["listen", "tls", ..] | ["server_tls", ..])
}

fn unknown(key: &str) -> Problems {
    Problems::new(vec![Problem {
        place: Place::Set {
            key: key.to_owned(),
        },
        key: String::new(),
        value: None,
        complaint: "unknown key".into(),
    }])
}
