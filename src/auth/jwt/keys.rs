//! The public keys of an identity provider: a JWK Set, RFC 7517.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::{Map, Value};

/// Keys that can verify tokens.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keys(Vec<Key>);

/// Why a JWK Set cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysError {
    /// No JSON object with a list `keys`.
    #[error("it is not a JWK Set: expected a JSON object with a list \"keys\"")]
    Malformed,
    /// It has no key of the three types.
    #[error("it has no key for RS256 (2048 bits or more), ES256 or EdDSA (Ed25519)")]
    NoKey,
    /// More keys than any provider has.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
}

impl Keys {
    /// Reads a JWK Set. Keys of other types, and keys not meant to verify signatures, are passed
    /// over: a provider's set may have any.
    ///
    /// # Errors
    /// [`KeysError`]: it is none, or nothing is left.
    pub fn parse(json: &[u8]) -> Result<Self, KeysError> {
        let set: Map<String, Value> =
            serde_json::from_slice(json).map_err(|_| KeysError::Malformed)?;
        let all = set.get("keys").and_then(Value::as_array);
        let all = all.ok_or(KeysError::Malformed)?;
        if all.len() > MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        let keys: Vec<_> = all.iter().filter_map(Key::parse).collect();
        if keys.is_empty() {
            return Err(KeysError::NoKey);
        }
        Ok(Self(keys))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, as before the first fetch.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys of an algorithm that have this `kid`.
    pub(super) fn named(&self, kid: &str, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.of(algorithm)
            .filter(move |key| key.kid.as_deref() == Some(kid))
    }

    /// The keys of an algorithm.
    pub(super) fn of(&self, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.0
            .iter()
            .filter(move |key| key.material.algorithm() == algorithm)
    }
}

/// The signature algorithms we accept, RFC 7518 section 3.1 and RFC 8037 section 3.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "EdDSA" => Some(Self::EdDsa),
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }
}

/// A key and the name its provider gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Key {
    kid: Option<String>,
    material: Material,
}

/// The type is the algorithm: a key is never used for another.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Material {
    Ed25519(Vec<u8>),
    /// Uncompressed, SEC 1 section 2.3.3.
    P256(Vec<u8>),
    /// Both big-endian without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl Key {
    fn parse(jwk: &Value) -> Option<Self> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        if jwk.get("use").is_some() && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            let mut operations = operations.as_array()?.iter();
            operations.find(|operation| operation.as_str() == Some("verify"))?;
        }
        let material = Material::parse(&|name| text(name))?;
        if let Some(algorithm) = jwk.get("alg") {
            let algorithm = Algorithm::parse(algorithm.as_str()?)?;
            (algorithm == material.algorithm()).then_some(())?;
        }
        Some(Self {
            kid: text("kid").map(str::to_owned),
            material,
        })
    }

    /// Whether it made this signature.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(signed, signature)
            }
            Material::P256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed, signature)
            }
            Material::Rsa { modulus, exponent } => RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature),
        }
        .is_ok()
    }
}

impl Material {
    fn parse<'a>(text: &impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        let bytes = |name| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                (x.len() == COORDINATE && y.len() == COORDINATE)
                    .then(|| Self::P256([&[UNCOMPRESSED], &x[..], &y[..]].concat()))
            }
            ("OKP", Some("Ed25519")) => {
                let key = bytes("x")?;
                (key.len() == COORDINATE).then_some(Self::Ed25519(key))
            }
            ("RSA", _) => {
                let (modulus, exponent) = (unsigned(bytes("n")?), unsigned(bytes("e")?));
                (modulus.len() >= LEAST_MODULUS).then_some(Self::Rsa { modulus, exponent })
            }
            _ => None,
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::P256(_) => Algorithm::Es256,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }
}

/// Some providers put a zero byte in front, as ASN.1 has it.
fn unsigned(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}

const MAX_KEYS: usize = 100;
/// Bytes of a coordinate of P-256, and of an Ed25519 key.
const COORDINATE: usize = 32;
const UNCOMPRESSED: u8 = 4;
/// Bytes of a modulus of 2048 bits.
const LEAST_MODULUS: usize = 256;
