//! Who gets which role.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::auth::certificate::CertificateNames;
use crate::auth::identity::Identity;
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

/// Who asks for a role: an identity, or somebody whom `check` only supposes. What decides about
/// a grant is the same for both; an admission comes of an identity alone.
pub trait Claimant {
    /// The user's name.
    fn user(&self) -> &str;
    /// Whether the name itself is proved.
    fn is_proved(&self) -> bool;
    /// Whether it has a certificate with such names.
    fn has_certificate(&self, wanted: &CertificateMatch) -> bool;
    /// Whether its token has a claim with one of these values.
    fn has_claim(&self, claim: &str, values: &[Glob]) -> bool;
}

impl Claimant for Identity {
    fn user(&self) -> &str {
        Self::user(self).as_str()
    }

    fn is_proved(&self) -> bool {
        Self::is_proved(self)
    }

    fn has_certificate(&self, wanted: &CertificateMatch) -> bool {
        self.certificate()
            .is_some_and(|names| wanted.matches(names))
    }

    fn has_claim(&self, claim: &str, values: &[Glob]) -> bool {
        self.token().is_some_and(|token| {
            let mut claimed = token.claim(claim);
            claimed.any(|claimed| values.iter().any(|glob| glob.matches(claimed)))
        })
    }
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
        who: &impl Claimant,
        origin: &Origin,
        database: &str,
        now: SystemTime,
    ) -> bool {
        self.objection(who, origin, database, now).is_none()
    }

    /// The first of its keys that is not true of this client; `None`: all are, it is for it.
    pub fn objection(
        &self,
        who: &impl Claimant,
        origin: &Origin,
        database: &str,
        now: SystemTime,
    ) -> Option<&'static str> {
        let certificate = self.certificate.as_ref();
        // Who claims a name with nothing but a certificate that does not say it must be given
        // the role for that certificate.
        let is_known = who.is_proved() || certificate.is_some();
        let keys = [
            ("user", is_known && self.has_user(who.user())),
            (
                "certificate",
                certificate.is_none_or(|wanted| who.has_certificate(wanted)),
            ),
            (
                "oauth",
                self.oauth
                    .iter()
                    .all(|(claim, values)| who.has_claim(claim, values)),
            ),
        ];
        let objection = keys.into_iter().find(|(_, is_true)| !is_true);
        objection
            .map(|(key, _)| key)
            .or_else(|| self.closed(origin, database, now))
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
        self.closed(origin, database, now).is_none()
    }

    /// The first of the keys that are not about who the client is and that is not true.
    fn closed(&self, origin: &Origin, database: &str, now: SystemTime) -> Option<&'static str> {
        let one_of =
            |globs: &[Glob], text| globs.is_empty() || globs.iter().any(|g| g.matches(text));
        let window = self.window.as_ref();
        let keys = [
            ("database", one_of(&self.database, database)),
            ("from", is_from(&self.from, origin.address)),
            (
                "uid",
                self.uid.is_empty() || origin.uid.is_some_and(|uid| self.uid.contains(&uid)),
            ),
            ("tls", self.tls.is_none_or(|tls| tls == origin.tls)),
            ("window", window.is_none_or(|window| window.contains(now))),
            ("expires", self.expires.is_none_or(|expires| now < expires)),
        ];
        let objection = keys.into_iter().find(|(_, is_true)| !is_true);
        objection.map(|(key, _)| key)
    }

    fn has_user(&self, user: &str) -> bool {
        self.user.is_empty() || self.user.iter().any(|glob| glob.matches(user))
    }
}

impl CertificateMatch {
    /// Whether a certificate's names are the wanted ones.
    pub fn matches(&self, names: &CertificateNames) -> bool {
        self.matches_names(
            names.common_name.as_deref(),
            names.dns.iter().chain(&names.uris).map(String::as_str),
        )
    }

    /// Whether a common name and alternative names are the wanted ones.
    pub fn matches_names<'a>(
        &self,
        common_name: Option<&str>,
        mut alternative: impl Iterator<Item = &'a str>,
    ) -> bool {
        let cn = self.cn.as_ref();
        let san = self.san.as_ref();
        cn.is_none_or(|glob| common_name.is_some_and(|name| glob.matches(name)))
            && san.is_none_or(|glob| alternative.any(|name| glob.matches(name)))
    }
}
