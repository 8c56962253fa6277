//! The forms a value can have: how each is read, described and written.

pub(super) mod duration;
mod list;
pub(super) mod size;
mod terms;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ::config::{Value, ValueKind};

pub(super) use duration::{Span, SpanOrZero};
pub(super) use list::{Choice, List, Parsed};
pub(super) use size::{Bytes, PerTime};
pub(super) use terms::{FUNCTION, GLOB, INSTANT, NETWORK, STATEMENTS, TABLE, WINDOW};

/// What a value has to look like.
pub(super) trait Form {
    type Value;

    /// Whether a value must not be shown, even a wrong one.
    const IS_SECRET: bool = false;

    /// What to write instead; follows "expected ".
    fn expected(&self) -> String;

    /// The value, or the complaint about it.
    fn read(&self, given: &Given<'_>) -> Result<Self::Value, String>;

    /// The value as one would write it in the file.
    fn write(&self, value: &Self::Value) -> String;

    /// The complaint that only says what was expected.
    fn complaint(&self) -> String {
        format!("expected {}", self.expected())
    }
}

/// A value as it was written.
pub(super) struct Given<'a> {
    pub(super) value: &'a Value,
    /// Variables are always strings: a string in a number's place is then no mistake.
    pub(super) is_from_environment: bool,
    /// Where relative paths start.
    pub(super) base: &'a Path,
}

impl<'a> Given<'a> {
    pub(super) fn text(&self) -> Option<&'a str> {
        let ValueKind::String(text) = &self.value.kind else {
            return None;
        };
        // PostgreSQL's protocol ends strings with a zero byte.
        (!text.contains('\0')).then_some(text)
    }

    /// The text of a variable, where a number or a flag is wanted.
    fn variable(&self) -> Option<&'a str> {
        self.text()
            .filter(|_| self.is_from_environment)
            .map(str::trim)
    }

    fn integer(&self) -> Option<i64> {
        if let ValueKind::I64(number) = &self.value.kind {
            return Some(*number);
        }
        self.variable()?.parse().ok()
    }

    fn flag(&self) -> Option<bool> {
        if let ValueKind::Boolean(flag) = &self.value.kind {
            return Some(*flag);
        }
        self.variable()?.parse().ok()
    }

    fn texts(&self) -> Option<Vec<String>> {
        if let ValueKind::Array(values) = &self.value.kind {
            let elements = values.iter().map(|value| Given { value, ..*self });
            return elements
                .map(|element| element.text().map(str::to_owned))
                .collect();
        }
        let Some(variable) = self.variable() else {
            return Some(vec![self.text()?.to_owned()]);
        };
        let parts = variable.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        Some(parts.map(str::to_owned).collect())
    }

    fn is_number(&self) -> bool {
        matches!(self.value.kind, ValueKind::I64(_) | ValueKind::Float(_))
            || self.text().is_some_and(|text| text.parse::<f64>().is_ok())
    }
}

/// A whole number in a range.
#[derive(Clone)]
pub(super) struct Count(pub(super) RangeInclusive<usize>);

impl Form for Count {
    type Value = usize;

    fn expected(&self) -> String {
        let (least, most) = self.0.clone().into_inner();
        format!("a whole number from {least} to {most}")
    }

    fn read(&self, given: &Given<'_>) -> Result<usize, String> {
        given
            .integer()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| self.0.contains(number))
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &usize) -> String {
        value.to_string()
    }
}

/// A TCP port.
pub(super) struct Port;

impl Form for Port {
    type Value = u16;

