//! How a window is written.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::{MINUTES_A_DAY, Span, Weekly, at_minute};

pub(super) fn span(text: &str) -> Result<Span, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((&zone, when)) = words.split_last() else {
        return Err(EXPECTED.into());
    };
    if zone.starts_with(|c: char| c.is_ascii_digit()) || days(zone).is_some() {
        return Err(format!(
            "the time zone is missing: expected one at the end, such as UTC or Europe/Paris, as in {EXAMPLE}"
        ));
    }
    let Ok(zone) = TimeZone::get(zone) else {
        return Err(format!(
            "unknown time zone {zone:?}: expected a name such as UTC or Europe/Paris"
        ));
    };
    match *when {
        [_, _] | [_, _, _] if when.iter().any(|word| word.contains('/')) => once(when, &zone),
        [days] if !days.contains(':') => weekly(days, "00:00-24:00", zone),
        [times] => weekly("Mon-Sun", times, zone),
        [days, times] => weekly(days, times, zone),
        _ => Err(EXPECTED.into()),
    }
}

pub(super) fn next_time(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let expected = || "expected a time such as Sun 03:00 Europe/Paris".to_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [named, time, zone] = words[..] else {
        return Err(expected());
    };
    let days = days(named).ok_or_else(expected)?;
    let minute = minute(time).filter(|minute| *minute < MINUTES_A_DAY);
    let minute = minute.ok_or_else(expected)?;
    let zone = TimeZone::get(zone).map_err(|_| format!("unknown time zone {zone:?}"))?;
    let first = Timestamp::try_from(now).map_err(|_| expected())?;
    let first = zone.to_datetime(first).date();
    let dates = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take(8);
    let mut instants = dates
        .filter(|date| {
            let day = usize::try_from(date.weekday().to_monday_zero_offset());
            day.is_ok_and(|day| days.get(day) == Some(&true))
        })
        .filter_map(|date| {
            let instant = zone.to_timestamp(at_minute(date, minute)?).ok()?;
            SystemTime::try_from(instant).ok()
        });
    instants.find(|at| *at >= now).ok_or_else(expected)
}

fn weekly(named: &str, times: &str, zone: TimeZone) -> Result<Span, String> {
    let days = days(named).ok_or_else(|| {
        format!("no days of the week: {named:?}: expected such as Sun, Mon-Fri or Mon,Wed")
    })?;
    let times = times.split_once('-');
    let times = times.and_then(|(start, end)| Some((minute(start)?, minute(end)?)));
    let (start, end) = times.ok_or("expected times of day such as 02:00-04:00")?;
    if start == end || start == MINUTES_A_DAY {
        return Err(
            "the times of day are the same: expected such as 02:00-04:00, or none for the whole day"
                .into(),
        );
    }
    Ok(Span::Weekly(Weekly {
        days,
        start,
        end,
        zone,
    }))
}

/// `2026-12-01 22:00/23:30` or `2026-12-01 22:00/2026-12-02 02:00`, at its spaces.
fn once(words: &[&str], zone: &TimeZone) -> Result<Span, String> {
    let parsed = match words {
        [date, times] => times.split_once('/').and_then(|(start, end)| {
            let date = day(date)?;
            Some((moment(date, start)?, moment(date, end)?))
        }),
        [date, middle, end] => middle.split_once('/').and_then(|(start, end_date)| {
            Some((moment(day(date)?, start)?, moment(day(end_date)?, end)?))
        }),
        _ => None,
    };
    let (start, end) = parsed.ok_or(
        "expected dates and times such as 2026-12-01 22:00/23:30 or \
         2026-12-01 22:00/2026-12-02 02:00",
    )?;
    let instant = |local: DateTime| {
        let instant = zone.to_timestamp(local).ok();
        instant
            .and_then(|instant| SystemTime::try_from(instant).ok())
            .ok_or("this date is beyond the calendar")
    };
    let (start, end) = (instant(start)?, instant(end)?);
    if start >= end {
        return Err(
            "it ends before it begins: past midnight, the end needs a date of its own".into(),
        );
    }
    Ok(Span::Once(start, end))
}

/// `Sun`, `Mon-Fri`, `Fri-Mon` or `Mon,Wed-Thu`.
fn days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (weekday(first)?, weekday(last)?);
        let run = (first..first + 7).map(|day| day % 7);
        for day in run {
            days[day] = true;
            if day == last {
                break;
            }
        }
    }
    Some(days)
}

fn weekday(name: &str) -> Option<usize> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(name))
}

/// `hh:mm` in minutes from midnight, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_pair = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_pair(hour) || !is_pair(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= MINUTES_A_DAY).then_some(all)
}

/// `yyyy-mm-dd`.
fn day(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

fn moment(day: Date, time: &str) -> Option<DateTime> {
    at_minute(day, minute(time)?)
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EXAMPLE: &str = "\"Sun 02:00-04:00 Europe/Paris\"";
const EXPECTED: &str = "expected a window such as \"Sun 02:00-04:00 Europe/Paris\", \"Mon-Fri UTC\", \
     \"02:00-04:00 UTC\" or \"2026-12-01 22:00/23:30 UTC\"";
