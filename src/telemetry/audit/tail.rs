//! The last record of a file that is there already.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::telemetry::audit::chain::{End, Tip};

/// Finds the last record and what comes after it; `None`: the file is empty.
///
/// # Errors
/// The file's, or it is no audit log.
pub(super) fn read(file: &mut File) -> io::Result<Option<(Tip, End)>> {
    let len = file.seek(SeekFrom::End(0))?;
    if len == 0 {
        return Ok(None);
    }
    let from = len.saturating_sub(MAX_TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL).read_to_end(&mut bytes)?;
    last_record(&bytes)
        .or_else(|| (from == 0).then(|| all_torn(&bytes))?)
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not an audit log"))
}

fn last_record(bytes: &[u8]) -> Option<(Tip, End)> {
    let mut end = bytes.len();
    loop {
        let start = bytes[..end].iter().rposition(|&b| b == b'\n');
        let start = start.map_or(0, |at| at + 1);
        let line = &bytes[start..end];
        if let Ok(record) = serde_json::from_slice::<Numbered>(line) {
            let tip = Tip {
                seq: record.seq,
                hash: Sha256::digest(line).into(),
            };
            let end = match bytes.get(end..).unwrap_or_default() {
                [] => End::NoNewline,
                [_] => End::Complete,
                [_, torn @ ..] => End::Torn(Sha256::new_with_prefix(torn)),
            };
            return Some((tip, end));
        }
        end = start.checked_sub(1)?;
    }
}

/// A file of which not even the first record was finished.
fn all_torn(bytes: &[u8]) -> Option<(Tip, End)> {
    let is_ours = bytes.starts_with(BEGINNING) || BEGINNING.starts_with(bytes);
    is_ours.then(|| (Tip::default(), End::Torn(Sha256::new_with_prefix(bytes))))
}

/// Enough to know a record by.
#[derive(Deserialize)]
struct Numbered {
    seq: u64,
    #[serde(rename = "kind")]
    _kind: String,
}

/// What every record begins with.
const BEGINNING: &[u8] = b"{\"ts\":\"";
/// More than two records can have, in bytes.
const MAX_TAIL: u64 = 16 * 1024 * 1024;
