//! The messages of SCRAM as text: RFC 5802 sections 5 and 7.
//!
//! Everything read here comes from a peer that may be hostile. Messages are bytes, since
//! the user name in one of them may be in any encoding.

use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::Violation;
use super::keys::KEY_LEN;

/// What a client says about channel binding, the gs2-cbind-flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: it cannot do it.
    Cannot,
    /// `y`: it could, but saw no offer.
    NotOffered,
    /// `p=`: it does, with this type.
    Used(&'a [u8]),
}

/// `[n|y|p=type],,n=user,r=nonce`
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: BindingFlag<'a>,
    pub(super) bare: &'a [u8],
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Violation> {
        let mut attributes = Attributes::new(message)?;
        let flag = match message {
            [b'n', ..] => BindingFlag::Cannot,
            [b'y', ..] => BindingFlag::NotOffered,
            [b'p', ..] => BindingFlag::Used(attributes.value(b'p')?),
            _ => return Err(Violation::Malformed("unexpected channel-binding flag")),
        };
        if let BindingFlag::Cannot | BindingFlag::NotOffered = flag {
            attributes.rest = attributes
                .rest
                .get(1..)
                .and_then(|rest| rest.strip_prefix(b","))
                .ok_or(Violation::Malformed(
                    "comma expected after channel-binding flag",
                ))?;
        }
        let bare = match attributes.rest {
            [b',', bare @ ..] => bare,
            [b'a', ..] => return Err(Violation::AuthorizationIdentity),
            _ => {
                return Err(Violation::Malformed(
                    "unexpected attribute in client-first-message",
                ));
            }
        };
        attributes.rest = bare;
        if bare.starts_with(b"m") {
            return Err(Violation::MandatoryExtension);
        }
        attributes.value(b'n')?; // the user name: that of the startup message counts
        let nonce = printable(attributes.value(b'r')?)?;
        attributes.skip_extensions()?;
        Ok(Self { flag, bare, nonce })
    }
}

/// `c=binding,r=nonce,p=proof`
#[derive(Debug)]
pub(super) struct ClientFinal<'a> {
    pub(super) binding: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) proof: [u8; KEY_LEN],
    pub(super) without_proof: &'a [u8],
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Violation> {
        let mut attributes = Attributes::new(message)?;
        let binding = attributes.value(b'c')?;
        let nonce = attributes.value(b'r')?;
        loop {
            let before = message.strip_suffix(attributes.rest);
            let (name, value) = attributes.next()?;
            if name != b'p' {
                continue; // an extension, which may be ignored
            }
            if !attributes.rest.is_empty() {
                return Err(Violation::Malformed(
                    "garbage at the end of client-final-message",
                ));
            }
            let without_proof = before
                .and_then(|before| before.strip_suffix(b","))
                .ok_or(Violation::Malformed("comma expected before the proof"))?;
            let proof =
                key(value).ok_or(Violation::Malformed("bad proof in client-final-message"))?;
            return Ok(Self {
                binding,
                nonce,
                proof,
                without_proof,
            });
        }
    }
}

/// `r=nonce,s=salt,i=iterations`, values unchecked but for their form.
#[derive(Debug)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    /// `None` if it is no number that fits.
    pub(super) iterations: Option<u32>,
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Violation> {
        let mut attributes = Attributes::new(message)?;
        let nonce = printable(attributes.value(b'r')?)?;
        let salt = BASE64
            .decode(attributes.value(b's')?)
            .map_err(|_| Violation::Malformed("bad salt in server-first-message"))?;
        let iterations = number(attributes.value(b'i')?);
        attributes.skip_extensions()?;
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

/// `v=signature` or `e=error`
#[derive(Debug)]
pub(super) enum ServerFinal {
    /// The server gave up, for this reason, shortened and made printable.
    Error(String),
    /// Its ServerSignature.
    Signature([u8; KEY_LEN]),
}

impl ServerFinal {
    pub(super) fn parse(message: &[u8]) -> Result<Self, Violation> {
        let mut attributes = Attributes::new(message)?;
        if message.starts_with(b"e") {
            let reason = attributes.value(b'e')?;
            return Ok(Self::Error(shown(reason)));
        }
        let signature = key(attributes.value(b'v')?).ok_or(Violation::Malformed(
            "bad signature in server-final-message",
        ))?;
        attributes.skip_extensions()?;
        Ok(Self::Signature(signature))
    }
}

/// A message's attributes, `name=value` with commas between.
struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    fn new(message: &'a [u8]) -> Result<Self, Violation> {
        if message.is_empty() {
            return Err(Violation::Malformed("the message is empty"));
        }
        if message.len() > MAX_MESSAGE_LEN {
            return Err(Violation::TooLong);
        }
        if message.contains(&0) {
            return Err(Violation::Malformed("a zero byte in the message"));
        }
        Ok(Self { rest: message })
    }

    /// The value of the next attribute, which must have this name.
    fn value(&mut self, name: u8) -> Result<&'a [u8], Violation> {
        match self.next()? {
            (found, value) if found == name => Ok(value),
            _ => Err(Violation::Malformed("another attribute expected")),
        }
    }

    fn next(&mut self) -> Result<(u8, &'a [u8]), Violation> {
        let (name, rest) = match *self.rest {
            [name, b'=', ref rest @ ..] if name.is_ascii_alphabetic() => (name, rest),
            [] => {
                return Err(Violation::Malformed(
                    "attribute expected, but found end of message",
                ));
            }
            _ => return Err(Violation::Malformed("attribute expected")),
        };
        let mut parts = rest.splitn(2, |&byte| byte == b',');
        let value = parts.next().unwrap_or_default();
        self.rest = parts.next().unwrap_or_default();
        Ok((name, value))
    }

    /// Extensions that follow may be ignored, RFC 5802 section 5.1, but must look like some.
    fn skip_extensions(&mut self) -> Result<(), Violation> {
        while !self.rest.is_empty() {
            self.next()?;
        }
        Ok(())
    }
}

/// RFC 5802: printable is %x21-2B / %x2D-7E; a comma cannot be in a value.
fn printable(nonce: &[u8]) -> Result<&str, Violation> {
    if nonce.is_empty() {
        return Err(Violation::Malformed("the nonce is empty"));
    }
    str::from_utf8(nonce)
        .ok()
        .filter(|nonce| nonce.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(Violation::NonceNotPrintable)
}

fn key(base64: &[u8]) -> Option<[u8; KEY_LEN]> {
    BASE64.decode(base64).ok()?.try_into().ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    // Digits only: `parse` alone would take a plus sign.
    digits.iter().all(u8::is_ascii_digit).then_some(())?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A peer's text fit for a log.
fn shown(text: &[u8]) -> String {
    let printable = |&byte: &u8| {
        if byte == b' ' || byte.is_ascii_graphic() {
            byte
        } else {
            b'?'
        }
    };
    text.iter()
        .take(MAX_REASON_LEN)
        .map(printable)
        .map(char::from)
        .collect()
}

/// In bytes. An honest message is below 300; the limit is there for what is not.
pub(super) const MAX_MESSAGE_LEN: usize = 4096;

/// In bytes: how much of a server's reason is worth showing.
const MAX_REASON_LEN: usize = 128;
