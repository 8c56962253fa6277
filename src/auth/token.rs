//! What an identity provider says of a client.

use std::collections::BTreeMap;
use std::time::SystemTime;

/// A verified token's contents. Only the verifier makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    issuer: String,
    claims: BTreeMap<String, Vec<String>>,
    expires: SystemTime,
}

impl Token {
    pub(super) fn new(
        issuer: String,
        claims: BTreeMap<String, Vec<String>>,
        expires: SystemTime,
    ) -> Self {
        Self {
            issuer,
            claims,
            expires,
        }
    }

    /// Who issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Until when it is good: the provider's word, by its clock.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// The values of a claim: of a list, its elements; of a claim within claims, by their names
    /// with dots between. `issuer` is the issuer whatever a claim of that name says, and `group`
    /// is one of `groups` as well.
    pub fn claim(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_issuer = name == "issuer";
        let issuer = is_issuer.then_some(self.issuer.as_str());
        let also = if name == "group" { "groups" } else { "" };
        let of = |name: &str| self.claims.get(name).into_iter().flatten();
        let values = of(name).chain(of(also)).map(String::as_str);
        issuer.into_iter().chain(values.filter(move |_| !is_issuer))
    }
}
