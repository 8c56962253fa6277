//! Into the background. A fork within a running program is not safe Rust, so the process starts
//! itself anew, in a session of its own, and ends when that one serves: its exit code tells
//! whether it does.

use std::env;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use crate::config::settings::Settings;

/// The argument that the process in the background has and others have not.
pub const DETACHED: &str = "--detached";

/// Starts this program with the same arguments in the background, and waits until it serves.
///
/// # Errors
/// The settings do not say where its number and its log are to go, or it has not come up; why
/// stands on standard error by then.
pub(super) fn start(settings: &Settings) -> io::Result<()> {
    if settings.process.pidfile.is_none() {
        return Err(refused("daemon needs pidfile configured"));
    }
    if settings.telemetry.log_file.is_none() && settings.telemetry.syslog.is_none() {
        return Err(refused("daemon needs logfile or syslog configured"));
    }
    let mut child = Command::new(env::current_exe()?)
        .arg(DETACHED)
        .args(env::args_os().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.trim_end() == READY {
        return Ok(());
    }
    let status = child.wait()?;
    Err(io::Error::other(format!(
        "the process in the background did not start: {status}"
    )))
}

/// Leaves the terminal's session, so that its end does not end us. For the process in the
/// background, at its beginning.
///
/// # Errors
/// It was not started by [`start`].
pub(super) fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Tells the process in the foreground that it may end, and lets go of what it gave us.
///
/// # Errors
/// There is no `/dev/null`.
pub(super) fn is_up() -> io::Result<()> {
    // If it is gone already, nobody has to be told.
    let _ = writeln!(io::stdout(), "{READY}");
    let _ = io::stdout().flush();
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open(OsStr::new("/dev/null"))?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

fn refused(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

const READY: &str = "ready";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_could_not_be_found_again_is_not_started() {
        let mut settings = Settings::default();
        let error = start(&settings).unwrap_err();
        assert_eq!(error.to_string(), "daemon needs pidfile configured");
        settings.process.pidfile = Some("pid".into());
        let error = start(&settings).unwrap_err();
        assert_eq!(
            error.to_string(),
            "daemon needs logfile or syslog configured"
        );
    }
}
