//! The SCRAM secret a server stores, in PostgreSQL's text form.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use super::keys::{KEY_LEN, Keys, hmac, stored_key};

/// What a server stores to check a password and to prove that it may: salt, iteration
/// count, StoredKey and ServerKey, RFC 5802 section 3. Wiped when dropped.
///
/// `Display` is PostgreSQL's form, `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, and
/// shows the secret: <https://www.postgresql.org/docs/current/catalog-pg-authid.html>
#[derive(Clone, ZeroizeOnDrop)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    pub(super) stored_key: [u8; KEY_LEN],
    pub(super) server_key: [u8; KEY_LEN],
}

/// Where a text departs from the form of a [`Verifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// The iteration count is no number from 1 to 2147483647.
    #[error("the iteration count is not a number from 1 to 2147483647")]
    Iterations,
    /// StoredKey or ServerKey is not base64 of 32 bytes.
    #[error("a key is not base64 of 32 bytes")]
    Key,
    /// The salt is not base64, or empty.
    #[error("the salt is not base64")]
    Salt,
    /// The parts are not there at all.
    #[error("expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")]
    Shape,
}

impl Verifier {
    /// How many iterations PostgreSQL uses unless told otherwise (`scram_iterations`).
    pub const DEFAULT_ITERATIONS: u32 = 4096;

    /// How a verifier's text begins.
    pub const PREFIX: &'static str = "SCRAM-SHA-256$";

    /// Makes the verifier of a password. Slow in proportion to `iterations` (0 counts as
    /// 1): run it off the worker thread. The salt should be random and 16 bytes long, as
    /// [`random_salt`] makes it.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.max(1);
        let keys = Keys::derive(password.as_bytes(), salt, iterations);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: stored_key(&keys.client_key),
            server_key: keys.server_key,
        }
    }

    /// The verifier of a user that does not exist: an exchange with it looks like any other
    /// and always ends in a wrong proof. `seed` is a secret of this process, so that a
    /// user's made-up salt stays the same from one attempt to the next.
    ///
    /// An iteration count other than 4096 in real verifiers would still tell them apart,
    /// as it does in PostgreSQL.
    pub fn mock(seed: &[u8; 32], user: &str, iterations: u32) -> Self {
        let user = user.as_bytes();
        let salt = hmac(seed, &[user]);
        Self {
            iterations: iterations.max(1),
            salt: salt[..SALT_LEN].to_vec(),
            // A digest that nobody has a preimage of; NUL cannot begin a user name.
            stored_key: hmac(seed, &[b"\0StoredKey", user]),
            server_key: hmac(seed, &[b"\0ServerKey", user]),
        }
    }

    /// How often the password is hashed, at least 1.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt as bytes, not base64. Every client that asks is told.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether these keys belong to the password of this verifier. The time it takes does
    /// not depend on where they differ.
    pub fn matches(&self, keys: &Keys) -> bool {
        let client = stored_key(&keys.client_key).ct_eq(&self.stored_key);
        let server = keys.server_key.ct_eq(&self.server_key);
        (client & server).into()
    }
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (parameters, keys) = text
            .strip_prefix(Self::PREFIX)
            .and_then(|rest| rest.split_once('$'))
            .ok_or(VerifierError::Shape)?;
        let (iterations, salt) = parameters.split_once(':').ok_or(VerifierError::Shape)?;
        let (stored, server) = keys.split_once(':').ok_or(VerifierError::Shape)?;
        Ok(Self {
            iterations: parse_iterations(iterations).ok_or(VerifierError::Iterations)?,
            salt: parse_salt(salt).ok_or(VerifierError::Salt)?,
            stored_key: parse_key(stored).ok_or(VerifierError::Key)?,
            server_key: parse_key(server).ok_or(VerifierError::Key)?,
        })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}:{}${}:{}",
            Self::PREFIX,
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(self.stored_key),
            BASE64.encode(self.server_key),
        )
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// A fresh salt of PostgreSQL's length, 16 bytes.
pub fn random_salt() -> [u8; SALT_LEN] {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt).expect("the operating system provides random bytes");
    salt
}

/// The length of the salts PostgreSQL makes, in bytes.
pub const SALT_LEN: usize = 16;

fn parse_iterations(text: &str) -> Option<u32> {
    // Digits only: `parse` alone would take a plus sign. PostgreSQL keeps it in an int.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    let count = text.parse::<i32>().ok()?;
    u32::try_from(count).ok().filter(|&count| count > 0)
}

fn parse_salt(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok().filter(|salt| !salt.is_empty())
}

fn parse_key(text: &str) -> Option<[u8; KEY_LEN]> {
    BASE64.decode(text).ok()?.try_into().ok()
}
