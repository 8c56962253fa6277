//! The words of a command.

/// A part of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// `=`
    Equals,
    /// `"…"`: a name, as it stands.
    Quoted(String),
    /// `'…'`
    String(String),
    /// Anything else that PostgreSQL's syntax has; no command of ours has it.
    Symbol(char),
    /// Letters, digits and underscores, as written.
    Word(String),
}

/// Takes a text apart. Semicolons at its end are dropped, and comments everywhere; `None` for a
/// quote or comment that does not end.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_whitespace() {
            rest = rest.trim_start();
        } else if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/")?.1;
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        } else if first == '"' || first == '\'' {
            let (text, after) = quoted(&rest[1..], first)?;
            tokens.push(if first == '"' {
                Token::Quoted(text)
            } else {
                Token::String(text)
            });
            rest = after;
        } else {
            tokens.push(if first == '=' {
                Token::Equals
            } else {
                Token::Symbol(first)
            });
            rest = &rest[first.len_utf8()..];
        }
    }
    // A comment may stand behind the semicolon.
    while tokens.last() == Some(&Token::Symbol(';')) {
        tokens.pop();
    }
    Some(tokens)
}

/// The text up to the closing quote, and what follows it; a doubled quote stands for one.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once(quote)?;
        value.push_str(before);
        match after.strip_prefix(quote) {
            Some(after) => {
                value.push(quote);
                rest = after;
            }
            None => return Some((value, after)),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Token {
        Token::Word(text.into())
    }

    #[test]
    fn a_command_falls_into_words() {
        assert_eq!(
            tokens(" show\n Pools ; ;\n").unwrap(),
            [word("show"), word("Pools")]
        );
        assert_eq!(
            tokens("SET a='it''s'").unwrap(),
            [
                word("SET"),
                word("a"),
                Token::Equals,
                Token::String("it's".into())
            ]
        );
        assert_eq!(
            tokens("PAUSE \"my-\"\"db\"").unwrap(),
            [word("PAUSE"), Token::Quoted("my-\"db".into())]
        );
    }

    #[test]
    fn comments_are_nothing() {
        assert_eq!(tokens("-- ping").unwrap(), []);
        assert_eq!(
            tokens("/* a */ SHOW -- b\n lists; -- c").unwrap(),
            [word("SHOW"), word("lists")]
        );
    }

    #[test]
    fn what_does_not_end_is_no_command() {
        for text in ["'", "\"abc", "SET a = 'x''", "/* ", "/*/"] {
            assert_eq!(tokens(text), None, "{text}");
        }
    }
}
