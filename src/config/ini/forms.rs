//! How PgBouncer writes values, and how they are written in TOML: from one to the other, and back.

use ::config::{Value, ValueKind};

use super::super::forms::duration;
use super::super::forms::size::parse_bytes;

/// How a value is written in the INI and in TOML.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// A number of bytes; 0 is none. TOML: `"off"`.
    Bytes,
    /// A query or none; `<empty>` is the empty query. TOML: `"off"`, `""`.
    CheckQuery,
    /// A whole number that is not negative.
    Count,
    /// A number, and on if it is not 0. TOML: `true`.
    Flag,
    /// Seconds or a fraction of them; 0 is a time like others. TOML: `"30s"`.
    Fraction,
    /// One host, or several with commas between them. TOML: a list, if there are several.
    Hosts,
    /// A whole number; 0 or less is no limit. TOML: `"off"`.
    Limit,
    /// Words with commas or blanks between them.
    List,
    /// Whole milliseconds; 0 is none. TOML: `"off"`.
    Millis,
    /// A whole number; 0 is no limit, for one whom another limit would hold for.
    Most,
    /// A text; the empty one is the same as none.
    Option,
    /// A path; relative ones start in the folder in which the process was started.
    Path,
    /// The same; empty is none. TOML: `"off"`.
    PathOrOff,
    /// Permissions, usually octal. TOML: `"0777"`.
    Permissions,
    /// Whole seconds; 0 is none. TOML: `"off"`.
    Seconds,
    /// A folder, an abstract name after `@`, or empty for none. TOML: `"off"`.
    SocketFolder,
    /// Any text.
    Text,
    /// A text; the empty one is none. TOML: `"off"`.
    TextOrOff,
    /// Seconds or a fraction of them; 0 is none. TOML: `"off"`.
    Timeout,
    /// 0 to 3. TOML: the level of the log.
    Verbose,
    /// One of a few words, in any case, and what it is in TOML.
    Words(&'static [(&'static str, &'static str)]),
}

impl Form {
    /// The value in TOML; `None` where the key is better left out.
    ///
    /// # Errors
    /// What was expected instead.
    pub(super) fn to_toml(self, text: &str) -> Result<Option<ValueKind>, String> {
        let value = match self {
            Self::Bytes | Self::Limit => match integer(text).ok_or("expected a whole number")? {
                i64::MIN..=0 => off(),
                number => number.into(),
            },
            Self::CheckQuery => match text {
                "" => off(),
                "<empty>" => string(""),
                query => string(query),
            },
            Self::Count => integer(text)
                .filter(|number| *number >= 0)
                .ok_or("expected a whole number that is not negative")?
                .into(),
            Self::Flag => {
                let number = integer(text).ok_or("expected 0 or 1")?;
                (number != 0).into()
            }
            Self::Fraction => string(&seconds(text)?),
            Self::Hosts if !text.contains(',') => string(text),
            Self::Hosts => {
                let hosts = text.split(',').map(|host| Value::new(None, host.trim()));
                ValueKind::Array(hosts.collect())
            }
            Self::List => {
                let words = words(text).map(|word| Value::new(None, word));
                ValueKind::Array(words.collect())
            }
            Self::Millis => whole(text, "ms", "expected whole milliseconds")?,
            Self::Most => match integer(text).ok_or("expected a whole number")? {
                i64::MIN..=0 => NO_LIMIT.into(),
                number => number.into(),
            },
            Self::Option | Self::Path => match text {
                "" => return Ok(None),
                text => string(text),
            },
            Self::Permissions => {
                let mode = integer(text).filter(|mode| (0..=0o777).contains(mode));
                let mode = mode.ok_or("expected permissions in octal digits such as 0770")?;
                string(&format!("{mode:04o}"))
            }
            Self::Seconds => whole(text, "s", "expected whole seconds without a unit")?,
            Self::PathOrOff | Self::SocketFolder | Self::TextOrOff => match text {
                "" => off(),
                text => string(text),
            },
            Self::Text => string(text),
            Self::Timeout => match &seconds(text)?[..] {
                "0s" => off(),
                seconds => string(seconds),
            },
            Self::Verbose if text.is_empty() => string("info"),
            Self::Verbose => match integer(text).ok_or("expected a number from 0 to 3")? {
                i64::MIN..=0 => string("info"),
                1 => string("debug"),
                2.. => string("trace"),
            },
            Self::Words(words) => {
                let found = words
                    .iter()
                    .find(|(word, _)| word.eq_ignore_ascii_case(text));
                let (_, toml) = found.ok_or_else(|| {
                    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                    format!("expected one of {}", words.join(", "))
                })?;
                string(toml)
            }
        };
        Ok(Some(value))
    }

