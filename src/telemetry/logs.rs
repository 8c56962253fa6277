//! Setting up the log: one line an event, with its fields, to standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::telemetry::settings::{LogFormat, TelemetrySettings};

/// Changes the level of a log that is running.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

/// Why the log cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error("log level \"{0}\": expected error, warn, info, debug or trace")]
    Level(String),
    /// The process has a log already, or none any more.
    #[error("the log cannot be set up: {0}")]
    SetUp(String),
}

/// Starts the log of the process; to be called once.
///
/// # Errors
/// The level is unknown, or there is a log already.
pub fn start(settings: &TelemetrySettings) -> Result<LogLevel, LogError> {
    let (level, lines) = layer(settings, io::stderr)?;
    tracing_subscriber::registry()
        .with(lines)
        .try_init()
        .map_err(|error| LogError::SetUp(error.to_string()))?;
    Ok(level)
}

impl LogLevel {
    /// Takes over the level of new settings. The format stays what it was at the start.
    ///
    /// # Errors
    /// The level is unknown.
    pub fn reload(&self, settings: &TelemetrySettings) -> Result<(), LogError> {
        let level = parse(&settings.log_level)?;
        self.0
            .reload(level)
            .map_err(|error| LogError::SetUp(error.to_string()))
    }
}

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

fn layer<W>(settings: &TelemetrySettings, writer: W) -> Result<(LogLevel, Lines), LogError>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let (level, handle) = reload::Layer::new(parse(&settings.log_level)?);
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false);
    let lines: Lines = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_filter(level).boxed(),
        LogFormat::Pgbouncer | LogFormat::Text => lines.with_filter(level).boxed(),
    };
    Ok((LogLevel(handle), lines))
}

fn parse(level: &str) -> Result<LevelFilter, LogError> {
    Ok(match level.to_ascii_lowercase().as_str() {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(LogError::Level(level.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log(format: LogFormat, level: &str) -> (Written, LogLevel, impl tracing::Subscriber) {
        let settings = TelemetrySettings {
            log_format: format,
            log_level: level.into(),
            ..TelemetrySettings::default()
        };
        let written = Written::default();
        let sink = written.clone();
        let (level, lines) = layer(&settings, move || sink.clone()).unwrap();
        (written, level, tracing_subscriber::registry().with(lines))
    }

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let (written, _level, log) = log(LogFormat::Text, "info");
        with_default(log, || tracing::info!(database = "shop", "login denied"));
        let text = written.text();
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.ends_with("INFO login denied database=\"shop\"\n"),
            "{text}"
        );
    }

    #[test]
    fn an_event_is_one_json_object() {
        let (written, _level, log) = log(LogFormat::Json, "info");
        with_default(log, || tracing::info!(database = "shop", "login\ndenied"));
        let text = written.text();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("\"database\":\"shop\""), "{text}");
        assert!(text.contains("\"message\":\"login\\ndenied\""), "{text}");
    }

    #[test]
    fn the_level_can_be_changed_while_the_log_runs() {
        let (written, level, log) = log(LogFormat::Text, "warn");
        with_default(log, || {
            tracing::info!("unheard");
            let debug = TelemetrySettings {
                log_level: "debug".into(),
                ..TelemetrySettings::default()
            };
            level.reload(&debug).unwrap();
            tracing::debug!("heard");
            let wrong = TelemetrySettings {
                log_level: "loud".into(),
                ..TelemetrySettings::default()
            };
            assert!(matches!(level.reload(&wrong), Err(LogError::Level(_))));
        });
        let text = written.text();
        assert!(
            text.contains("heard") && !text.contains("unheard"),
            "{text}"
        );
    }
}
