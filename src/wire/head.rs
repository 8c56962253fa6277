//! The head of a message: its tag and its length. The only length arithmetic on the wire.

use std::fmt;
use std::marker::PhantomData;

/// Which way a message travels: a tag byte means different things in each direction.
pub trait Direction {
    /// The tags of this direction.
    type Tag: Copy + fmt::Debug + Eq;

    /// The tag a byte stands for; `None` for a byte that the protocol does not know.
    fn tag(byte: u8) -> Option<Self::Tag>;
}

/// The head of one message: five bytes, of which the length counts four and the body.
#[derive(Debug)]
pub struct Head<D: Direction> {
    tag: D::Tag,
    body_len: usize,
    direction: PhantomData<D>,
}

// Not derived: a derive would ask the same of `D`, which is never a value.
impl<D: Direction> Clone for Head<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Direction> Copy for Head<D> {}

impl<D: Direction> Head<D> {
    /// Bytes of a head.
    pub const LEN: usize = 5;

    /// Reads a head from the front of `buf`.
    ///
    /// `Ok(None)` asks for more bytes. The length field counts itself but not the tag:
    /// <https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS>
    ///
    /// # Errors
    /// A tag that is not of this direction, or a length below four.
    pub fn parse(buf: &[u8]) -> Result<Option<Self>, FramingError> {
        let Some((&[tag, l0, l1, l2, l3], _)) = buf.split_first_chunk() else {
            return Ok(None);
        };
        let len = i32::from_be_bytes([l0, l1, l2, l3]);
        let body_len = usize::try_from(len)
            .ok()
            .and_then(|len| len.checked_sub(LENGTH_LEN))
            .ok_or(FramingError::Length { tag, len })?;
        let tag = D::tag(tag).ok_or(FramingError::Tag(tag))?;
        Ok(Some(Self {
            tag,
            body_len,
            direction: PhantomData,
        }))
    }

    /// What kind of message this is.
    pub fn tag(&self) -> D::Tag {
        self.tag
    }

    /// Bytes that follow the head.
    pub fn body_len(&self) -> usize {
        self.body_len
    }

    /// Bytes of the whole message.
    pub fn message_len(&self) -> usize {
        // Never saturates where usize has more than 31 bits, and is harmless where it does.
        self.body_len.saturating_add(Self::LEN)
    }
}

/// Bytes that are not a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FramingError {
    /// A length field below four.
    #[error("invalid length {len} of message type {tag:#04x}")]
    Length {
        /// The tag byte before the length.
        tag: u8,
        /// The length as sent.
        len: i32,
    },
    /// A body that its message's format does not allow.
    #[error("malformed message body")]
    Body,
    /// A tag byte that the protocol does not know in this direction.
    #[error("invalid message type {0:#04x}")]
    Tag(u8),
    /// A message larger than the protocol or the phase of the session allows.
    #[error("message of {len} bytes where at most {limit} are allowed")]
    TooLong {
        /// Bytes announced.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

const LENGTH_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frontend::{Frontend, Tag};

    #[test]
    fn a_head_needs_five_bytes() {
        let bytes = [b'Q', 0, 0, 0, 9];
        for len in 0..bytes.len() {
            assert!(Head::<Frontend>::parse(&bytes[..len]).unwrap().is_none());
        }
        let head = Head::<Frontend>::parse(&bytes).unwrap().unwrap();
        assert_eq!(
            (head.tag(), head.body_len(), head.message_len()),
            (Tag::Query, 5, 10)
        );
    }

    #[test]
    fn a_length_that_does_not_count_itself_is_refused() {
        for len in [i32::MIN, -1, 0, 3] {
            let mut bytes = vec![b'Q'];
            bytes.extend(len.to_be_bytes());
            let refused = Head::<Frontend>::parse(&bytes).unwrap_err();
            assert_eq!(refused, FramingError::Length { tag: b'Q', len });
        }
    }

    #[test]
    fn an_unknown_tag_is_refused() {
        let refused = Head::<Frontend>::parse(&[b'!', 0, 0, 0, 4]).unwrap_err();
        assert_eq!(refused, FramingError::Tag(b'!'));
    }
}
