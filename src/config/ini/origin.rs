//! Where a value of the tree stands in an INI, and what it looks like there.

use super::super::problem::{Place, Problem};
use super::parse::Spot;

/// The place of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) struct Origin {
    spot: Spot,
    /// As it is called there: `pool_mode`, or `shop: pool_mode` for a database's.
    pub(in super::super) key: String,
    /// As it is written there.
    pub(in super::super) value: String,
}

impl Origin {
    pub(super) fn new(spot: &Spot, key: impl Into<String>, value: &str) -> Self {
        Self {
            spot: spot.clone(),
            key: key.into(),
            value: value.to_owned(),
        }
    }

    pub(super) fn problem(&self, complaint: impl Into<String>) -> Problem {
        self.spot.problem(&self.key, Some(&self.value), complaint)
    }

    pub(in super::super) fn place(&self) -> Place {
        self.spot.place()
    }
}
