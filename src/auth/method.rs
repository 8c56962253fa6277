//! The ways a client can prove who it is.

use std::fmt;
use std::str::FromStr;

/// How a client must log in, named as in PgBouncer's `auth_type`:
/// <https://www.pgbouncer.org/config.html#auth_type>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A TLS client certificate that names the user.
    Cert,
    /// An MD5 answer to a random salt.
    Md5,
    /// A token of an identity provider, by OAUTHBEARER or in the place of a password.
    OAuth,
    /// The password in clear text.
    Password,
    /// SCRAM-SHA-256, with channel binding where TLS allows it.
    ScramSha256,
    /// No proof at all.
    Trust,
}

/// A text that names no [`Method`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of cert, md5, oauth, password, plain, scram-sha-256, trust")]
pub struct UnknownMethod;

impl Method {
    /// The name by which settings files and logs call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cert => "cert",
            Self::Md5 => "md5",
            Self::OAuth => "oauth",
            Self::Password => "password",
            Self::ScramSha256 => "scram-sha-256",
            Self::Trust => "trust",
        }
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cert" => Ok(Self::Cert),
            "md5" => Ok(Self::Md5),
            "oauth" => Ok(Self::OAuth),
            "password" | "plain" => Ok(Self::Password),
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
            Method::Cert,
            Method::Md5,
            Method::OAuth,
            Method::Password,
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
        for text in ["", "Trust", "trust ", "scram", "any", "peer"] {
            assert_eq!(text.parse::<Method>(), Err(UnknownMethod), "{text:?}");
        }
    }
}
