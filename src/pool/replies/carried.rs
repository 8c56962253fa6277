//! What a server owes, on its way to another process.

use serde::{Deserialize, Serialize};

use super::{About, Certainty, Copy, Expected, Note, Phase, Replies, Unnamed};
use crate::pool::statement::{CarriedStatement, Statements};
use crate::wire::backend::TransactionStatus;

/// What a server owes, for another process that goes on in this one's place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CarriedReplies {
    expected: Vec<Expected>,
    notes: Vec<(CarriedStatement, About)>,
    status: TransactionStatus,
    phase: Phase,
    copy: Copy,
    certainty: Certainty,
    ignored_syncs: u32,
    unnamed_lost: bool,
    unnamed: Unnamed,
    names_at_stake: bool,
}

impl Replies {
    /// Whether [`Self::carry`] would carry it.
    pub fn is_portable(&self) -> bool {
        self.refusals.is_empty()
    }

    /// What another process needs to know; `None`: an error of ours is under way, wait until it
    /// is not.
    pub fn carry(&self) -> Option<CarriedReplies> {
        let note = |note: &Note| (note.statement.carry(), note.about.clone());
        self.is_portable().then(|| CarriedReplies {
            expected: self.expected.iter().copied().collect(),
            notes: self.notes.iter().map(note).collect(),
            status: self.status,
            phase: self.phase,
            copy: self.copy,
            certainty: self.certainty,
            ignored_syncs: self.ignored_syncs,
            unnamed_lost: self.unnamed_lost,
            unnamed: self.unnamed,
            names_at_stake: self.names_at_stake,
        })
    }

    /// What a server owes that comes from a process which does not tell: whatever it says goes to
    /// its client, and nobody else gets it. `in_block`: until it says otherwise it is taken to be
    /// in a transaction, so that its client keeps it.
    pub fn unknown(in_block: bool) -> Self {
        Self {
            status: if in_block {
                TransactionStatus::InTransaction
            } else {
                TransactionStatus::Idle
            },
            certainty: Certainty::Doubtful,
            ..Self::default()
        }
    }

    /// What another process has carried.
    pub fn adopt(carried: CarriedReplies, statements: &Statements) -> Self {
        let note = |(statement, about)| Note {
            statement: statements.adopt(&statement),
            about,
        };
        Self {
            expected: carried.expected.into(),
            notes: carried.notes.into_iter().map(note).collect(),
            status: carried.status,
            phase: carried.phase,
            copy: carried.copy,
            certainty: carried.certainty,
            ignored_syncs: carried.ignored_syncs,
            refusals: std::collections::VecDeque::new(),
            unnamed_lost: carried.unnamed_lost,
            unnamed: carried.unnamed,
            names_at_stake: carried.names_at_stake,
        }
    }
}
