//! Texts that PostgreSQL's scanner would take very long to read.
//!
//! It takes characters that operators may consist of as many at a time as there are, and then
//! gives all but a few back: at the beginning of a comment, and at a `+` or `-` that an operator
//! may not end in. Of a run of those it reads all the rest again and again, so that 200 kB take
//! a minute: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS>

/// Whether a text holds runs that would be read again too often.
pub(super) fn are_costly(text: &[u8]) -> bool {
    if text.len() <= HARMLESS {
        return false;
    }
    let runs = text.split(|byte| !OPERATOR.contains(byte));
    let reread = runs.map(|run| {
        let again = run.windows(2).filter(|pair| is_given_back(pair)).count();
        again.saturating_mul(run.len())
    });
    let reread = reread.fold(0, usize::saturating_add);
    reread > FREE.saturating_add(text.len().saturating_mul(PER_BYTE))
}

/// Two dashes begin a comment, which is read once.
fn is_given_back(pair: &[u8]) -> bool {
    matches!(pair, b"/*" | b"++" | b"+-" | b"-+")
}

/// Every character that an operator may hold.
const OPERATOR: &[u8] = b"~!@#^&|`?+-*/%<>=";

/// So short a text is not costly, whatever is in it.
const HARMLESS: usize = 2048;

/// Characters that any text may have read again: some hundredths of a second.
const FREE: usize = 4 << 20;

/// And so many more for each byte that it has.
const PER_BYTE: usize = 16;

#[cfg(test)]
mod tests {
    use super::are_costly;

    #[test]
    fn a_long_run_of_comments_or_signs_is_costly() {
        for part in ["/*", "/*+", "+", "+-", "-+-", "<+/*"] {
            assert!(are_costly(part.repeat(20_000).as_bytes()), "{part}");
            assert!(!are_costly(part.repeat(100).as_bytes()), "{part}");
        }
    }

    #[test]
    fn lines_boxes_and_sums_are_not() {
        let table = format!("+{}+\n", "-".repeat(150)).repeat(5_000);
        for text in [
            "-".repeat(500_000),
            "=".repeat(500_000),
            "*".repeat(500_000),
            format!("/{}/", "*".repeat(500_000)),
            "/* a */ ".repeat(100_000),
            "/**/".repeat(500),
            "1+1 +-1 ".repeat(100_000),
            table,
        ] {
            assert!(!are_costly(text.as_bytes()), "{}", &text[..9]);
        }
    }
}
