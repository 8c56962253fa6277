//! Where a statement begins in its text.

/// The offset of a statement's first token. `from` is where the parser says that the statement
/// begins: right behind the one before, so blanks and comments can come first.
pub(super) fn first_token(text: &str, from: i32) -> usize {
    let bytes = text.as_bytes();
    let mut at = usize::try_from(from).unwrap_or(0).min(bytes.len());
    loop {
        at = match bytes.get(at..).unwrap_or_default() {
            [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b';', ..] => at + 1,
            [b'-', b'-', rest @ ..] => {
                let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                at + 2 + end.unwrap_or(rest.len())
            }
            [b'/', b'*', rest @ ..] => at + 2 + comment_len(rest),
            _ => return at,
        };
    }
}

/// The length of a comment's rest; comments nest.
fn comment_len(rest: &[u8]) -> usize {
    let mut depth = 1_usize;
    let mut at = 0;
    while depth > 0 {
        match rest.get(at..).unwrap_or_default() {
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
            }
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [_, ..] => at += 1,
            [] => return at,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_comments_come_before_it() {
        for (text, at) in [
            ("select 1", 0),
            (" \n\t; select 1", 5),
            ("-- a\nselect 1", 5),
            ("/* /* a */ */x", 13),
            ("/* open", 7),
            ("-- open", 7),
            ("-1", 0),
        ] {
            assert_eq!(first_token(text, 0), at, "{text}");
        }
    }
}
