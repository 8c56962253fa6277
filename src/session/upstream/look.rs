//! What is looked at in a client's messages, and what it means.

use crate::session::error::SessionError;
use crate::wire::body::BodyReader;
use crate::wire::frontend::{Frontend, Tag, Target};
use crate::wire::head::{FramingError, Head};

type Result<T> = std::result::Result<T, SessionError>;

/// Whether a text begins with DISCARD or DEALLOCATE.
pub(super) fn takes_names(text: &[u8]) -> bool {
    let begins = |word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|front| front.eq_ignore_ascii_case(word))
    };
    begins(b"discard") || begins(b"deallocate")
}

/// Whether a message may begin a group that depends on which statements the server has.
pub(super) fn begins_group(tag: Tag) -> bool {
    match tag {
        Tag::Bind
        | Tag::Close
        | Tag::Describe
        | Tag::Execute
        | Tag::Flush
        | Tag::Parse
        | Tag::Query => true,
        Tag::CopyData
        | Tag::CopyDone
        | Tag::CopyFail
        | Tag::FunctionCall
        | Tag::Password
        | Tag::Sync
        | Tag::Terminate => false,
    }
}

/// Whether a server that waits for a Sync after an error drops a message without a look.
pub(super) fn is_skipped(tag: Tag) -> bool {
    match tag {
        Tag::Bind
        | Tag::Close
        | Tag::Describe
        | Tag::Execute
        | Tag::Flush
        | Tag::FunctionCall
        | Tag::Parse
        | Tag::Query => true,
        Tag::CopyData
        | Tag::CopyDone
        | Tag::CopyFail
        | Tag::Password
        | Tag::Sync
        | Tag::Terminate => false,
    }
}

/// How many bytes of a message must have arrived before it is looked at.
pub(super) fn looked_at(tag: Tag) -> usize {
    match tag {
        // Their text is searched, kept or, where rules are, judged.
        Tag::Parse | Tag::Query => MAX_TEXT,
        // Their names are at the front.
        Tag::Bind | Tag::Close | Tag::Describe => MAX_NAMES,
        Tag::CopyData
        | Tag::CopyDone
        | Tag::CopyFail
        | Tag::Execute
        | Tag::Flush
        | Tag::FunctionCall
        | Tag::Password
        | Tag::Sync
        | Tag::Terminate => Head::<Frontend>::LEN,
    }
}

/// The name in a Query that is nothing but `DEALLOCATE name`, folded as PostgreSQL does.
pub(super) fn deallocated(body: &[u8]) -> Option<Vec<u8>> {
    let (word, rest) = body.split_at_checked(10)?;
    if !word.eq_ignore_ascii_case(b"deallocate") || !rest.first()?.is_ascii_whitespace() {
        return None;
    }
    let rest = rest.strip_suffix(b"\0")?.trim_ascii();
    let rest = rest.strip_suffix(b";").unwrap_or(rest).trim_ascii();
    let rest = match rest.split_at_checked(7) {
        Some((word, name))
            if word.eq_ignore_ascii_case(b"prepare")
                && name.first().is_some_and(u8::is_ascii_whitespace) =>
        {
            name.trim_ascii()
        }
        Some(_) | None => rest,
    };
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let name = quoted.strip_suffix(b"\"")?;
        return (!name.contains(&b'"')).then(|| name.to_vec());
    }
    let plain = rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    (plain && !rest.is_empty()).then(|| rest.to_ascii_lowercase())
}

pub(super) fn target(body: &[u8]) -> Result<(Target, &[u8])> {
    let mut body = BodyReader::new(body);
    let target = match body.byte().map_err(SessionError::ClientFraming)? {
        b'P' => Target::Portal,
        b'S' => Target::Statement,
        _ => return Err(SessionError::ClientFraming(FramingError::Body)),
    };
    Ok((target, body.cstr().map_err(SessionError::ClientFraming)?))
}

/// Longest text that is searched or kept, in bytes. A longer Query passes unseen (and the
/// server is cleaned after it); a longer named statement is refused.
const MAX_TEXT: usize = 4 * 1024 * 1024;
/// Bytes in which the two names of a Bind must end.
const MAX_NAMES: usize = 32 * 1024;
