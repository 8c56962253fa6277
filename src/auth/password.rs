//! Checking a password that the client sent in clear text.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::md5::Md5Hash;
use super::scram::Keys;
use super::secret::Secret;

/// Evidence that a client knew a user's password. Only the checks in this layer make one.
#[derive(Debug)]
#[must_use = "a proof that nobody takes lets nobody in"]
pub struct PasswordProof(());

impl PasswordProof {
    pub(super) fn granted() -> Self {
        Self(())
    }

    /// Another authority has found the password right: a directory, or PAM. Whoever calls this
    /// has asked it, about this very user and a password that is not empty.
    pub fn vouched_for() -> Self {
        Self(())
    }
}

/// Checks `password` (without the terminating zero) against a stored secret of any kind.
/// An empty password, stored or sent, never matches, nor one with a zero byte.
///
/// Slow for [`Secret::Scram`]: the password goes through PBKDF2, so the
/// caller runs this off the worker thread.
pub fn verify_password(secret: &Secret, user: &str, password: &[u8]) -> Option<PasswordProof> {
    // HMAC pads its key with zeros, so SCRAM would not tell "secret" from "secret\0".
    if password.is_empty() || password.contains(&0) {
        return None;
    }
    let right = match secret {
        Secret::Md5(hash) => hash.equals(&Md5Hash::new(user, password)),
        // Digests, since comparing texts of unequal length would tell the length. The
        // empty stored password cannot match here: the sent one is not empty.
        Secret::Plain(stored) => Sha256::digest(stored.expose())
            .ct_eq(&Sha256::digest(password))
            .into(),
        Secret::Scram(verifier) => {
            let keys = Keys::derive(password, verifier.salt(), verifier.iterations());
            verifier.matches(&keys)
        }
    };
    right.then(PasswordProof::granted)
}

#[cfg(test)]
mod tests {
    use super::super::scram::Verifier;
    use super::super::secret::PlainPassword;
    use super::*;

    fn secrets_of(password: &str) -> [Secret; 3] {
        [
            Secret::Md5(Md5Hash::new("alice", password.as_bytes())),
            Secret::Plain(PlainPassword::new(password)),
            Secret::Scram(Verifier::derive(password, b"0123456789abcdef", 16)),
        ]
    }

    #[test]
    fn the_right_password_matches_every_kind_of_secret() {
        for secret in secrets_of("secret") {
            assert!(
                verify_password(&secret, "alice", b"secret").is_some(),
                "{secret:?}"
            );
        }
    }

    #[test]
    fn a_wrong_password_matches_no_kind_of_secret() {
        for secret in secrets_of("secret") {
            for wrong in [
                &b"secreT"[..],
                b"secre",
                b"secret ",
                b"\xff\xfe",
                b"secret\0",
            ] {
                let proof = verify_password(&secret, "alice", wrong);
                assert!(proof.is_none(), "{secret:?} {wrong:?}");
            }
        }
    }

    #[test]
    fn an_empty_password_never_matches_even_an_empty_secret() {
        for secret in secrets_of("").into_iter().chain(secrets_of("secret")) {
            assert!(
                verify_password(&secret, "alice", b"").is_none(),
                "{secret:?}"
            );
        }
    }

    #[test]
    fn an_md5_secret_belongs_to_one_user() {
        let [md5, ..] = secrets_of("secret");
        assert!(verify_password(&md5, "bob", b"secret").is_none());
    }

    #[test]
    fn the_stored_text_of_a_secret_is_not_its_password() {
        let [md5, _, scram] = secrets_of("secret");
        let Secret::Md5(hash) = &md5 else {
            unreachable!()
        };
        assert!(verify_password(&md5, "alice", hash.expose().as_bytes()).is_none());
        let Secret::Scram(verifier) = &scram else {
            unreachable!()
        };
        assert!(verify_password(&scram, "alice", verifier.to_string().as_bytes()).is_none());
    }
}
