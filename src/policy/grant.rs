//! Who gets which role.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::auth::certificate::CertificateNames;
use crate::auth::identity::Identity;
use crate::auth::token::Token;
use crate::policy::condition::is_from;
use crate::policy::pattern::Glob;
use crate::policy::role::RoleName;
use crate::policy::window::Window;

/// Gives a role to whom all of it is true of; of a list, one element. What is not given is true
/// of everybody.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The role.
    pub role: RoleName,
    /// The user's name.
    pub user: Vec<Glob>,
    /// The database's name.
    pub database: Vec<Glob>,
    /// The client's address; a Unix socket has none.
    pub from: Vec<IpNet>,
    /// A name in the client's verified certificate. It proves the client's identity.
    pub certificate: Option<CertificateMatch>,
    /// Claims of the client's token: each must have one of the values. `issuer` is the issuer;
    /// `group` is one of `groups` as well.
    pub oauth: BTreeMap<String, Vec<Glob>>,
    /// The user id behind a Unix socket.
    pub uid: Vec<u32>,
    /// Whether the connection is encrypted.
    pub tls: Option<bool>,
    /// When.
    pub window: Option<Window>,
    /// Until when.
    pub expires: Option<SystemTime>,
}

/// A name in a certificate; of what is given, all must match.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertificateMatch {
    /// The subject's common name.
    pub cn: Option<Glob>,
    /// A DNS name or URI among the subject's alternative names.
    pub san: Option<Glob>,
}

/// Where a client comes from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// Its address; `None`: a Unix socket.
    pub address: Option<IpAddr>,
    /// The user id behind a Unix socket.
    pub uid: Option<u32>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl Grant {
    /// A grant to everybody.
    pub fn new(role: RoleName) -> Self {
        Self {
            role,
            user: Vec::new(),
            database: Vec::new(),
            from: Vec::new(),
            certificate: None,
            oauth: BTreeMap::new(),
            uid: Vec::new(),
            tls: None,
            window: None,
            expires: None,
        }
    }

    /// Whether it is for this client at this time.
    pub fn is_for(
        &self,
        identity: &Identity,
        origin: &Origin,
        database: &str,
        now: SystemTime,
    ) -> bool {
        // Who claims a name with nothing but a certificate that does not say it must be given
        // the role for that certificate.
        (identity.is_proved() || self.certificate.is_some())
            && self.is_open(origin, database, now)
            && self.has_user(identity.user().as_str())
            && self.certificate.as_ref().is_none_or(|wanted| {
                identity
                    .certificate()
                    .is_some_and(|names| wanted.matches(names))
            })
            && (self.oauth.is_empty()
                || identity.token().is_some_and(|token| self.has_claims(token)))
    }

    /// Whether a verified certificate is all that a client of this name needs.
    pub fn is_for_certificate(
        &self,
        user: &str,
        names: &CertificateNames,
        origin: &Origin,
        database: &str,
        now: SystemTime,
    ) -> bool {
        let wanted = self.certificate.as_ref();
        wanted.is_some_and(|wanted| wanted.matches(names))
            && self.oauth.is_empty()
            && self.is_open(origin, database, now)
            && self.has_user(user)
    }

    /// When it ends or may end next, after `now`.
    pub fn ends(&self, now: SystemTime) -> Option<SystemTime> {
        let closes = self
            .window
            .as_ref()
            .and_then(|window| window.next_change(now));
        [self.expires, closes].into_iter().flatten().min()
    }

    fn is_open(&self, origin: &Origin, database: &str, now: SystemTime) -> bool {
        let one_of =
            |globs: &[Glob], text| globs.is_empty() || globs.iter().any(|g| g.matches(text));
        one_of(&self.database, database)
            && is_from(&self.from, origin.address)
            && (self.uid.is_empty() || origin.uid.is_some_and(|uid| self.uid.contains(&uid)))
            && self.tls.is_none_or(|tls| tls == origin.tls)
            && self
                .window
                .as_ref()
                .is_none_or(|window| window.contains(now))
            && self.expires.is_none_or(|expires| now < expires)
    }

    fn has_user(&self, user: &str) -> bool {
        self.user.is_empty() || self.user.iter().any(|glob| glob.matches(user))
    }

    fn has_claims(&self, token: &Token) -> bool {
        self.oauth.iter().all(|(claim, globs)| {
            let mut values = token.claim(claim);
            values.any(|value| globs.iter().any(|glob| glob.matches(value)))
        })
    }
}

impl CertificateMatch {
    /// Whether a certificate's names are the wanted ones.
    pub fn matches(&self, names: &CertificateNames) -> bool {
        let cn = self.cn.as_ref().is_none_or(|glob| {
            names
                .common_name
                .as_ref()
                .is_some_and(|name| glob.matches(name))
        });
        let san = self.san.as_ref().is_none_or(|glob| {
            names
                .dns
                .iter()
                .chain(&names.uris)
                .any(|name| glob.matches(name))
        });
        cn && san
    }
}
