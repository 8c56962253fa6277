//! The packets of the start-up phase, which have a length and no tag.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use crate::wire::body::{BodyReader, put_cstr, put_with_length};
use crate::wire::cancel_key::CancelKey;
use crate::wire::head::FramingError;
use crate::wire::parameters::Parameters;

/// A version of the protocol: major in the upper 16 bits, minor in the lower.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ProtocolVersion(i32);

impl ProtocolVersion {
    /// Version 3.0, spoken since PostgreSQL 7.4.
    pub const V3_0: Self = Self(3 << 16);
    /// Version 3.2, spoken since PostgreSQL 18: cancel keys of up to 256 bytes.
    pub const V3_2: Self = Self((3 << 16) | 2);

    /// The version a number stands for.
    pub fn from_wire(number: i32) -> Self {
        Self(number)
    }

    /// The number on the wire.
    pub fn as_wire(self) -> i32 {
        self.0
    }

    /// The part before the dot.
    pub fn major(self) -> i32 {
        self.0 >> 16
    }

    /// The newest version spoken here that is not newer than this one.
    pub fn spoken(self) -> Self {
        if self >= Self::V3_2 {
            Self::V3_2
        } else {
            Self::V3_0
        }
    }
}

/// What a client may send first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StartupPacket {
    /// Cancel the query of the session with this key.
    CancelRequest(CancelKey),
    /// May we encrypt with GSSAPI?
    GssEncRequest,
    /// May we encrypt with TLS?
    SslRequest,
    /// Who I am and what I want.
    StartupMessage {
        /// The newest version the client speaks.
        version: ProtocolVersion,
        /// `user`, `database`, `options`, and run-time parameters.
        parameters: Parameters,
        /// Names that begin with `_pq_.`: protocol options, none of which is known here.
        protocol_options: Vec<String>,
    },
}

impl StartupPacket {
    /// Largest packet accepted, in bytes: what PgBouncer takes, more than PostgreSQL's 10,000.
    pub const MAX_LEN: usize = 65_536;

    /// Reads a packet from the front of `buf`, and its length. `Ok(None)` asks for more bytes.
    ///
    /// # Errors
    /// A length out of bounds or a body that is not of this format.
    pub fn parse(buf: &[u8]) -> Result<Option<(Self, usize)>, FramingError> {
        let Some(&length) = buf.first_chunk() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(length);
        let len = usize::try_from(length).unwrap_or(0);
        if len < MIN_LEN {
            return Err(FramingError::Length {
                tag: 0,
                len: length,
            });
        }
        if len > Self::MAX_LEN {
            return Err(FramingError::TooLong {
                len,
                limit: Self::MAX_LEN,
            });
        }
        match buf.get(4..len) {
            None => Ok(None),
            Some(packet) => Ok(Some((Self::parse_body(packet)?, len))),
        }
    }

    fn parse_body(packet: &[u8]) -> Result<Self, FramingError> {
        let mut body = BodyReader::new(packet);
        match body.int32()? {
            CANCEL_REQUEST => Ok(Self::CancelRequest(CancelKey::parse(body.rest())?)),
            SSL_REQUEST if body.rest().is_empty() => Ok(Self::SslRequest),
            GSSENC_REQUEST if body.rest().is_empty() => Ok(Self::GssEncRequest),
            SSL_REQUEST | GSSENC_REQUEST => Err(FramingError::Body),
            version => Self::parse_message(ProtocolVersion(version), body),
        }
    }

    fn parse_message(
        version: ProtocolVersion,
        mut body: BodyReader<'_>,
    ) -> Result<Self, FramingError> {
        let mut parameters = Parameters::default();
        let mut protocol_options = Vec::new();
        // Another major version may lay out its body in another way.
        if version.major() == 3 {
            loop {
                let name = text(body.cstr()?)?;
                if name.is_empty() {
                    break;
                }
                let value = text(body.cstr()?)?;
                if name.starts_with("_pq_.") {
                    protocol_options.push(name.to_owned());
                } else {
                    parameters.set(name, value);
                }
                if parameters.len() + protocol_options.len() > MAX_PARAMETERS {
                    return Err(FramingError::Body);
                }
            }
            if !body.rest().is_empty() {
                return Err(FramingError::Body);
            }
        }
        Ok(Self::StartupMessage {
            version,
            parameters,
            protocol_options,
        })
    }
}

