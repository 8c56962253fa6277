//! PostgreSQL's MD5 passwords and the answer to an MD5 challenge.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>,
//! AuthenticationMD5Password.

use std::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::password::PasswordProof;
use super::secret::Secret;

/// `md5(password + user)`, kept as 32 lower-case hexadecimal digits.
///
/// Whoever has it can log in by MD5 without the password. Wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Md5Hash([u8; HEX_LEN]);

impl Md5Hash {
    /// The hash PostgreSQL would store for this user and password.
    pub fn new(user: &str, password: &[u8]) -> Self {
        Self(hex_md5(password, user.as_bytes()))
    }

    /// Reads `md5` and 32 lower-case hexadecimal digits; `None` for anything else, upper
    /// case included, which PostgreSQL takes for a plain password.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; HEX_LEN] = text.strip_prefix(PREFIX)?.as_bytes().try_into().ok()?;
        digits
            .iter()
            .all(|digit| HEX.contains(digit))
            .then_some(Self(digits))
    }

    /// The stored form, `md5` and 32 digits. A secret.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(with_prefix(&self.0))
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(..)")
    }
}

/// What a client must answer to AuthenticationMD5Password with this salt:
/// `md5` and the hexadecimal MD5 of the hash's digits and the salt.
pub fn challenge_response(hash: &Md5Hash, salt: [u8; 4]) -> String {
    with_prefix(&hex_md5(&hash.0, &salt))
}

/// Whether `response` (without the terminating zero) is the right answer to `salt`.
/// Takes the same time wherever a wrong answer differs.
pub fn verify(hash: &Md5Hash, salt: [u8; 4], response: &[u8]) -> bool {
    challenge_response(hash, salt)
        .as_bytes()
        .ct_eq(response)
        .into()
}

/// Checks a client's answer to an MD5 challenge against a stored secret.
///
/// Md5 and plain secrets only: a SCRAM verifier cannot tell the MD5 hash, so `None`; such
/// a user must be asked for SCRAM. A secret of the empty password matches nobody.
pub fn secret_answers_md5(
    secret: &Secret,
    user: &str,
    salt: [u8; 4],
    response: &[u8],
) -> Option<PasswordProof> {
    let hash = match secret {
        Secret::Md5(hash) => hash.clone(),
        Secret::Plain(password) => Md5Hash::new(user, password.expose().as_bytes()),
        Secret::Scram(_) => return None,
    };
    let empty = hash.equals(&Md5Hash::new(user, b""));
    let right = verify(&hash, salt, response);
    (right && !empty).then(PasswordProof::granted)
}

fn with_prefix(digits: &[u8; HEX_LEN]) -> String {
    PREFIX
        .chars()
        .chain(digits.iter().map(|&digit| char::from(digit)))
        .collect()
}

fn hex_md5(first: &[u8], second: &[u8]) -> [u8; HEX_LEN] {
    let digest = Md5::new()
        .chain_update(first)
        .chain_update(second)
        .finalize();
    let mut digits = [0; HEX_LEN];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 0x0f)];
    }
    digits
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const HEX_LEN: usize = 32;
const PREFIX: &str = "md5";

#[cfg(test)]
mod tests {
    use super::super::scram::Verifier;
    use super::super::secret::PlainPassword;
    use super::*;

    // `select 'md5' || md5('secret' || 'alice')`, and `'md5' || md5(that || 'abcd')`.
    const STORED: &str = "md54a0a68b43b6cd5cf266fa02f196e2371";
    const ANSWER: &str = "md5c90bcafc0a2b54511742383e34d5dc9d";
    const SALT: [u8; 4] = *b"abcd";

    #[test]
    fn a_hash_is_the_one_postgresql_stores() {
        assert_eq!(Md5Hash::new("alice", b"secret").expose().as_str(), STORED);
        assert_eq!(Md5Hash::parse(STORED).unwrap().expose().as_str(), STORED);
    }

    #[test]
    fn the_answer_to_a_salt_is_the_one_libpq_sends() {
        let hash = Md5Hash::parse(STORED).unwrap();
        assert_eq!(challenge_response(&hash, SALT), ANSWER);
    }

    #[test]
    fn only_the_whole_right_answer_to_this_very_salt_passes() {
        let hash = Md5Hash::new("alice", b"secret");
        assert!(verify(&hash, SALT, ANSWER.as_bytes()));
        assert!(!verify(&hash, *b"abce", ANSWER.as_bytes()));
        assert!(!verify(&hash, SALT, &ANSWER.as_bytes()[..34]));
        assert!(!verify(&hash, SALT, ANSWER.to_uppercase().as_bytes()));
        assert!(!verify(&hash, SALT, STORED.as_bytes()));
        assert!(!verify(&hash, SALT, b""));
    }

    #[test]
    fn md5_and_plain_secrets_answer_md5_and_verifiers_do_not() {
        let answers = |secret: &Secret| {
            secret_answers_md5(secret, "alice", SALT, ANSWER.as_bytes()).is_some()
        };
        assert!(answers(&Secret::parse(STORED).unwrap()));
        assert!(answers(&Secret::Plain(PlainPassword::new("secret"))));
        assert!(!answers(&Secret::Plain(PlainPassword::new("Secret"))));
        assert!(!answers(&Secret::Scram(Verifier::derive(
            "secret", b"salt", 1
        ))));
    }

    #[test]
    fn an_answer_made_for_another_user_does_not_pass() {
        let secret = Secret::Plain(PlainPassword::new("secret"));
        assert!(secret_answers_md5(&secret, "bob", SALT, ANSWER.as_bytes()).is_none());
    }

    #[test]
    fn the_secret_of_an_empty_password_matches_nobody() {
        let hash = Md5Hash::new("alice", b"");
        let answer = challenge_response(&hash, SALT);
        assert!(verify(&hash, SALT, answer.as_bytes()));
        for secret in [Secret::Md5(hash), Secret::Plain(PlainPassword::new(""))] {
            assert!(secret_answers_md5(&secret, "alice", SALT, answer.as_bytes()).is_none());
        }
    }
}
