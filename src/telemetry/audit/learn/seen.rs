//! What was seen, summed up by role.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::policy::catalog::is_catalog;
use crate::policy::classification::Name;
use crate::policy::functions::class_of;
use crate::policy::kind::Kind;

/// What was seen in the logs read so far.
#[derive(Debug)]
pub(super) struct Seen {
    /// The only role that counts.
    only: Option<String>,
    pub(super) roles: BTreeMap<String, Doings>,
    /// Lines that are no records.
    pub(super) unreadable: u64,
    /// What was counted as a violation already, and may come again as a statement.
    violations: BTreeSet<String>,
}

/// What one role did.
#[derive(Debug, Default)]
pub(super) struct Doings {
    pub(super) all: Times,
    /// Of these it is not known what they did.
    pub(super) unknown: u64,
    /// Of these it is not known completely.
    pub(super) cut: u64,
    /// Changes of parameters whose names were computed, or could not be names.
    pub(super) unnamed_settings: u64,
    /// Effects, and what of that touched tables.
    pub(super) effects: BTreeMap<Kind, (Times, Tables)>,
    /// Guarded functions.
    pub(super) functions: BTreeMap<(Option<String>, String), Times>,
    /// Guarded run-time parameters.
    pub(super) settings: BTreeMap<String, Times>,
}

/// Tables by schema and name; no schema if the text gave none.
pub(super) type Tables = BTreeMap<(Option<String>, String), Times>;

/// How often, and since when.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) first: String,
    pub(super) last: String,
}

impl Seen {
    pub(super) fn new(only: Option<&str>) -> Self {
        Self {
            only: only.map(str::to_owned),
            roles: BTreeMap::new(),
            unreadable: 0,
            violations: BTreeSet::new(),
        }
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        let Ok(record) = serde_json::from_slice::<Record>(line) else {
            self.unreadable += 1;
            return;
        };
        if self.counts(&record) {
            self.roles
                .entry(record.role.clone())
                .or_default()
                .add(record);
        }
    }

    /// Whether a record is about something that was let through, and was not counted before.
    fn counts(&mut self, record: &Record) -> bool {
        if record.role.is_empty() || self.only.as_ref().is_some_and(|role| *role != record.role) {
            return false;
        }
        match (record.kind.as_str(), record.verdict.as_str()) {
            ("violation", "would_deny") => {
                if self.violations.len() >= MAX_VIOLATIONS {
                    self.violations.clear();
                }
                self.violations.extend(record.id.clone());
                true
            }
            ("statement", "allow" | "would_deny") => {
                let id = record.id.as_ref();
                !id.is_some_and(|id| self.violations.remove(id))
            }
            _ => false,
        }
    }
}

impl Doings {
    fn add(&mut self, record: Record) {
        let ts = record.ts;
        self.all.add(&ts);
        self.cut += u64::from(record.is_cut);
        // An empty query has no effects, and says that it has no statements by leaving it out.
        if record.effects.is_empty() {
            self.unknown += u64::from(record.sql.as_deref() != Some(""));
        }
        let kind_of = |name: &str| Kind::ALL.iter().find(|kind| kind.as_str() == name);
        for effect in &record.effects {
            match kind_of(effect) {
                Some(kind) => self.effects.entry(*kind).or_default().0.add(&ts),
                None => self.unknown += 1,
            }
        }
        for relation in record.relations {
            let name = Name {
                schema: relation.schema.as_deref().map(Into::into),
                name: relation.name.as_str().into(),
            };
            if relation.access == "read" && is_catalog(&name) {
                continue;
            }
            if let Some(kind) = kind_of(&relation.effect) {
                let tables = &mut self.effects.entry(*kind).or_default().1;
                add(tables, (relation.schema, relation.name), &ts, &mut self.cut);
            }
        }
        for function in record.functions {
            if class_of(&function.name).is_some() {
                let key = (function.schema, function.name);
                add(&mut self.functions, key, &ts, &mut self.cut);
            }
        }
        for setting in record.settings {
            if setting.name.starts_with('(') {
                self.unnamed_settings += 1;
            } else if setting.is_guarded {
                add(&mut self.settings, setting.name, &ts, &mut self.cut);
            }
        }
    }
}

impl Times {
    fn add(&mut self, ts: &str) {
        self.count += 1;
        if self.first.is_empty() || ts < self.first.as_str() {
            ts.clone_into(&mut self.first);
        }
        if ts > self.last.as_str() {
            ts.clone_into(&mut self.last);
        }
    }
}

fn add<K: Ord>(map: &mut BTreeMap<K, Times>, key: K, ts: &str, cut: &mut u64) {
    if map.len() < MAX_NAMES || map.contains_key(&key) {
        map.entry(key).or_default().add(ts);
    } else {
        *cut += 1;
    }
}

/// A record, as far as it is about what was done.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Record {
    ts: String,
    id: Option<String>,
    kind: String,
    role: String,
    verdict: String,
    effects: Vec<String>,
    relations: Vec<RelationField>,
    functions: Vec<NameField>,
    settings: Vec<SettingField>,
    sql: Option<String>,
    #[serde(rename = "cut")]
    is_cut: bool,
}

#[derive(Deserialize)]
struct NameField {
    schema: Option<String>,
    name: String,
}

#[derive(Deserialize)]
struct RelationField {
    schema: Option<String>,
    name: String,
    effect: String,
    access: String,
}

#[derive(Deserialize)]
struct SettingField {
    name: String,
    #[serde(default, rename = "guarded")]
    is_guarded: bool,
}

/// Names of a role's that are told apart, of each kind.
const MAX_NAMES: usize = 10_000;
const MAX_VIOLATIONS: usize = 10_000;
