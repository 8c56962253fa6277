//! What is stored to check a password against.

use std::fmt;

use zeroize::Zeroizing;

use super::md5::Md5Hash;
use super::scram::Verifier;
use super::scram::verifier::VerifierError;

/// A stored secret, in one of the three shapes `pg_authid.rolpassword` and PgBouncer's
/// `auth_file` know: <https://www.postgresql.org/docs/current/catalog-pg-authid.html>
///
/// `Debug` shows the kind and hides the value.
#[derive(Clone, Debug)]
pub enum Secret {
    /// An MD5 hash of the password and the user name.
    Md5(Md5Hash),
    /// The password itself. Empty: no password will do.
    Plain(PlainPassword),
    /// A SCRAM-SHA-256 verifier.
    Scram(Verifier),
}

/// A password in clear text, wiped from memory when dropped.
#[derive(Clone)]
pub struct PlainPassword(Zeroizing<Box<str>>);

/// A text that was meant to be a secret of a certain kind, and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It starts like a SCRAM secret but cannot be used as one. Taken for a plain
    /// password, as PgBouncer does, it would only hide the mistake.
    #[error("broken SCRAM-SHA-256 secret")]
    BrokenVerifier(#[source] VerifierError),
}

impl Secret {
    /// Tells the kind of a stored secret by its shape, as PgBouncer and PostgreSQL do:
    /// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` is a verifier, `md5` and 32
    /// lower-case hexadecimal digits a hash, all else a plain password.
    ///
    /// # Errors
    /// [`SecretError::BrokenVerifier`] for what starts with `SCRAM-SHA-256$` and is no verifier.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if text.starts_with(Verifier::PREFIX) {
            let verifier = text.parse().map_err(SecretError::BrokenVerifier)?;
            return Ok(Self::Scram(verifier));
        }
        Ok(match Md5Hash::parse(text) {
            Some(hash) => Self::Md5(hash),
            None => Self::Plain(PlainPassword::new(text)),
        })
    }
}

impl Secret {
    /// Whether it is the same secret: not a password and its hash. Both are ours, so it does not
    /// matter how long the comparison takes.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(other)) => one.expose() == other.expose(),
            (Self::Md5(one), Self::Md5(other)) => one.expose() == other.expose(),
            (Self::Scram(one), Self::Scram(other)) => one.to_string() == other.to_string(),
            (Self::Plain(_) | Self::Md5(_) | Self::Scram(_), _) => false,
        }
    }
}

impl PlainPassword {
    /// Copies `password`; the caller's copy stays the caller's to wipe.
    pub fn new(password: impl AsRef<str>) -> Self {
        Self(Zeroizing::new(Box::from(password.as_ref())))
    }

    /// The password in clear text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "SCRAM-SHA-256$4096:oMSPoB4C08seZ3vyewkd/g==\
        $fCWeBh1ynuslVq8nehWxC4Dwuiv0LALjlvdKOTz/d6I=:rrTiWh8OTD0kiWS5sdQuy8UNdfs1Iske2iTTyVMbmag=";

    #[test]
    fn the_kind_of_a_secret_is_told_by_its_shape() {
        let md5 = Secret::parse("md5d3c36fe7d10ab6e2e2fa5dbf7d4ac5a9").unwrap();
        assert!(matches!(md5, Secret::Md5(_)), "{md5:?}");
        let scram = Secret::parse(VERIFIER).unwrap();
        assert!(matches!(scram, Secret::Scram(_)), "{scram:?}");
    }

    #[test]
    fn what_has_no_special_shape_is_a_plain_password() {
        let odd = [
            "",
            "secret",
            "md5",
            "md5d3c36fe7d10ab6e2e2fa5dbf7d4ac5a",
            "md5d3c36fe7d10ab6e2e2fa5dbf7d4ac5a9f",
            "md5D3C36FE7D10AB6E2E2FA5DBF7D4AC5A9",
            "md5g3c36fe7d10ab6e2e2fa5dbf7d4ac5a9",
            "SCRAM-SHA-256",
            "scram-sha-256$4096:x$y:z",
        ];
        for text in odd {
            match Secret::parse(text).unwrap() {
                Secret::Plain(password) => assert_eq!(password.expose(), text),
                other @ (Secret::Md5(_) | Secret::Scram(_)) => panic!("{text:?} became {other:?}"),
            }
        }
    }

    #[test]
    fn a_broken_verifier_is_no_password() {
        let short = &VERIFIER[..VERIFIER.len() - 2];
        assert!(matches!(
            Secret::parse(short),
            Err(SecretError::BrokenVerifier(_))
        ));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let plain = format!("{:?}", Secret::parse("hunter2").unwrap());
        assert_eq!(plain, "Plain(PlainPassword(..))");
        let md5 = format!(
            "{:?}",
            Secret::parse("md5d3c36fe7d10ab6e2e2fa5dbf7d4ac5a9").unwrap()
        );
        assert_eq!(md5, "Md5(Md5Hash(..))");
        let scram = format!("{:?}", Secret::parse(VERIFIER).unwrap());
        assert_eq!(scram, "Scram(Verifier { iterations: 4096, .. })");
    }
}
