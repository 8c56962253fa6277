//! What a start-up packet asks for, besides user and database.

use crate::pool::replication::Replication;
use crate::session::error::SessionError;
use crate::session::settings::{ErrorStyle, SessionSettings};
use crate::wire::error_response::ErrorResponse;
use crate::wire::parameters::Parameters;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

/// What a start-up packet asks for, besides user and database.
pub(super) struct Asked {
    pub(super) settings: Parameters,
    pub(super) replication: Option<Replication>,
    /// `options` of a replication client that only its server understands.
    pub(super) has_unread_options: bool,
    /// Names of `settings` that came in `options`.
    from_options: Vec<String>,
}

impl Asked {
    pub(super) fn parse(parameters: &Parameters, settings: &SessionSettings) -> Result<Self> {
        let mut asked = Self {
            settings: Parameters::default(),
            replication: match parameters.value("replication") {
                Some(value) => replication(value)?,
                None => None,
            },
            has_unread_options: false,
            from_options: Vec::new(),
        };
        let ignored = |name: &str| {
            settings
                .ignore_startup_parameters
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        for (name, value) in parameters.iter() {
            match name {
                "user" | "database" | "replication" => continue,
                // As PgBouncer, look into options that are ignored: what is known there counts.
                "options" if settings.errors == ErrorStyle::Pgbouncer || !ignored(name) => {
                    let settings = match options(value) {
                        Err(_) if asked.replication.is_some() => {
                            asked.has_unread_options = true;
                            Vec::new()
                        }
                        settings => settings?,
                    };
                    for (name, value) in settings {
                        if !ignored(&name) {
                            asked.setting(&name, &value)?;
                            asked.from_options.push(name);
                        }
                    }
                }
                name if ignored(name) => continue,
                name => asked.setting(name, value)?,
            }
            if let Some(replication) = &mut asked.replication {
                replication.parameters.push((name.into(), value.into()));
            }
        }
        Ok(asked)
    }

    /// Where PgBouncer's rules hold: refuses what does not follow a client from server to server
    /// there; `extra`: the names that an operator has added.
    /// Elsewhere such settings are set anew on each server.
    pub(super) fn refuse_untracked(
        &mut self,
        extra: &[String],
        settings: &SessionSettings,
    ) -> Result<()> {
        if settings.errors == ErrorStyle::Postgresql {
            return Ok(());
        }
        let ignore_options = settings.ignore_startup_parameters.contains("options");
        let known = |name: &str| {
            let mut all = TRACKED.into_iter().chain(extra.iter().map(String::as_str));
            all.any(|known| known.eq_ignore_ascii_case(name))
        };
        let unknown = |(name, _): &(&str, &str)| !known(name);
        let unknown: Vec<_> = self.settings.iter().filter(unknown).collect();
        let unknown: Vec<_> = unknown.iter().map(|(name, _)| (*name).to_owned()).collect();
        for name in unknown {
            let in_options = self
                .from_options
                .iter()
                .any(|n| n.eq_ignore_ascii_case(&name));
            if !in_options {
                return Err(PoolerError::StartupParameter(name).into());
            }
            if self.replication.is_some() {
                continue; // its server gets the options as they are
            }
            if !ignore_options {
                return Err(PoolerError::StartupOption(name).into());
            }
            self.settings.remove(&name);
        }
        Ok(())
    }

    fn setting(&mut self, name: &str, value: &str) -> Result<()> {
        let mut bytes = name.bytes();
        let legal = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"_$.".contains(&b));
        if !legal {
            return Err(PoolerError::StartupParameter(name.to_owned()).into());
        }
        self.settings.set(name, value);
        Ok(())
    }
}

/// `database`, or one of PostgreSQL's ways to write a boolean, which may be cut short.
/// <https://www.postgresql.org/docs/current/protocol-replication.html>
pub(super) fn replication(value: &str) -> Result<Option<Replication>> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str| !value.is_empty() && word.starts_with(&value);
    let of_kind = |kind| {
        Ok(Some(Replication {
            client: 0,
            kind,
            parameters: Vec::new(),
        }))
    };
    match value.as_str() {
        "database" => of_kind("database"),
        "on" | "1" => of_kind("true"),
        "off" | "of" | "0" => Ok(None),
        _ if begins("true") || begins("yes") => of_kind("true"),
        _ if begins("false") || begins("no") => Ok(None),
        _ => Err(SessionError::Refused(ErrorResponse::fatal(
            SqlState::PROTOCOL_VIOLATION,
            "invalid value for parameter \"replication\"",
        ))),
    }
}

