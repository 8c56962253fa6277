//! `[log]`, `[metrics]` and the audit log.

use super::super::forms::{FilePath, Flag, OneOf, OrOff, Socket, Span, Text, Word};
use super::super::values::Table;
use super::access;
use crate::telemetry::settings::{LogEvents, LogFormat, SyslogSettings, TelemetrySettings};

pub(super) fn telemetry(root: &Table<'_>) -> TelemetrySettings {
    let default = TelemetrySettings::default();
    let log = root.table("log");
    let metrics = root.table("metrics");
    let events = default.log_events;
    TelemetrySettings {
        log_format: log.or("format", &LOG_FORMAT, default.log_format),
        log_level: log.or("level", &LOG_LEVEL, default.log_level),
        log_file: log.or("file", &OrOff(FilePath), default.log_file),
        syslog: syslog(&log),
        log_events: LogEvents {
            connections: log.or("connections", &Flag, events.connections),
            disconnections: log.or("disconnections", &Flag, events.disconnections),
            pooler_errors: log.or("pooler_errors", &Flag, events.pooler_errors),
            stats: log.or("stats", &Flag, events.stats),
        },
        stats_period: log.or("stats_period", &Span, default.stats_period),
        metrics_address: metrics.or("address", &OrOff(Socket), default.metrics_address),
        audit: access::audit(root),
    }
}

fn syslog(log: &Table<'_>) -> Option<SyslogSettings> {
    let settings = SyslogSettings {
        facility: log.or("syslog_facility", &FACILITY, "daemon".into()),
        ident: log.or("syslog_ident", &Text, "pgwarden".into()),
    };
    log.or("syslog", &Flag, false).then_some(settings)
}

const LOG_FORMAT: OneOf<LogFormat> = OneOf {
    all: &[LogFormat::Json, LogFormat::Pgbouncer, LogFormat::Text],
    name: LogFormat::as_str,
};
const LOG_LEVEL: Word = Word(&["error", "warn", "info", "debug", "trace"]);
const FACILITY: Word = Word(&[
    "auth", "authpriv", "daemon", "user", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
]);
