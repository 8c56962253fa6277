//! Values that are read by a function of their own: one, or a list of them.

use std::fmt::Display;

use super::{Form, Given, quote};

/// One value.
pub(in super::super) struct One<T> {
    pub(in super::super) expected: &'static str,
    /// The value, or what is wrong; an empty complaint says that it is not what was expected.
    pub(in super::super) read: fn(&str) -> Result<T, String>,
}

/// A list of values; one alone needs no brackets.
pub(in super::super) struct Many<T>(pub(in super::super) One<T>);

impl<T> One<T> {
    fn parse(&self, text: &str) -> Result<T, String> {
        (self.read)(text).map_err(|complaint| {
            if complaint.is_empty() {
                format!("expected {}", self.expected)
            } else {
                complaint
            }
        })
    }
}

impl<T: Display> Form for One<T> {
    type Value = T;

    fn expected(&self) -> String {
        self.expected.into()
    }

    fn read(&self, given: &Given<'_>) -> Result<T, String> {
        match given.word() {
            Some(text) => self.parse(&text),
            None => Err(self.complaint()),
        }
    }

    fn write(&self, value: &T) -> String {
        quote(value.to_string())
    }
}

impl<T: Display> Form for Many<T> {
    type Value = Vec<T>;

    fn expected(&self) -> String {
        format!("a list of {}", self.0.expected)
    }

    fn read(&self, given: &Given<'_>) -> Result<Vec<T>, String> {
        let words = given.words().ok_or_else(|| self.complaint())?;
        words.iter().map(|word| self.0.parse(word)).collect()
    }

    fn write(&self, value: &Vec<T>) -> String {
        let texts: Vec<_> = value.iter().map(ToString::to_string).collect();
        format!("{texts:?}")
    }
}
