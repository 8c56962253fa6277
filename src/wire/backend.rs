//! Messages that a server sends, marked (B) in PostgreSQL's "Message Formats".

use serde::{Deserialize, Serialize};

use crate::wire::body::{BodyReader, put_cstr, put_message};
use crate::wire::cancel_key::CancelKey;
use crate::wire::head::{Direction, FramingError};

/// The direction from server to client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {}

impl Direction for Backend {
    type Tag = Tag;

    fn tag(byte: u8) -> Option<Tag> {
        Some(match byte {
            b'R' => Tag::Authentication,
            b'K' => Tag::BackendKeyData,
            b'2' => Tag::BindComplete,
            b'3' => Tag::CloseComplete,
            b'C' => Tag::CommandComplete,
            b'W' => Tag::CopyBothResponse,
            b'd' => Tag::CopyData,
            b'c' => Tag::CopyDone,
            b'G' => Tag::CopyInResponse,
            b'H' => Tag::CopyOutResponse,
            b'D' => Tag::DataRow,
            b'I' => Tag::EmptyQueryResponse,
            b'E' => Tag::ErrorResponse,
            b'V' => Tag::FunctionCallResponse,
            b'v' => Tag::NegotiateProtocolVersion,
            b'n' => Tag::NoData,
            b'N' => Tag::NoticeResponse,
            b'A' => Tag::NotificationResponse,
            b't' => Tag::ParameterDescription,
            b'S' => Tag::ParameterStatus,
            b'1' => Tag::ParseComplete,
            b's' => Tag::PortalSuspended,
            b'Z' => Tag::ReadyForQuery,
            b'T' => Tag::RowDescription,
            _ => return None,
        })
    }
}

/// What a server's message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Tag {
    Authentication = b'R',
    BackendKeyData = b'K',
    BindComplete = b'2',
    CloseComplete = b'3',
    CommandComplete = b'C',
    CopyBothResponse = b'W',
    CopyData = b'd',
    CopyDone = b'c',
    CopyInResponse = b'G',
    CopyOutResponse = b'H',
    DataRow = b'D',
    EmptyQueryResponse = b'I',
    ErrorResponse = b'E',
    FunctionCallResponse = b'V',
    NegotiateProtocolVersion = b'v',
    NoData = b'n',
    NoticeResponse = b'N',
    NotificationResponse = b'A',
    ParameterDescription = b't',
    ParameterStatus = b'S',
    ParseComplete = b'1',
    PortalSuspended = b's',
    ReadyForQuery = b'Z',
    RowDescription = b'T',
}

/// The status byte of ReadyForQuery.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum TransactionStatus {
    /// `E`: in a failed transaction block.
    Failed,
    /// `I`: in no transaction block.
    Idle,
    /// `T`: in a transaction block.
    InTransaction,
}

impl TransactionStatus {
    /// The status a byte stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'E' => Some(Self::Failed),
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            _ => None,
        }
    }

    /// The byte on the wire.
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Failed => b'E',
            Self::Idle => b'I',
            Self::InTransaction => b'T',
        }
    }
}

/// The codes of Authentication messages that a pooler speaks or understands.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
pub mod authentication {
    /// AuthenticationOk.
    pub const OK: i32 = 0;
    /// AuthenticationCleartextPassword.
    pub const CLEARTEXT_PASSWORD: i32 = 3;
    /// AuthenticationMD5Password.
    pub const MD5_PASSWORD: i32 = 5;
    /// AuthenticationSASL.
    pub const SASL: i32 = 10;
    /// AuthenticationSASLContinue.
    pub const SASL_CONTINUE: i32 = 11;
    /// AuthenticationSASLFinal.
    pub const SASL_FINAL: i32 = 12;
}

/// Appends an Authentication message: its code and what follows it.
pub fn put_authentication(out: &mut Vec<u8>, code: i32, rest: &[u8]) {
    put_message(out, Tag::Authentication as u8, |body| {
        body.extend_from_slice(&code.to_be_bytes());
        body.extend_from_slice(rest);
    });
}

