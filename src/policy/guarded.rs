//! Run-time parameters that nobody with rules may change at will.

use crate::policy::classification::{Setting, Value};

/// Whether a change of a parameter would end read-only mode, or do what only a superuser may.
pub(super) fn escapes_read_only(setting: &Setting) -> bool {
    match setting.name.as_deref() {
        None => true,
        // On PostgreSQL 15 and older a RESET of this one makes the transaction read-write.
        Some("transaction_read_only") => !is_true(&setting.value),
        Some("default_transaction_read_only") => {
            setting.value != Value::Default && !is_true(&setting.value)
        }
        Some(name) => SUPERUSERS.contains(&name) && setting.value != Value::Default,
    }
}

/// Whether a change of a parameter changes how the server reads texts: what was judged would
/// not be what runs.
pub(super) fn changes_lexing(setting: &Setting) -> bool {
    match (setting.name.as_deref(), &setting.value) {
        // It may be one of these: see `Classification::sets_computed`.
        (None, _) => false,
        (Some("standard_conforming_strings"), value) => *value != Value::Default && !is_true(value),
        (Some("backslash_quote"), value) => *value != Value::Default,
        (Some("client_encoding"), Value::Constant(name)) => !is_safe_encoding(name),
        (Some("client_encoding"), Value::Computed) => true,
        (Some(_), _) => false,
    }
}

/// Where the default is to refuse: whether a change of a parameter is more than "set" covers.
pub fn needs_permission(setting: &Setting) -> bool {
    setting.name.is_none() || changes_lexing(setting) || escapes_read_only(setting)
}

/// Whether texts in a client encoding are read by the server as they are judged here. In
/// encodings like SJIS the second byte of a character can be a backslash.
pub fn is_safe_encoding(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii")
}

/// Whether a constant is one of PostgreSQL's ways to write true: `on`, `1`, or the beginning of
/// `true` or `yes`.
fn is_true(value: &Value) -> bool {
    let Value::Constant(text) = value else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    !text.is_empty()
        && (matches!(text.as_str(), "on" | "1")
            || "true".starts_with(&text)
            || "yes".starts_with(&text))
}

/// Parameters that nobody who only reads has to do with.
const SUPERUSERS: [&str; 4] = [
    "allow_system_table_mods",
    "lo_compat_privileges",
    "session_replication_role",
    "zero_damaged_pages",
];
