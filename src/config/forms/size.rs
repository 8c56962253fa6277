//! Amounts: of bytes, and of things in a span of time.

use std::num::NonZeroU32;
use std::time::Duration;

use ::config::ValueKind;

use super::{Form, Given, quote};
use crate::policy::limits::Rate;

/// A number of bytes, from 1 to so many.
pub(in super::super) struct Bytes(pub(in super::super) u64);

/// How many in a second, a minute or an hour.
pub(in super::super) struct PerTime;

impl Form for Bytes {
    type Value = u64;

    fn expected(&self) -> String {
        let most = Self(u64::MAX).write(&self.0);
        format!("a number of bytes up to {most}, such as 4096, \"10kB\" or \"64MiB\"")
    }

    fn read(&self, given: &Given<'_>) -> Result<u64, String> {
        let bytes = match (&given.value.kind, given.text()) {
            (ValueKind::I64(number), _) => u64::try_from(*number).ok(),
            (_, Some(text)) => parse_bytes(text.trim()),
            (_, None) => None,
        };
        bytes
            .filter(|bytes| (1..=self.0).contains(bytes))
            .ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &u64) -> String {
        let fitting = UNITS
            .iter()
            .rev()
            .find(|(_, size)| value.is_multiple_of(*size));
        match fitting {
            Some((unit, size)) if *size > 1 => quote(format!("{}{unit}", value / size)),
            Some(_) | None => value.to_string(),
        }
    }
}

impl Form for PerTime {
    type Value = Rate;

    fn expected(&self) -> String {
        "a rate such as \"20/s\", \"1000/m\" or \"5000/h\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<Rate, String> {
        let rate = given.text().and_then(|text| {
            let (count, unit) = text.split_once('/')?;
            let (_, per) = TIMES.iter().find(|(name, _)| *name == unit)?;
            let is_digits = count.bytes().all(|b| b.is_ascii_digit());
            let count: NonZeroU32 = count.parse().ok().filter(|_| is_digits)?;
            Some(Rate { count, per: *per })
        });
        rate.ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &Rate) -> String {
        let unit = TIMES.iter().find(|(_, per)| *per == value.per);
        quote(format!(
            "{}/{}",
            value.count,
            unit.map_or("s", |(name, _)| *name)
        ))
    }
}

/// The number of a text such as `64MiB`.
pub(in super::super) fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// From the smallest.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];
const TIMES: [(&str, Duration); 3] = [
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_mins(1)),
    ("h", Duration::from_hours(1)),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::config::Value;

    use super::*;

    fn read<F: Form>(form: &F, value: impl Into<ValueKind>) -> Option<F::Value> {
        let given = Given {
            value: &Value::new(None, value),
            is_from_environment: false,
            base: Path::new(""),
        };
        form.read(&given).ok()
    }

    #[test]
    fn bytes_are_a_number_and_perhaps_a_unit() {
        let form = Bytes(1 << 40);
        for (text, bytes) in [
            ("\"64MiB\"", 64 << 20),
            ("\"10kB\"", 10_000),
            ("\"1GB\"", 1_000_000_000),
            ("4097", 4097),
        ] {
            assert_eq!(read(&form, text.trim_matches('"')), Some(bytes), "{text}");
            assert_eq!(form.write(&bytes), text);
        }
        assert_eq!(read(&form, 5_i64), Some(5));
        for text in [
            "",
            "0",
            "MiB",
            "-1",
            "1.5MB",
            "64mib",
            "2000GiB",
            "99999999999999999999",
        ] {
            assert_eq!(read(&form, text), None, "{text}");
        }
        assert_eq!(read(&form, 0_i64), None);
    }

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        for (text, seconds) in [("20/s", 1), ("1000/m", 60), ("5000/h", 3600)] {
            let rate = read(&PerTime, text).unwrap();
            assert_eq!(rate.per.as_secs(), seconds);
            assert_eq!(PerTime.write(&rate), format!("{text:?}"));
        }
        for text in ["", "0/s", "+1/s", "20", "20/d", "/s", "1.5/s", "20 / s"] {
            assert_eq!(read(&PerTime, text), None, "{text}");
        }
    }
}
