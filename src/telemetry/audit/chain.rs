//! The file, and where the chain of hashes in it stands.

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// A file whose records hold each the hash of the one before.
#[derive(Debug)]
pub(super) struct Chain {
    file: File,
    tip: Tip,
    end: End,
    is_chained: bool,
}

/// The last record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tip {
    /// Its number; 0: there is none.
    pub(super) seq: u64,
    /// The SHA-256 of its line, without the line's end.
    pub(super) hash: Hash,
}

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// What the file ends with.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The line's end after a record, or nothing.
    Complete,
    /// A record without its line's end.
    NoNewline,
    /// Part of a record. The hash is of all that follows the last record's line's end: a disk
    /// that is full can tear more than one line.
    Torn(Sha256),
}

impl Chain {
    /// A file that goes on after a record, of its own or of the file before. Without hashes,
    /// until [`Chain::set_chained`] says otherwise.
    pub(super) fn new(file: File, tip: Tip, end: End) -> Self {
        Self {
            file,
            tip,
            end,
            is_chained: false,
        }
    }

    /// Whether records hold hashes from now on.
    ///
    /// # Errors
    /// Another process writes the file: each of the two would go on with a record that is the
    /// last one no more.
    pub(super) fn set_chained(&mut self, is_chained: bool) -> io::Result<()> {
        // A device is nobody's own.
        if is_chained && self.file.metadata()?.is_file() {
            self.file.try_lock().map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => {
                    io::Error::other("another process writes it, and each needs a file of its own")
                }
            })?;
        }
        self.is_chained = is_chained;
        Ok(())
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn tip(&self) -> Tip {
        self.tip
    }

    /// The hash of what the file ends with and is no record.
    pub(super) fn torn(&self) -> Option<String> {
        match &self.end {
            End::Complete | End::NoNewline => None,
            End::Torn(hash) => Some(hex(&hash.clone().finalize().into())),
        }
    }

    /// Writes a record: a JSON object of at least one field, before which its time, its number
    /// and the hash are put.
    ///
    /// # Errors
    /// The file's. What was written of the record then is told by [`Chain::torn`].
    pub(super) fn put(&mut self, body: &str) -> io::Result<()> {
        let mut line = match self.end {
            End::Complete => String::new(),
            End::NoNewline | End::Torn(_) => "\n".to_owned(),
        };
        let start = line.len();
        let seq = self.tip.seq.saturating_add(1);
        let time = now();
        // Writing to a string cannot fail.
        let _ = write!(line, "{{\"ts\":\"{time}\",\"seq\":{seq},");
        if self.is_chained {
            let _ = write!(line, "\"prev\":\"{}\",", self.tip.hash_hex());
        }
        line.push_str(body.strip_prefix('{').unwrap_or(body));
        let end = line.len();
        line.push('\n');
        let bytes = line.as_bytes();
        let (written, result) = write_all(&mut self.file, bytes);
        if written < end {
            self.tear(&bytes[..written]);
            return result;
        }
        self.tip = Tip {
            seq,
            hash: Sha256::digest(&bytes[start..end]).into(),
        };
        self.end = if result.is_ok() {
            End::Complete
        } else {
            End::NoNewline
        };
        Ok(())
    }

    /// Takes note of a part of a record in the file.
    pub(super) fn tear(&mut self, written: &[u8]) {
        match (&mut self.end, written) {
            (_, []) => {}
            (End::Torn(hash), _) => hash.update(written),
            (End::NoNewline, [_]) => self.end = End::Complete,
            (End::NoNewline, [_, part @ ..]) | (End::Complete, part) => {
                self.end = End::Torn(Sha256::new_with_prefix(part));
            }
        }
    }
}

impl Tip {
    /// The hash as records hold it.
    pub(super) fn hash_hex(&self) -> String {
        hex(&self.hash)
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(hash: &Hash) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// In one write, unless the system takes only a part of it; and how much it took.
fn write_all(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(len) => written += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// RFC 3339 with microseconds.
fn now() -> impl std::fmt::Display {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
}