/// Appends an SSLRequest.
pub fn put_ssl_request(out: &mut Vec<u8>) {
    put_with_length(out, |body| {
        body.extend_from_slice(&SSL_REQUEST.to_be_bytes())
    });
}

/// Appends a CancelRequest.
pub fn put_cancel_request(out: &mut Vec<u8>, key: &CancelKey) {
    put_with_length(out, |body| {
        body.extend_from_slice(&CANCEL_REQUEST.to_be_bytes());
        key.put(body);
    });
}

/// Appends a StartupMessage.
pub fn put_startup_message<'a>(
    out: &mut Vec<u8>,
    version: ProtocolVersion,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    put_with_length(out, |body| {
        body.extend_from_slice(&version.0.to_be_bytes());
        for (name, value) in parameters {
            put_cstr(body, name.as_bytes());
            put_cstr(body, value.as_bytes());
        }
        body.push(0);
    });
}

// PostgreSQL takes start-up strings in any encoding; names and values that are not UTF-8
// could not be logged or compared with the settings, so they are refused.
fn text(bytes: &[u8]) -> Result<&str, FramingError> {
    std::str::from_utf8(bytes).map_err(|_| FramingError::Body)
}

/// A length and a code.
const MIN_LEN: usize = 8;
/// More than any driver sends; keeps a lookup by name cheap for a hostile packet.
const MAX_PARAMETERS: usize = 256;
const CANCEL_REQUEST: i32 = 80_877_102;
const SSL_REQUEST: i32 = 80_877_103;
const GSSENC_REQUEST: i32 = 80_877_104;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_startup_message_reads_back_as_written_at_every_cut() {
        let mut bytes = Vec::new();
        let sent = [
            ("user", "alice"),
            ("database", "shop"),
            ("_pq_.command_progress", "1"),
        ];
        put_startup_message(&mut bytes, ProtocolVersion::V3_2, sent);
        for cut in 0..bytes.len() {
            assert_eq!(StartupPacket::parse(&bytes[..cut]).unwrap(), None);
        }
        let (packet, len) = StartupPacket::parse(&bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        assert_eq!(
            packet,
            StartupPacket::StartupMessage {
                version: ProtocolVersion::V3_2,
                parameters: [("user", "alice"), ("database", "shop")]
                    .into_iter()
                    .collect(),
                protocol_options: vec!["_pq_.command_progress".into()],
            }
        );
    }

    #[test]
    fn requests_read_back_as_written() {
        let mut bytes = Vec::new();
        put_ssl_request(&mut bytes);
        assert_eq!(
            StartupPacket::parse(&bytes).unwrap(),
            Some((StartupPacket::SslRequest, 8))
        );
        let key = CancelKey::new(1, &[5; 32]);
        let mut bytes = Vec::new();
        put_cancel_request(&mut bytes, &key);
        let read = StartupPacket::parse(&bytes).unwrap().unwrap().0;
        assert_eq!(read, StartupPacket::CancelRequest(key));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_the_body_is_read() {
        for len in [i32::MIN, -1, 0, 4, 7, 65_537, i32::MAX] {
            assert!(StartupPacket::parse(&len.to_be_bytes()).is_err(), "{len}");
        }
    }

    #[test]
    fn a_body_with_a_tail_or_without_its_end_is_refused() {
        let mut bytes = Vec::new();
        put_with_length(&mut bytes, |b| b.extend(*b"\0\x03\0\0user\0a\0\0tail"));
        assert!(StartupPacket::parse(&bytes).is_err());
        let mut bytes = Vec::new();
        put_with_length(&mut bytes, |b| b.extend(*b"\0\x03\0\0user\0a\0"));
        assert!(StartupPacket::parse(&bytes).is_err());
    }

    #[test]
    fn versions_between_and_above_ours_are_answered_with_one_we_speak() {
        assert_eq!(
            ProtocolVersion((3 << 16) | 1).spoken(),
            ProtocolVersion::V3_0
        );
        assert_eq!(
            ProtocolVersion((3 << 16) | 9999).spoken(),
            ProtocolVersion::V3_2
        );
    }
}
