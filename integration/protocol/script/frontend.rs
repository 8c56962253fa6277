//! What clients send.

use pgwarden::wire::body::{put_cstr, put_message};
use pgwarden::wire::cancel_key::CancelKey;
use pgwarden::wire::frontend::{self, Target};
use pgwarden::wire::startup::{ProtocolVersion, put_cancel_request, put_startup_message};

use super::Message;

fn made(put: impl FnOnce(&mut Vec<u8>)) -> Message {
    let mut bytes = Vec::new();
    put(&mut bytes);
    Message::exact(bytes)
}

fn message(tag: u8, body: impl FnOnce(&mut Vec<u8>)) -> Message {
    made(|out| put_message(out, tag, body))
}

/// A StartupMessage of protocol 3.0.
pub(crate) fn startup(user: &str, database: &str) -> Message {
    startup_with(3 << 16, &[("user", user), ("database", database)])
}

pub(crate) fn startup_with(version: i32, parameters: &[(&str, &str)]) -> Message {
    made(|out| {
        let version = ProtocolVersion::from_wire(version);
        put_startup_message(out, version, parameters.iter().copied());
    })
}

pub(crate) fn ssl_request() -> Message {
    Message::exact(vec![0, 0, 0, 8, 4, 210, 22, 47])
}

pub(crate) fn gss_request() -> Message {
    Message::exact(vec![0, 0, 0, 8, 4, 210, 22, 48])
}

pub(crate) fn cancel_request(key: &CancelKey) -> Message {
    made(|out| put_cancel_request(out, key))
}

pub(crate) fn query(sql: &str) -> Message {
    made(|out| frontend::put_query(out, sql))
}

/// A Parse without parameter types.
pub(crate) fn parse(name: &str, sql: &str) -> Message {
    let rest = [sql.as_bytes(), b"\0\0\0"].concat();
    made(|out| frontend::put_parse(out, name.as_bytes(), &rest))
}

/// A Bind without parameters.
pub(crate) fn bind(portal: &str, statement: &str) -> Message {
    message(b'B', |body| {
        put_cstr(body, portal.as_bytes());
        put_cstr(body, statement.as_bytes());
        body.extend_from_slice(&[0; 6]);
    })
}

pub(crate) fn describe_statement(name: &str) -> Message {
    made(|out| frontend::put_describe(out, Target::Statement, name.as_bytes()))
}

pub(crate) fn describe_portal(name: &str) -> Message {
    made(|out| frontend::put_describe(out, Target::Portal, name.as_bytes()))
}

pub(crate) fn execute(portal: &str, limit: i32) -> Message {
    message(b'E', |body| {
        put_cstr(body, portal.as_bytes());
        body.extend_from_slice(&limit.to_be_bytes());
    })
}

pub(crate) fn close_statement(name: &str) -> Message {
    made(|out| frontend::put_close(out, Target::Statement, name.as_bytes()))
}

pub(crate) fn close_portal(name: &str) -> Message {
    made(|out| frontend::put_close(out, Target::Portal, name.as_bytes()))
}

pub(crate) fn sync() -> Message {
    message(b'S', |_| {})
}

pub(crate) fn flush() -> Message {
    message(b'H', |_| {})
}

pub(crate) fn terminate() -> Message {
    message(b'X', |_| {})
}

/// A FunctionCall without arguments.
pub(crate) fn function_call(oid: i32) -> Message {
    message(b'F', |body| {
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    })
}

pub(crate) fn copy_data(data: &[u8]) -> Message {
    message(b'd', |body| body.extend_from_slice(data))
}

pub(crate) fn copy_done() -> Message {
    message(b'c', |_| {})
}

pub(crate) fn copy_fail(reason: &str) -> Message {
    message(b'f', |body| put_cstr(body, reason.as_bytes()))
}

/// PasswordMessage, SASLInitialResponse or SASLResponse.
pub(crate) fn password(body: &[u8]) -> Message {
    message(b'p', |out| out.extend_from_slice(body))
}