    /// The value as PgBouncer's SHOW CONFIG has it, from a value as it is in force.
    pub(super) fn to_ini(self, value: &toml::Value) -> String {
        let text = value.as_str();
        let is_off = text == Some(OFF);
        match self {
            Self::CheckQuery if text == Some("") => "<empty>".into(),
            Self::Flag => String::from(if value.as_bool() == Some(true) {
                "1"
            } else {
                "0"
            }),
            Self::Bytes | Self::Limit | Self::Millis | Self::Seconds | Self::Timeout if is_off => {
                "0".into()
            }
            Self::CheckQuery | Self::PathOrOff | Self::SocketFolder | Self::TextOrOff if is_off => {
                String::new()
            }
            Self::Bytes => {
                let bytes = text.and_then(parse_bytes);
                bytes.map_or_else(|| plain(value), |bytes| bytes.to_string())
            }
            Self::Fraction | Self::Seconds | Self::Timeout => shown(value, 1000),
            Self::Millis => shown(value, 1),
            Self::Permissions => {
                let mode = text.and_then(|text| u32::from_str_radix(text, 8).ok());
                mode.map(|mode| mode.to_string()).unwrap_or_default()
            }
            Self::Verbose => match text {
                Some("trace") => "2".into(),
                Some("debug") => "1".into(),
                _ => "0".into(),
            },
            Self::Words(words) => {
                let found = words.iter().find(|(_, toml)| Some(*toml) == text);
                let word = found.map(|(word, _)| *word).or(text);
                word.unwrap_or_default().into()
            }
            Self::CheckQuery
            | Self::Count
            | Self::Hosts
            | Self::Limit
            | Self::List
            | Self::Most
            | Self::Option
            | Self::Path
            | Self::PathOrOff
            | Self::SocketFolder
            | Self::Text
            | Self::TextOrOff => plain(value),
        }
    }
}

fn string(text: &str) -> ValueKind {
    ValueKind::String(text.to_owned())
}

fn off() -> ValueKind {
    string(OFF)
}

/// As C's strtol with base 0 has it: octal after 0, hexadecimal after 0x.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.get(..2) {
        Some("0x" | "0X") => (&digits[2..], 16),
        _ if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if digits.starts_with(['-', '+']) {
        return None; // which `from_str_radix` would take
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if is_negative { -number } else { number })
}

/// Seconds with or without a fraction, as a duration of TOML.
fn seconds(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "expected seconds without a unit, such as 30 or 0.5";
    // Rust would take "inf" as well.
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number = text.parse::<f64>().ok().filter(|_| is_number);
    let number = number.filter(|number| number.is_finite()).ok_or(EXPECTED)?;
    let longest = duration::LONGEST.as_secs_f64();
    // Whole milliseconds, and never 0 by rounding, which would be another setting.
    let millis = (number.min(longest) * 1000.0).ceil();
    let millis = std::time::Duration::try_from_secs_f64(millis / 1000.0)
        .map_err(|_| EXPECTED)?
        .as_millis();
    Ok(if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    })
}

/// A whole number of a unit of time; `"off"` for 0.
fn whole(text: &str, unit: &str, expected: &'static str) -> Result<ValueKind, &'static str> {
    let number = integer(text)
        .filter(|number| *number >= 0)
        .ok_or(expected)?;
    Ok(match number {
        0 => off(),
        number => string(&format!("{number}{unit}")),
    })
}

/// Words with commas or blanks between them.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
    words.filter(|word| !word.is_empty())
}

/// A duration in units of so many milliseconds.
fn shown(value: &toml::Value, unit: u32) -> String {
    match value.as_str().and_then(duration::parse) {
        Some(duration) => {
            let millis = duration.as_millis();
            let unit = u128::from(unit);
            if millis.is_multiple_of(unit) {
                return (millis / unit).to_string();
            }
            let fraction = format!("{:03}", millis % unit);
            format!("{}.{}", millis / unit, fraction.trim_end_matches('0'))
        }
        None => plain(value),
    }
}

/// A value without the quotes and brackets of TOML.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(plain).collect();
            elements.join(", ")
        }
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Float(_)
        | toml::Value::Integer(_)
        | toml::Value::Table(_) => value.to_string(),
    }
}

const OFF: &str = "off";
/// The most that a limit of TOML can be.
const NO_LIMIT: i64 = 1_000_000;

pub(super) const AUTH_TYPE: Form = Form::Words(&[
    ("any", "any"),
    ("trust", "trust"),
    ("plain", "password"),
    ("md5", "md5"),
    ("cert", "cert"),
    ("hba", "hba"),
    ("ldap", "ldap"),
    ("pam", "pam"),
    ("scram-sha-256", "scram-sha-256"),
]);
pub(super) const BALANCE: Form =
    Form::Words(&[("round-robin", "round-robin"), ("disable", "disable")]);
pub(super) const DHEPARAMS: Form =
    Form::Words(&[("none", "none"), ("auto", "auto"), ("legacy", "legacy")]);
