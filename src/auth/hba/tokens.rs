//! The words of a line, as PostgreSQL's and PgBouncer's HBA and ident files have them.

/// One word of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::auth) struct Token {
    pub(in crate::auth) text: String,
    /// It began with a quote: a keyword then means itself only.
    pub(in crate::auth) quoted: bool,
}

impl Token {
    /// Whether this is a keyword, and not a name that looks like one.
    pub(in crate::auth) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// A line whose quotes are not closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::auth) struct Unclosed;

/// Takes the words of a line one by one.
///
/// Words are apart by blanks; commas make lists of them; `#` begins a comment. Within double
/// quotes all of these are characters like others, and `""` is one quote.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Line<'a> {
    rest: &'a str,
}

impl<'a> Line<'a> {
    pub(in crate::auth) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next field: words joined by commas. `None` at the end of the line.
    pub(in crate::auth) fn field(&mut self) -> Result<Option<Vec<Token>>, Unclosed> {
        let mut tokens = Vec::new();
        loop {
            match self.token()? {
                None => break,
                Some((token, more)) => {
                    tokens.extend(token);
                    if !more {
                        break;
                    }
                }
            }
        }
        Ok((!tokens.is_empty()).then_some(tokens))
    }

    /// The next field, if it is one word. `Ok(Err(()))`: it is a list.
    pub(in crate::auth) fn word(&mut self) -> Result<Option<Result<Token, ()>>, Unclosed> {
        Ok(self.field()?.map(|mut tokens| match tokens.pop() {
            Some(token) if tokens.is_empty() => Ok(token),
            Some(_) | None => Err(()),
        }))
    }

    /// What is left of the line, without its comment and the blanks around it.
    pub(in crate::auth) fn remainder(&self) -> &'a str {
        let mut in_quotes = false;
        let end = self.rest.find(|c| {
            in_quotes ^= c == '"';
            c == '#' && !in_quotes
        });
        self.rest[..end.unwrap_or(self.rest.len())].trim()
    }

    /// A word, and whether a comma says that the field goes on. No word: two commas.
    fn token(&mut self) -> Result<Option<(Option<Token>, bool)>, Unclosed> {
        let text = self.rest.trim_start();
        if text.is_empty() || text.starts_with('#') {
            self.rest = "";
            return Ok(None);
        }
        let quoted = text.starts_with('"');
        let (mut word, mut in_quotes, mut was_quote) = (String::new(), false, false);
        let mut end = text.len();
        for (at, c) in text.char_indices() {
            if !in_quotes && (c.is_whitespace() || c == ',' || c == '#') {
                end = at;
                break;
            }
            if c == '"' {
                in_quotes = !in_quotes;
                if was_quote {
                    word.push('"');
                }
                was_quote = !was_quote && !in_quotes;
            } else {
                word.push(c);
                was_quote = false;
            }
        }
        if in_quotes {
            return Err(Unclosed);
        }
        let after = text[end..].trim_start();
        let (more, after) = match after.strip_prefix(',') {
            Some(after) => (true, after),
            None => (false, after),
        };
        self.rest = after;
        let token = Token { text: word, quoted };
        let empty = token.text.is_empty() && !quoted;
        Ok(Some(((!empty).then_some(token), more)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(text: &str) -> Vec<Vec<String>> {
        let mut line = Line::new(text);
        std::iter::from_fn(|| line.field().unwrap())
            .map(|field| field.into_iter().map(|token| token.text).collect())
            .collect()
    }

    #[test]
    fn words_are_apart_by_blanks_and_joined_by_commas() {
        assert_eq!(
            fields(" host\ta,b , c  d,,e # f"),
            [vec!["host"], vec!["a", "b", "c"], vec!["d", "e"]]
        );
        assert!(fields("").is_empty());
        assert!(fields("  # only a comment").is_empty());
        assert!(fields(" , ").is_empty());
    }

    #[test]
    fn quotes_take_everything_as_it_is() {
        assert_eq!(
            fields(r##""a b","#c" "d""e" """" "" x"y z"#w"##),
            [
                vec!["a b", "#c"],
                vec![r#"d"e"#],
                vec!["\""],
                vec![""],
                vec!["xy z"]
            ]
        );
        assert_eq!(Line::new("host \"a").field().map(|_| ()), Ok(()));
        let mut line = Line::new("host \"a b");
        line.field().unwrap();
        assert_eq!(line.field(), Err(Unclosed));
    }

    #[test]
    fn a_quoted_keyword_is_a_name() {
        let mut line = Line::new("all \"all\"");
        assert!(line.field().unwrap().unwrap()[0].is("all"));
        assert!(!line.field().unwrap().unwrap()[0].is("all"));
    }

    #[test]
    fn the_remainder_is_the_text_as_it_is_without_its_comment() {
        let mut line = Line::new("ldap  a=\"x # y\", b=c  # d");
        line.field().unwrap();
        assert_eq!(line.remainder(), "a=\"x # y\", b=c");
    }

    proptest! {
        #[test]
        fn any_line_comes_to_its_end(text in "[\"#, a\\PC]*") {
            let mut line = Line::new(&text);
            let mut left = text.len() + 1;
            while let Ok(Some(_)) = line.field() {
                left = left.checked_sub(1).unwrap();
            }
        }

        #[test]
        fn any_name_survives_quoting(name in "[^\n\r]*") {
            let text = format!("\"{}\"", name.replace('"', "\"\""));
            prop_assert_eq!(fields(&text), vec![vec![name]]);
        }
    }
}
