//! Texts that differ in nothing but their numbers, and mean the same to every rule.

use crate::policy::classification::Classification;
use crate::policy::kind::{Kind, Kinds};

/// Writes a text with ones for the digits of its whole numbers, which has the same length. False
/// if it has none, or anything in which digits might be something else: quotes, a dollar, a
/// backslash.
pub(super) fn mask(text: &[u8], masked: &mut Vec<u8>) -> bool {
    masked.clear();
    masked.extend_from_slice(text);
    let mut has_numbers = false;
    let mut before = b' ';
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match CLASSES[usize::from(byte)] {
            Class::Quoting => return false,
            Class::Digit if CLASSES[usize::from(before)] == Class::Other => {
                let digits = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                let end = at + digits;
                let behind = text
                    .get(end)
                    .map_or(Class::Other, |&b| CLASSES[usize::from(b)]);
                if behind == Class::Other {
                    masked[at..end].fill(b'1');
                    has_numbers = true;
                }
                at = end;
                before = b'1';
            }
            Class::Digit | Class::Other | Class::Word => {
                before = byte;
                at += 1;
            }
        }
    }
    has_numbers
}

/// Whether it does not matter to any rule which numbers a text has. In a condition of an UPDATE
/// they may decide whether it is one, and in a parameter of SET they are what is judged.
pub(super) fn are_indifferent(text: &Classification) -> bool {
    text.statements.iter().all(|statement| {
        statement.kinds == Kinds::from(Kind::Select)
            && statement.settings.is_empty()
            && statement.prepares.is_none()
            && statement.executes.is_none()
    })
}

/// What a byte is beside a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Digit,
    Other,
    /// What is behind it may not be what it looks like.
    Quoting,
    /// Of a name, or of a number that is not whole.
    Word,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' | 0x80.. => Class::Word,
            b'"' | b'\'' | b'$' | b'\\' | b'`' | 0 => Class::Quoting,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sql;

    #[test]
    fn whole_numbers_are_masked_and_nothing_else() {
        let mut masked = Vec::new();
        for (text, expected) in [
            (
                "select a from t where b = 4711",
                "select a from t where b = 1111",
            ),
            ("select 0,-23+a[7] limit 9", "select 1,-11+a[1] limit 1"),
            ("select 5", "select 1"),
        ] {
            assert!(mask(text.as_bytes(), &mut masked), "{text}");
            assert_eq!(String::from_utf8_lossy(&masked), expected);
        }
        for text in [
            "select a from t1 where b2 = c_3",
            "select 1.5, .5, 5., 2e7, 0x1f, 12a, é5",
            "select '17', 17",
            "select \"17\" from t where a = 17",
            "select $1 + 17",
            "select $$ 17 $$",
            "select a",
            "",
        ] {
            assert!(!mask(text.as_bytes(), &mut masked), "{text}");
        }
    }

    #[test]
    fn only_what_reads_is_the_same_whatever_its_numbers() {
        let is = |text: &str| are_indifferent(&sql::classify(text.as_bytes()).unwrap());
        for text in ["select 1 from t where a = 2", "select f(1); select 2"] {
            assert!(is(text), "{text}");
        }
        for text in [
            "update t set a = 1 where 1 = 2",
            "set statement_timeout = 5",
            "select set_config(a, b, true) from t where c = 1",
            "select 1 from t for update",
            "execute p(1)",
            "prepare p as select 1",
            "select 1; delete from t where a = 1",
        ] {
            assert!(!is(text), "{text}");
        }
    }
}
