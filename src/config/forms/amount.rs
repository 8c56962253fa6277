//! Amounts that have a unit of their own: bytes, and so many in a span of time.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Form, Given, quote};
use crate::policy::limits::Rate;

/// A number of bytes, with or without a unit, more than none.
pub(in super::super) struct Bytes {
    /// The most it may be.
    pub(in super::super) most: u64,
}

impl Form for Bytes {
    type Value = u64;

    fn expected(&self) -> String {
        "a number of bytes such as 1000, \"10kB\", \"64MiB\" or \"1GB\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<u64, String> {
        let text = given.word().ok_or_else(|| self.complaint())?;
        match parse_bytes(&text) {
            Some(0) | None => Err(self.complaint()),
            Some(bytes) if bytes > self.most => Err(format!(
                "expected at most {}",
                self.write(&self.most).trim_matches('"')
            )),
            Some(bytes) => Ok(bytes),
        }
    }

    fn write(&self, value: &u64) -> String {
        let binary = UNITS.iter().filter(|(name, _)| name.contains('i'));
        let fitting = binary.filter(|(_, size)| *value > 0 && value.is_multiple_of(*size));
        match fitting.max_by_key(|(_, size)| *size) {
            Some((unit, size)) => quote(format!("{}{unit}", value / size)),
            None => value.to_string(),
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let size = if unit.is_empty() {
        1
    } else {
        UNITS.iter().find(|(name, _)| *name == unit)?.1
    };
    number.parse::<u64>().ok()?.checked_mul(size)
}

/// So many in a span of time.
pub(in super::super) struct RateForm;

impl Form for RateForm {
    type Value = Rate;

    fn expected(&self) -> String {
        "a number in a time such as \"20/s\", \"1000/m\" or \"5000/h\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<Rate, String> {
        let text = given.text().ok_or_else(|| self.complaint())?;
        let rate = text.split_once('/').and_then(|(count, unit)| {
            let (_, secs) = SPANS.into_iter().find(|(name, _)| *name == unit)?;
            Some(Rate {
                count: count.trim().parse::<NonZeroU32>().ok()?,
                per: Duration::from_secs(secs),
            })
        });
        rate.ok_or_else(|| self.complaint())
    }

    fn write(&self, value: &Rate) -> String {
        let secs = value.per.as_secs();
        let unit = SPANS.into_iter().find(|(_, span)| *span == secs);
        quote(format!(
            "{}/{}",
            value.count,
            unit.map_or("s", |(name, _)| name)
        ))
    }
}

const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];
const SPANS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];
