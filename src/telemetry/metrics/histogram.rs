//! Histograms in Prometheus' text format.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write;
use std::time::Duration;

use crate::pool::stats::{BUCKETS, Histogram};

/// Appends what precedes the series of a histogram.
pub(super) fn put_head(out: &mut String, name: &str, help: &str) {
    put(
        out,
        format_args!("# HELP {name} {help}\n# TYPE {name} histogram\n"),
    );
}

/// Appends one series: durations by bucket, and the microseconds of all together.
pub(super) fn put_series(
    out: &mut String,
    name: &str,
    (database, user): (&str, &str),
    counts: &[u64; BUCKETS],
    micros: u64,
) {
    let labels = format!(
        "database=\"{}\",user=\"{}\"",
        escaped(database),
        escaped(user)
    );
    let mut sum = 0;
    for (bucket, count) in counts.iter().enumerate() {
        sum += count;
        match Histogram::bound(bucket) {
            f64::INFINITY => put(
                out,
                format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {sum}\n"),
            ),
            bound => put(
                out,
                format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {sum}\n"),
            ),
        }
    }
    let seconds = Duration::from_micros(micros).as_secs_f64();
    put(
        out,
        format_args!("{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {sum}\n\n"),
    );
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all text");
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_the_last_has_no_bound() {
        let mut counts = [0; BUCKETS];
        counts[0] = 2;
        counts[1] = 3;
        counts[BUCKETS - 1] = 1;
        let mut out = String::new();
        put_series(&mut out, "x_seconds", ("a\"b\\", "u\n"), &counts, 2_500_000);
        let lines: Vec<_> = out.lines().collect();
        let labels = "database=\"a\\\"b\\\\\",user=\"u\\n\"";
        assert_eq!(
            lines[0],
            format!("x_seconds_bucket{{{labels},le=\"0.000064\"}} 2")
        );
        assert_eq!(
            lines[1],
            format!("x_seconds_bucket{{{labels},le=\"0.000128\"}} 5")
        );
        assert_eq!(
            lines[BUCKETS - 1],
            format!("x_seconds_bucket{{{labels},le=\"+Inf\"}} 6")
        );
        assert_eq!(lines[BUCKETS], format!("x_seconds_sum{{{labels}}} 2.5"));
        assert_eq!(lines[BUCKETS + 1], format!("x_seconds_count{{{labels}}} 6"));
    }
}
