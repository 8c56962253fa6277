//! `pgwarden learn`: from what roles were seen doing to the least rules that let it through.

mod proposal;
mod seen;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use crate::telemetry::audit::learn::seen::Seen;
use crate::telemetry::audit::verify::read_line;

/// Reads audit logs and proposes rules for all roles in them, or for one. Yields the exit code
/// and what to print: 0 and the rules, 1 if nothing was seen, 2 and the file that cannot be
/// read.
pub fn learn(files: &[PathBuf], role: Option<&str>) -> (u8, String) {
    let mut seen = Seen::new(role);
    for path in files {
        if let Err(error) = read(path, &mut seen) {
            return (2, format!("{}: {error}\n", path.display()));
        }
    }
    let code = u8::from(seen.roles.is_empty());
    (code, proposal::write(&seen))
}

fn read(path: &Path, seen: &mut Seen) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        seen.line(&line);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
