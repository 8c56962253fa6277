//! Messages that a client sends, marked (F) in PostgreSQL's "Message Formats".

use crate::wire::body::{put_cstr, put_message};
use crate::wire::head::Direction;

/// The direction from client to server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frontend {}

impl Direction for Frontend {
    type Tag = Tag;

    fn tag(byte: u8) -> Option<Tag> {
        Some(match byte {
            b'B' => Tag::Bind,
            b'C' => Tag::Close,
            b'd' => Tag::CopyData,
            b'c' => Tag::CopyDone,
            b'f' => Tag::CopyFail,
            b'D' => Tag::Describe,
            b'E' => Tag::Execute,
            b'H' => Tag::Flush,
            b'F' => Tag::FunctionCall,
            b'P' => Tag::Parse,
            b'p' => Tag::Password,
            b'Q' => Tag::Query,
            b'S' => Tag::Sync,
            b'X' => Tag::Terminate,
            _ => return None,
        })
    }
}

/// What a client's message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Tag {
    Bind = b'B',
    Close = b'C',
    CopyData = b'd',
    CopyDone = b'c',
    CopyFail = b'f',
    Describe = b'D',
    Execute = b'E',
    Flush = b'H',
    FunctionCall = b'F',
    Parse = b'P',
    /// PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share a byte.
    Password = b'p',
    Query = b'Q',
    Sync = b'S',
    Terminate = b'X',
}

/// What a Close or a Describe speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// A portal, `P`.
    Portal,
    /// A prepared statement, `S`.
    Statement,
}

/// Appends a Query.
pub fn put_query(out: &mut Vec<u8>, sql: &str) {
    put_message(out, Tag::Query as u8, |body| put_cstr(body, sql.as_bytes()));
}

/// Appends a Query that every server refuses: see [`put_refused_parse`].
pub fn put_refused_query(out: &mut Vec<u8>) {
    put_query(out, REFUSED);
}

/// Appends a Parse that every server refuses, and that leaves no statement of this name: it
/// puts the transaction into the state that an error of the server's own would. In a failed
/// transaction it is answered like any other statement.
pub fn put_refused_parse(out: &mut Vec<u8>, name: &[u8]) {
    put_message(out, Tag::Parse as u8, |body| {
        put_cstr(body, name);
        put_cstr(body, REFUSED.as_bytes());
        body.extend_from_slice(&0_i16.to_be_bytes());
    });
}

/// PostgreSQL's grammar takes it, so that in a failed transaction it is answered with that; its
/// analysis never does. The comment is for who reads the server's log.
const REFUSED: &str = "VALUES (1), (1, 2) -- refused by pgwarden";

/// Appends a PasswordMessage.
pub fn put_password(out: &mut Vec<u8>, password: &[u8]) {
    put_message(out, Tag::Password as u8, |body| put_cstr(body, password));
}

/// Appends a SASLInitialResponse.
pub fn put_sasl_initial(out: &mut Vec<u8>, mechanism: &str, response: &[u8]) {
    put_message(out, Tag::Password as u8, |body| {
        put_cstr(body, mechanism.as_bytes());
        let len = i32::try_from(response.len()).unwrap_or(i32::MAX);
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(response);
    });
}

/// Appends a SASLResponse.
pub fn put_sasl_response(out: &mut Vec<u8>, response: &[u8]) {
    put_message(out, Tag::Password as u8, |body| {
        body.extend_from_slice(response)
    });
}

/// Appends a Parse whose body after the statement's name is `rest`: text and parameter types.
pub fn put_parse(out: &mut Vec<u8>, name: &[u8], rest: &[u8]) {
    put_message(out, Tag::Parse as u8, |body| {
        put_cstr(body, name);
        body.extend_from_slice(rest);
    });
}

/// Appends a Bind of the unnamed statement to the unnamed portal: one parameter, and all results
/// as text.
pub fn put_bind_text(out: &mut Vec<u8>, parameter: &str) {
    put_message(out, Tag::Bind as u8, |body| {
        body.extend_from_slice(b"\0\0");
        body.extend_from_slice(&0_i16.to_be_bytes());
        body.extend_from_slice(&1_i16.to_be_bytes());
        let len = i32::try_from(parameter.len()).unwrap_or(i32::MAX);
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(parameter.as_bytes());
        body.extend_from_slice(&0_i16.to_be_bytes());
    });
}

/// Appends an Execute of the unnamed portal, for all its rows.
pub fn put_execute(out: &mut Vec<u8>) {
    put_message(out, Tag::Execute as u8, |body| {
        body.push(0);
        body.extend_from_slice(&0_i32.to_be_bytes());
    });
}

/// Appends a Close.
pub fn put_close(out: &mut Vec<u8>, target: Target, name: &[u8]) {
    put_message(out, Tag::Close as u8, |body| {
        put_target(body, target);
        put_cstr(body, name);
    });
}

/// Appends a Describe.
pub fn put_describe(out: &mut Vec<u8>, target: Target, name: &[u8]) {
    put_message(out, Tag::Describe as u8, |body| {
        put_target(body, target);
        put_cstr(body, name);
    });
}

/// Appends a Flush.
pub fn put_flush(out: &mut Vec<u8>) {
    put_message(out, Tag::Flush as u8, |_| {});
}

/// Appends a CopyFail with the reason that the server repeats in its error.
pub fn put_copy_fail(out: &mut Vec<u8>, reason: &str) {
    put_message(out, Tag::CopyFail as u8, |body| {
        put_cstr(body, reason.as_bytes())
    });
}

/// Appends a Sync.
pub fn put_sync(out: &mut Vec<u8>) {
    put_message(out, Tag::Sync as u8, |_| {});
}

/// Appends a Terminate.
pub fn put_terminate(out: &mut Vec<u8>) {
    put_message(out, Tag::Terminate as u8, |_| {});
}

fn put_target(body: &mut Vec<u8>, target: Target) {
    body.push(match target {
        Target::Portal => b'P',
        Target::Statement => b'S',
    });
}
