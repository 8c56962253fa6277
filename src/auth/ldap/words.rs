//! `key=value` pairs, and what they come to together.

use zeroize::Zeroizing;

use super::url::LdapUrl;
use super::{
    LdapOptions, LdapOptionsError, LdapServer, Search, SearchScope, Transport, USER, UserLookup,
};
use crate::auth::secret::PlainPassword;

type Result<T> = std::result::Result<T, LdapOptionsError>;

/// The pairs of a text. Between them are blanks and commas; what stands in double quotes keeps
/// its own, and two quotes within it are one.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, Zeroizing<String>)>> {
    let mut pairs = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| is_between(*c)).is_some() {}
        if chars.peek().is_none() {
            return Ok(pairs);
        }
        let mut word = Zeroizing::new(String::with_capacity(text.len()));
        let mut quoted = false;
        while let Some(c) = chars.next_if(|c| quoted || !is_between(*c)) {
            if c != '"' {
                word.push(c);
            } else if quoted && chars.next_if_eq(&'"').is_some() {
                word.push('"');
            } else {
                quoted = !quoted;
            }
        }
        if quoted {
            return Err(LdapOptionsError::Unclosed);
        }
        let (key, value) = word.split_once('=').ok_or(LdapOptionsError::NoPair)?;
        pairs.push((key.to_owned(), Zeroizing::new(value.to_owned())));
    }
}

fn is_between(c: char) -> bool {
    c == ',' || c.is_whitespace()
}

/// What was given, before it is known whether it goes together.
#[derive(Default)]
pub(super) struct Given {
    server: Option<String>,
    port: Option<u16>,
    ldaps: bool,
    start_tls: bool,
    prefix: Option<String>,
    suffix: Option<String>,
    base: Option<String>,
    bind: (Option<String>, Option<PlainPassword>),
    attribute: Option<String>,
    filter: Option<String>,
    scope: SearchScope,
}

impl Given {
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let text = || Some(value.to_owned());
        match key {
            "ldapserver" => self.server = text(),
            "ldapport" => {
                let port = value.parse().ok().filter(|port| *port != 0);
                self.port = Some(port.ok_or(PORT)?);
            }
            "ldapscheme" => self.ldaps = one_of(value, ["ldap", "ldaps"]).ok_or(SCHEME)?,
            "ldaptls" => self.start_tls = one_of(value, ["0", "1"]).ok_or(TLS)?,
            "ldapprefix" => self.prefix = text(),
            "ldapsuffix" => self.suffix = text(),
            "ldapbasedn" => self.base = text(),
            "ldapbinddn" => self.bind.0 = text(),
            "ldapbindpasswd" => self.bind.1 = Some(PlainPassword::new(value)),
            "ldapsearchattribute" => {
                if !is_attribute(value) {
                    return Err(ATTRIBUTE);
                }
                self.attribute = text();
            }
            "ldapsearchfilter" => self.filter = Some(filter(value)?),
            "ldapurl" => self.take(LdapUrl::parse(value).ok_or(URL)?)?,
            unknown => return Err(LdapOptionsError::Unknown(unknown.to_owned())),
        }
        Ok(())
    }

    fn take(&mut self, url: LdapUrl) -> Result<()> {
        self.ldaps = url.tls;
        self.server = Some(url.host);
        self.port = url.port.or(self.port);
        self.scope = url.scope;
        if let Some(base) = url.base {
            self.base = Some(base);
        }
        if let Some(attribute) = url.attribute {
            if !is_attribute(&attribute) {
                return Err(ATTRIBUTE);
            }
            self.attribute = Some(attribute);
        }
        if let Some(text) = url.filter {
            self.filter = Some(filter(&text)?);
        }
        Ok(())
    }

    pub(super) fn options(self) -> Result<LdapOptions> {
        let transport = match (self.ldaps, self.start_tls) {
            (true, true) => return Err(LdapOptionsError::TwoTls),
            (true, false) => Transport::Tls,
            (false, true) => Transport::StartTls,
            (false, false) => Transport::Plain,
        };
        let port = self.port.unwrap_or(if self.ldaps { 636 } else { 389 });
        let servers: Vec<_> = self
            .server
            .iter()
            .flat_map(|names| names.split_whitespace())
            .map(|name| server(name, port))
            .collect::<Result<_>>()?;
        if servers.is_empty() {
            return Err(LdapOptionsError::NoServer);
        }
        let lookup = self.lookup()?;
        Ok(LdapOptions {
            servers,
            transport,
            lookup,
        })
    }

    fn lookup(self) -> Result<UserLookup> {
        let searches = self.base.is_some()
            || self.bind.0.is_some()
            || self.bind.1.is_some()
            || self.attribute.is_some()
            || self.filter.is_some();
        if self.prefix.is_some() || self.suffix.is_some() {
            if searches {
                return Err(LdapOptionsError::Mixed);
            }
            return Ok(UserLookup::Simple {
                prefix: self.prefix.unwrap_or_default(),
                suffix: self.suffix.unwrap_or_default(),
            });
        }
        let base = self.base.ok_or(LdapOptionsError::NoLookup)?;
        let filter = match (self.attribute, self.filter) {
            (Some(_), Some(_)) => return Err(LdapOptionsError::TwoFilters),
            (None, Some(filter)) => filter,
            (Some(attribute), None) => format!("({attribute}={USER})"),
            (None, None) => format!("(uid={USER})"),
        };
        let bind = match self.bind {
            (Some(name), Some(password)) => Some((name, password)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(LdapOptionsError::HalfBind),
        };
        Ok(UserLookup::Search(Search {
            base,
            scope: self.scope,
            filter,
            bind,
        }))
    }
}

