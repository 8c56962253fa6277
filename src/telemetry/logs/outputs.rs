//! Where the lines of the log go: a file, standard error, the system's log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::syslog::Syslog;
use crate::telemetry::settings::SyslogSettings;

/// Where the lines of the log go.
#[derive(Debug)]
pub(super) struct Outputs {
    file: Mutex<Option<File>>,
    syslog: Mutex<Option<Syslog>>,
    stderr: bool,
}

impl Outputs {
    /// Opens the file, which is appended to, and the system's log.
    ///
    /// # Errors
    /// The file cannot be opened; the system's log is tried again with each line.
    pub(super) fn open(
        file: Option<&Path>,
        syslog: Option<&SyslogSettings>,
        stderr: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            file: Mutex::new(file.map(open).transpose()?),
            syslog: Mutex::new(syslog.map(Syslog::new)),
            stderr,
        })
    }

    /// Opens the file and the system's log anew: the file may have been moved away, and both
    /// may be others.
    ///
    /// # Errors
    /// The file cannot be opened; the old one is kept then.
    pub(super) fn reopen(
        &self,
        file: Option<&Path>,
        syslog: Option<&SyslogSettings>,
    ) -> io::Result<()> {
        *self.syslog.lock().unwrap_or_else(PoisonError::into_inner) = syslog.map(Syslog::new);
        let new = file.map(open).transpose()?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Writes a line: `whole` with its end where nobody else notes the time, `text` to the
    /// system's log. What cannot be written is lost: there is nobody to tell.
    pub(super) fn write(&self, level: Level, whole: &str, text: &str) {
        if let Some(file) = &mut *self.file.lock().unwrap_or_else(PoisonError::into_inner) {
            // One call a line: lines of two processes do not mix.
            let _ = file.write_all(whole.as_bytes());
        }
        if self.stderr {
            let _ = io::stderr().lock().write_all(whole.as_bytes());
        }
        if let Some(syslog) = &mut *self.syslog.lock().unwrap_or_else(PoisonError::into_inner) {
            syslog.send(level, text);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|error| {
        let path = path.display();
        io::Error::new(
            error.kind(),
            format!("cannot open log file \"{path}\": {error}"),
        )
    })
}

/// An event on its way to the outputs.
#[derive(Debug)]
pub(super) struct Line<'a> {
    outputs: &'a Outputs,
    level: Level,
}

impl io::Write for Line<'_> {
    /// `fmt` hands over a whole event at a time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        self.outputs.write(self.level, &line, line.trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The outputs for `fmt`, which asks for a writer for each event.
#[derive(Clone, Debug)]
pub(super) struct Writers(pub(super) Arc<Outputs>);

impl<'a> MakeWriter<'a> for Writers {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            outputs: &self.0,
            level: Level::INFO,
        }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        Line {
            outputs: &self.0,
            level: *about.level(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew_and_lines_are_appended() {
        let dir = tempfile::tempdir().unwrap();
        let (file, old) = (dir.path().join("log"), dir.path().join("log.1"));
        fs::write(&file, "before\n").unwrap();
        let outputs = Outputs::open(Some(&file), None, false).unwrap();
        outputs.write(Level::INFO, "first\n", "first");
        fs::rename(&file, &old).unwrap();
        outputs.write(Level::INFO, "second\n", "second");
        outputs.reopen(Some(&file), None).unwrap();
        outputs.write(Level::INFO, "third\n", "third");
        assert_eq!(fs::read_to_string(&old).unwrap(), "before\nfirst\nsecond\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), "third\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let outputs = Outputs::open(Some(&file), None, false).unwrap();
        let error = outputs.reopen(Some(dir.path()), None).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot open log file \""),
            "{error}"
        );
        outputs.write(Level::INFO, "still\n", "still");
        assert_eq!(fs::read_to_string(&file).unwrap(), "still\n");
    }
}
