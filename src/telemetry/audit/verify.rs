//! `pgwarden audit verify`: whether anything was changed in audit logs or taken out of them.
//!
//! What it cannot see from the files alone: records missing from the end of the last one, a
//! change of the very last one, and a chain that was computed anew as a whole. Against these,
//! keep the last hash somewhere else; the log tells it at every rotation. What is missing
//! before the first `log_start` shows in its number only: a first file begins with 1.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::telemetry::audit::chain::{Hash, hex};
use crate::telemetry::audit::record::LOG_START;

/// Follows the chain through files, the oldest first. Yields the exit code and what to print:
/// 0 and a summary, 1 and the first line that breaks the chain, 2 and the file that cannot be
/// read.
pub fn verify(files: &[PathBuf]) -> (u8, String) {
    let mut walk = Walk::default();
    for path in files {
        match walk.file(path) {
            Ok(()) => {}
            Err(Stop::Broken(place, why)) => return (1, format!("{place}: {why}\n")),
            Err(Stop::Unreadable(error)) => return (2, format!("{}: {error}\n", path.display())),
        }
    }
    match &walk.torn {
        Some((place, _)) => (1, format!("{place}: {TORN}\n")),
        None => (0, walk.summary()),
    }
}

/// How far the chain has been followed.
#[derive(Default)]
struct Walk {
    records: u64,
    first: Option<String>,
    last: Option<Last>,
    /// Lines since the last record that are none: where they begin, and the hash of them all.
    torn: Option<(String, Sha256)>,
}

struct Last {
    ts: String,
    seq: u64,
    hash: Hash,
}

enum Stop {
    /// Where and why.
    Broken(String, String),
    Unreadable(io::Error),
}

/// What the chain is made of.
#[derive(Deserialize)]
struct Record {
    ts: String,
    seq: u64,
    prev: Option<String>,
    kind: String,
    torn: Option<String>,
}

impl Walk {
    fn file(&mut self, path: &Path) -> Result<(), Stop> {
        let mut reader = BufReader::new(File::open(path).map_err(Stop::Unreadable)?);
        let mut line = Vec::new();
        let mut number = 0;
        while read_line(&mut reader, &mut line).map_err(Stop::Unreadable)? {
            number += 1;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let place = format!("{}:{number}", path.display());
            self.line(text, number, place)
                .map_err(|(place, why)| Stop::Broken(place, why))?;
        }
        if number == 0 {
            let place = format!("{}:1", path.display());
            return Err(Stop::Broken(place, "the file is empty".into()));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], number: u64, place: String) -> Result<(), (String, String)> {
        let Ok(record) = serde_json::from_slice::<Record>(line) else {
            match &mut self.torn {
                Some((_, hash)) => {
                    hash.update(b"\n");
                    hash.update(line);
                }
                None => self.torn = Some((place, Sha256::new_with_prefix(line))),
            }
            return Ok(());
        };
        let broken = |why: &str| Err((place.clone(), why.to_owned()));
        if number == 1 && record.kind != LOG_START {
            return broken("a file begins with a log_start, so something is missing before this");
        }
        let torn = self.torn.take();
        let torn = torn.map(|(first, hash)| (first, hex(&hash.finalize().into())));
        match (&torn, &record.torn) {
            (None, None) => {}
            // It speaks of the end of a file that is not among these.
            (None, Some(_)) if self.last.is_none() => {}
            (Some((_, hash)), Some(told)) if hash == told => {}
            (Some((first, _)), _) => {
                return Err((first.clone(), TORN.into()));
            }
            (None, Some(_)) => return broken("a torn line is missing before this"),
        }
        let Some(prev) = record.prev else {
            return broken("it has no hash of the record before: the log is not chained here");
        };
        if let Some(last) = &self.last {
            if number == 1 && prev == hex(&Hash::default()) {
                return broken("a new chain begins here: nothing ties it to the file before");
            }
            if hex(&last.hash) != prev {
                return broken(
                    "it is not what was written after the record before: one of the two was \
                     changed, or something between them was taken out",
                );
            }
            if last.seq.checked_add(1) != Some(record.seq) {
                return broken(&format!("its seq is {} after {}", record.seq, last.seq));
            }
        }
        self.records += 1;
        let mark = || format!("{} (seq {})", record.ts, record.seq);
        self.first.get_or_insert_with(mark);
        self.last = Some(Last {
            ts: record.ts,
            seq: record.seq,
            hash: Sha256::digest(line).into(),
        });
        Ok(())
    }

    fn summary(&self) -> String {
        let (Some(first), Some(last)) = (&self.first, &self.last) else {
            return "ok: 0 records\n".into();
        };
        format!(
            "ok: {} records, first {first}, last {} (seq {}), hash {}\n",
            self.records,
            last.ts,
            last.seq,
            hex(&last.hash)
        )
    }
}

/// Reads a line with its end. What is longer than any record is an error.
pub(super) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let len = reader.take(MAX_LINE).read_until(b'\n', line)?;
    if line.len() as u64 >= MAX_LINE {
        let text = "a line is too long for an audit log";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(len > 0)
}

const TORN: &str = "this is not a record, or not a whole one";
/// More than a record can have, in bytes.
const MAX_LINE: u64 = 16 * 1024 * 1024;
