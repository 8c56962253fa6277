//! Names with wildcards.

use std::fmt;

use crate::policy::classification::Name;

/// A text in which `*` stands for any characters, and everything else for itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob(Box<str>);

impl Glob {
    /// A glob as it was written.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is one of those it stands for.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        // Splitting yields at least one part.
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tables of schemas, such as `public.*` or `sales.orders`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TablePattern {
    schema: Glob,
    name: Glob,
}

impl TablePattern {
    /// Reads `schema.name`; both may have wildcards. `None`: not of this form.
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, name) = text.split_once('.')?;
        (!schema.is_empty() && !name.is_empty() && !name.contains('.')).then(|| Self {
            schema: Glob::new(schema),
            name: Glob::new(name),
        })
    }

    /// Whether it stands for this table.
    pub fn matches(&self, schema: &str, name: &str) -> bool {
        self.schema.matches(schema) && self.name.matches(name)
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The schemas in which a name may be found: the one it has, or any of the search path.
pub fn schemas_of<'a>(
    name: &'a Name,
    search_path: &'a [Box<str>],
) -> impl Iterator<Item = &'a str> {
    let searched: &[Box<str>] = match name.schema {
        Some(_) => &[],
        None => search_path,
    };
    let own = name.schema.iter();
    own.chain(searched).map(AsRef::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (glob, yes, no) in [
            ("bi_*", &["bi_", "bi_x"][..], &["bi", "xbi_"][..]),
            ("*", &["", "a"], &[]),
            ("a*b*c", &["abc", "aXbYbc"], &["ab", "acb", "abcd"]),
            ("ab*ba", &["abba", "abXba"], &["aba"]),
            ("", &[""], &["a"]),
            (
                "spiffe://prod/shop/*",
                &["spiffe://prod/shop/web"],
                &["spiffe://prod/shopper"],
            ),
        ] {
            let glob_value = Glob::new(glob);
            for text in yes {
                assert!(glob_value.matches(text), "{glob} {text}");
            }
            for text in no {
                assert!(!glob_value.matches(text), "{glob} {text}");
            }
        }
    }
}
