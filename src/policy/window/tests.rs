use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{Window, next_time};

fn window(text: &str) -> Window {
    Window::parse(text).unwrap()
}

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().try_into().unwrap()
}

/// Whether the instants, all in one window's story, are in it.
fn story(text: &str, instants: &[(&str, bool)]) {
    let window = window(text);
    for (instant, is_in) in instants {
        assert_eq!(window.contains(at(instant)), *is_in, "{text} {instant}");
    }
}

#[test]
fn a_weekly_window_is_by_the_clock_on_the_wall() {
    // 2026-11-22 is a Sunday; Paris is one hour ahead of UTC in winter.
    story(
        "Sun 02:00-04:00 Europe/Paris",
        &[
            ("2026-11-22T00:59:59Z", false),
            ("2026-11-22T01:00:00Z", true),
            ("2026-11-22T02:59:59Z", true),
            ("2026-11-22T03:00:00Z", false),
            ("2026-11-23T01:30:00Z", false),
            ("2026-07-05T00:00:00Z", true), // two hours ahead in summer
            ("2026-07-05T02:00:00Z", false),
        ],
    );
}

#[test]
fn days_can_be_a_run_a_list_and_any_at_all() {
    story(
        "Mon-Fri 09:00-17:00 UTC",
        &[
            ("2026-11-20T16:59:00Z", true),
            ("2026-11-21T12:00:00Z", false),
            ("2026-11-23T09:00:00Z", true),
        ],
    );
    story(
        "Fri-Mon UTC",
        &[
            ("2026-11-19T23:59:59Z", false),
            ("2026-11-20T00:00:00Z", true),
            ("2026-11-23T23:59:59Z", true),
            ("2026-11-24T00:00:00Z", false),
        ],
    );
    story(
        "tue,Thu UTC",
        &[
            ("2026-11-24T12:00:00Z", true),
            ("2026-11-25T12:00:00Z", false),
            ("2026-11-26T12:00:00Z", true),
        ],
    );
    story(
        "02:00-04:00 UTC",
        &[
            ("2026-11-24T03:00:00Z", true),
            ("2026-11-25T03:00:00Z", true),
            ("2026-11-25T04:00:00Z", false),
        ],
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
    story(
        "Mon,Wed 22:00-06:00 UTC",
        &[
            ("2026-11-23T05:00:00Z", false),
            ("2026-11-23T22:00:00Z", true),
            ("2026-11-24T05:59:59Z", true),
            ("2026-11-24T06:00:00Z", false),
            ("2026-11-24T22:00:00Z", false),
            ("2026-11-26T05:00:00Z", true),
        ],
    );
    story("Sun 22:00-02:00 UTC", &[("2026-11-23T01:00:00Z", true)]);
}

#[test]
fn a_single_window_is_open_once() {
    story(
        "2026-12-01 22:00/23:30 UTC",
        &[
            ("2026-12-01T21:59:59Z", false),
            ("2026-12-01T22:00:00Z", true),
            ("2026-12-01T23:30:00Z", false),
            ("2026-12-02T22:00:00Z", false),
        ],
    );
    story(
        "2026-12-01 22:00/2026-12-02 02:00 Europe/Paris",
        &[
            ("2026-12-01T21:00:00Z", true),
            ("2026-12-02T00:59:00Z", true),
            ("2026-12-02T01:00:00Z", false),
        ],
    );
}

#[test]
fn a_skipped_hour_shortens_a_window_and_a_repeated_one_lengthens_it() {
    // On 2026-03-29 Paris goes from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
    story(
        "Sun 02:00-04:00 Europe/Paris",
        &[
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", true),
            ("2026-03-29T02:00:00Z", false),
            ("2026-10-25T00:00:00Z", true),
            ("2026-10-25T02:59:59Z", true),
            ("2026-10-25T03:00:00Z", false),
        ],
    );
    let skipped = window("Sun 02:00-03:00 Europe/Paris");
    assert_eq!(
        skipped.next_change(at("2026-03-28T12:00:00Z")),
        Some(at("2026-04-05T00:00:00Z"))
    );
}

#[test]
fn the_next_change_is_its_next_beginning_or_end() {
    for (text, now, next) in [
        (
            "Sun 02:00-04:00 UTC",
            "2026-11-22T04:00:00Z",
            Some("2026-11-29T02:00:00Z"),
        ),
        (
            "Sun 02:00-04:00 UTC",
            "2026-11-22T02:00:00Z",
            Some("2026-11-22T04:00:00Z"),
        ),
        (
            "Mon-Fri UTC",
            "2026-11-24T12:00:00Z",
            Some("2026-11-28T00:00:00Z"),
        ),
        ("Mon-Sun UTC", "2026-11-24T12:00:00Z", None),
        (
            "22:00-06:00 UTC",
            "2026-11-24T01:00:00Z",
            Some("2026-11-24T06:00:00Z"),
        ),
        (
            "2026-12-01 22:00/23:30 UTC",
            "2026-11-24T01:00:00Z",
            Some("2026-12-01T22:00:00Z"),
        ),
        (
            "2026-12-01 22:00/23:30 UTC",
            "2026-12-01T22:10:00Z",
            Some("2026-12-01T23:30:00Z"),
        ),
        ("2026-12-01 22:00/23:30 UTC", "2026-12-01T23:30:00Z", None),
    ] {
        let next = next.map(at);
        assert_eq!(window(text).next_change(at(now)), next, "{text} {now}");
    }
}

#[test]
fn only_a_single_window_is_ever_over() {
    let once = window("2026-12-01 22:00/23:30 UTC");
    assert!(once.is_over(at("2026-12-01T23:30:00Z")));
    assert!(!once.is_over(at("2026-12-01T23:29:00Z")));
    assert!(!once.is_over(at("2026-11-01T00:00:00Z")));
    assert!(!window("Sun UTC").is_over(at("2026-12-01T23:30:00Z")));
}

#[test]
fn one_of_several_is_enough() {
    let both = [window("Sun UTC"), window("2026-11-24 01:00/02:00 UTC")];
    let any = Window::any_of(&both).unwrap();
    assert_eq!(any.to_string(), "Sun UTC or 2026-11-24 01:00/02:00 UTC");
    assert!(any.contains(at("2026-11-22T12:00:00Z")));
    assert!(any.contains(at("2026-11-24T01:30:00Z")));
    let next = any.next_change(at("2026-11-24T01:30:00Z"));
    assert_eq!(next, Some(at("2026-11-24T02:00:00Z")));
    assert_eq!(Window::any_of(&[]), None);
}

#[test]
fn what_is_no_window_is_told_what_was_expected() {
    for (text, complaint) in [
        ("", "expected a window such as"),
        ("Sun 02:00-04:00", "the time zone is missing"),
        ("Sat-Sun", "the time zone is missing"),
        ("2026-12-01 22:00/23:30", "the time zone is missing"),
        (
            "Sun 02:00-04:00 Europe/Pariss",
            "unknown time zone \"Europe/Pariss\"",
        ),
        ("Son 02:00-04:00 UTC", "no days of the week: \"Son\""),
        ("Sun 2-4 UTC", "expected times of day"),
        ("Sun 02:00-25:00 UTC", "expected times of day"),
        ("Sun 02:00-02:60 UTC", "expected times of day"),
        ("Sun 02:00-02:00 UTC", "the times of day are the same"),
        ("2026-12-01 22:00/21:00 UTC", "it ends before it begins"),
        ("2026-13-01 22:00/23:00 UTC", "expected dates and times"),
        ("2026-12-01 UTC", "no days of the week"),
        ("a b c d UTC", "expected a window such as"),
        ("UTC", "expected a window such as"),
    ] {
        let error = Window::parse(text).unwrap_err();
        assert!(error.starts_with(complaint), "{text}: {error}");
    }
}

#[test]
fn a_window_is_shown_as_it_was_written() {
    let text = "mon,wed 22:00-06:00 UTC";
    assert_eq!(window(text).to_string(), text);
}

#[test]
fn a_time_of_the_week_comes_next_on_that_day() {
    let now = at("2026-11-24T12:00:00Z"); // a Tuesday
    for (text, next) in [
        ("Sun 03:00 Europe/Paris", "2026-11-29T02:00:00Z"),
        ("Tue 12:00 UTC", "2026-11-24T12:00:00Z"),
        ("Tue 11:59 UTC", "2026-12-01T11:59:00Z"),
    ] {
        assert_eq!(next_time(text, now), Ok(at(next)), "{text}");
    }
    for text in [
        "",
        "Sun",
        "Sun 03:00",
        "Son 03:00 UTC",
        "Sun 24:00 UTC",
        "Sun 03:00 Mars",
    ] {
        assert!(next_time(text, now).is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn between_now_and_the_next_change_nothing_changes(
        seconds in 1_700_000_000_u64..1_900_000_000,
        part in 0.0..1.0_f64,
        which in 0_usize..6,
    ) {
        let text = [
            "Sun 02:00-04:00 Europe/Paris",
            "Mon,Wed 22:00-06:00 America/New_York",
            "01:30-02:30 Europe/Berlin",
            "Sat-Sun Australia/Lord_Howe",
            "02:10-02:20 Europe/Paris",
            "23:00-01:00 America/Havana",
        ][which];
        let window = window(text);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let next = window.next_change(now).unwrap();
        proptest::prop_assert!(next > now);
        let open = window.contains(now);
        proptest::prop_assert_ne!(window.contains(next), open);
        let between = now + next.duration_since(now).unwrap().mul_f64(part);
        proptest::prop_assert!(between == next || window.contains(between) == open);
    }

    #[test]
    fn any_text_is_a_window_or_refused(text in "((Mon|Sun|-|,|:|/|02:00|2026-12-01| |UTC)|\\PC)*") {
        let _ = Window::parse(&text);
    }
}
