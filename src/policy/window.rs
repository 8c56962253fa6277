//! Spans of time, once or again and again.

mod parse;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

/// A span of time: from one instant to another, or between times of day on days of the week.
/// Also several of them, of which one is enough.
#[derive(Clone, Debug)]
pub struct Window {
    text: Arc<str>,
    spans: Arc<[Span]>,
}

/// The next time, from `now` on, that it is a time of day on a day of the week, such as
/// `Sun 03:00 Europe/Paris`.
///
/// # Errors
/// What is wrong with the text.
pub fn next_time(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    parse::next_time(text, now)
}

/// One of a window's spans.
#[derive(Clone, Debug)]
enum Span {
    /// From one instant to another.
    Once(SystemTime, SystemTime),
    /// By the clock on the wall: where that is put forward or back, a window is shorter or
    /// longer.
    Weekly(Weekly),
}

/// Times of day on days of the week.
#[derive(Clone, Debug)]
struct Weekly {
    /// Which days, Monday first; of a window over midnight, the day that it begins on.
    days: [bool; 7],
    /// In minutes from midnight.
    start: u16,
    /// In minutes from midnight; at or below `start`: on the day after.
    end: u16,
    zone: TimeZone,
}

impl Window {
    /// Reads `Sun 02:00-04:00 Europe/Paris`, `Mon-Fri UTC`, `02:00-04:00 UTC`,
    /// `2026-12-01 22:00/23:30 UTC` or `2026-12-01 22:00/2026-12-02 02:00 UTC`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.trim().into(),
            spans: Arc::new([parse::span(text)?]),
        })
    }

    /// A window that is open when any of these is. `None`: there is none.
    pub fn any_of(windows: &[Self]) -> Option<Self> {
        if let [one] = windows {
            return Some(one.clone());
        }
        let texts: Vec<&str> = windows.iter().map(|window| &*window.text).collect();
        let spans = windows.iter().flat_map(|window| window.spans.iter());
        (!windows.is_empty()).then(|| Self {
            text: texts.join(" or ").into(),
            spans: spans.cloned().collect(),
        })
    }

    /// Whether an instant is in it; its start is, its end is not.
    pub fn contains(&self, now: SystemTime) -> bool {
        self.spans.iter().any(|span| span.contains(now))
    }

    /// When it next begins or ends after `now`; `None`: never again.
    pub fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        let open = self.contains(now);
        let changes = self.spans.iter().flat_map(|span| span.changes(now));
        let mut changes: Vec<SystemTime> = changes.filter(|at| *at > now).collect();
        changes.sort_unstable();
        changes.into_iter().find(|at| self.contains(*at) != open)
    }

    /// Whether it is over and does not come again.
    pub fn is_over(&self, now: SystemTime) -> bool {
        !self.contains(now) && self.next_change(now).is_none()
    }
}

/// By what was written.
impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Window {}

/// As it was written.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Span {
    fn contains(&self, now: SystemTime) -> bool {
        match self {
            Self::Once(start, end) => (*start..*end).contains(&now),
            Self::Weekly(weekly) => weekly.contains(now),
        }
    }

    /// The instants around `now` and after it at which it may begin or end.
    fn changes(&self, now: SystemTime) -> Vec<SystemTime> {
        match self {
            Self::Once(start, end) => vec![*start, *end],
            Self::Weekly(weekly) => weekly.changes(now),
        }
    }
}

impl Weekly {
    fn contains(&self, now: SystemTime) -> bool {
        let Ok(now) = Timestamp::try_from(now) else {
            return false;
        };
        let local = self.zone.to_datetime(now);
        let minute = minute_of(local);
        let today = local.weekday();
        if self.start < self.end {
            return self.has(today) && (self.start..self.end).contains(&minute);
        }
        (self.has(today) && minute >= self.start)
            || (self.has(today.previous()) && minute < self.end)
    }

    fn has(&self, day: Weekday) -> bool {
        let at = usize::try_from(day.to_monday_zero_offset()).unwrap_or_default();
        self.days.get(at).copied().unwrap_or_default()
    }

    fn changes(&self, now: SystemTime) -> Vec<SystemTime> {
        let Ok(now) = Timestamp::try_from(now) else {
            return Vec::new();
        };
        let Ok(yesterday) = self.zone.to_datetime(now).date().yesterday() else {
            return Vec::new();
        };
        let days = std::iter::successors(Some(yesterday), |day| day.tomorrow().ok());
        let by_clock = days.take(DAYS_AHEAD).flat_map(|day| {
            let bounds = [at_minute(day, self.start), at_minute(day, self.end)];
            // Where the clock is put back, a time of day comes twice.
            bounds.into_iter().flatten().flat_map(|bound| {
                let instant = || self.zone.to_ambiguous_timestamp(bound);
                [instant().earlier(), instant().later()]
            })
        });
        let clock_changes = self.zone.following(now).take(2).map(|t| Ok(t.timestamp()));
        let instants = by_clock.chain(clock_changes).flatten();
        instants.filter_map(|at| at.try_into().ok()).collect()
    }
}

fn minute_of(local: DateTime) -> u16 {
    let part = |number: i8| u16::try_from(number).unwrap_or_default();
    part(local.hour()) * 60 + part(local.minute())
}

fn at_minute(day: Date, minute: u16) -> Option<DateTime> {
    let day = if minute < MINUTES_A_DAY {
        day
    } else {
        day.tomorrow().ok()?
    };
    let minute = minute % MINUTES_A_DAY;
    let part = |number: u16| i8::try_from(number).unwrap_or_default();
    Some(day.at(part(minute / 60), part(minute % 60), 0, 0))
}

const MINUTES_A_DAY: u16 = 24 * 60;
/// A window of one hour a week can fall into the hour that is skipped, so a week is not enough.
const DAYS_AHEAD: usize = 17;
