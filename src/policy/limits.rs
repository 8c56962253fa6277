//! What a role may use up.

use std::num::NonZeroU32;
use std::time::Duration;

/// Ceilings of a role, all its clients together where it is about a number of something going
/// on, and a statement alone where it is about a result. `None`: none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Statements at the same time.
    pub concurrent: Option<usize>,
    /// Statements in a span of time.
    pub rate: Option<Rate>,
    /// Rows of one statement's result.
    pub rows: Option<u64>,
    /// Bytes of one statement's rows.
    pub bytes: Option<u64>,
    /// How long one statement may run.
    pub time: Option<Duration>,
    /// Clients logged in.
    pub connections: Option<usize>,
}

/// So many in a span, such as `20/s`; bursts of that many may come at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
}
