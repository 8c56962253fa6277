//! The bodies of the messages a client of the console sends.

use crate::wire::body::BodyReader;
use crate::wire::error_response::ErrorResponse;
use crate::wire::head::FramingError;
use crate::wire::sqlstate::SqlState;

/// The parts of a Bind that matter here.
pub(super) struct Bind<'a> {
    pub(super) portal: &'a [u8],
    pub(super) statement: &'a [u8],
    pub(super) parameters: usize,
    pub(super) formats: Vec<i16>,
}

impl<'a> Bind<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, FramingError> {
        let mut body = BodyReader::new(body);
        let (portal, statement) = (body.cstr()?, body.cstr()?);
        int16s(&mut body)?;
        let parameters = count(&mut body)?;
        for _ in 0..parameters {
            // A negative length is NULL, which has no bytes.
            if let Ok(len) = usize::try_from(body.int32()?) {
                body.bytes(len)?;
            }
        }
        let formats = int16s(&mut body)?;
        Ok(Self {
            portal,
            statement,
            parameters,
            formats,
        })
    }
}

fn count(body: &mut BodyReader<'_>) -> Result<usize, FramingError> {
    Ok(usize::from(body.int16()?.cast_unsigned()))
}

fn int16s(body: &mut BodyReader<'_>) -> Result<Vec<i16>, FramingError> {
    (0..count(body)?).map(|_| body.int16()).collect()
}

/// What a Describe or a Close speaks of: `S` or `P`, and a name.
pub(super) fn target(body: &[u8]) -> Result<(u8, &[u8]), ErrorResponse> {
    let mut body = BodyReader::new(body);
    let kind = body.byte().map_err(malformed)?;
    let name = body.cstr().map_err(malformed)?;
    if matches!(kind, b'S' | b'P') {
        Ok((kind, name))
    } else {
        Err(malformed(FramingError::Body))
    }
}

/// A command's text, which is UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ErrorResponse> {
    std::str::from_utf8(bytes)
        .map_err(|_| ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, "bad arguments"))
}

/// What a client is told whose message makes no sense.
pub(super) fn malformed(_: FramingError) -> ErrorResponse {
    ErrorResponse::error(SqlState::PROTOCOL_VIOLATION, "invalid message format")
}
