//! Durations, which always have a unit.

use std::time::Duration;

use super::{Form, Given, quote};

/// A duration with its unit, longer than nothing.
pub(in super::super) struct Span;

/// A duration with its unit; `0s` is one too.
pub(in super::super) struct SpanOrZero;

impl Form for Span {
    type Value = Duration;

    fn expected(&self) -> String {
        "a duration such as \"500ms\", \"30s\", \"2m\", \"1h\" or \"1d\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<Duration, String> {
        match SpanOrZero.read(given)? {
            Duration::ZERO => Err(self.complaint()),
            duration => Ok(duration),
        }
    }

    fn write(&self, value: &Duration) -> String {
        SpanOrZero.write(value)
    }
}

impl Form for SpanOrZero {
    type Value = Duration;

    fn expected(&self) -> String {
        Span.expected()
    }

    fn read(&self, given: &Given<'_>) -> Result<Duration, String> {
        match given.text().and_then(parse) {
            Some(duration) => Ok(duration),
            None if given.is_number() => {
                Err(format!("a number without a unit: {}", self.complaint()))
            }
            None => Err(self.complaint()),
        }
    }

    fn write(&self, value: &Duration) -> String {
        let millis = value.as_millis();
        let (unit, size) = UNITS
            .into_iter()
            .rev()
            .find(|(unit, size)| {
                millis.is_multiple_of(u128::from(*size)) && (millis > 0 || *unit == "s")
            })
            .unwrap_or(("ms", 1));
        quote(format!("{}{unit}", millis / u128::from(size)))
    }
}

/// The duration of a text such as `30s`.
pub(in super::super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    let duration = Duration::from_millis(number.checked_mul(millis)?);
    (duration <= LONGEST).then_some(duration)
}

/// From the smallest; in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
/// Far beyond any use, and short of what overflows a clock.
pub(in super::super) const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::config::Value;

    use super::*;

    fn read<F: Form>(form: &F, value: impl Into<::config::ValueKind>) -> Result<F::Value, String> {
        form.read(&Given {
            value: &Value::new(None, value),
            is_from_environment: false,
            base: Path::new(""),
        })
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(read(&Span, text), Ok(duration), "{text}");
            assert_eq!(Span.write(&duration), format!("{text:?}"));
        }
    }

    #[test]
    fn a_bare_number_is_told_that_it_lacks_a_unit() {
        for complaint in [read(&Span, 30_i64), read(&Span, "30"), read(&Span, 1.5)] {
            let complaint = complaint.unwrap_err();
            assert!(complaint.starts_with("a number without a unit: expected a duration"));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1 s",
            "1.5s",
            "1S",
            "1m30s",
            "off",
            "5w",
            "99999999999999999999s",
            "999999999999h",
            "3651d",
        ] {
            assert!(read(&SpanOrZero, text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_at_all_is_a_delay_but_no_limit() {
        assert_eq!(read(&SpanOrZero, "0s"), Ok(Duration::ZERO));
        assert_eq!(SpanOrZero.write(&Duration::ZERO), "\"0s\"");
        assert!(read(&Span, "0s").is_err());
    }
}
