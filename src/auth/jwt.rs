//! Checks the tokens of an identity provider: compact JWTs (RFC 7519, RFC 7515) by the rules
//! of RFC 8725, with the provider's keys given from outside.
//!
//! RS256, ES256 and EdDSA with Ed25519, nothing else: no `none`, and no shared secret that
//! somebody could take a public key for. The key's type says which of them it is; the token
//! has no say in it.

mod claims;
pub mod keys;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::names::UserName;
use super::token::Token;
use claims::ClaimError;
pub use keys::{Keys, KeysError};

/// What is expected of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verifier {
    /// The `iss` of every token, letter by letter.
    pub issuer: String,
    /// One of the `aud` of every token.
    pub audience: String,
    /// The claim that is the user's name; dots lead into nested ones.
    pub user_claim: String,
    /// How far the provider's clock may be ahead of ours, for `nbf` and `iat`.
    pub leeway: Duration,
}

/// A token that holds, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// The user it names.
    pub user: UserName,
    /// What it says.
    pub token: Token,
}

/// Why a token is refused: for the log, not for the client. Texts of the token are in it only
/// once its signature holds, but for the names of its algorithm and key, which are cut.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// An algorithm other than the three.
    #[error("algorithm {0:?} is not accepted; RS256, ES256 and EdDSA are")]
    Algorithm(String),
    /// Made for somebody else.
    #[error("its audience {0} has not the configured one")]
    Audience(String),
    /// A claim that cannot be used.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// The header demands what we do not know, or says that this is another kind of token.
    #[error("its header has a {0} that is not accepted")]
    Header(&'static str),
    /// Made by somebody else.
    #[error("its issuer {0:?} is not the configured one")]
    Issuer(String),
    /// Not three parts of base64url, or the first or second is no JSON object.
    #[error("it is not a JWT: {0}")]
    Malformed(&'static str),
    /// `nbf` or `iat` is in the future.
    #[error("it is not valid yet: {0} is in the future")]
    NotYet(&'static str),
    /// The signature is not by the key that the header names.
    #[error("its signature is wrong")]
    Signature,
    /// Above [`MAX_LEN`].
    #[error("it is longer than {MAX_LEN} bytes")]
    TooLong,
    /// None of the keys is the one the header names, or if it names none, none fits. The
    /// provider may have new ones.
    #[error("it is signed with an unknown key, {0}")]
    UnknownKey(String),
}

impl Verifier {
    /// Checks a token, signature first. `now` is the present.
    ///
    /// # Errors
    /// [`TokenError`]: what is wrong with it. [`TokenError::UnknownKey`] may be cured by newer
    /// `keys`.
    pub fn verify(
        &self,
        token: &str,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Verified, TokenError> {
        if token.len() > MAX_LEN {
            return Err(TokenError::TooLong);
        }
        let compact = Compact::parse(token)?;
        let header = object(&decode(compact.header)?)?;
        check_header(&header)?;
        let signature = decode(compact.signature)?;
        self.check_signature(&header, compact.signed.as_bytes(), &signature, keys)?;
        self.check_claims(&object(&decode(compact.claims)?)?, now)
    }

    fn check_signature(
        &self,
        header: &Map<String, Value>,
        signed: &[u8],
        signature: &[u8],
        keys: &Keys,
    ) -> Result<(), TokenError> {
        let name = match header.get("alg") {
            Some(Value::String(name)) => name.as_str(),
            Some(_) | None => return Err(TokenError::Header("alg")),
        };
        let algorithm =
            keys::Algorithm::parse(name).ok_or_else(|| TokenError::Algorithm(cut(name)))?;
        match header.get("kid") {
            Some(Value::String(kid)) => {
                let mut named = keys.named(kid, algorithm).peekable();
                if named.peek().is_none() {
                    return Err(TokenError::UnknownKey(format!("kid {:?}", cut(kid))));
                }
                named
                    .any(|key| key.verifies(signed, signature))
                    .then_some(())
                    .ok_or(TokenError::Signature)
            }
            None => keys
                .of(algorithm)
                .any(|key| key.verifies(signed, signature))
                .then_some(())
                .ok_or_else(|| TokenError::UnknownKey("and names none".into())),
            Some(_) => Err(TokenError::Header("kid")),
        }
    }

    fn check_claims(
        &self,
        object: &Map<String, Value>,
        now: SystemTime,
    ) -> Result<Verified, TokenError> {
        match object.get("iss").and_then(Value::as_str) {
            Some(issuer) if issuer == self.issuer => {}
            other => return Err(TokenError::Issuer(cut(other.unwrap_or_default()))),
        }
        if !self.is_for_us(object.get("aud")) {
            let audience = object.get("aud").map(Value::to_string);
            return Err(TokenError::Audience(cut(&audience.unwrap_or_default())));
        }
        let expires = claims::time(object, "exp")?.ok_or(ClaimError::Missing("exp".into()))?;
        if expires <= now {
            return Err(TokenError::Expired);
        }
        let latest = now.checked_add(self.leeway).unwrap_or(now);
        for name in ["nbf", "iat"] {
            if claims::time(object, name)?.is_some_and(|time| time > latest) {
                return Err(TokenError::NotYet(name));
            }
        }
        // An address that its provider has not verified is a mere claim of the user's.
        let claims = claims::flatten(object)?;
        let verified = claims.get("email_verified");
        if self.user_claim == "email" && verified.is_some_and(|all| *all != ["true"]) {
            return Err(ClaimError::NotVerified.into());
        }
        let user = match claims.get(&self.user_claim).map(Vec::as_slice) {
            Some([user]) if !user.is_empty() && !user.contains('\0') => UserName::new(user),
            Some(_) => return Err(ClaimError::NotAName(self.user_claim.clone()).into()),
            None => return Err(ClaimError::Missing(self.user_claim.clone()).into()),
        };
        let token = Token::new(self.issuer.clone(), claims, expires);
        Ok(Verified { user, token })
    }

    /// `aud` is one text or a list of them, RFC 7519 section 4.1.3.
    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        let is_ours = |value: &Value| value.as_str() == Some(self.audience.as_str());
        match audience {
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        }
    }
}

/// Whether a password can only be meant as a token: three parts of base64url with dots between,
/// the first of which is a JSON object.
pub fn looks_like_one(password: &[u8]) -> bool {
    std::str::from_utf8(password)
        .ok()
        .filter(|text| text.len() <= MAX_LEN)
        .and_then(|text| Compact::parse(text).ok())
        .filter(|compact| decode(compact.claims).is_ok() && decode(compact.signature).is_ok())
        .and_then(|compact| object(&decode(compact.header).ok()?).ok())
        .is_some()
}

/// The parts of a compact serialization, RFC 7515 section 3.1, still encoded.
struct Compact<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// Header and claims with the dot between them.
    signed: &'a str,
}

impl<'a> Compact<'a> {
    fn parse(token: &'a str) -> Result<Self, TokenError> {
        let malformed = TokenError::Malformed("it has not three parts");
        let Some((signed, signature)) = token.rsplit_once('.') else {
            return Err(malformed);
        };
        match signed.split_once('.') {
            Some((header, claims))
                if !claims.contains('.') && !header.is_empty() && !claims.is_empty() =>
            {
                Ok(Self {
                    header,
                    claims,
                    signature,
                    signed,
                })
            }
            Some(_) | None => Err(malformed),
        }
    }
}

/// What must be understood and is not refuses the token (RFC 7515 section 4.1.11). So does the
/// type of another kind of token, such as a logout token (RFC 8725 section 3.11).
fn check_header(header: &Map<String, Value>) -> Result<(), TokenError> {
    if header.contains_key("crit") {
        return Err(TokenError::Header("crit"));
    }
    let Some(kind) = header.get("typ") else {
        return Ok(());
    };
    let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    match kind {
        "jwt" | "at+jwt" => Ok(()),
        _ => Err(TokenError::Header("typ")),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed("a part is not base64url"))
}

fn object(json: &[u8]) -> Result<Map<String, Value>, TokenError> {
    serde_json::from_slice(json).map_err(|_| TokenError::Malformed("a part is no JSON object"))
}

/// As much of a text as a log line needs.
fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

/// The longest token, in bytes.
pub const MAX_LEN: usize = 16 * 1024;

const SHOWN_CHARS: usize = 100;

#[cfg(test)]
mod tests;
