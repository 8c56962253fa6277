//! Tables: what SHOW answers with, and how its values look on the wire.

use std::borrow::Cow;

use crate::wire::backend;

/// A result with its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns, in order.
    pub columns: &'static [Column],
    /// A value for each column of each row.
    pub rows: Vec<Vec<Value>>,
}

/// A column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `bytea`
    Bytea,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `numeric`
    Numeric,
    /// `text`
    Text,
}

/// One value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// Of a `bytea` column.
    Bytea(Vec<u8>),
    /// Of an `int4` column.
    Int4(i32),
    /// Of an `int8` column.
    Int8(i64),
    /// NULL, of any column.
    Null,
    /// Of a `numeric` column; all of ours are counts.
    Numeric(u64),
    /// Of a `text` column.
    Text(Cow<'static, str>),
}

/// How values are written: as text, or as the type's binary form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// As the type prints.
    Text,
    /// As the type's send function writes it.
    Binary,
}

/// The formats of all columns, as a Bind asks for them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Formats(Vec<Format>);

impl Column {
    /// A column of bytes.
    pub const fn bytea(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Bytea,
        }
    }

    /// A column of integers that are small.
    pub const fn int4(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Int4,
        }
    }

    /// A column of integers that may be large.
    pub const fn int8(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Int8,
        }
    }

    /// A column of counts that may be large.
    pub const fn numeric(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Numeric,
        }
    }

    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
        }
    }
}

impl Kind {
    /// The type's object id and length, as `pg_type` has them.
    pub fn oid_and_len(self) -> (u32, i16) {
        match self {
            Self::Bytea => (17, -1),
            Self::Int4 => (23, 4),
            Self::Int8 => (20, 8),
            Self::Numeric => (1700, -1),
            Self::Text => (25, -1),
        }
    }
}

impl Value {
    /// A count for an `int4` column; what does not fit is the largest that does.
    pub fn int4(count: impl TryInto<i32>) -> Self {
        Self::Int4(count.try_into().unwrap_or(i32::MAX))
    }

    /// Text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Whether a column of this type may hold it.
    pub fn is_a(&self, kind: Kind) -> bool {
        match self {
            Self::Bytea(_) => kind == Kind::Bytea,
            Self::Int4(_) => kind == Kind::Int4,
            Self::Int8(_) => kind == Kind::Int8,
            Self::Null => true,
            Self::Numeric(_) => kind == Kind::Numeric,
            Self::Text(_) => kind == Kind::Text,
        }
    }

    /// The bytes in a DataRow; `None` for NULL.
    pub fn encode(&self, format: Format) -> Option<Vec<u8>> {
        Some(match (self, format) {
            (Self::Null, _) => return None,
            (Self::Bytea(bytes), Format::Binary) => bytes.clone(),
            (Self::Bytea(bytes), Format::Text) => hex(bytes).into_bytes(),
            (Self::Text(text), _) => text.as_bytes().to_vec(),
            (Self::Int4(n), Format::Text) => n.to_string().into_bytes(),
            (Self::Int8(n), Format::Text) => n.to_string().into_bytes(),
            (Self::Numeric(n), Format::Text) => n.to_string().into_bytes(),
            (Self::Int4(n), Format::Binary) => n.to_be_bytes().to_vec(),
            (Self::Int8(n), Format::Binary) => n.to_be_bytes().to_vec(),
            (Self::Numeric(n), Format::Binary) => numeric_send(*n),
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text.to_owned())
    }
}

impl Formats {
    /// The formats of `columns` columns from the codes of a Bind: none for text, one for all,
    /// or one each. `None` if they are anything else.
    pub fn of_bind(codes: &[i16], columns: usize) -> Option<Self> {
        let formats: Vec<_> = codes
            .iter()
            .map(|code| match code {
                0 => Some(Format::Text),
                1 => Some(Format::Binary),
                _ => None,
            })
            .collect::<Option<_>>()?;
        match formats[..] {
            [] => Some(Self::default()),
            [all] => Some(Self(vec![all; columns])),
            // A statement without a result may be bound with any formats: they are for nothing.
            _ if columns == 0 => Some(Self::default()),
            _ => (formats.len() == columns).then_some(Self(formats)),
        }
    }

    fn of(&self, column: usize) -> Format {
        self.0.get(column).copied().unwrap_or(Format::Text)
    }
}

/// Appends a RowDescription.
pub fn put_columns(out: &mut Vec<u8>, columns: &[Column], formats: &Formats) {
    let columns: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let (type_oid, type_len) = column.kind.oid_and_len();
            let binary = formats.of(at) == Format::Binary;
            backend::Column {
                name: column.name,
                type_oid,
                type_len,
                binary,
            }
        })
        .collect();
    backend::put_row_description(out, &columns);
}

/// Appends a DataRow.
pub fn put_row(out: &mut Vec<u8>, row: &[Value], formats: &Formats) {
    let values: Vec<_> = row
        .iter()
        .enumerate()
        .map(|(at, value)| value.encode(formats.of(at)))
        .collect();
    backend::put_data_row(out, values.iter().map(Option::as_deref));
}

/// `\x00ff`, which is how PostgreSQL prints bytes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// What PostgreSQL's `numeric_send` makes of a whole number: digits of base 10,000, the first
/// of weight 10,000^weight, without the zeros at the end.
fn numeric_send(mut n: u64) -> Vec<u8> {
    let mut digits = Vec::new(); // the least first
    while n > 0 {
        digits.push(i16::try_from(n % 10_000).unwrap_or_default());
        n /= 10_000;
    }
    let weight = i16::try_from(digits.len().saturating_sub(1)).unwrap_or_default();
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[zeros..];
    let (positive, scale) = (0_i16, 0_i16);
    let len = i16::try_from(digits.len()).unwrap_or_default();
    [len, weight, positive, scale]
        .iter()
        .chain(digits.iter().rev())
        .flat_map(|part| part.to_be_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: u64) -> Vec<i16> {
        let bytes = Value::Numeric(n).encode(Format::Binary).unwrap();
        bytes
            .chunks(2)
            .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn a_numeric_is_sent_as_postgresql_sends_it() {
        assert_eq!(words(0), [0, 0, 0, 0]);
        assert_eq!(words(7), [1, 0, 0, 0, 7]);
        assert_eq!(words(10_000), [1, 1, 0, 0, 1]);
        assert_eq!(words(1_2345_0000), [2, 2, 0, 0, 1, 2345]);
        assert_eq!(words(u64::MAX), [5, 4, 0, 0, 1844, 6744, 737, 955, 1615]);
    }

    #[test]
    fn formats_are_none_one_for_all_or_one_each() {
        assert_eq!(Formats::of_bind(&[], 3).unwrap().of(2), Format::Text);
        assert_eq!(Formats::of_bind(&[1], 3).unwrap().of(2), Format::Binary);
        let each = Formats::of_bind(&[0, 1, 0], 3).unwrap();
        assert_eq!((each.of(0), each.of(1)), (Format::Text, Format::Binary));
        assert!(Formats::of_bind(&[0, 1], 3).is_none());
        assert!(Formats::of_bind(&[2], 3).is_none());
    }

    #[test]
    fn a_count_that_does_not_fit_is_the_largest_that_does() {
        assert_eq!(Value::int4(usize::MAX), Value::Int4(i32::MAX));
        assert_eq!(
            Value::Int8(-2).encode(Format::Binary).unwrap(),
            (-2_i64).to_be_bytes()
        );
        assert_eq!(Value::Int8(-2).encode(Format::Text).unwrap(), b"-2");
    }
}