pub(super) const FACILITY: Form = Form::Words(&[
    ("auth", "auth"),
    ("authpriv", "authpriv"),
    ("daemon", "daemon"),
    ("user", "user"),
    ("local0", "local0"),
    ("local1", "local1"),
    ("local2", "local2"),
    ("local3", "local3"),
    ("local4", "local4"),
    ("local5", "local5"),
    ("local6", "local6"),
    ("local7", "local7"),
]);
pub(super) const POOL_MODE: Form = Form::Words(&[
    ("session", "session"),
    ("transaction", "transaction"),
    ("statement", "statement"),
]);
pub(super) const SSLMODE: Form = Form::Words(&[
    ("disable", "disable"),
    ("allow", "allow"),
    ("prefer", "prefer"),
    ("require", "require"),
    ("verify-ca", "verify-ca"),
    ("verify-full", "verify-full"),
]);

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(form: Form, text: &str) -> String {
        match form.to_toml(text).unwrap() {
            Some(ValueKind::Array(words)) => {
                let words: Vec<_> = words.iter().map(ToString::to_string).collect();
                words.join("|")
            }
            Some(value) => value.to_string(),
            None => "(left out)".into(),
        }
    }

    #[test]
    fn numbers_are_octal_and_hexadecimal_as_in_c() {
        for (text, number) in [
            ("20", Some(20)),
            ("0", Some(0)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("-3", Some(-3)),
            ("+3", Some(3)),
            ("", None),
            ("20s", None),
            ("08", None),
            ("0x", None),
            ("--3", None),
            ("0x-3", None),
            ("é1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
    }

    #[test]
    fn seconds_become_durations_and_0_may_mean_off() {
        for (form, text, expected) in [
            (Form::Timeout, "30", "30s"),
            (Form::Timeout, "0", "off"),
            (Form::Timeout, "0.0", "off"),
            (Form::Timeout, "0.5", "500ms"),
            (Form::Timeout, "0.0001", "1ms"),
            (Form::Timeout, "1e3", "1000s"),
            (Form::Timeout, "99999999999", "315360000s"),
            (Form::Fraction, "0", "0s"),
            (Form::Fraction, "1.25", "1250ms"),
            (Form::Seconds, "0x10", "16s"),
            (Form::Seconds, "0", "off"),
            (Form::Millis, "1500", "1500ms"),
        ] {
            assert_eq!(toml(form, text), expected, "{form:?} {text}");
        }
        for text in ["", "-1", "30s", "inf", "nan", "1,5", "1e999"] {
            assert!(Form::Timeout.to_toml(text).is_err(), "{text}");
        }
        assert!(Form::Seconds.to_toml("1.5").is_err());
    }

    #[test]
    fn each_form_has_its_way_to_say_nothing() {
        for (form, expected) in [
            (Form::CheckQuery, "off"),
            (Form::List, ""),
            (Form::Option, "(left out)"),
            (Form::PathOrOff, "off"),
            (Form::Path, "(left out)"),
            (Form::SocketFolder, "off"),
            (Form::Text, ""),
            (Form::TextOrOff, "off"),
        ] {
            assert_eq!(toml(form, ""), expected, "{form:?}");
        }
        assert_eq!(toml(Form::CheckQuery, "<empty>"), "");
        assert_eq!(toml(Form::Limit, "0"), "off");
        assert_eq!(toml(Form::Limit, "-1"), "off");
    }

    #[test]
    fn words_are_found_in_any_case_and_lists_have_commas_or_blanks() {
        assert_eq!(toml(AUTH_TYPE, "Plain"), "password");
        assert_eq!(toml(POOL_MODE, "TRANSACTION"), "transaction");
        assert_eq!(
            POOL_MODE.to_toml("sesion").unwrap_err(),
            "expected one of session, transaction, statement"
        );
        assert_eq!(toml(Form::List, " a, b c,,d "), "a|b|c|d");
        assert_eq!(toml(Form::Permissions, "0700"), "0700");
        assert_eq!(toml(Form::Permissions, "511"), "0777");
        assert!(Form::Permissions.to_toml("01777").is_err());
        assert_eq!(toml(Form::Verbose, "3"), "trace");
    }

    #[test]
    fn what_is_in_force_is_shown_as_pgbouncer_shows_it() {
        let value = |text: &str| toml::from_str::<toml::Table>(&format!("x = {text}")).unwrap();
        for (form, toml, expected) in [
            (Form::Timeout, "\"2m\"", "120"),
            (Form::Timeout, "\"off\"", "0"),
            (Form::Timeout, "\"1250ms\"", "1.25"),
            (Form::Fraction, "\"0s\"", "0"),
            (Form::Millis, "\"1s\"", "1000"),
            (Form::Flag, "true", "1"),
            (Form::Flag, "false", "0"),
            (Form::Limit, "\"off\"", "0"),
            (Form::Limit, "7", "7"),
            (Form::List, "[\"a\", \"b\"]", "a, b"),
            (Form::Permissions, "\"0777\"", "511"),
            (Form::CheckQuery, "\"off\"", ""),
            (Form::CheckQuery, "\"\"", "<empty>"),
            (Form::CheckQuery, "\"select 1\"", "select 1"),
            (Form::TextOrOff, "\"off\"", ""),
            (AUTH_TYPE, "\"password\"", "plain"),
            (AUTH_TYPE, "\"oauth\"", "oauth"),
            (Form::Verbose, "\"warn\"", "0"),
        ] {
            assert_eq!(form.to_ini(&value(toml)["x"]), expected, "{form:?} {toml}");
        }
    }
}
