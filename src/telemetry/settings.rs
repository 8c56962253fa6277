//! What is logged, and where metrics are served. Filled by `config`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// PgBouncer's lines.
    Pgbouncer,
    /// Text for people.
    #[default]
    Text,
}

impl LogFormat {
    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Pgbouncer => "pgbouncer",
            Self::Text => "text",
        }
    }
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Json, Self::Pgbouncer, Self::Text]
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or(())
    }
}

/// Logs and metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TelemetrySettings {
    /// The form of a log line.
    pub log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// The log's file; `None`: standard error alone.
    pub log_file: Option<PathBuf>,
    /// The system's log, besides.
    pub syslog: Option<SyslogSettings>,
    /// Which events are logged.
    pub log_events: LogEvents,
    /// Over how long SHOW STATS has its averages, and how often they are logged.
    pub stats_period: Duration,
    /// Where `/metrics` is served over HTTP; `None`: nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// The audit log.
    pub audit: AuditSettings,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_level: "info".into(),
            log_file: None,
            syslog: None,
            log_events: LogEvents::default(),
            stats_period: Duration::from_secs(60),
            metrics_address: None,
            audit: AuditSettings::default(),
        }
    }
}

/// The system's log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyslogSettings {
    /// `auth`, `authpriv`, `daemon`, `user` or `local0` to `local7`.
    pub facility: String,
    /// What the process calls itself there.
    pub ident: String,
}

/// Which events are logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogEvents {
    /// Logins, and new connections to servers.
    pub connections: bool,
    /// Ends of connections, with their reason.
    pub disconnections: bool,
    /// Errors that the pooler itself sends to clients.
    pub pooler_errors: bool,
    /// A line of counts every `stats_period`.
    pub stats: bool,
}

impl Default for LogEvents {
    fn default() -> Self {
        Self {
            connections: true,
            disconnections: true,
            pooler_errors: true,
            stats: true,
        }
    }
}

/// The audit log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditSettings {
    /// The file; `None`: there is no audit log.
    pub file: Option<PathBuf>,
    /// What of a text is written.
    pub sql: AuditSql,
    /// Whether each record holds the hash of the one before.
    pub chain: bool,
    /// Whether nothing may happen that cannot be recorded.
    pub deny_on_failure: bool,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            file: None,
            sql: AuditSql::Normalized,
            chain: true,
            deny_on_failure: false,
        }
    }
}

/// What of a text is written to the audit log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuditSql {
    /// All of it, without parameters.
    Full,
    /// Nothing.
    None,
    /// The text without its constants.
    #[default]
    Normalized,
}

impl AuditSql {
    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::None => "none",
            Self::Normalized => "normalized",
        }
    }
}

impl FromStr for AuditSql {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Full, Self::None, Self::Normalized]
            .into_iter()
            .find(|form| form.as_str() == name)
            .ok_or(())
    }
}
