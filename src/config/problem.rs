//! What is wrong with a configuration, in the operator's words.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// One thing wrong. Never holds a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key, such as `databases.shop.port`; empty for the file as a whole.
    pub key: String,
    /// The value as written, if there is one that may be shown.
    pub value: Option<String>,
    /// What was expected instead.
    pub complaint: String,
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// SET on the console.
    Set {
        /// The key, as the operator called it.
        key: String,
    },
    /// The configuration file.
    File {
        /// As the operator named it.
        file: PathBuf,
        /// Counted from 1; `None` if it is about no line in particular.
        line: Option<usize>,
        /// In characters, counted from 1; only syntax errors have one.
        column: Option<usize>,
    },
}

/// Everything wrong with one configuration, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts by line; what has no line comes last.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match &problem.place {
            Place::File { line, .. } => line.unwrap_or(usize::MAX),
            Place::Environment { .. } | Place::Set { .. } => usize::MAX,
        });
        Self(problems)
    }

    /// How many; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problems> for Vec<Problem> {
    fn from(problems: Problems) -> Self {
        problems.0
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match &self.place {
            Place::Environment { variable } => variable,
            Place::Set { key } => {
                f.write_str("SET ")?;
                key
            }
            Place::File { file, line, column } => {
                write!(f, "{}:", file.display())?;
                for number in [line, column].into_iter().flatten() {
                    write!(f, "{number}:")?;
                }
                f.write_str(" ")?;
                &self.key
            }
        };
        f.write_str(subject)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        let colon = if subject.is_empty() { "" } else { ": " };
        write!(f, "{colon}{}", self.complaint)
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl Error for Problems {}
