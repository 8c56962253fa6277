//! SHOW CONFIG: PgBouncer's rows in its order and its words, then pgwarden's own keys.

use super::super::settings::{Entry, Settings};
use super::keys::{Key, SETTINGS};

/// A row of SHOW CONFIG.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// PgBouncer's name of the key, or TOML's with dots where PgBouncer has none.
    pub key: String,
    /// What it is.
    pub value: String,
    /// What it is where an INI says nothing; for pgwarden's own keys, a TOML file.
    pub default: String,
    /// Whether a reload changes it.
    pub is_reloadable: bool,
}

impl Settings {
    /// SHOW CONFIG, whatever kind of file the settings come from.
    pub fn rows(&self) -> Vec<Row> {
        let pgbouncers = SETTINGS.iter().map(|key| self.row(key));
        let own = self.entries.iter().filter(|entry| {
            let is_key = |key: &Key| key.toml == entry.key;
            !SETTINGS.iter().any(is_key)
        });
        let own = own.map(|entry| Row {
            key: entry.key.clone(),
            value: entry.value.clone().unwrap_or_default(),
            default: entry.default.clone().unwrap_or_default(),
            is_reloadable: entry.is_reloadable,
        });
        pgbouncers.chain(own).collect()
    }

    fn row(&self, key: &Key) -> Row {
        let entry = self.entries.iter().find(|entry| entry.key == key.toml);
        let default = key.default.unwrap_or_default();
        let value = if key.is_file() {
            self.source.file.display().to_string()
        } else {
            let value = entry.and_then(|entry| value(entry, key));
            value.unwrap_or_else(|| default.to_owned())
        };
        Row {
            key: key.name.to_owned(),
            value,
            default: default.to_owned(),
            is_reloadable: key.is_reloadable && entry.is_none_or(|entry| entry.is_reloadable),
        }
    }
}

/// The value of an entry as PgBouncer has it.
fn value(entry: &Entry, key: &Key) -> Option<String> {
    let text = format!("value = {}", entry.value.as_ref()?);
    let table: toml::Table = toml::from_str(&text).ok()?;
    Some(key.form.to_ini(table.get("value")?))
}
