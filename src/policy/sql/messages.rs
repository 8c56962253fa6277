//! The parser's words about a text that it refuses, without what may be a literal of it.

/// What the parser says.
pub(super) fn words_of(error: &pg_raw_parse::Error) -> String {
    let words = error.to_string();
    without_literals(words.strip_prefix("Invalid statement: ").unwrap_or(&words))
}

fn without_literals(words: &str) -> String {
    let Some((problem, token)) = words.split_once(" at or near ") else {
        return words.to_owned();
    };
    let token = token.trim_matches('"');
    if is_harmless(token) {
        format!("{problem} at or near \"{token}\"")
    } else {
        problem.to_owned()
    }
}

/// A word of the language or a mark of punctuation; any other may be a part of a literal whose
/// quotes are not where its author meant them to be.
fn is_harmless(token: &str) -> bool {
    let is_mark = token.len() == 1 && token.bytes().all(|byte| byte.is_ascii_punctuation());
    let lower = token.to_ascii_lowercase();
    is_mark || WORDS.binary_search(&lower.as_str()).is_ok()
}

/// Words that errors are often near, sorted.
const WORDS: &[&str] = &[
    "all",
    "alter",
    "and",
    "as",
    "begin",
    "by",
    "create",
    "delete",
    "distinct",
    "drop",
    "else",
    "end",
    "exec",
    "from",
    "group",
    "having",
    "if",
    "in",
    "insert",
    "into",
    "is",
    "join",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "repack",
    "returning",
    "select",
    "set",
    "table",
    "then",
    "to",
    "union",
    "update",
    "use",
    "using",
    "values",
    "when",
    "where",
    "with",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_not_repeated() {
        for (words, kept) in [
            (
                "syntax error at or near \"from\"",
                "syntax error at or near \"from\"",
            ),
            (
                "syntax error at or near \")\"",
                "syntax error at or near \")\"",
            ),
            ("syntax error at or near \"'secret'\"", "syntax error"),
            ("syntax error at or near \"Brien\"", "syntax error"),
            (
                "unterminated quoted string at or near \"'x at or near y\"",
                "unterminated quoted string",
            ),
            (
                "syntax error at end of input",
                "syntax error at end of input",
            ),
        ] {
            assert_eq!(without_literals(words), kept);
        }
    }

    #[test]
    fn the_words_are_sorted() {
        assert!(WORDS.is_sorted());
    }
}
