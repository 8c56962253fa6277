//! The system's log, as `syslog(3)` speaks to it: a datagram a line, in the form of RFC 3164
//! without the host, which the daemon knows.
//! <https://www.rfc-editor.org/rfc/rfc3164#section-4.1>

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use jiff::ZonedDateTime;
use tracing::Level;

use crate::telemetry::settings::SyslogSettings;

/// A connection to the system's log.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    /// `None`: to be connected with the next line.
    socket: Option<UnixDatagram>,
    facility: u8,
    ident: String,
}

impl Syslog {
    /// Connects with the first line.
    pub(super) fn new(settings: &SyslogSettings) -> Self {
        Self {
            path: DEV_LOG.into(),
            socket: None,
            facility: facility(&settings.facility),
            ident: settings.ident.clone(),
        }
    }

    /// Sends a line. Nobody waits for a daemon that does not read; a daemon that was restarted
    /// is connected to anew.
    pub(super) fn send(&mut self, level: Level, text: &str) {
        let priority = u32::from(self.facility) * 8 + severity(level);
        let now = ZonedDateTime::now().strftime("%b %e %H:%M:%S");
        let (ident, pid) = (&self.ident, std::process::id());
        let line = format!("<{priority}>{now} {ident}[{pid}]: {text}");
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = self.connect().ok();
            }
            let Some(socket) = &self.socket else { return };
            match socket.send(line.as_bytes()) {
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => self.socket = None,
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn connect(&self) -> std::io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.path)?;
        Ok(socket)
    }
}

/// The number of a facility; `daemon` for an unknown one, which the settings refuse.
fn facility(name: &str) -> u8 {
    match name {
        "user" => 1,
        "auth" => 4,
        "authpriv" => 10,
        "local0" => 16,
        "local1" => 17,
        "local2" => 18,
        "local3" => 19,
        "local4" => 20,
        "local5" => 21,
        "local6" => 22,
        "local7" => 23,
        _ => 3,
    }
}

/// As PgBouncer has them.
fn severity(level: Level) -> u32 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

const DEV_LOG: &str = "/dev/log";

#[cfg(test)]
mod tests {
    use super::*;

    fn syslog(path: PathBuf) -> Syslog {
        let settings = SyslogSettings {
            facility: "local3".into(),
            ident: "pooler".into(),
        };
        Syslog {
            path,
            ..Syslog::new(&settings)
        }
    }

    fn received(daemon: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let len = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_a_datagram_with_priority_time_and_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog(path).send(Level::WARN, "pooler error: too slow");
        let line = received(&daemon);
        // local3 is 19, warning is 4.
        let rest = line.strip_prefix("<156>").unwrap();
        let (time, rest) = rest.split_at("Nov 24 12:32:59".len());
        assert_eq!(time.matches(':').count(), 2, "{line}");
        let expected = format!(" pooler[{}]: pooler error: too slow", std::process::id());
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_daemon_that_was_restarted_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = syslog(path.clone());
        syslog.send(Level::INFO, "nobody listens");
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::INFO, "first");
        assert!(received(&daemon).ends_with(": first"));
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::INFO, "second");
        assert!(received(&daemon).ends_with(": second"));
    }
}
