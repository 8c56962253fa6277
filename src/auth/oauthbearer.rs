//! The server's side of SASL OAUTHBEARER, RFC 7628, as PostgreSQL speaks it:
//! <https://www.postgresql.org/docs/current/sasl-authentication.html#SASL-OAUTHBEARER>
//!
//! ```text
//!                       Bearer(token): the caller judges it
//! ExpectInitial --initial--> Offer --discovery, or a token refused--> ExpectDummy --dummy--> failure
//! ```
//! Who has no token yet sends an empty one, and learns from the error document where to get one.

use super::jwt::MAX_LEN;

/// The name of the mechanism.
pub const MECHANISM: &str = "OAUTHBEARER";

/// What a client without a good token is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// The provider, as clients must have it configured.
    pub issuer: String,
    /// What a client should ask the provider for.
    pub scope: String,
}

/// The mechanism was advertised; the client answers with it and its first message.
#[derive(Debug)]
pub struct ExpectInitial(Discovery);

/// What the client has sent. Holds a token: not for logs.
pub enum Offer {
    /// A token, well formed as RFC 6750 has it, and what to do if it is refused.
    Bearer(String, Refusal),
    /// None, or nothing of a bearer token's shape. The reason is for the log.
    Nothing(&'static str, Refusal),
}

/// The means to refuse a token.
#[derive(Debug)]
pub struct Refusal(Discovery);

/// The client has the error document; it must answer with a single `^A`, RFC 7628 section 3.2.3.
#[derive(Debug)]
pub struct ExpectDummy;

/// A message that the protocol does not allow. Shows nothing of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BearerError {
    /// The client wants to act as somebody else (`a=`).
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The client binds the login to the TLS connection, which the mechanism cannot.
    #[error("the server does not support channel binding for OAuth")]
    ChannelBinding,
    /// A message out of shape; the text says where.
    #[error("malformed OAUTHBEARER message: {0}")]
    Malformed(&'static str),
    /// The client chose a mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
}

impl BearerError {
    /// The SQLSTATE PostgreSQL gives for it, five characters:
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::AuthorizationIdentity => "0A000",
            Self::ChannelBinding | Self::Malformed(_) | Self::Mechanism => "08P01",
        }
    }
}

impl ExpectInitial {
    /// Starts an exchange.
    pub fn new(discovery: Discovery) -> Self {
        Self(discovery)
    }

    /// Takes the mechanism and data of SASLInitialResponse, RFC 7628 section 3.1:
    /// `n,,^Aauth=Bearer TOKEN^A^A`.
    ///
    /// # Errors
    /// [`BearerError`]: another mechanism, or a message out of shape.
    pub fn initial(self, mechanism: &str, message: &[u8]) -> Result<Offer, BearerError> {
        if mechanism != MECHANISM {
            return Err(BearerError::Mechanism);
        }
        if message.len() > MAX_MESSAGE {
            return Err(BearerError::Malformed("it is too long"));
        }
        let message = std::str::from_utf8(message)
            .ok()
            .filter(|message| message.is_ascii())
            .ok_or(BearerError::Malformed("it is not ASCII"))?;
        let refusal = Refusal(self.0);
        let header = authorization(pairs(message)?)?;
        if header.is_empty() {
            return Ok(Offer::Nothing("the client has none yet", refusal));
        }
        Ok(match bearer(header) {
            Ok(token) => Offer::Bearer(token.to_owned(), refusal),
            Err(reason) => Offer::Nothing(reason, refusal),
        })
    }
}

impl Refusal {
    /// The error document for AuthenticationSASLContinue, RFC 7628 section 3.2.2, and what must
    /// follow. It is the same whatever is wrong with the token.
    pub fn refuse(self) -> (ExpectDummy, String) {
        let Discovery { issuer, scope } = self.0;
        let (mut url, well_known) = (issuer, "/.well-known/");
        // As PostgreSQL does it: an issuer may name its document itself.
        if !url.contains(well_known) {
            url.push_str("/.well-known/openid-configuration");
        }
        let text = |text| serde_json::Value::String(text).to_string();
        let document = format!(
            "{{\"status\": \"invalid_token\", \"openid-configuration\": {}, \"scope\": {}}}",
            text(url),
            text(scope)
        );
        (ExpectDummy, document)
    }
}

impl ExpectDummy {
    /// Takes the data of SASLResponse. The login has failed either way.
    ///
    /// # Errors
    /// [`BearerError::Malformed`]: anything but the one byte.
    pub fn dummy(self, message: &[u8]) -> Result<(), BearerError> {
        (message == SEPARATOR.as_bytes())
            .then_some(())
            .ok_or(BearerError::Malformed("expected a kvsep response"))
    }
}

/// What follows the GS2 header (RFC 5801 section 4) and its separator.
fn pairs(message: &str) -> Result<&str, BearerError> {
    let rest = match message.as_bytes().first() {
        Some(b'n' | b'y') => &message[1..],
        Some(b'p') => return Err(BearerError::ChannelBinding),
        Some(_) => return Err(BearerError::Malformed("unexpected channel-binding flag")),
        None => return Err(BearerError::Malformed("it is empty")),
    };
    let rest = rest
        .strip_prefix(',')
        .ok_or(BearerError::Malformed("expected a comma"))?;
    if rest.starts_with("a=") {
        return Err(BearerError::AuthorizationIdentity);
    }
    rest.strip_prefix(',')
        .and_then(|rest| rest.strip_prefix(SEPARATOR))
        .ok_or(BearerError::Malformed("expected the end of the GS2 header"))
}

