//! Names of users and databases, as types that cannot be mixed up.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a user, as the client or a settings file gave it; compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Arc<str>);

/// The name of a database as clients ask for it; compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseName(Arc<str>);

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Copies `name`; clones share it.
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Arc::from(name.as_ref()))
            }

            /// The name without quotes or escapes.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<Arc<str>> for $name {
            fn from(name: Arc<str>) -> Self {
                Self(name)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

name!(UserName);
name!(DatabaseName);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_map_by_user_name_is_searched_with_plain_text() {
        let map = HashMap::from([(UserName::new("alice"), 1)]);
        assert_eq!(map.get("alice"), Some(&1));
        assert_eq!(map.get("Alice"), None);
    }

    #[test]
    fn a_name_is_shown_as_it_is_and_quoted_in_debug_output() {
        let name = DatabaseName::new("shop\n");
        assert_eq!(name.to_string(), "shop\n");
        assert_eq!(format!("{name:?}"), "\"shop\\n\"");
    }
}