/// Appends a ParameterStatus.
pub fn put_parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    put_message(out, Tag::ParameterStatus as u8, |body| {
        put_cstr(body, name.as_bytes());
        put_cstr(body, value.as_bytes());
    });
}

/// Appends a BackendKeyData.
pub fn put_backend_key_data(out: &mut Vec<u8>, key: &CancelKey) {
    put_message(out, Tag::BackendKeyData as u8, |body| key.put(body));
}

/// Appends a NegotiateProtocolVersion: the newest minor version of 3 spoken here, and the
/// `_pq_.` options not known here.
pub fn put_negotiate_protocol_version(out: &mut Vec<u8>, newest: i32, unknown: &[String]) {
    put_message(out, Tag::NegotiateProtocolVersion as u8, |body| {
        body.extend_from_slice(&newest.to_be_bytes());
        let count = i32::try_from(unknown.len()).unwrap_or(i32::MAX);
        body.extend_from_slice(&count.to_be_bytes());
        for name in unknown {
            put_cstr(body, name.as_bytes());
        }
    });
}

/// Appends a ReadyForQuery.
pub fn put_ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    put_message(out, Tag::ReadyForQuery as u8, |body| {
        body.push(status.as_byte())
    });
}

/// Appends a CommandComplete.
pub fn put_command_complete(out: &mut Vec<u8>, tag: &str) {
    put_message(out, Tag::CommandComplete as u8, |body| {
        put_cstr(body, tag.as_bytes())
    });
}

/// Appends a message that is nothing but its tag, such as ParseComplete.
pub fn put_bare(out: &mut Vec<u8>, tag: Tag) {
    put_message(out, tag as u8, |_| {});
}

/// A column of a RowDescription that belongs to no table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Column<'a> {
    /// The column's name.
    pub name: &'a str,
    /// The object id of its type.
    pub type_oid: u32,
    /// The length of its type in bytes; -1 for a variable one.
    pub type_len: i16,
    /// Whether its values come in binary format; else as text.
    pub binary: bool,
}

/// Appends a RowDescription.
pub fn put_row_description(out: &mut Vec<u8>, columns: &[Column<'_>]) {
    put_message(out, Tag::RowDescription as u8, |body| {
        put_count(body, columns.len());
        for column in columns {
            put_cstr(body, column.name.as_bytes());
            body.extend_from_slice(&0_i32.to_be_bytes()); // no table
            body.extend_from_slice(&0_i16.to_be_bytes()); // no column of it
            body.extend_from_slice(&column.type_oid.to_be_bytes());
            body.extend_from_slice(&column.type_len.to_be_bytes());
            body.extend_from_slice(&(-1_i32).to_be_bytes()); // no type modifier
            body.extend_from_slice(&i16::from(column.binary).to_be_bytes());
        }
    });
}

/// The values of a row in text format; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// Reads the body of a DataRow.
///
/// # Errors
/// It is shorter than it says.
pub fn data_row(body: &[u8]) -> Result<Row, FramingError> {
    let mut body = BodyReader::new(body);
    let columns = body.int16()?;
    let mut values = Row::new();
    for _ in 0..columns {
        values.push(match usize::try_from(body.int32()?) {
            Ok(len) => Some(String::from_utf8_lossy(body.bytes(len)?).into_owned()),
            Err(_) => None,
        });
    }
    Ok(values)
}

/// Appends a DataRow; `None` is NULL.
pub fn put_data_row<'a>(
    out: &mut Vec<u8>,
    values: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
) {
    put_message(out, Tag::DataRow as u8, |body| {
        put_count(body, values.len());
        for value in values {
            match value {
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(bytes) => {
                    let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
                    body.extend_from_slice(&len.to_be_bytes());
                    body.extend_from_slice(bytes);
                }
            }
        }
    });
}

fn put_count(body: &mut Vec<u8>, count: usize) {
    body.extend_from_slice(&i16::try_from(count).unwrap_or(i16::MAX).to_be_bytes());
}
