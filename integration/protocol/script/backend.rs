//! What servers send.

use pgwarden::wire::backend::{self, Column, Tag, TransactionStatus, authentication};
use pgwarden::wire::body::{put_cstr, put_message};
use pgwarden::wire::cancel_key::CancelKey;

use super::Message;

pub(crate) use TransactionStatus::{Failed, Idle, InTransaction};

fn made(put: impl FnOnce(&mut Vec<u8>)) -> Message {
    let mut bytes = Vec::new();
    put(&mut bytes);
    Message::exact(bytes)
}

fn message(tag: Tag, body: impl FnOnce(&mut Vec<u8>)) -> Message {
    made(|out| put_message(out, tag as u8, body))
}

fn bare(tag: Tag) -> Message {
    made(|out| backend::put_bare(out, tag))
}

pub(crate) fn ready(status: TransactionStatus) -> Message {
    made(|out| backend::put_ready_for_query(out, status))
}

pub(crate) fn complete(tag: &str) -> Message {
    made(|out| backend::put_command_complete(out, tag))
}

pub(crate) fn parse_complete() -> Message {
    bare(Tag::ParseComplete)
}

pub(crate) fn bind_complete() -> Message {
    bare(Tag::BindComplete)
}

pub(crate) fn close_complete() -> Message {
    bare(Tag::CloseComplete)
}

pub(crate) fn no_data() -> Message {
    bare(Tag::NoData)
}

pub(crate) fn empty_query() -> Message {
    bare(Tag::EmptyQueryResponse)
}

pub(crate) fn suspended() -> Message {
    bare(Tag::PortalSuspended)
}

/// A RowDescription of one column.
pub(crate) fn columns() -> Message {
    let column = Column {
        name: "c",
        type_oid: 25,
        type_len: -1,
        binary: false,
    };
    made(|out| backend::put_row_description(out, &[column]))
}

/// A DataRow of one column.
pub(crate) fn row(value: &str) -> Message {
    made(|out| backend::put_data_row(out, [Some(value.as_bytes())].into_iter()))
}

/// A ParameterDescription without parameters.
pub(crate) fn no_parameters() -> Message {
    message(Tag::ParameterDescription, |body| {
        body.extend_from_slice(&[0, 0])
    })
}

pub(crate) fn copy_in() -> Message {
    message(Tag::CopyInResponse, |body| {
        body.extend_from_slice(&[0, 0, 0])
    })
}

pub(crate) fn copy_out() -> Message {
    message(Tag::CopyOutResponse, |body| {
        body.extend_from_slice(&[0, 0, 0])
    })
}

pub(crate) fn copy_both() -> Message {
    message(Tag::CopyBothResponse, |body| {
        body.extend_from_slice(&[0, 0, 0])
    })
}

pub(crate) fn copy_data(data: &[u8]) -> Message {
    message(Tag::CopyData, |body| body.extend_from_slice(data))
}

pub(crate) fn copy_done() -> Message {
    bare(Tag::CopyDone)
}

pub(crate) fn function_result(value: &[u8]) -> Message {
    message(Tag::FunctionCallResponse, |body| {
        let len = i32::try_from(value.len()).unwrap_or(i32::MAX);
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(value);
    })
}

pub(crate) fn parameter(name: &str, value: &str) -> Message {
    made(|out| backend::put_parameter_status(out, name, value))
}

pub(crate) fn notification(channel: &str) -> Message {
    message(Tag::NotificationResponse, |body| {
        body.extend_from_slice(&7_i32.to_be_bytes());
        put_cstr(body, channel.as_bytes());
        put_cstr(body, b"");
    })
}

pub(crate) fn key_data(key: &CancelKey) -> Message {
    made(|out| backend::put_backend_key_data(out, key))
}

/// NegotiateProtocolVersion.
pub(crate) fn negotiate(newest: i32, unknown: &[&str]) -> Message {
    let unknown: Vec<_> = unknown.iter().map(|&name| name.to_owned()).collect();
    made(|out| backend::put_negotiate_protocol_version(out, newest, &unknown))
}

pub(crate) fn authenticated() -> Message {
    made(|out| backend::put_authentication(out, authentication::OK, &[]))
}

/// Any Authentication message.
pub(crate) fn any_authentication() -> Message {
    Message::any_like(vec![Tag::Authentication as u8])
}

pub(crate) fn error(code: &str, text: &str) -> Message {
    problem(Tag::ErrorResponse, "ERROR", code, text)
}

pub(crate) fn fatal(code: &str, text: &str) -> Message {
    problem(Tag::ErrorResponse, "FATAL", code, text)
}

pub(crate) fn notice(text: &str) -> Message {
    problem(Tag::NoticeResponse, "NOTICE", "00000", text)
}

/// The error that a stale plan earns.
pub(crate) fn stale_plan() -> Message {
    let text = "cached plan must not change result type";
    let mut stale = problem(Tag::ErrorResponse, "ERROR", "0A000", text);
    stale = Message::exact(stale.bytes);
    let end = stale.bytes.len() - 1;
    stale.bytes.splice(end.., *b"RRevalidateCachedQuery\0\0");
    let len = i32::try_from(stale.bytes.len() - 1).unwrap_or(i32::MAX);
    stale.bytes[1..5].copy_from_slice(&len.to_be_bytes());
    stale
}

fn problem(tag: Tag, severity: &'static str, code: &str, text: &str) -> Message {
    let plain = message(tag, |body| {
        for (field, value) in [
            (b'S', severity),
            (b'V', severity),
            (b'C', code),
            (b'M', text),
        ] {
            body.push(field);
            put_cstr(body, value.as_bytes());
        }
        body.push(0);
    });
    Message::error(plain.bytes, severity, code, text)
}
