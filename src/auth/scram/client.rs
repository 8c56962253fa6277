//! The side of SCRAM that proves: we towards a server, which may be hostile.
//!
//! ```text
//! start --> ExpectServerFirst --server_first--> Challenge --answer--> ExpectServerFinal
//! ```
//! The login counts only once `ExpectServerFinal::server_final` has returned `Ok`:
//! before that the server has not proved that it knows the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq;

use super::error::{ScramError, Violation};
use super::keys::{KEY_LEN, Keys, sign, stored_key, xor};
use super::message::{ServerFinal, ServerFirst};
use super::{BINDING_TYPE, MECHANISM, MECHANISM_PLUS, nonce};

/// What is known of the TLS connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The connection has no TLS.
    NoTls,
    /// It has, and this is the tls-server-end-point of the server's certificate, if its
    /// signature allows one (RFC 5929 section 4).
    Tls(Option<Vec<u8>>),
}

/// Chooses a mechanism among those the server advertised and begins the exchange; returns
/// the mechanism and data of SASLInitialResponse.
///
/// # Errors
/// [`ScramError::Protocol`] if no mechanism can be used, or if the server offers channel
/// binding where there is no TLS to bind to, which libpq refuses as well.
pub fn start(
    mechanisms: &[&str],
    binding: Binding,
) -> Result<(&'static str, ExpectServerFirst, String), ScramError> {
    let plain = mechanisms.contains(&MECHANISM);
    let plus = mechanisms.contains(&MECHANISM_PLUS);
    let (mechanism, header, data) = match binding {
        Binding::NoTls if plus => return Err(Violation::BindingWithoutTls.into()),
        Binding::Tls(Some(data)) if plus => (MECHANISM_PLUS, format!("p={BINDING_TYPE},,"), data),
        Binding::NoTls | Binding::Tls(_) if !plain => {
            return Err(Violation::NoCommonMechanism.into());
        }
        // Should the server have offered PLUS after all, this tells it of the downgrade.
        Binding::Tls(Some(_)) => (MECHANISM, "y,,".to_owned(), Vec::new()),
        Binding::NoTls | Binding::Tls(None) => (MECHANISM, "n,,".to_owned(), Vec::new()),
    };
    let nonce = nonce();
    // The user name stays empty: PostgreSQL takes that of the startup message.
    let bare = format!("n=,r={nonce}");
    let client_first = format!("{header}{bare}");
    let mut binding = header.into_bytes();
    binding.extend_from_slice(&data);
    Ok((
        mechanism,
        ExpectServerFirst {
            bare,
            binding,
            nonce,
        },
        client_first,
    ))
}

/// Our first message is out; the server answers with salt and iteration count.
#[derive(Debug)]
pub struct ExpectServerFirst {
    bare: String,
    /// The gs2 header and the channel-binding data after it.
    binding: Vec<u8>,
    nonce: String,
}

impl ExpectServerFirst {
    /// An exchange without channel binding whose first message is not random.
    #[cfg(test)]
    pub(super) fn example(bare: &str, nonce: &str) -> Self {
        Self {
            bare: bare.to_owned(),
            binding: b"n,,".to_vec(),
            nonce: nonce.to_owned(),
        }
    }

    /// Takes the data of AuthenticationSASLContinue.
    ///
    /// # Errors
    /// [`ScramError::Protocol`]: out of shape or above 4 KiB, a nonce that does not
    /// continue ours, a salt or an iteration count out of range.
    pub fn server_first(self, message: &[u8]) -> Result<Challenge, ScramError> {
        let first = ServerFirst::parse(message)?;
        if first
            .nonce
            .strip_prefix(&self.nonce)
            .is_none_or(str::is_empty)
        {
            return Err(Violation::Nonce.into());
        }
        if first.salt.is_empty() || first.salt.len() > MAX_SALT_LEN {
            return Err(Violation::SaltLength.into());
        }
        let iterations = first
            .iterations
            .filter(|count| (1..=MAX_ITERATIONS).contains(count))
            .ok_or(Violation::Iterations)?;
        Ok(Challenge {
            bare: self.bare,
            server_first: message.to_vec(),
            without_proof: format!("c={},r={}", BASE64.encode(&self.binding), first.nonce),
            salt: first.salt,
            iterations,
        })
    }
}

/// What the server wants the password to be salted with.
#[derive(Debug)]
#[must_use = "a challenge wants an answer"]
pub struct Challenge {
    bare: String,
    server_first: Vec<u8>,
    without_proof: String,
    salt: Vec<u8>,
    iterations: u32,
}

impl Challenge {
    /// The salt as bytes, 1 to [`MAX_SALT_LEN`] of them.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How often the password is to be hashed, 1 to [`MAX_ITERATIONS`].
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Answers with keys derived for this salt and iteration count, or with those a client
    /// proved to us against the same verifier. Returns the data of SASLResponse.
    pub fn answer(self, keys: &Keys) -> (ExpectServerFinal, String) {
        let sign = |key: &[u8; KEY_LEN]| {
            sign(
                key,
                self.bare.as_bytes(),
                &self.server_first,
                self.without_proof.as_bytes(),
            )
        };
        let proof = xor(sign(&stored_key(&keys.client_key)), &keys.client_key);
        let client_final = format!("{},p={}", self.without_proof, BASE64.encode(proof));
        let signature = sign(&keys.server_key);
        (ExpectServerFinal { signature }, client_final)
    }
}

/// Our proof is out; the server answers with its own.
#[must_use = "the server has not proved anything yet"]
pub struct ExpectServerFinal {
    signature: [u8; KEY_LEN],
}

impl ExpectServerFinal {
    /// Takes the data of AuthenticationSASLFinal.
    ///
    /// # Errors
    /// [`ScramError::WrongServerSignature`] if the server does not know the password,
    /// [`ScramError::ServerRefused`] if it says `e=`, else [`ScramError::Protocol`].
    pub fn server_final(self, message: &[u8]) -> Result<(), ScramError> {
        match ServerFinal::parse(message)? {
            ServerFinal::Error(reason) => Err(ScramError::ServerRefused(reason)),
            ServerFinal::Signature(signature) if signature.ct_eq(&self.signature).into() => Ok(()),
            ServerFinal::Signature(_) => Err(ScramError::WrongServerSignature),
        }
    }
}

impl std::fmt::Debug for ExpectServerFinal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectServerFinal(..)")
    }
}

/// The most iterations a server may ask of us. PostgreSQL's default is 4096, and this
/// leaves room for 244 times as much; a hostile server could ask for a million times as
/// much and keep a core busy for minutes at every login.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// The longest salt a server may send, in bytes. PostgreSQL's are 16.
pub const MAX_SALT_LEN: usize = 1024;
