//! The file with the number of the process: for those who want to signal it, and against a second
//! process with the same settings.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tracing::info;

use crate::pool::lines;

/// The file of this process; removed when dropped.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file. One that a dead process has left is removed.
    ///
    /// # Errors
    /// Another process that lives has written it, or it cannot be written.
    pub(super) fn claim(path: &Path) -> io::Result<Self> {
        if let Some(pid) = read(path)? {
            if is_alive(pid) {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!(
                        "pidfile \"{}\" exists, another instance running? (pid {pid})",
                        path.display()
                    ),
                ));
            }
            info!(target: lines::PLAIN, path = %path.display(), "stale pidfile, removing");
            fs::remove_file(path).map_err(|error| named(path, &error))?;
        }
        // Two that start at the same time: one of them fails here.
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        let mut file = created.map_err(|error| named(path, &error))?;
        let this = Self(path.to_owned());
        writeln!(file, "{}", std::process::id()).map_err(|error| named(path, &error))?;
        Ok(this)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A successor may have written it by now.
        if matches!(read(&self.0), Ok(Some(pid)) if pid == own()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// The number in the file; 0, which no process has, if it holds none; `None` without a file.
fn read(path: &Path) -> io::Result<Option<i32>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().parse().unwrap_or(0))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path, &error)),
    }
}

/// Whether another process has this number. In a container we have the same at each start.
fn is_alive(pid: i32) -> bool {
    if pid <= 0 || pid == own() {
        return false;
    }
    let Some(process) = Pid::from_raw(pid) else {
        return false;
    };
    // Somebody else's process may not be signalled, and lives.
    matches!(test_kill_process(process), Ok(()) | Err(Errno::PERM))
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("pidfile \"{}\": {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_file_holds_our_number_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::claim(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_a_process_that_lives_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        fs::write(&path, other.id().to_string()).unwrap();
        let refused = PidFile::claim(&path);
        let text = fs::read_to_string(&path).unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("another instance running?"), "{error}");
        assert_eq!(text, other.id().to_string());
        // It has died since.
        drop(PidFile::claim(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_without_a_number_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        for text in ["", "-1", "0", "not a number", "99999999999999"] {
            fs::write(&path, text).unwrap();
            drop(PidFile::claim(&path).unwrap());
        }
    }

    #[test]
    fn a_file_that_a_successor_has_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::claim(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }
}
