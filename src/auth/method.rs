//! The ways a client can prove who it is.

use std::fmt;
use std::str::FromStr;

/// How a client must log in, named as in PgBouncer's `auth_type`:
/// <https://www.pgbouncer.org/config.html#auth_type>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// No proof, and every client becomes the database's server user.
    Any,
    /// A TLS client certificate that names the user.
    Cert,
    /// As the first fitting line of an HBA file says.
    Hba,
    /// The password, which an LDAP server is asked about.
    Ldap,
    /// An MD5 answer to a random salt.
    Md5,
    /// A token of an identity provider, by OAUTHBEARER or in the place of a password.
    OAuth,
    /// The password, which PAM is asked about.
    Pam,
    /// The password in clear text.
    Password,
    /// The owner of the process behind the Unix socket. In HBA files only.
    Peer,
    /// Nobody. In HBA files only.
    Reject,
    /// SCRAM-SHA-256, with channel binding where TLS allows it.
    ScramSha256,
    /// No proof at all.
    Trust,
}

/// A text that names no [`Method`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one of any, cert, hba, ldap, md5, oauth, pam, password, peer, plain, reject, \
     scram-sha-256, trust"
)]
pub struct UnknownMethod;

impl Method {
    /// The name by which settings files and logs call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Cert => "cert",
            Self::Hba => "hba",
            Self::Ldap => "ldap",
            Self::Md5 => "md5",
            Self::OAuth => "oauth",
            Self::Pam => "pam",
            Self::Password => "password",
            Self::Peer => "peer",
            Self::Reject => "reject",
            Self::ScramSha256 => "scram-sha-256",
            Self::Trust => "trust",
        }
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "cert" => Ok(Self::Cert),
            "hba" => Ok(Self::Hba),
            "ldap" => Ok(Self::Ldap),
            "md5" => Ok(Self::Md5),
            "oauth" => Ok(Self::OAuth),
            "pam" => Ok(Self::Pam),
            "password" | "plain" => Ok(Self::Password),
            "peer" => Ok(Self::Peer),
            "reject" => Ok(Self::Reject),
            "scram-sha-256" => Ok(Self::ScramSha256),
            "trust" => Ok(Self::Trust),
            _ => Err(UnknownMethod),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_read_back_from_its_own_name() {
        let all = [
            Method::Any,
            Method::Cert,
            Method::Hba,
            Method::Ldap,
            Method::Md5,
            Method::OAuth,
            Method::Pam,
            Method::Password,
            Method::Peer,
            Method::Reject,
            Method::ScramSha256,
            Method::Trust,
        ];
        for method in all {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
    }

    #[test]
    fn plain_is_another_name_for_password() {
        assert_eq!("plain".parse(), Ok(Method::Password));
    }

    #[test]
    fn a_mistyped_method_is_refused_rather_than_guessed() {
        for text in ["", "Trust", "trust ", "scram", "ident", "gss"] {
            assert_eq!(text.parse::<Method>(), Err(UnknownMethod), "{text:?}");
        }
    }
}
