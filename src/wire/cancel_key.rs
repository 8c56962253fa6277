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

    /// Its first eight bytes as one number: all of a key up to protocol 3.0.
    pub fn head(&self) -> u64 {
        let mut secret = [0; 4];
        for (to, from) in secret.iter_mut().zip(&self.secret) {
            *to = *from;
        }
        u64::from(self.pid) << 32 | u64::from(u32::from_be_bytes(secret))
    }

    /// The pooler that gave it out, where poolers are peers: its second and third byte, the lower
    /// one first, as PgBouncer has it.
    pub fn peer(&self) -> u16 {
        let [_, low, high, _] = self.pid.to_be_bytes();
        u16::from_le_bytes([low, high])
    }

    /// How often it may still be passed on from peer to peer: the low two bits of its eighth byte.
    pub fn hops(&self) -> u8 {
        self.secret.get(3).copied().unwrap_or_default() & HOPS
    }

    /// The same key to be passed on so many times: at most [`Self::MAX_HOPS`].
    #[must_use]
    pub fn with_hops(mut self, hops: u8) -> Self {
        if let Some(byte) = self.secret.get_mut(3) {
            *byte = *byte & !HOPS | hops & HOPS;
        }
        self
    }

    /// What a new key says about how often it may be passed on.
    pub const MAX_HOPS: u8 = 3;

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

const HOPS: u8 = 0b11;
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
    fn a_key_names_its_peer_and_how_far_it_may_go() {
        let key = CancelKey::new(0x7f_39_30_01, &[0, 0, 0, 0b1010_1011]);
        assert_eq!(key.peer(), 12_345);
        assert_eq!(key.hops(), 3);
        assert_eq!(key.head(), 0x7f39_3001_0000_00ab);
        let passed_on = key.clone().with_hops(2);
        assert_eq!((passed_on.hops(), passed_on.peer()), (2, 12_345));
        assert!(passed_on.with_hops(3).matches(&key));
    }

    #[test]
    fn a_key_that_is_too_short_to_be_passed_on_stays_as_it_is() {
        let key = CancelKey::new(7, &[1, 2, 3]);
        assert_eq!(key.hops(), 0);
        assert!(key.clone().with_hops(3).matches(&key));
    }

    #[test]
    fn keys_that_differ_in_either_part_do_not_match() {
        let key = CancelKey::new(7, &[1, 2, 3, 4]);
        assert!(!key.matches(&CancelKey::new(8, &[1, 2, 3, 4])));
        assert!(!key.matches(&CancelKey::new(7, &[1, 2, 3, 5])));
        assert!(!key.matches(&CancelKey::new(7, &[1, 2, 3, 4, 0])));
    }
}
