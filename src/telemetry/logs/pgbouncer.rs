//! PgBouncer's lines, as tools that watch it read them:
//! `2026-11-24 12:32:59.373 UTC [22691] LOG C-0x1a: shop/app@127.0.0.1:56574 closing because: …`.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::ZonedDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::outputs::Outputs;
use crate::pool::lines;

/// Writes events as PgBouncer's lines.
#[derive(Debug)]
pub(super) struct Lines(pub(super) Arc<Outputs>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let text = text(event);
        let about = event.metadata();
        let now = ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S%.3f %Z");
        let pid = std::process::id();
        let line = format!("{now} [{pid}] {} {text}\n", level(about));
        self.0.write(*about.level(), &line, &text);
    }
}

/// What follows the level: who it is about, what happened, and what the message leaves out.
fn text(event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let says_all = is_whole(event.metadata().target());
    let mut text = String::new();
    let kind = match (fields.client.is_empty(), fields.server.is_empty()) {
        (false, _) => Some(('C', &fields.client)),
        (true, false) => Some(('S', &fields.server)),
        (true, true) => None,
    };
    let or = |value: &str, otherwise: &str| match value {
        "" => otherwise.to_owned(),
        value => value.to_owned(),
    };
    if let Some((letter, number)) = kind {
        let number = number.parse().unwrap_or(0_u64);
        let database = or(&fields.database, "(nodb)");
        let user = or(&fields.user, "(nouser)");
        let address = or(&fields.address, "unknown");
        push(
            &mut text,
            format_args!("{letter}-{number:#x}: {database}/{user}@{address} "),
        );
    }
    push(&mut text, format_args!("{}", fields.message));
    if !says_all {
        if kind.is_none() {
            let named = [
                ("database", &fields.database),
                ("user", &fields.user),
                ("address", &fields.address),
            ];
            for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
                push(&mut text, format_args!(" {name}={value}"));
            }
        } else if kind.is_some_and(|(letter, _)| letter == 'C') && !fields.server.is_empty() {
            push(&mut text, format_args!(" server={}", fields.server));
        }
        push(&mut text, format_args!("{}", fields.others));
    }
    text
}

/// Appends without anything that would end the line, or move a terminal's cursor: names are the
/// clients' choice.
fn push(text: &mut String, piece: fmt::Arguments<'_>) {
    let mut line = OneLine(text);
    // Writing into a String does not fail.
    let _ = line.write_fmt(piece);
}

struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for c in piece.chars() {
            if c.is_control() {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

/// Whether the message of an event with this target leaves nothing out.
fn is_whole(target: &str) -> bool {
    matches!(
        target,
        lines::CONNECTIONS
            | lines::DISCONNECTIONS
            | lines::FATAL
            | lines::PLAIN
            | lines::POOLER_ERRORS
            | lines::STATS
    )
}

fn level(about: &Metadata<'_>) -> &'static str {
    match *about.level() {
        Level::ERROR if about.target() == lines::FATAL => "FATAL",
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "LOG",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "NOISE",
    }
}

/// What an event has to say.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    client: String,
    server: String,
    database: String,
    user: String,
    address: String,
    /// ` name=value` for each other one.
    others: String,
}

impl Fields {
    fn named(&mut self, field: &Field) -> Option<&mut String> {
        Some(match field.name() {
            "message" => &mut self.message,
            "client" => &mut self.client,
            "server" => &mut self.server,
            "database" => &mut self.database,
            "user" => &mut self.user,
            "address" => &mut self.address,
            _ => return None,
        })
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match self.named(field) {
            Some(known) => value.clone_into(known),
            None => {
                let _ = write!(self.others, " {}={value:?}", field.name());
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String does not fail.
        let _ = match self.named(field) {
            Some(known) => write!(known, "{value:?}"),
            None => write!(self.others, " {}={value:?}", field.name()),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What `work` logs.
    fn logged(work: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let outputs = Outputs::open(Some(&file), None, false).unwrap();
        let log = tracing_subscriber::registry().with(Lines(Arc::new(outputs)));
        with_default(log, work);
        fs::read_to_string(file).unwrap()
    }

    /// The line behind the time, with its shape checked.
    fn behind_time(line: &str) -> &str {
        let shape = "0000-00-00 00:00:00.000 ";
        let (time, rest) = line.split_at(shape.len());
        for (is, should) in time.chars().zip(shape.chars()) {
            assert!(
                if should == '0' {
                    is.is_ascii_digit()
                } else {
                    is == should
                },
                "{line}"
            );
        }
        let (zone, rest) = rest.split_once(' ').unwrap();
        assert!(
            zone.chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-".contains(c)),
            "{line}"
        );
        let pid = format!("[{}] ", std::process::id());
        rest.strip_prefix(&pid).unwrap_or_else(|| panic!("{line}"))
    }

    #[test]
    fn a_line_about_a_client_has_pgbouncers_form() {
        let log = logged(|| {
            tracing::info!(
                target: lines::DISCONNECTIONS, client = 26_u64, database = "shop", user = %"app",
                address = "[::1]:56574", reason = "client close request", age = 3,
                "closing because: client close request (age=3s)"
            );
        });
        let expected =
            "LOG C-0x1a: shop/app@[::1]:56574 closing because: client close request (age=3s)\n";
        assert_eq!(behind_time(&log), expected);
    }

    #[test]
    fn a_server_is_told_from_a_client_and_what_is_unknown_is_named() {
        let log = logged(|| {
            tracing::info!(target: lines::CONNECTIONS, server = 1_u64, database = "shop",
                user = "app", address = "unix(7):5432", "new connection to server");
            tracing::warn!(target: lines::POOLER_ERRORS, client = 2_u64, database = "", user = "",
                address = "unix(8):6432", "pooler error: client_login_timeout");
        });
        let lines: Vec<_> = log.lines().map(behind_time).collect();
        assert_eq!(
            lines,
            [
                "LOG S-0x1: shop/app@unix(7):5432 new connection to server",
                "WARNING C-0x2: (nodb)/(nouser)@unix(8):6432 pooler error: client_login_timeout",
            ]
        );
    }

    #[test]
    fn an_event_that_is_not_pgbouncers_shows_its_fields() {
        let log = logged(|| {
            tracing::info!(database = "shop", role = "reader", "login denied");
            tracing::error!(client = 2_u64, database = "shop", user = "app", address = "x",
                error = %"out of memory", "session ended");
        });
        let lines: Vec<_> = log.lines().map(behind_time).collect();
        assert_eq!(
            lines,
            [
                "LOG login denied database=shop role=\"reader\"",
                "ERROR C-0x2: shop/app@x session ended error=out of memory",
            ]
        );
    }

    #[test]
    fn a_name_cannot_begin_a_line_of_its_own() {
        let log = logged(|| {
            tracing::info!(target: lines::CONNECTIONS, client = 1_u64, database = "a\nb",
                user = "c\u{1b}[2J", address = "x", "login attempt: db=a\r\nb");
            tracing::info!(other = %"d\ne", "said");
        });
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(
            log.contains("a\\nb/c\\u{1b}[2J@x login attempt: db=a\\r\\nb"),
            "{log}"
        );
        assert!(log.contains("said other=d\\ne"), "{log}");
    }

    #[test]
    fn what_ends_the_process_is_fatal() {
        let log = logged(|| tracing::error!(target: lines::FATAL, "cannot go on"));
        assert_eq!(behind_time(&log), "FATAL cannot go on\n");
    }
}
