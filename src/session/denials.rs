//! The latest refusals, for who asks what was refused, and how often.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The latest refusals of all workers.
#[derive(Debug, Default)]
pub struct Denials(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    latest: VecDeque<Denied>,
    /// How often each rule of each role has refused, or would have.
    counts: BTreeMap<(String, String), Counts>,
}

/// One refusal.
#[derive(Clone, Debug)]
pub struct Denied {
    /// When.
    pub time: SystemTime,
    /// The number that the error and the audit log have as well.
    pub reference: u64,
    /// Who was refused.
    pub user: String,
    /// The client's address and port; empty for a Unix socket.
    pub address: String,
    /// The database.
    pub database: String,
    /// The role.
    pub role: String,
    /// The rule.
    pub rule: String,
    /// The error's code.
    pub code: String,
    /// The statement's command, such as `DROP TABLE`.
    pub command: String,
    /// What of it was refused.
    pub subject: String,
    /// It was only observed: the statement ran.
    pub observed: bool,
}

/// How often a rule has fired.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Statements that were refused.
    pub denied: u64,
    /// Statements that would have been.
    pub observed: u64,
}

impl Denials {
    /// Notes a refusal; the oldest is forgotten.
    pub fn note(&self, denied: Denied) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = (denied.role.clone(), denied.rule.clone());
        // Names of roles that are users' own are the clients' to choose.
        if kept.counts.len() < MOST_RULES || kept.counts.contains_key(&rule) {
            let counts = kept.counts.entry(rule).or_default();
            if denied.observed {
                counts.observed += 1;
            } else {
                counts.denied += 1;
            }
        }
        kept.latest.truncate(MOST_KEPT - 1);
        kept.latest.push_front(denied);
    }

    /// The latest, newest first.
    pub fn latest(&self) -> Vec<Denied> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.latest.iter().cloned().collect()
    }

    /// How often a rule of a role has fired.
    pub fn counts(&self, role: &str, rule: &str) -> Counts {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (role.to_owned(), rule.to_owned());
        kept.counts.get(&key).copied().unwrap_or_default()
    }
}

const MOST_KEPT: usize = 1000;
const MOST_RULES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let denials = Denials::default();
        for reference in 0..1001 {
            denials.note(Denied {
                time: SystemTime::UNIX_EPOCH,
                reference,
                user: String::new(),
                address: String::new(),
                database: String::new(),
                role: "r".into(),
                rule: "x".into(),
                code: String::new(),
                command: String::new(),
                subject: String::new(),
                observed: reference % 2 == 0,
            });
        }
        let latest = denials.latest();
        assert_eq!(
            (latest.len(), latest[0].reference, latest[999].reference),
            (1000, 1000, 1)
        );
        assert_eq!(
            denials.counts("r", "x"),
            Counts {
                denied: 500,
                observed: 501
            }
        );
    }
}
