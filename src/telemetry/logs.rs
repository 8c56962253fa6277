//! Setting up the log: one line an event, with its fields.

mod outputs;
mod pgbouncer;
mod syslog;

use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::pool::lines;
use crate::telemetry::logs::outputs::{Outputs, Writers};
use crate::telemetry::logs::pgbouncer::Lines;
use crate::telemetry::settings::{LogEvents, LogFormat, TelemetrySettings};

/// The log of the process, to change it while it is written.
#[derive(Clone, Debug)]
pub struct Log {
    wanted: reload::Handle<Wanted, Registry>,
    outputs: Arc<Outputs>,
    spoken: Spoken,
}

/// What the command line says of the log; settings do not overrule it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spoken {
    /// Nothing goes to standard error.
    pub quiet: bool,
    /// How many levels more than the settings have.
    pub verbose: u8,
}

/// Why the log cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file cannot be opened.
    #[error("{0}")]
    File(#[from] std::io::Error),
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
/// The level is unknown, the file cannot be opened, or there is a log already.
pub fn start(settings: &TelemetrySettings, spoken: Spoken) -> Result<Log, LogError> {
    let (log, layer) = layer(settings, spoken)?;
    tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .map_err(|error| LogError::SetUp(error.to_string()))?;
    Ok(log)
}

impl Log {
    /// Takes over new settings, and opens the files anew. The format stays what it was at the
    /// start.
    ///
    /// # Errors
    /// The level is unknown, or a file cannot be opened; the rest is taken over.
    pub fn reload(&self, settings: &TelemetrySettings) -> Result<(), LogError> {
        let wanted = Wanted::new(settings, self.spoken)?;
        self.wanted
            .reload(wanted)
            .map_err(|error| LogError::SetUp(error.to_string()))?;
        let (file, syslog) = (settings.log_file.as_deref(), settings.syslog.as_ref());
        Ok(self.outputs.reopen(file, syslog)?)
    }
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn layer(settings: &TelemetrySettings, spoken: Spoken) -> Result<(Log, Boxed), LogError> {
    let (wanted, handle) = reload::Layer::new(Wanted::new(settings, spoken)?);
    let (file, syslog) = (settings.log_file.as_deref(), settings.syslog.as_ref());
    let outputs = Arc::new(Outputs::open(file, syslog, !spoken.quiet)?);
    let lines = fmt::layer()
        .with_writer(Writers(outputs.clone()))
        .with_ansi(false)
        .with_target(false);
    let layer: Boxed = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_filter(wanted).boxed(),
        LogFormat::Pgbouncer => Lines(outputs.clone()).with_filter(wanted).boxed(),
        LogFormat::Text => lines.with_filter(wanted).boxed(),
    };
    let log = Log {
        wanted: handle,
        outputs,
        spoken,
    };
    Ok((log, layer))
}

/// Which events are written. Asked once for each place in the code that has one, so an unwanted
/// one costs nothing.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    level: LevelFilter,
    events: LogEvents,
}

impl Wanted {
    fn new(settings: &TelemetrySettings, spoken: Spoken) -> Result<Self, LogError> {
        let mut level = parse(&settings.log_level)?;
        for _ in 0..spoken.verbose.min(2) {
            level = louder(level);
        }
        Ok(Self {
            level,
            events: settings.log_events,
        })
    }

    fn wants(&self, about: &Metadata<'_>) -> bool {
        let is_on = match about.target() {
            lines::CONNECTIONS => self.events.connections,
            lines::DISCONNECTIONS => self.events.disconnections,
            lines::POOLER_ERRORS => self.events.pooler_errors,
            lines::STATS => self.events.stats,
            _ => true,
        };
        is_on && *about.level() <= self.level
    }
}

impl<S> Filter<S> for Wanted {
    fn enabled(&self, about: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(about)
    }

    fn callsite_enabled(&self, about: &'static Metadata<'static>) -> Interest {
        if self.wants(about) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }
}

/// `-v` is heard from `info` on, as with PgBouncer.
fn louder(level: LevelFilter) -> LevelFilter {
    match level.into_level() {
        None | Some(Level::ERROR | Level::WARN | Level::INFO) => LevelFilter::DEBUG,
        Some(Level::DEBUG | Level::TRACE) => LevelFilter::TRACE,
    }
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
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;
    use tracing::subscriber::with_default;

    use super::*;

    struct Written(TempDir);

    impl Written {
        fn path(&self) -> PathBuf {
            self.0.path().join("log")
        }

        fn text(&self) -> String {
            fs::read_to_string(self.path()).unwrap()
        }

        fn settings(&self, level: &str) -> TelemetrySettings {
            TelemetrySettings {
                log_level: level.into(),
                log_file: Some(self.path()),
                ..TelemetrySettings::default()
            }
        }
    }

    fn log(format: LogFormat, level: &str) -> (Written, Log, impl tracing::Subscriber) {
        let written = Written(tempfile::tempdir().unwrap());
        let settings = TelemetrySettings {
            log_format: format,
            ..written.settings(level)
        };
        let quiet = Spoken {
            quiet: true,
            verbose: 0,
        };
        let (log, layer) = layer(&settings, quiet).unwrap();
        (written, log, tracing_subscriber::registry().with(layer))
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
            level.reload(&written.settings("debug")).unwrap();
            tracing::debug!("heard");
            let wrong = level.reload(&written.settings("loud"));
            assert!(matches!(wrong, Err(LogError::Level(_))));
        });
        let text = written.text();
        assert!(
            text.contains("heard") && !text.contains("unheard"),
            "{text}"
        );
    }

    #[test]
    fn kinds_of_lines_can_be_switched_off_and_on_while_the_log_runs() {
        let (written, log, subscriber) = log(LogFormat::Text, "info");
        let say = || {
            tracing::info!(target: lines::CONNECTIONS, "login attempt");
            tracing::info!(target: lines::DISCONNECTIONS, "closing because");
            tracing::warn!(target: lines::POOLER_ERRORS, "pooler error");
            tracing::info!(target: lines::STATS, "stats");
            tracing::info!("anything else");
        };
        with_default(subscriber, || {
            let mut off = written.settings("info");
            off.log_events = LogEvents {
                connections: false,
                disconnections: false,
                pooler_errors: false,
                stats: false,
            };
            log.reload(&off).unwrap();
            say();
            assert_eq!(written.text().lines().count(), 1, "{}", written.text());
            log.reload(&written.settings("info")).unwrap();
            say();
        });
        assert_eq!(written.text().lines().count(), 6, "{}", written.text());
    }

    #[test]
    fn the_command_line_makes_the_log_louder_than_the_settings() {
        let settings = TelemetrySettings::default();
        let level = |verbose| {
            let spoken = Spoken {
                quiet: true,
                verbose,
            };
            Wanted::new(&settings, spoken).unwrap().level
        };
        assert_eq!(level(0), LevelFilter::INFO);
        assert_eq!(level(1), LevelFilter::DEBUG);
        assert_eq!(level(2), LevelFilter::TRACE);
        assert_eq!(level(9), LevelFilter::TRACE);
    }
}
