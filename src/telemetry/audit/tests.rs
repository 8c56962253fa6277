mod chain;
mod failures;
mod records;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::session::audit::{EventKind, Who};
use crate::telemetry::audit::verify::verify;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn settings(&self) -> AuditSettings {
        AuditSettings {
            file: Some(self.path("audit.jsonl")),
            ..AuditSettings::default()
        }
    }

    /// A log with its first record and this many more.
    fn log_of(&self, records: u64) -> PathBuf {
        let log = AuditLog::open(&self.settings()).unwrap();
        write(&log, records);
        self.path("audit.jsonl")
    }
}

fn write(log: &AuditLog, records: u64) {
    for reference in 1..=records {
        let who = Who::default();
        log.record(&event(&who, reference)).unwrap();
    }
}

fn event(who: &Who, reference: u64) -> Event<'_> {
    Event {
        kind: EventKind::Statement,
        reference,
        who,
        protocol: "simple",
        sql: Some(b"select 1"),
        classification: None,
        denial: None,
        verdict: "allow",
        generation: 1,
        transaction: "idle",
        server_pid: 4711,
        duration: None,
        rows: 0,
        bytes: 0,
        sqlstate: None,
        reason: "",
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn records(path: &Path) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap();
    lines(path).iter().map(parse).collect()
}

fn put_lines(path: &Path, lines: &[String]) {
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

fn assert_ok(files: &[&PathBuf], records: u64) {
    let (code, report) = verify(&files.iter().copied().cloned().collect::<Vec<_>>());
    let expected = format!("ok: {records} records, ");
    assert!(report.starts_with(&expected), "{report}");
    assert_eq!(code, 0);
}

fn assert_broken(files: &[&PathBuf], place: &str) {
    let (code, report) = verify(&files.iter().copied().cloned().collect::<Vec<_>>());
    assert_eq!(code, 1, "{report}");
    assert!(report.contains(place), "{report}");
}
