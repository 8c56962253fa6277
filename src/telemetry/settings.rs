//! What is logged, and where metrics are served. Filled by `config`.

use std::net::SocketAddr;
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
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_level: "info".into(),
            metrics_address: None,
        }
    }
}
