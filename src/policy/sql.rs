//! From a text to what it does. The only module that names the parser.
//!
//! The text goes through PostgreSQL's own grammar; the tree of each statement is walked once,
//! node by node and without recursion, and each node adds its effects.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of 261 kinds of nodes most only lead to others, which one exhaustive match in \
              `children` sees to; a statement that no match names is refused"
)]

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "one match over all kinds of nodes, generated")]
mod children;
mod commands;
mod conditions;
mod facts;
mod messages;
mod objects;
mod position;
mod runs;
mod scopes;
mod settings;
mod walk;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::policy::classification::{Classification, Statement, Unclassifiable};
use walk::Walk;

/// A node that the parser has no name for.
#[derive(Clone, Copy, Debug)]
struct UnknownNode;

/// Classifies a text: what PostgreSQL would run if it were sent.
///
/// `text` is that of a Query or Parse message, without the zero at its end.
///
/// # Errors
/// It cannot be told.
pub fn classify(text: &[u8]) -> Result<Classification, Unclassifiable> {
    let text = std::str::from_utf8(text).map_err(|_| Unclassifiable::Encoding)?;
    if text.contains('\0') {
        return Err(Unclassifiable::Encoding);
    }
    if runs::are_costly(text.as_bytes()) {
        return Err(Unclassifiable::Costly);
    }
    let parsed = pg_raw_parse::parse(text)
        .map_err(|error| Unclassifiable::Syntax(messages::words_of(&error).into()))?;
    // The crate panics at a list that holds other nodes than it has been told.
    let walked = catch_unwind(AssertUnwindSafe(|| {
        let mut walk = Walk::default();
        let mut statements = Vec::with_capacity(parsed.len());
        for raw in parsed.iter() {
            let command = commands::command_of(raw.stmt());
            let statement = Statement {
                command: command.ok_or_else(|| unknown("a new statement"))?,
                position: position::first_token(text, raw.stmt_location),
                ..walk
                    .statement(raw.stmt())
                    .map_err(|UnknownNode| unknown(command.unwrap_or_default()))?
            };
            statements.push(statement);
        }
        Ok(Classification {
            statements: statements.into(),
        })
    }));
    walked.unwrap_or_else(|_| Err(unknown("its tree is not as expected")))
}

fn unknown(what: &str) -> Unclassifiable {
    Unclassifiable::Unknown(what.into())
}
