//! Spans of time, once or again and again.

use std::fmt;
use std::time::SystemTime;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A span of time: from one instant to another, or between times of day on days of the week.
/// Where clocks are turned, times of day are read as the clocks of the zone show them.
#[derive(Clone, Debug)]
pub struct Window {
    written: Box<str>,
    when: When,
}

#[derive(Clone, Debug)]
enum When {
    Once { from: Timestamp, to: Timestamp },
    Weekly(Weekly),
}

#[derive(Clone, Debug)]
struct Weekly {
    /// By the number of days since Monday.
    days: [bool; 7],
    from: Time,
    /// Of the same day; if it is not later than `from`, of the next one.
    to: Time,
    zone: TimeZone,
}

/// What a window looks like.
pub const EXPECTED: &str = "a window with its time zone, such as \"Sun 02:00-04:00 Europe/Paris\", \
     \"Mon-Fri 09:00-17:00 UTC\", \"Sat,Sun UTC\" or \"2026-12-01 22:00/23:30 UTC\"";

impl Window {
    /// Reads a window.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
        let zone = words.pop().ok_or_else(expected)?;
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("unknown time zone \"{zone}\": expected {EXPECTED}"))?;
        let when = match words[..] {
            [date, times] if date.parse::<Date>().is_ok() => {
                let (from, to) = times.split_once('/').ok_or_else(expected)?;
                once((date, from), (date, to), &zone)?
            }
            [date, middle, last] => {
                let (from, second) = middle.split_once('/').ok_or_else(expected)?;
                once((date, from), (second, last), &zone)?
            }
            [one] => match times(one) {
                Some((from, to)) => weekly([true; 7], from, to, zone),
                None => weekly(days(one).ok_or_else(expected)?, Time::MIN, Time::MIN, zone),
            },
            [of_week, of_day] => {
                let days = days(of_week).ok_or_else(expected)?;
                let (from, to) = times(of_day).ok_or_else(expected)?;
                weekly(days, from, to, zone)
            }
            _ => return Err(expected()),
        };
        Ok(Self {
            written: text.into(),
            when,
        })
    }

    /// Whether an instant is in it; its start is, its end is not.
    pub fn contains(&self, now: SystemTime) -> bool {
        let Ok(now) = Timestamp::try_from(now) else {
            return false;
        };
        match &self.when {
            When::Once { from, to } => (*from..*to).contains(&now),
            When::Weekly(weekly) => {
                let today = weekly.zone.to_datetime(now).date();
                let yesterday = today.yesterday().ok();
                let mut spans = [Some(today), yesterday].into_iter().flatten();
                spans.any(|day| {
                    let span = weekly.span(day);
                    span.is_some_and(|(from, to)| (from..to).contains(&now))
                })
            }
        }
    }

    /// When it next begins or ends after `now`; `None`: never again.
    pub fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        let now = Timestamp::try_from(now).ok()?;
        let later = |time: &Timestamp| *time > now;
        let next = match &self.when {
            When::Once { from, to } => [*from, *to].into_iter().filter(later).min(),
            When::Weekly(weekly) => {
                let today = weekly.zone.to_datetime(now).date();
                let days = (-1..=8).filter_map(|n| today.checked_add(Span::new().days(n)).ok());
                let edges = days.filter_map(|day| weekly.span(day));
                edges.flat_map(|(from, to)| [from, to]).filter(later).min()
            }
        };
        next.and_then(|time| SystemTime::try_from(time).ok())
    }

    /// Whether it is over and does not come again.
    pub fn is_over(&self, now: SystemTime) -> bool {
        !self.contains(now) && self.next_change(now).is_none()
    }
}

impl Weekly {
    /// The span that begins on a day, if one does.
    fn span(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let number = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        if !*self.days.get(number)? {
            return None;
        }
        let last = if self.to > self.from {
            day
        } else {
            day.tomorrow().ok()?
        };
        let instant = |at: DateTime| self.zone.to_timestamp(at).ok();
        Some((
            instant(day.to_datetime(self.from))?,
            instant(last.to_datetime(self.to))?,
        ))
    }
}

fn weekly(days: [bool; 7], from: Time, to: Time, zone: TimeZone) -> When {
    When::Weekly(Weekly {
        days,
        from,
        to,
        zone,
    })
}

