//! What an operator says about a directory, in PostgreSQL's words:
//! <https://www.postgresql.org/docs/current/auth-ldap.html>
//!
//! Asks nobody: `session` does.

mod url;
mod words;

use std::fmt;
use std::str::FromStr;

use super::secret::PlainPassword;

/// Where the directory is and how a user is found in it.
#[derive(Clone, Debug)]
pub struct LdapOptions {
    /// The servers, to be tried in this order; at least one.
    pub servers: Vec<LdapServer>,
    /// How a password gets there.
    pub transport: Transport,
    /// How a user's name in the directory is found.
    pub lookup: UserLookup,
}

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LdapServer {
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for LdapServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// What lies between us and the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Nothing.
    Plain,
    /// `ldaptls=1`: TLS, begun by an extended operation, RFC 4511 section 4.14.
    StartTls,
    /// `ldapscheme=ldaps`: TLS from the first byte.
    Tls,
}

/// How a user's name in the directory is found.
#[derive(Clone, Debug)]
pub enum UserLookup {
    /// It is made of the user's name.
    Simple {
        /// What stands before it.
        prefix: String,
        /// What stands behind it.
        suffix: String,
    },
    /// The directory is asked for it first.
    Search(Search),
}

/// Where and for what is searched.
#[derive(Clone, Debug)]
pub struct Search {
    /// Where.
    pub base: String,
    /// How deep.
    pub scope: SearchScope,
    /// For what, with [`USER`] for the user.
    filter: String,
    /// Who searches: name and password. `None`: nobody in particular.
    pub bind: Option<(String, PlainPassword)>,
}

/// How deep a search goes, RFC 4511 section 4.5.1.2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SearchScope {
    /// The place itself.
    Base,
    /// What is directly below it.
    One,
    /// It and all below it.
    #[default]
    Sub,
}

/// A text that is no [`LdapOptions`]. Shows no values, one of which may be a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LdapOptionsError {
    /// Both a name to be made and a search.
    #[error(
        "ldapprefix and ldapsuffix cannot be used with ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter or a base in ldapurl"
    )]
    Mixed,
    /// No server.
    #[error("ldapserver or ldapurl is missing")]
    NoServer,
    /// No way to find users.
    #[error("one of ldapbasedn, ldapprefix and ldapsuffix is needed")]
    NoLookup,
    /// A name to search with and no password, or the other way round.
    #[error("ldapbinddn and ldapbindpasswd are needed together")]
    HalfBind,
    /// Something that is no `key=value`.
    #[error("expected key=value with blanks or commas between them, quoted where they have some")]
    NoPair,
    /// A quote without its end.
    #[error("a quoted value is not closed")]
    Unclosed,
    /// Two ways to say what is searched for.
    #[error("ldapsearchattribute and ldapsearchfilter cannot be used together")]
    TwoFilters,
    /// TLS within TLS.
    #[error("ldaptls=1 and ldapscheme=ldaps cannot be used together")]
    TwoTls,
    /// A key there is not.
    #[error("unknown LDAP option \"{0}\"")]
    Unknown(String),
    /// A value that its key cannot have.
    #[error("{0}: expected {1}")]
    Value(&'static str, &'static str),
}

impl LdapOptions {
    /// Reads `key=value` pairs. For those who have the pairs already.
    ///
    /// # Errors
    /// An unknown key, a value it cannot have, or options that do not go together.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LdapOptionsError> {
        let mut given = words::Given::default();
        for (key, value) in pairs {
            given.set(key, value)?;
        }
        given.options()
    }
}

impl FromStr for LdapOptions {
    type Err = LdapOptionsError;

    /// Reads what `auth_ldap_options` says, or what follows `ldap` in a line of an HBA file.
    fn from_str(text: &str) -> Result<Self, LdapOptionsError> {
        let pairs = words::pairs(text)?;
        Self::from_pairs(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }
}

impl UserLookup {
    /// The name a user has in the directory if it need not be asked for.
    pub fn name_of(&self, user: &str) -> Option<String> {
        match self {
            Self::Simple { prefix, suffix } => {
                // "DOMAIN\alice" and "alice@example.net" are no distinguished names.
                let is_dn = prefix.contains('=') || suffix.contains('=');
                let user = if is_dn {
                    ldap3::dn_escape(user)
                } else {
                    user.into()
                };
                Some(format!("{prefix}{user}{suffix}"))
            }
            Self::Search(_) => None,
        }
    }
}

impl Search {
    /// The filter that finds a user, and nobody else whatever its name.
    pub fn filter_for(&self, user: &str) -> String {
        self.filter.replace(USER, &ldap3::ldap_escape(user))
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Stands for the user in `ldapsearchfilter`.
pub const USER: &str = "$username";

#[cfg(test)]
mod tests;
