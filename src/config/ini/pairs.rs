//! The `key=value key='value'` of a database, a user or a peer.

/// Reads them in their order; a value has no quotes any more, and a quote in it was doubled.
///
/// # Errors
/// What was expected instead, without the value: it may be a password.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, behind)) = rest.split_once('=') else {
            return Err(EXPECTED.into());
        };
        let key = key.trim_end();
        if key.is_empty() || key.contains(is_blank) {
            return Err(EXPECTED.into());
        }
        let behind = behind.trim_start();
        let (value, behind) = match behind.strip_prefix('\'') {
            Some(quoted) => unquote(quoted)
                .ok_or_else(|| format!("expected a closing ' behind the value of {key}"))?,
            None => {
                let end = behind.find(is_blank).unwrap_or(behind.len());
                let (value, behind) = behind.split_at(end);
                (value.to_owned(), behind)
            }
        };
        if value.is_empty() {
            return Err(format!("expected a value that is not empty for {key}"));
        }
        if !behind.is_empty() && !behind.starts_with(is_blank) {
            return Err(format!("expected a blank behind the value of {key}"));
        }
        pairs.push((key.to_owned(), value));
        rest = behind.trim_start();
    }
    Ok(pairs)
}

/// Up to the quote that is not doubled.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('\'')?;
        value.push_str(part);
        match behind.strip_prefix('\'') {
            Some(behind) => {
                value.push('\'');
                rest = behind;
            }
            None => return Some((value, behind)),
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace()
}

const EXPECTED: &str = "expected key=value pairs with blanks between them";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        pairs(text).unwrap()
    }

    #[test]
    fn values_may_be_quoted_and_hold_doubled_quotes() {
        let expected = [
            ("host", "10.0.0.1"),
            ("dbname", "o'hara = x"),
            ("connect_query", "select 'a'"),
            ("port", "5433"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            read(" host=10.0.0.1 dbname = 'o''hara = x'\tconnect_query='select ''a''' port= 5433 "),
            expected
        );
        assert!(read("").is_empty());
    }

    #[test]
    fn what_is_no_pair_is_refused_without_its_value() {
        for text in [
            "host",
            "host=a x",
            "password=",
            "password= ''",
            "password='secret",
            "password='secret'x=1",
            "= 1",
            "pass word=secret",
        ] {
            let complaint = pairs(text).unwrap_err();
            assert!(!complaint.contains("secret"), "{complaint}");
        }
    }
}
