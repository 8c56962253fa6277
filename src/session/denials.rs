//! What was refused lately, for SHOW DENIALS, and how often each rule has refused.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The latest refusals of the whole process, and counts of all; those that are only observed
/// included.
#[derive(Debug, Default)]
pub struct Denials(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    latest: VecDeque<DenialRow>,
    rules: BTreeMap<RuleKey, RuleCount>,
}

/// One refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DenialRow {
    /// When.
    pub time: SystemTime,
    /// The number that the client was told, and the audit log has.
    pub reference: u64,
    /// The user.
    pub user: String,
    /// The role.
    pub role: String,
    /// The database.
    pub database: String,
    /// The client's address and port; empty for a Unix socket.
    pub address: String,
    /// The rule.
    pub rule: String,
    /// The error's SQLSTATE.
    pub code: String,
    /// The statement's command, such as `DROP TABLE`.
    pub command: String,
    /// What of it the rule is about.
    pub subject: String,
    /// Whether it ran all the same.
    pub observed: bool,
}

/// A rule of a role: rules of several roles may have one name.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct RuleKey {
    /// The role.
    pub role: String,
    /// The rule.
    pub rule: String,
}

/// How often a rule refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RuleCount {
    /// What it refused.
    pub denied: u64,
    /// What it would have refused.
    pub observed: u64,
}

impl Denials {
    /// Takes note of a refusal. Of more than a thousand rules, as many reloads can bring, the
    /// rest is counted as one without names.
    pub fn add(&self, mut row: DenialRow) {
        shorten(&mut row);
        let mut inner = self.lock();
        let key = RuleKey {
            role: row.role.clone(),
            rule: row.rule.clone(),
        };
        let is_known = inner.rules.contains_key(&key) || inner.rules.len() < MAX_RULES;
        let key = if is_known { key } else { RuleKey::default() };
        let count = inner.rules.entry(key).or_default();
        if row.observed {
            count.observed += 1;
        } else {
            count.denied += 1;
        }
        if inner.latest.len() >= MAX_ROWS {
            inner.latest.pop_back();
        }
        inner.latest.push_front(row);
    }

    /// The latest ones, the newest first.
    pub fn latest(&self) -> Vec<DenialRow> {
        self.lock().latest.iter().cloned().collect()
    }

    /// How often each rule refused since the process began.
    pub fn by_rule(&self) -> BTreeMap<RuleKey, RuleCount> {
        self.lock().rules.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name in a statement can be as long as the statement.
fn shorten(row: &mut DenialRow) {
    for text in [
        &mut row.user,
        &mut row.role,
        &mut row.database,
        &mut row.subject,
    ] {
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
        }
    }
}

/// Refusals that are kept.
const MAX_ROWS: usize = 1_000;
/// Rules that are counted apart.
const MAX_RULES: usize = 1_000;
/// Bytes of a text in a row.
const MAX_TEXT: usize = 256;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(reference: u64, rule: &str, observed: bool) -> DenialRow {
        DenialRow {
            time: SystemTime::UNIX_EPOCH,
            reference,
            user: "ann".into(),
            role: "app".into(),
            database: "shop".into(),
            address: "127.0.0.1:5000".into(),
            rule: rule.into(),
            code: "42501".into(),
            command: "DROP TABLE".into(),
            subject: "DROP TABLE".into(),
            observed,
        }
    }

    #[test]
    fn the_newest_are_kept_and_all_are_counted() {
        let denials = Denials::default();
        for reference in 0..2_500 {
            denials.add(row(reference, "no-drops", reference % 5 == 0));
        }
        let latest = denials.latest();
        assert_eq!(latest.len(), 1_000);
        assert_eq!(latest[0].reference, 2_499);
        assert_eq!(latest[999].reference, 1_500);
        let count = denials.by_rule().into_values().next();
        let expected = RuleCount {
            denied: 2_000,
            observed: 500,
        };
        assert_eq!(count, Some(expected));
    }

    #[test]
    fn neither_rules_nor_names_fill_the_memory() {
        let denials = Denials::default();
        for n in 0..5_000 {
            let mut row = row(n, &n.to_string(), false);
            row.subject = "é".repeat(100_000);
            denials.add(row);
        }
        let rules = denials.by_rule();
        assert_eq!(rules.len(), MAX_RULES + 1);
        assert_eq!(rules[&RuleKey::default()].denied, 4_000);
        assert!(denials.latest().iter().all(|row| row.subject.len() < 300));
    }
}
