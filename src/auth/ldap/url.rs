//! `ldapurl`, RFC 4516 as far as PostgreSQL takes it.

use super::SearchScope;

/// The parts of a URL.
#[derive(Debug)]
pub(super) struct LdapUrl {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) base: Option<String>,
    pub(super) attribute: Option<String>,
    pub(super) scope: SearchScope,
    pub(super) filter: Option<String>,
}

impl LdapUrl {
    /// Reads a URL. `None`: it is none, or asks for what no login needs.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.split_once("://")? {
            ("ldap", rest) => (false, rest),
            ("ldaps", rest) => (true, rest),
            _ => return None,
        };
        let (authority, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host_and_port(authority)?;
        let mut parts = rest.split('?');
        let mut part = || decoded(parts.next().unwrap_or_default());
        let (base, attribute, scope, filter) = (part()?, part()?, part()?, part()?);
        // Extensions: PostgreSQL has none.
        if parts.next().is_some_and(|more| !more.is_empty()) || attribute.contains(',') {
            return None;
        }
        let scope = match scope.as_str() {
            // "The default is base, which is normally not useful in this application."
            "base" | "" => SearchScope::Base,
            "one" => SearchScope::One,
            "sub" => SearchScope::Sub,
            _ => return None,
        };
        let given = |text: String| (!text.is_empty()).then_some(text);
        Some(Self {
            tls,
            host,
            port,
            base: given(base),
            attribute: given(attribute),
            scope,
            filter: given(filter),
        })
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            // Kept, for a server without brackets would have its last part taken for a port.
            (format!("[{host}]"), rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (authority.to_owned(), None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    (!host.chars().any(char::is_whitespace)).then_some((host, port))
}

/// Undoes `%20` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}
