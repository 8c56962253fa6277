//! Parameters that follow a client from server to server.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::wire::parameters::Parameters;

/// The values of the tracked parameters, in the order of [`Tracked`]; `None` where the server
/// does not report one. Shared, so that comparing is nearly always comparing a pointer.
pub type Values = Arc<[Option<Box<str>>]>;

/// The names of the parameters that follow a client.
#[derive(Debug, Eq, PartialEq)]
pub struct Tracked(Box<[Box<str>]>);

impl Tracked {
    /// The usual ones and those an operator has named.
    pub fn new(extra: &[String]) -> Self {
        let mut names: Vec<Box<str>> = USUAL.iter().map(|&name| name.into()).collect();
        for name in extra {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.as_str().into());
            }
        }
        Self(names.into())
    }

    /// The values among what a server reported at login.
    pub fn values_of(&self, reported: &Parameters) -> Values {
        self.0
            .iter()
            .map(|name| reported.value(name).map(Into::into))
            .collect()
    }

    /// The place of a name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
    }

    /// The same values in the order of `self`, where they were in that of `other`.
    pub fn moved_from(&self, other: &Self, values: &Values) -> Values {
        let value = |name: &str| values.get(other.position(name)?)?.clone();
        self.0.iter().map(|name| value(name)).collect()
    }

    /// The name at a place.
    pub fn name(&self, position: usize) -> &str {
        &self.0[position]
    }

    /// Replaces one value.
    pub fn note(&self, values: &mut Values, name: &str, value: &str) {
        let Some(at) = self.position(name) else {
            return;
        };
        if values[at].as_deref() != Some(value) {
            let mut changed: Vec<_> = values.iter().cloned().collect();
            changed[at] = Some(value.into());
            *values = changed.into();
        }
    }

    /// The statement that gives a server a client's values: those of `wanted` that differ from
    /// `had`, and the unreported settings `extra` in place of `applied`. `None`: nothing differs.
    pub fn statement(
        &self,
        (had, wanted): (&Values, &Values),
        (applied, extra): (&Parameters, &Parameters),
    ) -> Option<String> {
        let mut calls = String::new();
        for (at, name) in self.0.iter().enumerate() {
            if let (Some(had), Some(wanted)) = (&had[at], &wanted[at])
                && had != wanted
            {
                put_call(&mut calls, name, Some(wanted));
            }
        }
        for (name, _) in applied
            .iter()
            .filter(|(name, _)| extra.value(name).is_none())
        {
            put_call(&mut calls, name, None);
        }
        for (name, value) in extra
            .iter()
            .filter(|&(name, value)| applied.value(name) != Some(value))
        {
            put_call(&mut calls, name, Some(value));
        }
        (!calls.is_empty()).then(|| format!("SELECT {calls}"))
    }
}

/// `set_config` and not SET: it takes any name and value as they are, lists included, and all
/// calls succeed or fail together. A value of NULL resets.
fn put_call(calls: &mut String, name: &str, value: Option<&str>) {
    if !calls.is_empty() {
        calls.push_str(", ");
    }
    calls.push_str("pg_catalog.set_config(");
    put_literal(calls, name);
    calls.push_str(", ");
    match value {
        Some(value) => put_literal(calls, value),
        None => calls.push_str("NULL"),
    }
    calls.push_str(", false)");
}

/// Appends a literal in pure ASCII: it means the same whatever `client_encoding`,
/// `standard_conforming_strings` and `backslash_quote` the server has at the moment.
fn put_literal(sql: &mut String, text: &str) {
    sql.push_str("E'");
    for c in text.chars() {
        match c {
            '\'' => sql.push_str("''"),
            '\\' => sql.push_str("\\\\"),
            ' '..='~' => sql.push(c),
            // Writing to a String does not fail.
            c if u32::from(c) > 0xffff => drop(write!(sql, "\\U{:08x}", u32::from(c))),
            c => drop(write!(sql, "\\u{:04x}", u32::from(c))),
        }
    }
    sql.push('\'');
}

/// What every PostgreSQL reports, and search_path where it does (18 and later).
const USUAL: [&str; 7] = [
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "IntervalStyle",
    "standard_conforming_strings",
    "application_name",
    "search_path",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().copied().collect()
    }

    #[test]
    fn nothing_is_sent_when_nothing_differs() {
        let tracked = Tracked::new(&[]);
        let values = tracked.values_of(&parameters(&[("TimeZone", "UTC")]));
        let extra = parameters(&[("work_mem", "1MB")]);
        assert_eq!(
            tracked.statement((&values, &values), (&extra, &extra)),
            None
        );
    }

    #[test]
    fn only_what_differs_is_sent_and_what_another_client_had_is_reset() {
        let tracked = Tracked::new(&[]);
        let reported = parameters(&[("TimeZone", "UTC"), ("DateStyle", "ISO, MDY")]);
        let had = tracked.values_of(&reported);
        let mut wanted = had.clone();
        tracked.note(&mut wanted, "timezone", "Europe/Paris");
        let statement = tracked.statement(
            (&had, &wanted),
            (
                &parameters(&[("work_mem", "1MB")]),
                &parameters(&[("search_path", "a, b")]),
            ),
        );
        assert_eq!(
            statement.unwrap(),
            "SELECT pg_catalog.set_config(E'TimeZone', E'Europe/Paris', false), \
             pg_catalog.set_config(E'work_mem', NULL, false), \
             pg_catalog.set_config(E'search_path', E'a, b', false)"
        );
    }

    #[test]
    fn a_literal_is_ascii_and_closed_only_by_its_own_quote() {
        let mut sql = String::new();
        put_literal(&mut sql, "a'b\\c\u{c1}\u{1f418}\n");
        assert_eq!(sql, "E'a''b\\\\c\\u00c1\\U0001f418\\u000a'");
    }

    #[test]
    fn values_find_their_places_after_a_reload() {
        let old = Tracked::new(&["a".into(), "b".into()]);
        let new = Tracked::new(&["b".into(), "c".into()]);
        let values = old.values_of(&parameters(&[("TimeZone", "UTC"), ("a", "1"), ("b", "2")]));
        let moved = new.moved_from(&old, &values);
        let at = |name| moved[new.position(name).unwrap()].as_deref();
        assert_eq!(
            (at("TimeZone"), at("b"), at("c")),
            (Some("UTC"), Some("2"), None)
        );
    }

    #[test]
    fn a_parameter_that_the_server_does_not_report_is_left_alone() {
        let tracked = Tracked::new(&["my.extra".into()]);
        let had = tracked.values_of(&parameters(&[]));
        let mut wanted = had.clone();
        tracked.note(&mut wanted, "my.extra", "1");
        assert_eq!(
            tracked.statement((&had, &wanted), (&parameters(&[]), &parameters(&[]))),
            None
        );
    }
}
