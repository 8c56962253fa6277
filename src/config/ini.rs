//! pgbouncer.ini: read into the same tree of values as a TOML file, and shown as one.

#[cfg(test)]
mod document;
mod forms;
mod keys;
mod origin;
mod pairs;
mod parse;
mod sections;
mod show;
mod tree;

use std::path::Path;

use ::config::Value;

use self::keys::Key;
use super::locate::KeyPath;

#[cfg(test)]
pub(super) use document::documented;
pub(super) use origin::Origin;
pub use show::Row;
pub(super) use tree::Tree;

/// Whether a file is an INI of PgBouncer: its name ends in `.ini`; or not in `.toml`, and what it
/// says first is one of PgBouncer's sections or an include.
pub(super) fn is_ini(file: &Path, text: &[u8]) -> bool {
    let ending = file.extension().unwrap_or_default();
    if ending.eq_ignore_ascii_case("ini") || ending.eq_ignore_ascii_case("toml") {
        return ending.eq_ignore_ascii_case("ini");
    }
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines
        .filter(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b";"))
        .next()
        .unwrap_or_default();
    FIRST
        .iter()
        .any(|start| first.starts_with(start.as_bytes()))
}

/// PgBouncer's name of a key of TOML.
pub(super) fn name(path: &[String]) -> Option<&'static str> {
    Key::at(path).map(|key| key.name)
}

/// The path in TOML of a key of PgBouncer; `None` for no such key, and for `conffile`.
pub(super) fn path(name: &str) -> Option<KeyPath> {
    let key = Key::named(name).filter(|key| !key.is_file())?;
    Some(key.path().map(str::to_owned).collect())
}

/// Whether a reload changes a key of PgBouncer; `None` for no such key.
pub(super) fn is_reloadable(name: &str) -> Option<bool> {
    Key::named(name).map(|key| key.is_reloadable)
}

/// The value of a key of PgBouncer in TOML, if there is such a key; `None` where it is better
/// left out, or the complaint about it.
pub(super) fn read(name: &str, text: &str) -> Option<Result<Option<Value>, String>> {
    let value = Key::named(name)?.form.to_toml(text);
    Some(value.map(|value| value.map(|value| Value::new(None, value))))
}

const FIRST: [&str; 5] = [
    "[pgbouncer]",
    "[databases]",
    "[users]",
    "[peers]",
    "%include ",
];