/// Which of two words it is: false for the first.
fn one_of(value: &str, [no, yes]: [&str; 2]) -> Option<bool> {
    (value == yes)
        .then_some(true)
        .or((value == no).then_some(false))
}

/// A server with a port of its own, or the one for all.
fn server(name: &str, port: u16) -> Result<LdapServer> {
    if let Some(rest) = name.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(SERVER)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| SERVER)?,
            None if rest.is_empty() => port,
            None => return Err(SERVER),
        };
        return Ok(LdapServer {
            host: host.to_owned(),
            port,
        });
    }
    let (host, port) = match name.split_once(':') {
        // More than one colon: an IPv6 address.
        Some((host, own)) if !own.contains(':') => (host, own.parse().map_err(|_| SERVER)?),
        Some(_) | None => (name, port),
    };
    let known = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(known) {
        return Err(SERVER);
    }
    Ok(LdapServer {
        host: host.to_owned(),
        port,
    })
}

/// RFC 4512 section 1.4: a name or a number with dots, and options.
fn is_attribute(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-.;".contains(c);
    !text.is_empty() && text.chars().all(known)
}

/// A filter that can be used whatever the user's name. OpenLDAP adds the brackets around a
/// single condition.
fn filter(text: &str) -> Result<String> {
    let text = text.trim();
    let filter = if text.starts_with('(') {
        text.to_owned()
    } else {
        format!("({text})")
    };
    let sample = filter.replace(USER, "user");
    ldap3::parse_filter(sample).map_err(|()| FILTER)?;
    Ok(filter)
}

const PORT: LdapOptionsError = LdapOptionsError::Value("ldapport", "a port from 1 to 65535");
const SCHEME: LdapOptionsError = LdapOptionsError::Value("ldapscheme", "ldap or ldaps");
const TLS: LdapOptionsError = LdapOptionsError::Value("ldaptls", "0 or 1");
const SERVER: LdapOptionsError = LdapOptionsError::Value(
    "ldapserver",
    "host names or addresses, each with or without a port",
);
const ATTRIBUTE: LdapOptionsError =
    LdapOptionsError::Value("ldapsearchattribute", "the name of an attribute");
const FILTER: LdapOptionsError =
    LdapOptionsError::Value("ldapsearchfilter", "a filter such as (uid=$username)");
const URL: LdapOptionsError = LdapOptionsError::Value(
    "ldapurl",
    "ldap[s]://host[:port]/basedn[?attribute[?base|one|sub[?filter]]]",
);
