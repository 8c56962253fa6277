//! The parts of message bodies: integers, NUL-terminated strings, and how to append them.

use crate::wire::head::FramingError;

/// Reads the parts of a body in order; every step is checked.
#[derive(Clone, Debug)]
pub struct BodyReader<'a>(&'a [u8]);

impl<'a> BodyReader<'a> {
    /// A reader at the start of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// The next byte.
    ///
    /// # Errors
    /// The body has ended.
    pub fn byte(&mut self) -> Result<u8, FramingError> {
        let (&byte, rest) = self.0.split_first().ok_or(FramingError::Body)?;
        self.0 = rest;
        Ok(byte)
    }

    /// The next Int32.
    ///
    /// # Errors
    /// The body has ended.
    pub fn int32(&mut self) -> Result<i32, FramingError> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(FramingError::Body)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(bytes))
    }

    /// The next Int16.
    ///
    /// # Errors
    /// The body has ended.
    pub fn int16(&mut self) -> Result<i16, FramingError> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(FramingError::Body)?;
        self.0 = rest;
        Ok(i16::from_be_bytes(bytes))
    }

    /// The next NUL-terminated string, without its NUL.
    ///
    /// # Errors
    /// No NUL follows.
    pub fn cstr(&mut self) -> Result<&'a [u8], FramingError> {
        let end = self
            .0
            .iter()
            .position(|&b| b == 0)
            .ok_or(FramingError::Body)?;
        let (string, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(string)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], FramingError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(FramingError::Body)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// All that has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Appends a string and its NUL.
pub fn put_cstr(out: &mut Vec<u8>, string: &[u8]) {
    out.extend_from_slice(string);
    out.push(0);
}

/// Appends a message: the head, and what `body` appends.
pub fn put_message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    put_with_length(out, body);
}

/// Appends a length and what `body` appends: a message of the start-up phase, which has no tag.
pub fn put_with_length(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = i32::try_from(out.len() - at).unwrap_or(i32::MAX);
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}
