//! The key that lets somebody cancel a query: BackendKeyData and CancelRequest.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::wire::body::BodyReader;
use crate::wire::head::FramingError;

/// A process id and a secret: 4 bytes up to protocol 3.0, at most 256 from 3.2 on.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
#[derive(Clone, Eq, PartialEq)]
pub struct CancelKey {
    pid: u32,
    secret: Box<[u8]>,
}

impl CancelKey {
    /// A key of these parts.
    pub fn new(pid: u32, secret: &[u8]) -> Self {
        Self {
            pid,
            secret: secret.into(),
        }
    }

    /// Reads the body of a BackendKeyData, or what follows the code of a CancelRequest.
    ///
    /// # Errors
    /// No process id, or a secret of no or too many bytes.
    pub fn parse(body: &[u8]) -> Result<Self, FramingError> {
        let mut body = BodyReader::new(body);
        let pid = body.int32()?.cast_unsigned();
        let secret = body.rest();
        if secret.is_empty() || secret.len() > MAX_SECRET_LEN {
            return Err(FramingError::Body);
        }
        Ok(Self::new(pid, secret))
    }

    /// The process id, which is not secret.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Appends both parts.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pid.to_be_bytes());
        out.extend_from_slice(&self.secret);
    }

    /// Whether both are one key, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.pid == other.pid && bool::from(self.secret.ct_eq(&other.secret))
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelKey")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

const MAX_SECRET_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_written() {
        for len in [4, 32, 256] {
            let key = CancelKey::new(7, &vec![9; len]);
            let mut bytes = Vec::new();
            key.put(&mut bytes);
            assert!(CancelKey::parse(&bytes).unwrap().matches(&key));
        }
    }

    #[test]
    fn a_key_without_a_secret_or_with_an_endless_one_is_refused() {
        assert!(CancelKey::parse(&[0, 0, 0, 1]).is_err());
        assert!(CancelKey::parse(&[1; 4 + 257]).is_err());
        assert!(CancelKey::parse(&[1; 3]).is_err());
    }

    #[test]
    fn keys_that_differ_in_either_part_do_not_match() {
        let key = CancelKey::new(7, &[1, 2, 3, 4]);
        assert!(!key.matches(&CancelKey::new(8, &[1, 2, 3, 4])));
        assert!(!key.matches(&CancelKey::new(7, &[1, 2, 3, 5])));
        assert!(!key.matches(&CancelKey::new(7, &[1, 2, 3, 4, 0])));
    }
}
