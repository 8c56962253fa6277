//! Spans of time, once or again and again.

use std::fmt;
use std::time::SystemTime;

/// A span of time: from one instant to another, or between times of day on days of the week.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window(Box<str>);

impl Window {
    /// Reads a window.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.into()))
    }

    /// Whether an instant is in it; its start is, its end is not.
    pub fn contains(&self, _now: SystemTime) -> bool {
        false
    }

    /// When it next begins or ends after `now`; `None`: never again.
    pub fn next_change(&self, _now: SystemTime) -> Option<SystemTime> {
        None
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
