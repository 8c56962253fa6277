//! What is logged, and where metrics are served. Filled by `config`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    #[default]
    Text,
}

impl LogFormat {
    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Json, Self::Text]
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
            metrics_address: None,
            audit: AuditSettings::default(),
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