fn once(from: (&str, &str), to: (&str, &str), zone: &TimeZone) -> Result<When, String> {
    let instant = |(date, time): (&str, &str)| {
        let date: Date = date.parse().ok()?;
        zone.to_timestamp(date.to_datetime(time_of_day(time)?)).ok()
    };
    let (from, to) = instant(from).zip(instant(to)).ok_or_else(expected)?;
    if from < to {
        Ok(When::Once { from, to })
    } else {
        Err("expected a window that ends after it begins".into())
    }
}

/// `02:00-04:00`
fn times(text: &str) -> Option<(Time, Time)> {
    let (from, to) = text.split_once('-')?;
    let to = if to == "24:00" { "00:00" } else { to };
    time_of_day(from).zip(time_of_day(to))
}

/// `02:00`
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// `Sun`, `Mon-Fri`, `Mon,Wed`, `Sat-Mon`
fn days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        let mut at = first;
        loop {
            let number = usize::try_from(at.to_monday_zero_offset()).ok()?;
            *days.get_mut(number)? = true;
            if at == last {
                break;
            }
            at = at.next();
        }
    }
    Some(days)
}

fn day(text: &str) -> Option<Weekday> {
    let all = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let found = all
        .into_iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, day)| day)
}

fn expected() -> String {
    format!("expected {EXPECTED}")
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().try_into().unwrap()
    }

    /// The first and the last second of a window, and the seconds around it.
    fn spans(window: &str, from: &str, to: &str) {
        let window = Window::parse(window).unwrap();
        let second = std::time::Duration::from_secs(1);
        let (from, to) = (at(from), at(to));
        let seen = [from - second, from, to - second, to].map(|time| window.contains(time));
        assert_eq!(seen, [false, true, true, false], "{window}");
        assert_eq!(window.next_change(from - second), Some(from), "{window}");
        assert_eq!(window.next_change(from), Some(to), "{window}");
    }

    #[test]
    fn a_window_comes_every_week() {
        let sunday = "Sun 02:00-04:00 Europe/Paris";
        spans(sunday, "2026-11-29T01:00:00Z", "2026-11-29T03:00:00Z");
        spans(sunday, "2026-07-05T00:00:00Z", "2026-07-05T02:00:00Z");
        spans(
            "Mon-Fri 09:00-17:00 UTC",
            "2026-11-24T09:00:00Z",
            "2026-11-24T17:00:00Z",
        );
        spans(
            "Wed,Mon 22:00-06:00 UTC",
            "2026-11-25T22:00:00Z",
            "2026-11-26T06:00:00Z",
        );
        spans(
            "02:00-04:00 UTC",
            "2026-11-24T02:00:00Z",
            "2026-11-24T04:00:00Z",
        );
        spans("Tue UTC", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z");
        spans(
            "Fri 20:00-24:00 UTC",
            "2026-11-27T20:00:00Z",
            "2026-11-28T00:00:00Z",
        );
    }

    #[test]
    fn in_the_night_of_the_clock_change_the_zone_decides() {
        // At 03:00 the clocks of Paris are put back to 02:00.
        let window = "Sun 01:30-04:00 Europe/Paris";
        spans(window, "2026-10-24T23:30:00Z", "2026-10-25T03:00:00Z");
    }

    #[test]
    fn a_single_window_is_over_one_day() {
        let once = "2026-12-01 22:00/23:30 UTC";
        spans(once, "2026-12-01T22:00:00Z", "2026-12-01T23:30:00Z");
        spans(
            "2026-12-01 22:00/2026-12-02 02:00 UTC",
            "2026-12-01T22:00:00Z",
            "2026-12-02T02:00:00Z",
        );
        let window = Window::parse(once).unwrap();
        assert!(window.is_over(at("2026-12-01T23:30:00Z")));
        assert!(!window.is_over(at("2026-12-01T22:30:00Z")));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "UTC",
            "Sun 02:00-04:00",
            "Sun 02:00-04:00 Mars/Base",
            "Son 02:00-04:00 UTC",
            "Sun 2:00-04:00 UTC",
            "Sun 02:00-25:00 UTC",
            "Sun Mon 02:00-04:00 UTC",
            "2026-12-01 22:00 UTC",
            "2026-12-01 23:30/22:00 UTC",
            "2026-13-01 22:00/23:30 UTC",
        ] {
            assert!(Window::parse(text).is_err(), "{text:?}");
        }
    }
}
