//! The side of SCRAM that checks: we towards a client.
//!
//! ```text
//! ExpectClientFirst --client_first--> ExpectClientFinal --client_final--> Proven
//! ```
//! A failed step gives the state up, so nobody gets a second guess at the same nonce.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::{ScramError, Violation};
use super::keys::{KEY_LEN, Keys, sign, stored_key, xor};
use super::message::{BindingFlag, ClientFinal, ClientFirst};
use super::verifier::Verifier;
use super::{BINDING_TYPE, MECHANISM, MECHANISM_PLUS};

/// Whether the client can bind its login to the TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// No TLS, or a certificate without a tls-server-end-point: nothing was offered.
    None,
    /// TLS is in use, this is the tls-server-end-point of our certificate (RFC 5929
    /// section 4), and SCRAM-SHA-256-PLUS was among the mechanisms advertised.
    Offered(Vec<u8>),
}

impl Binding {
    /// What AuthenticationSASL advertises, in PostgreSQL's order.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        match self {
            Self::None => &[MECHANISM],
            Self::Offered(_) => &[MECHANISM_PLUS, MECHANISM],
        }
    }
}

/// The mechanisms were advertised; the client answers with one and its first message.
#[derive(Debug)]
pub struct ExpectClientFirst {
    verifier: Arc<Verifier>,
    binding: Binding,
}

impl ExpectClientFirst {
    /// Starts an exchange against `verifier`, by value or shared. For a user that does not
    /// exist it is [`Verifier::mock`].
    pub fn new(verifier: impl Into<Arc<Verifier>>, binding: Binding) -> Self {
        Self {
            verifier: verifier.into(),
            binding,
        }
    }

    /// What AuthenticationSASL advertises, in PostgreSQL's order.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        self.binding.mechanisms()
    }

    /// Takes the mechanism and data of SASLInitialResponse; returns the data of
    /// AuthenticationSASLContinue. `server_nonce` comes from [`nonce`].
    ///
    /// # Errors
    /// [`ScramError::Protocol`]: a mechanism that was not offered, a message out of shape,
    /// or a choice about channel binding that cannot be (RFC 5802 section 6).
    pub fn client_first(
        self,
        mechanism: &str,
        message: &[u8],
        server_nonce: String,
    ) -> Result<(ExpectClientFinal, String), ScramError> {
        if !self.mechanisms().contains(&mechanism) {
            return Err(Violation::Mechanism.into());
        }
        let first = ClientFirst::parse(message)?;
        let binding = expected_binding(&self.binding, mechanism, first.flag)?;
        let nonce = format!("{}{server_nonce}", first.nonce);
        let server_first = format!(
            "r={nonce},s={},i={}",
            BASE64.encode(self.verifier.salt()),
            self.verifier.iterations(),
        );
        let state = ExpectClientFinal {
            verifier: self.verifier,
            binding,
            client_first_bare: first.bare.to_vec(),
            server_first: server_first.clone(),
            nonce,
        };
        Ok((state, server_first))
    }
}

/// The client has its challenge; it answers with its proof.
#[derive(Debug)]
pub struct ExpectClientFinal {
    verifier: Arc<Verifier>,
    binding: ExpectedBinding,
    client_first_bare: Vec<u8>,
    server_first: String,
    nonce: String,
}

impl ExpectClientFinal {
    /// Takes the data of SASLResponse and checks channel binding, nonce and proof.
    ///
    /// # Errors
    /// [`ScramError::WrongProof`] if the client does not know the password;
    /// [`ScramError::Protocol`] for all else.
    pub fn client_final(self, message: &[u8]) -> Result<Proven, ScramError> {
        let last = ClientFinal::parse(message)?;
        self.binding.check(last.binding)?;
        if last.nonce != self.nonce.as_bytes() {
            return Err(Violation::Nonce.into());
        }
        let sign = |key: &[u8; KEY_LEN]| {
            sign(
                key,
                &self.client_first_bare,
                self.server_first.as_bytes(),
                last.without_proof,
            )
        };
        let client_key = Zeroizing::new(xor(last.proof, &sign(&self.verifier.stored_key)));
        if !bool::from(stored_key(&client_key).ct_eq(&self.verifier.stored_key)) {
            return Err(ScramError::WrongProof);
        }
        let signature = sign(&self.verifier.server_key);
        Ok(Proven {
            server_final: format!("v={}", BASE64.encode(signature)),
            keys: Keys {
                client_key: *client_key,
                server_key: self.verifier.server_key,
            },
            evidence: Evidence,
        })
    }
}

/// Evidence that a client knows the password of a verifier. Only
/// [`ExpectClientFinal::client_final`] makes one.
pub struct Proven {
    /// The data of AuthenticationSASLFinal.
    pub server_final: String,
    /// The ClientKey recovered from the proof and the ServerKey of the verifier. They log
    /// in at any server that stores the very same verifier.
    pub keys: Keys,
    #[expect(dead_code, reason = "private, so that nobody else can make a Proven")]
    evidence: Evidence,
}

struct Evidence;

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proven(..)")
    }
}

/// A fresh nonce of 18 random bytes as base64.
pub fn nonce() -> String {
    super::nonce()
}

/// The `c=` attribute that repeats what the client chose first.
#[derive(Debug)]
enum ExpectedBinding {
    /// The base64 of `n,,` or `y,,`.
    Header(&'static str),
    /// The base64 of the header and the tls-server-end-point.
    TlsServerEndPoint(String),
}

impl ExpectedBinding {
    fn check(&self, attribute: &[u8]) -> Result<(), Violation> {
        match self {
            Self::Header(expected) if attribute != expected.as_bytes() => {
                Err(Violation::UnexpectedBinding)
            }
            Self::TlsServerEndPoint(expected) if attribute != expected.as_bytes() => {
                Err(Violation::BindingMismatch)
            }
            Self::Header(_) | Self::TlsServerEndPoint(_) => Ok(()),
        }
    }
}

/// Holds the client's flag against what was offered and chosen: RFC 5802 section 6.
fn expected_binding(
    offered: &Binding,
    mechanism: &str,
    flag: BindingFlag<'_>,
) -> Result<ExpectedBinding, Violation> {
    // `mechanism` is one of those advertised, so PLUS implies `Offered`.
    let plus = mechanism == MECHANISM_PLUS;
    match (flag, offered) {
        (BindingFlag::Cannot | BindingFlag::NotOffered, _) if plus => Err(Violation::Malformed(
            "SCRAM-SHA-256-PLUS was selected, but the message has no channel binding data",
        )),
        (BindingFlag::Cannot, _) => Ok(ExpectedBinding::Header("biws")),
        (BindingFlag::NotOffered, Binding::None) => Ok(ExpectedBinding::Header("eSws")),
        (BindingFlag::NotOffered, Binding::Offered(_)) => Err(Violation::BindingDowngrade),
        (BindingFlag::Used(kind), Binding::Offered(_))
            if plus && kind != BINDING_TYPE.as_bytes() =>
        {
            Err(Violation::BindingType)
        }
        (BindingFlag::Used(_), Binding::Offered(data)) if plus => {
            let mut input = format!("p={BINDING_TYPE},,").into_bytes();
            input.extend_from_slice(data);
            Ok(ExpectedBinding::TlsServerEndPoint(BASE64.encode(input)))
        }
        (BindingFlag::Used(_), _) => Err(Violation::Malformed(
            "SCRAM-SHA-256 without channel binding was selected, but the message has channel binding data",
        )),
    }
}
