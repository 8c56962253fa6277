//! A user name and the evidence it was accepted on.

use std::sync::Arc;

use super::certificate::CertificateNames;
use super::ident::IdentMap;
use super::method::Method;
use super::names::UserName;
use super::password::PasswordProof;
use super::scram::server::Proven;
use super::token::Token;

/// Who a client is. Each constructor but one asks for the evidence; that one is
/// [`Identity::trusted`] and named so.
///
/// That the evidence is about *this* user is for the caller to see to: it must come from
/// the secret looked up for the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: UserName,
    method: Method,
    /// The name itself is proved, not only claimed beside a certificate.
    proved: bool,
    certificate: Option<Arc<CertificateNames>>,
    token: Option<Arc<Token>>,
}

impl Identity {
    /// The user is believed without any proof.
    pub fn trusted(user: UserName) -> Self {
        Self::proved(user, Method::Trust)
    }

    /// Another process of ours, which this one takes the place of, has seen the proof.
    pub fn carried(user: UserName, method: Method) -> Self {
        Self::proved(user, method)
    }

    /// The client proved by SCRAM that it knows the password.
    pub fn by_scram(user: UserName, _proven: &Proven) -> Self {
        Self::proved(user, Method::ScramSha256)
    }

    /// The client sent the password, or an MD5 answer made from it; `method` says which.
    pub fn by_password(user: UserName, method: Method, _proof: PasswordProof) -> Self {
        Self::proved(user, method)
    }

    /// The certificate's common name, or one of its DNS names, is the user's name, letter by
    /// letter and without wildcards. `None` if not.
    ///
    /// The names count only if TLS has verified the chain of this very certificate.
    pub fn by_certificate(user: UserName, names: &CertificateNames) -> Option<Self> {
        let named = |name: &String| !name.is_empty() && name == user.as_str();
        (names.common_name.as_ref().is_some_and(named) || names.dns.iter().any(named))
            .then(|| Self::proved(user, Method::Cert))
    }

    /// The map lets one of the certificate's names be this user; without a map, as
    /// [`Self::by_certificate`].
    pub fn by_mapped_certificate(
        user: UserName,
        names: &CertificateNames,
        map: Option<&IdentMap>,
    ) -> Option<Self> {
        let Some(map) = map else {
            return Self::by_certificate(user, names);
        };
        let alternatives = names.dns.iter().chain(&names.uris);
        let mut all = names.common_name.iter().chain(alternatives);
        all.any(|name| map.permits(name, user.as_str()))
            .then(|| Self::proved(user, Method::Cert))
    }

    /// The process at the other end of a Unix socket belongs to `owner`, whom the map lets be
    /// this user; without a map it must have the same name.
    pub fn by_peer(user: UserName, owner: &str, map: Option<&IdentMap>) -> Option<Self> {
        let may = match map {
            Some(map) => map.permits(owner, user.as_str()),
            None => !owner.is_empty() && owner == user.as_str(),
        };
        may.then(|| Self::proved(user, Method::Peer))
    }

    /// The client has a certificate that TLS has verified. Its user name is a mere claim: only
    /// a grant for the certificate may let it in.
    pub fn beside_certificate(user: UserName, names: Arc<CertificateNames>) -> Self {
        Self {
            proved: false,
            ..Self::proved(user, Method::Cert).with_certificate(names)
        }
    }

    /// An identity provider's token says who it is.
    pub fn by_token(user: UserName, token: Arc<Token>) -> Self {
        Self {
            token: Some(token),
            ..Self::proved(user, Method::OAuth)
        }
    }

    /// The same with the names of the certificate that the client has shown besides, and that
    /// TLS has verified.
    #[must_use]
    pub fn with_certificate(mut self, names: Arc<CertificateNames>) -> Self {
        self.certificate = Some(names);
        self
    }

    fn proved(user: UserName, method: Method) -> Self {
        Self {
            user,
            method,
            proved: true,
            certificate: None,
            token: None,
        }
    }

    /// Whether the name itself is proved.
    pub fn is_proved(&self) -> bool {
        self.proved
    }

    /// The names of the client's verified certificate.
    pub fn certificate(&self) -> Option<&CertificateNames> {
        self.certificate.as_deref()
    }

    /// The client's verified token.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_deref()
    }

    /// The user's name.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// How it was proved.
    pub fn method(&self) -> Method {
        self.method
    }
}

#[cfg(test)]
mod tests {
    use super::super::ident::Idents;
    use super::super::secret::{PlainPassword, Secret};
    use super::super::{certificate, password};
    use super::*;

    fn certificate(common_name: &str, dns: &[&str]) -> CertificateNames {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, common_name);
        params.subject_alt_names = dns
            .iter()
            .map(|&name| rcgen::SanType::DnsName(name.try_into().unwrap()))
            .collect();
        let key = rcgen::KeyPair::generate().unwrap();
        certificate::CertificateNames::parse(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn a_certificate_identifies_the_user_it_names() {
        let names = certificate("alice", &["bob"]);
        for user in ["alice", "bob"] {
            let identity = Identity::by_certificate(UserName::new(user), &names).unwrap();
            assert_eq!(identity.user().as_str(), user);
            assert_eq!(identity.method(), Method::Cert);
        }
    }

    #[test]
    fn a_certificate_identifies_nobody_else() {
        let names = certificate("*", &["*.example.com", "alicia", ""]);
        for user in ["", "Alice", "alic", "alice ", "db.example.com", "admin"] {
            let identity = Identity::by_certificate(UserName::new(user), &names);
            assert_eq!(identity, None, "{user:?}");
        }
    }

    #[test]
    fn a_map_tells_whom_a_certificate_or_a_process_may_be() {
        let idents = Idents::parse("m alice app\nm db.example.org all").unwrap();
        let map = idents.get("m").map(AsRef::as_ref);
        let by_certificate = |names: &CertificateNames, user: &str| {
            Identity::by_mapped_certificate(UserName::new(user), names, map).is_some()
        };
        let alice = certificate("alice", &[]);
        assert!(by_certificate(&alice, "app"));
        assert!(!by_certificate(&alice, "alice"));
        assert!(by_certificate(
            &certificate("x", &["db.example.org"]),
            "root"
        ));
        let by_peer = |owner, user, map| Identity::by_peer(UserName::new(user), owner, map);
        assert!(by_peer("alice", "app", map).is_some());
        assert!(by_peer("alice", "alice", map).is_none());
        assert!(by_peer("alice", "alice", None).is_some());
        assert!(by_peer("alice", "app", None).is_none());
        assert!(by_peer("", "", None).is_none());
    }

    #[test]
    fn a_password_proof_becomes_an_identity() {
        let secret = Secret::Plain(PlainPassword::new("secret"));
        let proof = password::verify_password(&secret, "alice", b"secret").unwrap();
        let identity = Identity::by_password(UserName::new("alice"), Method::Password, proof);
        assert_eq!(identity.method(), Method::Password);
    }
}
