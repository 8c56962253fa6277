//! Which line of the file a key stands on.

use std::collections::BTreeMap;
use std::ops::Range;

use super::forms::quote;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys from the root to a value.
pub(super) type KeyPath = Vec<String>;

/// The lines of the keys of a file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: BTreeMap<KeyPath, usize>,
    /// Numbers that no setting could hold, and that the `config` crate would refuse
    /// without a line.
    pub(super) too_large: Vec<KeyPath>,
}

/// A place in the text where it stops being TOML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
}

impl Lines {
    /// Reads the text once more, for its spans.
    pub(super) fn of(text: &str) -> Result<Self, Vec<SyntaxError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(|e| SyntaxError::new(text, e)).collect());
        }
        let mut lines = Self::default();
        lines.add_table(text, &[], table.get_ref());
        Ok(lines)
    }

    /// The line of a key, or of the nearest table around it.
    pub(super) fn near(&self, path: &[String]) -> Option<usize> {
        (1..=path.len())
            .rev()
            .find_map(|len| self.lines.get(&path[..len]).copied())
    }

    /// The keys at the top of the file.
    pub(super) fn top(&self) -> impl Iterator<Item = &String> {
        let paths = self.lines.keys().filter(|path| path.len() == 1);
        paths.filter_map(|path| path.first())
    }

    fn add_table(&mut self, text: &str, parent: &[String], table: &DeTable<'_>) {
        for (key, value) in table {
            let mut path = parent.to_vec();
            path.push(key.get_ref().to_string());
            self.lines
                .insert(path.clone(), position(text, &key.span()).0);
            self.add_value(text, &path, value);
        }
    }

    fn add_value(&mut self, text: &str, path: &[String], value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.add_table(text, path, table),
            DeValue::Array(array) => {
                for (number, element) in (1..).zip(array) {
                    let mut path = path.to_vec();
                    path.push(element_key(number));
                    self.lines
                        .insert(path.clone(), position(text, &element.span()).0);
                    self.add_value(text, &path, element);
                }
            }
            DeValue::Integer(number) => {
                if i64::from_str_radix(number.as_str(), number.radix()).is_err() {
                    self.too_large.push(path.to_vec());
                }
            }
            DeValue::Float(number) => {
                let is_finite = number.as_str().parse::<f64>().is_ok_and(f64::is_finite);
                if !is_finite && !number.as_str().contains(['i', 'n']) {
                    self.too_large.push(path.to_vec());
                }
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::String(_) => {}
        }
    }
}

impl SyntaxError {
    fn new(text: &str, error: &toml::de::Error) -> Self {
        let (line, column) = position(text, &error.span().unwrap_or_default());
        Self {
            line,
            column,
            // The message only: the error's own display quotes the line, which may hold a password.
            message: error.message().replace('\n', ", "),
        }
    }
}

/// What stands in a path for the element of a list, counted from 1.
pub(super) fn element_key(number: usize) -> String {
    format!("[{number}]")
}

/// A path as one writes it in TOML; elements of lists by their number, as in `grant[1].role`.
pub(super) fn dotted(path: &[String]) -> String {
    let mut text = String::new();
    for key in path {
        if is_element_key(key) {
            text.push_str(key);
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&quoted_if_needed(key));
    }
    text
}

fn is_element_key(key: &str) -> bool {
    let number = key.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

/// Whether TOML takes the key without quotes.
pub(super) fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn quoted_if_needed(key: &str) -> String {
    if is_bare(key) {
        key.to_owned()
    } else {
        quote(key)
    }
}

fn position(text: &str, span: &Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.matches('\n').count();
    (line, 1 + before[line_start..].chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> KeyPath {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_key_is_found_on_its_line_however_it_is_written() {
        let text = "workers = 1\n[pool]\nsize = 2\n[databases.shop]\nport = 1\n\
                    pool = { mode = \"session\",\n size = 3 }\nserver.user = \"x\"\n";
        let lines = Lines::of(text).unwrap();
        let expected = [
            ("workers", 1),
            ("pool", 2),
            ("pool.size", 3),
            ("databases.shop", 4),
            ("databases.shop.port", 5),
            ("databases.shop.pool.mode", 6),
            ("databases.shop.pool.size", 7),
            ("databases.shop.server.user", 8),
        ];
        for (key, line) in expected {
            assert_eq!(lines.near(&path(key)), Some(line), "{key}");
        }
    }

    #[test]
    fn an_element_of_a_list_is_found_on_its_line() {
        let text = "[[grant]]\nrole = \"a\"\n\n[[grant]]\nrole = \"b\"\n[roles.a]\nx = 1\n\
                    [[roles.a.deny]]\n[[roles.a.deny]]\nname = \"n\"\nlist = [\n1,\n2]\n";
        let lines = Lines::of(text).unwrap();
        for (key, line) in [
            ("grant.[1]", 1),
            ("grant.[1].role", 2),
            ("grant.[2]", 4),
            ("grant.[2].role", 5),
            ("roles.a.deny.[1]", 8),
            ("roles.a.deny.[2].name", 10),
            ("roles.a.deny.[2].list.[2]", 13),
        ] {
            assert_eq!(lines.near(&path(key)), Some(line), "{key}");
        }
        assert_eq!(dotted(&path("grant.[2].role")), "grant[2].role");
    }

    #[test]
    fn a_missing_key_is_sought_at_its_table() {
        let lines = Lines::of("\n[auth]\nmethod = \"trust\"").unwrap();
        assert_eq!(lines.near(&path("auth.users")), Some(2));
        assert_eq!(lines.near(&path("console.admins")), None);
    }

    #[test]
    fn a_syntax_error_has_line_and_column_and_quotes_nothing() {
        let errors = Lines::of("a = 1\npassword = hunter2\n").unwrap_err();
        assert_eq!((errors[0].line, errors[0].column), (2, 12));
        assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
    }

    #[test]
    fn a_path_is_quoted_where_toml_wants_it() {
        let path = ["databases", "my.db", "host"].map(str::to_owned);
        assert_eq!(dotted(&path), "databases.\"my.db\".host");
    }
}
