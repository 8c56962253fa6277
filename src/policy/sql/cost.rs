//! Texts that take PostgreSQL's lexer for ever to read.
//!
//! In a run of operator characters the lexer takes as many as it can, and gives all but a few
//! back: a run of `+`, or of `/*` within a comment, costs the square of its length. A server
//! wastes one process on that, we would waste all clients of a worker.

/// Whether reading a text would cost more than any honest one does.
pub(super) fn is_excessive(text: &str) -> bool {
    if text.len() <= LONGEST_HARMLESS {
        return false;
    }
    let mut cost: u64 = 0;
    let mut run: u64 = 0;
    for byte in text.bytes() {
        if is_operator(byte) {
            run += 1;
            // Added up, this is the square.
            cost = cost.saturating_add(run);
        } else {
            run = 0;
        }
    }
    cost > MOST
}

/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS>
fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// So short a text cannot cost much, whatever is in it.
const LONGEST_HARMLESS: usize = 1024;
/// About as many steps as nanoseconds: a run of 10,000.
const MOST: u64 = 50_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_operator_characters_is_read_up_to_ten_thousand() {
        assert!(!is_excessive(&"-".repeat(9_900)));
        assert!(is_excessive(&"/*".repeat(6_000)));
        assert!(!is_excessive(&"a||b ".repeat(200_000)));
    }
}
