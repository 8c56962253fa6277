//! Rules in TOML for what was seen.
//!
//! Comments hold no text from the logs: a name with a line's end in it would leave them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::policy::kind::{Group, Kind};
use crate::telemetry::audit::learn::seen::{Doings, Seen, Tables, Times};

/// The rules of all roles that were seen.
pub(super) fn write(seen: &Seen) -> String {
    let mut toml = String::new();
    if seen.unreadable > 0 {
        line(
            &mut toml,
            format_args!("# {} lines are no records.", seen.unreadable),
        );
    }
    if seen.roles.is_empty() {
        line(&mut toml, format_args!("# No statements were found."));
    }
    for (role, doings) in &seen.roles {
        if !toml.is_empty() {
            toml.push('\n');
        }
        write_role(&mut toml, role, doings);
    }
    toml
}

fn write_role(toml: &mut String, role: &str, doings: &Doings) {
    let all = &doings.all;
    line(
        toml,
        format_args!(
            "# What was seen of this role: {} texts, from {} to {}.\n\
             # Everything else is refused. Read it before you use it: what an intruder did in \
             that time is in it, too.",
            all.count,
            timestamp(&all.first),
            timestamp(&all.last)
        ),
    );
    for (count, what) in [
        (
            doings.unknown,
            "were not judged, so it is not known what they did",
        ),
        (
            doings.cut,
            "did more than is recorded or told apart, so something may be missing here",
        ),
        (
            doings.unnamed_settings,
            "changed a parameter by a computed name, which no rule can allow",
        ),
    ] {
        if count > 0 {
            line(toml, format_args!("# {count} {what}."));
        }
    }
    let role = key(role);
    line(toml, format_args!("[roles.{role}]\ndefault = \"deny\""));
    let mut number = 0;
    let mut rule = |toml: &mut String| {
        number += 1;
        line(
            toml,
            format_args!("\n[[roles.{role}.allow]]\nname = \"learned-{number}\""),
        );
    };
    for (kinds, tables) in grouped(doings) {
        rule(toml);
        list(
            toml,
            "statements",
            kinds
                .iter()
                .map(|(kind, times)| (kind.as_str().to_owned(), said(times, false))),
        );
        match tables {
            Some(tables) => list(toml, "tables", tables),
            None if kinds.iter().all(|(kind, _)| is_about_no_table(*kind)) => {}
            None => line(
                toml,
                format_args!(
                    "# No table was touched by these. Without \"tables\" every table would be \
                     allowed.\ntables = [\"pg_catalog.*\"]\naccess = \"read\""
                ),
            ),
        }
    }
    if !doings.functions.is_empty() {
        rule(toml);
        let functions = doings.functions.iter().map(|((schema, name), times)| {
            let name = match schema {
                Some(schema) => format!("{}.{name}", schema.replace('.', "*")),
                None => name.clone(),
            };
            (name, said(times, false))
        });
        list(toml, "functions", functions);
    }
    if !doings.settings.is_empty() {
        rule(toml);
        let settings = doings.settings.iter();
        list(
            toml,
            "settings",
            settings.map(|(name, times)| (name.clone(), said(times, false))),
        );
    }
}

/// Kinds that touched the same tables, and these: patterns and what to say of them. `None`: no
/// tables.
type Groups<'a> = Vec<(Vec<(Kind, &'a Times)>, Option<Vec<(String, String)>>)>;

fn grouped(doings: &Doings) -> Groups<'_> {
    // By whether a kind can touch tables at all, and which it did.
    let mut groups: BTreeMap<(bool, Vec<String>), Vec<Kind>> = BTreeMap::new();
    for (kind, (_, tables)) in &doings.effects {
        let patterns = patterns(tables).into_keys().collect::<Vec<_>>();
        let free = patterns.is_empty() && is_about_no_table(*kind);
        groups.entry((free, patterns)).or_default().push(*kind);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, kinds)| kinds.first().copied());
    let entry = |((_, tables), kinds): ((bool, Vec<String>), Vec<Kind>)| {
        let mut sums: BTreeMap<String, (Times, bool)> = BTreeMap::new();
        for (_, (_, touched)) in doings
            .effects
            .iter()
            .filter(|(kind, _)| kinds.contains(kind))
        {
            for (pattern, (times, is_wider)) in patterns(touched) {
                let sum = sums.entry(pattern).or_default();
                sum.0.merge(&times);
                sum.1 |= is_wider;
            }
        }
        let times = |kind: &Kind| Some((*kind, &doings.effects.get(kind)?.0));
        let tables = (!tables.is_empty()).then(|| {
            let sums = sums.into_iter();
            sums.map(|(pattern, (times, is_wider))| (pattern, said(&times, is_wider)))
                .collect()
        });
        (kinds.iter().filter_map(times).collect(), tables)
    };
    groups.into_iter().map(entry).collect()
}

/// Patterns for tables, and whether they stand for more than what was seen: a dot in a name
/// cannot be written in a pattern, and a star stands for anything. A name without a schema is
/// taken for one of `public`.
fn patterns(tables: &Tables) -> BTreeMap<String, (Times, bool)> {
    let mut patterns: BTreeMap<String, (Times, bool)> = BTreeMap::new();
    for ((schema, name), times) in tables {
        let schema = schema.as_deref().unwrap_or("public");
        let is_wider = [schema, name].iter().any(|part| part.contains(['.', '*']));
        let pattern = format!("{}.{}", schema.replace('.', "*"), name.replace('.', "*"));
        let entry = patterns.entry(pattern).or_default();
        entry.0.merge(times);
        entry.1 |= is_wider;
    }
    patterns
}

impl Times {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        if self.first.is_empty() || other.first < self.first {
            self.first.clone_from(&other.first);
        }
        if other.last > self.last {
            self.last.clone_from(&other.last);
        }
    }
}

/// Kinds whose effects are on no table, so that a rule needs none to be narrow.
fn is_about_no_table(kind: Kind) -> bool {
    const KINDS: [Kind; 13] = [
        Kind::AlterSystem,
        Kind::Call,
        Kind::Checkpoint,
        Kind::CopyFile,
        Kind::CopyProgram,
        Kind::Do,
        Kind::FunctionCall,
        Kind::Load,
        Kind::ReadWrite,
        Kind::RoleAdmin,
        Kind::SetRole,
        Kind::Show,
        Kind::TwoPhase,
    ];
    let groups = kind.groups();
    groups.contains(&Group::Session)
        || groups.contains(&Group::Transaction)
        || KINDS.contains(&kind)
}

/// A list with a comment at each element.
fn list(toml: &mut String, key: &str, elements: impl IntoIterator<Item = (String, String)>) {
    line(toml, format_args!("{key} = ["));
    for (text, comment) in elements {
        line(toml, format_args!("    {}, # {comment}", quoted(&text)));
    }
    line(toml, format_args!("]"));
}

fn said(times: &Times, is_wider: bool) -> String {
    let count = times.count;
    let wider = if is_wider {
        "; stands for more than what was seen"
    } else {
        ""
    };
    let unit = if count == 1 { "time" } else { "times" };
    format!("{count} {unit} since {}{wider}", timestamp(&times.first))
}

/// A time from the log; anything else is not repeated.
fn timestamp(ts: &str) -> &str {
    let is_time = ts
        .bytes()
        .all(|b| b.is_ascii_digit() || b"-:.TZ".contains(&b));
    if is_time { ts } else { "an unknown time" }
}

fn key(text: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if !text.is_empty() && text.bytes().all(is_bare) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A basic string: it has one line, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn line(toml: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(toml, "{text}");
}
