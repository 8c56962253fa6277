//! Lists of any form, words that stand for values, and texts that a type reads itself.

use std::fmt::Display;

use ::config::{Value, ValueKind};

use super::{Form, Given, one_of, quote};

/// One value or a list of them, at least one. A variable has commas between them.
pub(in super::super) struct List<F>(pub(in super::super) F);

/// One of a few words, each standing for a value.
pub(in super::super) struct Choice<T: 'static>(pub(in super::super) &'static [(&'static str, T)]);

/// A text that is read by a function.
pub(in super::super) struct Parsed<T> {
    /// Follows "expected ".
    pub(in super::super) expected: &'static str,
    /// The value, or the complaint about it.
    pub(in super::super) parse: fn(&str) -> Result<T, String>,
}

impl<F: Form> Form for List<F> {
    type Value = Vec<F::Value>;

    fn expected(&self) -> String {
        format!("{}, or a list of such", self.0.expected())
    }

    fn read(&self, given: &Given<'_>) -> Result<Self::Value, String> {
        let parts = |text: &str| -> Vec<Value> {
            let parts = text.split(',').map(str::trim);
            let parts = parts.filter(|part| !part.is_empty());
            parts.map(|part| Value::new(None, part)).collect()
        };
        let values = match (&given.value.kind, given.variable()) {
            (ValueKind::Array(values), _) => values.clone(),
            (_, Some(variable)) => parts(variable),
            (_, None) => return self.0.read(given).map(|value| vec![value]),
        };
        if values.is_empty() {
            return Err(format!("an empty list: {}", self.complaint()));
        }
        let elements = (1..).zip(&values).map(|(number, value)| {
            let element = self.0.read(&Given { value, ..*given });
            element.map_err(|complaint| match values.len() {
                1 => complaint,
                _ => format!("element {number}: {complaint}"),
            })
        });
        elements.collect()
    }

    fn write(&self, value: &Self::Value) -> String {
        let elements: Vec<_> = value.iter().map(|element| self.0.write(element)).collect();
        format!("[{}]", elements.join(", "))
    }
}

impl<T: Copy + PartialEq> Form for Choice<T> {
    type Value = T;

    fn expected(&self) -> String {
        one_of(self.0.iter().map(|(word, _)| *word))
    }

    fn read(&self, given: &Given<'_>) -> Result<T, String> {
        let text = given.text();
        let found = self.0.iter().find(|(word, _)| Some(*word) == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &T) -> String {
        let word = self.0.iter().find(|(_, other)| other == value);
        quote(word.map_or("", |(word, _)| *word))
    }
}

impl<T: Display> Form for Parsed<T> {
    type Value = T;

    fn expected(&self) -> String {
        self.expected.into()
    }

    fn read(&self, given: &Given<'_>) -> Result<T, String> {
        let text = given.text().filter(|text| !text.is_empty());
        (self.parse)(text.ok_or_else(|| self.complaint())?)
    }

    fn write(&self, value: &T) -> String {
        quote(value.to_string())
    }
}
