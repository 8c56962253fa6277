//! What a judge says.

use crate::policy::rule::RuleName;
use crate::wire::sqlstate::SqlState;

/// What becomes of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// It runs.
    Allow,
    /// It runs, and what would have been refused is written down.
    Observe(Box<Denial>),
    /// It does not run.
    Deny(Box<Denial>),
}

/// Why a text is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// The rule, its own or one that a setting of the role stands for.
    pub rule: RuleName,
    /// What programs know the error by.
    pub code: SqlState,
    /// The error's primary message.
    pub message: String,
    /// Which statement of the text, from 1; 0: the text as a whole.
    pub statement: usize,
    /// How many there are.
    pub statements: usize,
    /// Its command, such as `DROP TABLE`.
    pub command: &'static str,
    /// What of it the rule is about, such as `table "public.secret"`.
    pub subject: String,
    /// Where the statement begins in the text, in bytes.
    pub position: Option<usize>,
    /// The rule's hint.
    pub hint: Option<Box<str>>,
}
