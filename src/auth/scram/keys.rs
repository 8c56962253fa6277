//! From a password to the keys of SCRAM, RFC 5802 section 3.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// What a client must know: ClientKey and ServerKey for one password, salt and iteration
/// count. With these one can log in without the password. Wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Keys {
    pub(super) client_key: [u8; KEY_LEN],
    pub(super) server_key: [u8; KEY_LEN],
}

impl Keys {
    /// Derives the keys from a password, after SASLprep as PostgreSQL does it: a password
    /// that is not UTF-8 or that SASLprep refuses is used as it is.
    ///
    /// Slow in proportion to `iterations` (0 counts as 1): run it off the worker thread.
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let prepared = prepare(password).unwrap_or_else(|| Zeroizing::new(password.to_vec()));
        let mut salted = Zeroizing::new([0; KEY_LEN]);
        pbkdf2::pbkdf2_hmac::<Sha256>(&prepared, salt, iterations.max(1), &mut *salted);
        Self {
            client_key: hmac(&*salted, &[b"Client Key"]),
            server_key: hmac(&*salted, &[b"Server Key"]),
        }
    }
}

impl Keys {
    /// ClientKey and ServerKey, for another process that goes on in this one's place.
    pub fn to_parts(&self) -> ([u8; KEY_LEN], [u8; KEY_LEN]) {
        (self.client_key, self.server_key)
    }

    /// The other way round.
    pub fn from_parts(client_key: [u8; KEY_LEN], server_key: [u8; KEY_LEN]) -> Self {
        Self {
            client_key,
            server_key,
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC over AuthMessage, the three messages joined by commas: RFC 5802 section 3.
pub(super) fn sign(
    key: &[u8; KEY_LEN],
    client_first_bare: &[u8],
    server_first: &[u8],
    client_final_without_proof: &[u8],
) -> [u8; KEY_LEN] {
    hmac(
        key,
        &[
            client_first_bare,
            b",",
            server_first,
            b",",
            client_final_without_proof,
        ],
    )
}

/// StoredKey of a ClientKey.
pub(super) fn stored_key(client_key: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
    Sha256::digest(client_key).into()
}

/// Turns a proof into a ClientKey, or a ClientKey into a proof.
pub(super) fn xor(mut key: [u8; KEY_LEN], signature: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
    for (byte, mask) in key.iter_mut().zip(signature) {
        *byte ^= mask;
    }
    key
}

/// SASLprep (RFC 4013) in PostgreSQL's order (`pg_saslprep`); `None` where the password is
/// used as it is. PostgreSQL looks for prohibited characters and mixed directions before
/// it normalizes, not after, so that is done here first.
///
/// The library looks again afterwards. That refuses more than PostgreSQL does only for
/// right-to-left text whose compatibility forms change direction when normalized.
fn prepare(password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(password).ok()?;
    if text.is_ascii() {
        return None;
    }
    let mut mapped = Zeroizing::new(String::with_capacity(text.len()));
    mapped.extend(
        text.chars()
            .map(|c| {
                if tables::non_ascii_space_character(c) {
                    ' '
                } else {
                    c
                }
            })
            .filter(|&c| !tables::commonly_mapped_to_nothing(c)),
    );
    if mapped.is_empty() || mapped.contains(is_prohibited) || mixes_directions(&mapped) {
        return None;
    }
    // Not stringprep's own saslprep: it looks at the directions again after normalizing, which
    // PostgreSQL does not.
    let mut prepared = Zeroizing::new(String::with_capacity(mapped.len()));
    prepared.extend(mapped.nfkc());
    Some(Zeroizing::new(prepared.as_bytes().to_vec()))
}

/// RFC 4013 sections 2.3 and 2.5.
fn is_prohibited(c: char) -> bool {
    tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
        || tables::unassigned_code_point(c)
}

/// RFC 3454 section 6: right-to-left text must begin and end as such and have no
/// left-to-right letters.
fn mixes_directions(text: &str) -> bool {
    text.contains(tables::bidi_r_or_al)
        && (text.contains(tables::bidi_l)
            || !text.starts_with(tables::bidi_r_or_al)
            || !text.ends_with(tables::bidi_r_or_al))
}

/// The length of every key, signature and proof in bytes: that of a SHA-256 digest.
pub(super) const KEY_LEN: usize = 32;