    fn expected(&self) -> String {
        "a port from 1 to 65535".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<u16, String> {
        given
            .integer()
            .and_then(|number| u16::try_from(number).ok())
            .filter(|&port| port != 0)
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &u16) -> String {
        value.to_string()
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Form for Flag {
    type Value = bool;

    fn expected(&self) -> String {
        "true or false".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<bool, String> {
        given.flag().ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A value, or `off` for none.
pub(super) struct OrOff<F>(pub(super) F);

impl<F: Form> Form for OrOff<F> {
    type Value = Option<F::Value>;

    fn expected(&self) -> String {
        format!("{}, or \"off\"", self.0.expected())
    }

    fn read(&self, given: &Given<'_>) -> Result<Self::Value, String> {
        if given.text() == Some(OFF) {
            return Ok(None);
        }
        let value = self.0.read(given);
        value
            .map(Some)
            .map_err(|complaint| format!("{complaint}, or \"off\""))
    }

    fn write(&self, value: &Self::Value) -> String {
        match value {
            Some(value) => self.0.write(value),
            None => quote(OFF),
        }
    }
}

/// One of a few words, each standing for a value.
pub(super) struct OneOf<T: 'static> {
    pub(super) all: &'static [T],
    pub(super) name: fn(T) -> &'static str,
}

impl<T: Copy + FromStr> Form for OneOf<T> {
    type Value = T;

    fn expected(&self) -> String {
        one_of(self.all.iter().map(|&value| (self.name)(value)))
    }

    fn read(&self, given: &Given<'_>) -> Result<T, String> {
        given
            .text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &T) -> String {
        quote((self.name)(*value))
    }
}

/// One of a few words.
pub(super) struct Word(pub(super) &'static [&'static str]);

impl Form for Word {
    type Value = String;

    fn expected(&self) -> String {
        one_of(self.0.iter().copied())
    }

    fn read(&self, given: &Given<'_>) -> Result<String, String> {
        given
            .text()
            .filter(|text| self.0.contains(text))
            .map(str::to_owned)
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::from("one of");
    for (i, word) in words.enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(list, "{comma} {word:?}");
    }
    list
}

/// Any text but the empty one.
pub(super) struct Text;

impl Form for Text {
    type Value = String;

    fn expected(&self) -> String {
        "a text in quotes that is not empty".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<String, String> {
        given
            .text()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }
}

/// Any text, the empty one too.
pub(super) struct AnyText;

impl Form for AnyText {
    type Value = String;

    fn expected(&self) -> String {
        "a text in quotes".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<String, String> {
        let text = given.text().map(str::to_owned);
        text.ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }
}

/// Texts; one alone needs no brackets, and a variable has commas between them.
pub(super) struct Texts;

impl Form for Texts {
    type Value = Vec<String>;

    fn expected(&self) -> String {
        "a list of texts such as [\"one\", \"two\"]".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<Vec<String>, String> {
        given
            .texts()
            .filter(|texts| texts.iter().all(|text| !text.is_empty()))
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &Vec<String>) -> String {
        let texts: Vec<_> = value.iter().map(quote).collect();
        format!("[{}]", texts.join(", "))
    }
}

/// The path of a file or folder; relative ones start in the configuration file's folder.
pub(super) struct FilePath;

impl Form for FilePath {
    type Value = PathBuf;

    fn expected(&self) -> String {
        "a path".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<PathBuf, String> {
        given
            .text()
            .filter(|text| !text.is_empty())
            .map(|text| given.base.join(text))
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &PathBuf) -> String {
        quote(value.to_string_lossy())
    }
}

/// Permissions as chmod takes them.
pub(super) struct Permissions;

impl Form for Permissions {
    type Value = u32;

    fn expected(&self) -> String {
        "permissions in octal digits and in quotes such as \"0770\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<u32, String> {
        given
            .text()
            .filter(|text| (3..=4).contains(&text.len()))
            .filter(|text| text.bytes().all(|b| (b'0'..=b'7').contains(&b)))
            .and_then(|text| u32::from_str_radix(text, 8).ok())
            .filter(|&mode| mode <= 0o777)
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &u32) -> String {
        quote(format!("{value:04o}"))
    }
}

/// An address and a port.
pub(super) struct Socket;

impl Form for Socket {
    type Value = SocketAddr;

    fn expected(&self) -> String {
        "an address and a port such as \"127.0.0.1:9187\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<SocketAddr, String> {
        given
            .text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &SocketAddr) -> String {
        quote(value.to_string())
    }
}

/// A text as TOML has it, on one line.
pub(super) fn quote(text: impl AsRef<str>) -> String {
    let mut quoted = String::from('"');
    for c in text.as_ref().chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

const OFF: &str = "off";