/// The value of the one `auth`; other keys, such as `host` and `port`, are passed over.
fn authorization(mut rest: &str) -> Result<&str, BearerError> {
    let mut found = None;
    loop {
        let (pair, after) = rest
            .split_once(SEPARATOR)
            .ok_or(BearerError::Malformed("a key-value pair has no end"))?;
        rest = after;
        if pair.is_empty() {
            break;
        }
        let (key, value) = pair
            .split_once('=')
            .ok_or(BearerError::Malformed("a key has no value"))?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(BearerError::Malformed("a key is not made of letters"));
        }
        let may_be = |b| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n');
        if !value.bytes().all(may_be) {
            return Err(BearerError::Malformed("a value has control characters"));
        }
        if key == "auth" && found.replace(value).is_some() {
            return Err(BearerError::Malformed("it has several auth values"));
        }
    }
    if !rest.is_empty() {
        return Err(BearerError::Malformed("data after the last separator"));
    }
    found.ok_or(BearerError::Malformed("it has no auth value"))
}

/// The token of `Bearer TOKEN`, RFC 6750 section 2.1. The scheme's case does not matter.
fn bearer(header: &str) -> Result<&str, &'static str> {
    let (scheme, token) = header.split_once(' ').ok_or("it is no bearer token")?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err("it is no bearer token");
    }
    let token = token.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let may_be = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    if body.is_empty() || !body.bytes().all(may_be) {
        return Err("it is no well-formed bearer token");
    }
    Ok(token)
}

const SEPARATOR: &str = "\x01";
/// A token, and a few keys besides.
const MAX_MESSAGE: usize = MAX_LEN + 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn discovery() -> Discovery {
        Discovery {
            issuer: "https://id.example.com".into(),
            scope: "openid \"x\"".into(),
        }
    }

    fn initial(message: &str) -> Result<Offer, BearerError> {
        ExpectInitial::new(discovery()).initial(MECHANISM, message.as_bytes())
    }

    fn token(message: &str) -> Option<String> {
        match initial(message) {
            Ok(Offer::Bearer(token, _)) => Some(token),
            Ok(Offer::Nothing(..)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_bearer_token_is_found_among_other_keys() {
        for message in [
            "n,,\x01auth=Bearer a.b-c_d~e+/9==\x01\x01",
            "y,,\x01auth=Bearer a.b-c_d~e+/9==\x01\x01",
            "n,,\x01host=db\x01auth=bearer   a.b-c_d~e+/9==\x01port=5432\x01\x01",
        ] {
            assert_eq!(token(message).as_deref(), Some("a.b-c_d~e+/9=="));
        }
    }

    #[test]
    fn who_has_no_token_learns_where_to_get_one_and_then_fails() {
        let Ok(Offer::Nothing(_, refusal)) = initial("n,,\x01auth=\x01\x01") else {
            panic!("an empty token is a question");
        };
        let (state, document) = refusal.refuse();
        assert_eq!(
            document,
            "{\"status\": \"invalid_token\", \"openid-configuration\": \
             \"https://id.example.com/.well-known/openid-configuration\", \
             \"scope\": \"openid \\\"x\\\"\"}"
        );
        state.dummy(b"\x01").unwrap();
    }

    #[test]
    fn nothing_but_the_dummy_may_follow_the_document() {
        for message in [&b""[..], b"\x01\x01", b"n,,\x01auth=Bearer x\x01\x01"] {
            assert!(ExpectDummy.dummy(message).is_err());
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused_like_a_bad_one() {
        for header in [
            "Bearer",
            "Bearer ",
            "Basic abc",
            "Bearer a b",
            "Bearer =",
            "Bearer a=b",
            "Bearer a\tb",
            "Bearer\ta",
        ] {
            assert_eq!(token(&format!("n,,\x01auth={header}\x01\x01")), None);
        }
    }

    #[test]
    fn a_message_out_of_shape_is_refused() {
        for message in [
            "",
            "x,,\x01auth=Bearer a\x01\x01",
            "n",
            "n,",
            "n,,",
            "n,,auth=Bearer a\x01\x01",
            "n,,\x01",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer a",
            "n,,\x01auth=Bearer a\x01",
            "n,,\x01auth=Bearer a\x01\x01x",
            "n,,\x01auth=Bearer a\x01\x01\x01",
            "n,,\x01auth=Bearer a\x01auth=Bearer a\x01\x01",
            "n,,\x01auth=\x01auth=Bearer a\x01\x01",
            "n,,\x01auth\x01\x01",
            "n,,\x01=x\x01auth=Bearer a\x01\x01",
            "n,,\x01k1=x\x01auth=Bearer a\x01\x01",
            "n,,\x01host=\x02\x01auth=Bearer a\x01\x01",
            "n,,\x01host=ä\x01auth=Bearer a\x01\x01",
            "n,,\x01auth=Bearer a\0\x01\x01",
        ] {
            assert!(
                matches!(initial(message), Err(BearerError::Malformed(_))),
                "{message:?}"
            );
        }
        let long = format!("n,,\x01auth=Bearer {}\x01\x01", "a".repeat(MAX_MESSAGE));
        assert!(initial(&long).is_err());
    }

    #[test]
    fn nobody_acts_for_others_or_binds_channels() {
        let error = initial("n,a=bob,\x01auth=Bearer a\x01\x01").err();
        assert_eq!(error, Some(BearerError::AuthorizationIdentity));
        let error = initial("p=tls-server-end-point,,\x01auth=Bearer a\x01\x01").err();
        assert_eq!(error, Some(BearerError::ChannelBinding));
        let other = ExpectInitial::new(discovery()).initial("SCRAM-SHA-256", b"n,,\x01\x01");
        assert_eq!(other.err(), Some(BearerError::Mechanism));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(message in "[nyp],[a=b]*,\x01?(auth=|Bearer |[\x01=a,]|\\PC)*") {
            let _ = initial(&message);
        }
    }
}
