use std::sync::Arc;
use std::thread;

use sha2::{Digest, Sha256};

use super::*;
use crate::telemetry::audit::chain::hex;

#[test]
fn every_line_holds_the_hash_of_the_one_before() {
    let folder = Folder::new();
    let path = folder.log_of(3);
    let (lines, records) = (lines(&path), records(&path));
    assert_eq!(records[0]["kind"], "log_start");
    assert_eq!(records[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(records[0]["prev"], "0".repeat(64));
    for at in 1..4 {
        let hash: [u8; 32] = Sha256::digest(&lines[at - 1]).into();
        assert_eq!(records[at]["prev"], hex(&hash));
        assert_eq!(records[at]["seq"], at as u64 + 1);
    }
    assert_ok(&[&path], 4);
}

#[test]
fn only_its_owner_may_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let mode = folder.log_of(0).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_edited_line_breaks_the_chain() {
    let folder = Folder::new();
    let path = folder.log_of(5);
    let mut lines = lines(&path);
    lines[2] = lines[2].replace("4711", "4712");
    put_lines(&path, &lines);
    assert_broken(&[&path], "audit.jsonl:4: ");
    lines[2].push(' ');
    lines[2].insert(0, 'x');
    put_lines(&path, &lines);
    assert_broken(&[&path], "audit.jsonl:3: ");
}

#[test]
fn a_line_taken_out_breaks_the_chain() {
    let folder = Folder::new();
    let path = folder.log_of(5);
    let whole = lines(&path);
    for at in 0..5 {
        let mut lines = whole.clone();
        lines.remove(at);
        put_lines(&path, &lines);
        assert_broken(&[&path], &format!("audit.jsonl:{}: ", at + 1));
    }
}

#[test]
fn a_line_put_in_breaks_the_chain() {
    let folder = Folder::new();
    let path = folder.log_of(5);
    let mut lines = lines(&path);
    lines.insert(3, lines[2].clone());
    put_lines(&path, &lines);
    assert_broken(&[&path], "audit.jsonl:4: ");
    lines[3] = "anything".into();
    put_lines(&path, &lines);
    assert_broken(&[&path], "audit.jsonl:4: ");
}

#[test]
fn lines_in_another_order_break_the_chain() {
    let folder = Folder::new();
    let path = folder.log_of(5);
    let mut lines = lines(&path);
    lines.swap(2, 3);
    put_lines(&path, &lines);
    assert_broken(&[&path], "audit.jsonl:3: ");
}

#[test]
fn a_file_cut_in_a_line_is_broken_there() {
    let folder = Folder::new();
    let path = folder.log_of(5);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 10]).unwrap();
    assert_broken(&[&path], "audit.jsonl:6: ");
    fs::write(&path, "").unwrap();
    assert_broken(&[&path], "audit.jsonl:1: ");
}

#[test]
fn numbers_that_do_not_follow_break_the_chain() {
    let folder = Folder::new();
    let path = folder.log_of(1);
    let mut lines = lines(&path);
    lines[1] = lines[1].replace("\"seq\":2", "\"seq\":3");
    put_lines(&path, &lines);
    assert_broken(&[&path], "audit.jsonl:2: its seq is 3 after 1");
}

#[test]
fn a_log_without_hashes_cannot_be_verified() {
    let folder = Folder::new();
    let settings = AuditSettings {
        chain: false,
        ..folder.settings()
    };
    write(&AuditLog::open(&settings).unwrap(), 2);
    let path = folder.path("audit.jsonl");
    assert_eq!(records(&path)[1]["prev"], Value::Null);
    assert_broken(&[&path], "audit.jsonl:1: ");
}

#[test]
fn what_cannot_be_read_is_said_to_be_so() {
    let (code, report) = verify(&[Folder::new().path("none")]);
    assert_eq!(code, 2, "{report}");
}

#[test]
fn the_chain_goes_on_in_the_next_file() {
    let folder = Folder::new();
    let (path, old) = (folder.path("audit.jsonl"), folder.path("audit.1"));
    let log = AuditLog::open(&folder.settings()).unwrap();
    write(&log, 2);
    fs::rename(&path, &old).unwrap();
    write(&log, 1); // Still to the old file.
    log.reopen(&folder.settings()).unwrap();
    write(&log, 2);
    log.reopen(&folder.settings()).unwrap(); // Nothing to do.
    assert_ok(&[&old, &path], 7);
    assert_ok(&[&path], 3);
    assert_broken(&[&path, &old], "audit.1:1: ");

    let mut lines = lines(&old);
    lines.pop();
    put_lines(&old, &lines);
    assert_broken(&[&old, &path], "audit.jsonl:1: ");
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let folder = Folder::new();
    folder.log_of(2);
    let path = folder.log_of(2);
    assert_eq!(records(&path)[3]["kind"], "log_start");
    assert_ok(&[&path], 6);
}

#[test]
fn a_file_emptied_between_two_runs_begins_a_chain_of_its_own() {
    let folder = Folder::new();
    let (path, old) = (folder.log_of(2), folder.path("audit.1"));
    fs::rename(&path, &old).unwrap();
    folder.log_of(2);
    assert_ok(&[&path], 3);
    assert_broken(&[&old, &path], "audit.jsonl:1: a new chain begins here");
}

#[test]
fn two_processes_cannot_write_one_chain() {
    let folder = Folder::new();
    let _log = AuditLog::open(&folder.settings()).unwrap();
    let error = AuditLog::open(&folder.settings()).unwrap_err().to_string();
    assert!(error.contains("another process writes it"), "{error}");
}

#[test]
fn a_line_torn_by_a_crash_is_kept_and_accounted_for() {
    let folder = Folder::new();
    let path = folder.log_of(2);
    let text = fs::read_to_string(&path).unwrap();
    // In the last line, just before its end, and in the first.
    for (len, records, torn) in [(text.len() - 10, 4, 2), (text.len() - 1, 5, 9), (20, 2, 0)] {
        fs::write(&path, &text[..len]).unwrap();
        folder.log_of(1);
        let all = lines(&path);
        if torn < 9 {
            let start: Value = serde_json::from_str(&all[torn + 1]).unwrap();
            assert!(start["torn"].is_string(), "{start}");
            assert!(start["reason"].is_string(), "{start}");
            assert!(text[..len].ends_with(&all[torn]));
        }
        assert_ok(&[&path], records);

        if torn < 9 {
            let mut changed = all;
            changed[torn].pop();
            put_lines(&path, &changed);
            assert_broken(&[&path], &format!("audit.jsonl:{}: ", torn + 1));
        }
    }
}

#[test]
fn what_is_no_audit_log_is_left_alone() {
    let folder = Folder::new();
    let path = folder.path("audit.jsonl");
    fs::write(&path, "root:x:0:0\n").unwrap();
    let error = AuditLog::open(&folder.settings()).unwrap_err().to_string();
    assert!(error.contains("not an audit log"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "root:x:0:0\n");
}

#[test]
fn rotation_loses_nothing_that_other_threads_write() {
    let folder = Folder::new();
    let path = folder.path("audit.jsonl");
    let log = Arc::new(AuditLog::open(&folder.settings()).unwrap());
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            thread::spawn(move || write(&log, 200))
        })
        .collect();
    let mut files = Vec::new();
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        let old = folder.path(&format!("audit.{}", files.len()));
        fs::rename(&path, &old).unwrap();
        files.push(old);
        log.reopen(&folder.settings()).unwrap();
    }
    for writer in writers {
        writer.join().unwrap();
    }
    files.push(path);
    assert_ok(&files.iter().collect::<Vec<_>>(), 800 + files.len() as u64);
}