/// The settings in `options`: `-c name=value`, `-cname=value` or `--name=value`, apart by blanks;
/// a backslash takes the next character as it is.
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>
fn options(text: &str) -> Result<Vec<(String, String)>> {
    let mut words = Vec::new();
    let mut word = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_with(String::new).extend(chars.next()),
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-c" => words.next(),
            other => other
                .strip_prefix("--")
                .or_else(|| other.strip_prefix("-c"))
                .map(Into::into),
        };
        let (name, value) = setting
            .as_deref()
            .and_then(|setting| setting.split_once('='))
            .ok_or(PoolerError::StartupOptions)?;
        // In the long form PostgreSQL takes a dash for an underscore.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// What PgBouncer tracks: five that nobody can take away, and one where nothing else is said.
/// <https://www.pgbouncer.org/config.html#track_extra_parameters>
const TRACKED: [&str; 6] = [
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "application_name",
    "client_encoding",
    "standard_conforming_strings",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_postgresql_reads_them() {
        let read = options(r"-c a=1 -cb=2 --c-d=x\ y  -c e=\\").unwrap();
        let expected = [("a", "1"), ("b", "2"), ("c_d", "x y"), ("e", r"\")];
        let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        assert_eq!(read, expected);
        for wrong in ["-c", "-c a", "-x 1", "a=1", "--a"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_with_an_odd_name_is_refused() {
        let parse = |name| {
            Asked::parse(
                &[(name, "1")].into_iter().collect(),
                &SessionSettings::default(),
            )
        };
        assert!(parse("search_path").is_ok());
        assert!(parse("my.setting").is_ok());
        for odd in ["a'b", "1a", "a b", ""] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }

    fn pgbouncer(ignored: &[&str], sent: &[(&str, &str)]) -> std::result::Result<String, String> {
        let settings = SessionSettings {
            errors: ErrorStyle::Pgbouncer,
            ignore_startup_parameters: ignored.iter().map(|name| (*name).to_owned()).collect(),
            ..SessionSettings::default()
        };
        let parameters = sent.iter().copied().collect();
        let asked = Asked::parse(&parameters, &settings).and_then(|mut asked| {
            asked.refuse_untracked(&["role".into()], &settings)?;
            Ok(asked)
        });
        match asked {
            Ok(asked) => Ok(asked
                .settings
                .iter()
                .map(|(n, v)| format!("{n}={v};"))
                .collect()),
            Err(error) => Err(error.to_client().unwrap().in_style(settings.errors).message),
        }
    }

    #[test]
    fn what_pgbouncer_does_not_track_is_refused_in_its_words() {
        let known = [
            ("datestyle", "iso"),
            ("options", "--IntervalStyle=x -ctimezone=UTC"),
        ];
        assert_eq!(
            pgbouncer(&[], &known),
            Ok("datestyle=iso;IntervalStyle=x;timezone=UTC;".into())
        );
        assert!(pgbouncer(&[], &[("search_path", "x")]).is_err());
        assert!(pgbouncer(&[], &[("Role", "x")]).is_ok());
        let digits = ("extra_float_digits", "3");
        assert_eq!(
            pgbouncer(&[], &[digits]),
            Err("unsupported startup parameter: extra_float_digits".into())
        );
        assert_eq!(
            pgbouncer(&["extra_float_digits"], &[digits]),
            Ok(String::new())
        );
        let options = [("options", "-c geqo=off -c timezone=UTC")];
        assert_eq!(
            pgbouncer(&[], &options),
            Err("unsupported startup parameter in options: geqo".into())
        );
        for ignored in ["geqo", "options"] {
            assert_eq!(pgbouncer(&[ignored], &options), Ok("timezone=UTC;".into()));
        }
        assert!(pgbouncer(&["options"], &[digits]).is_err());
        assert_eq!(
            pgbouncer(&["options"], &[("options", "-x 1")]),
            Err("unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed".into())
        );
    }
}
