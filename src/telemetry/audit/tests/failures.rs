use std::os::unix::fs::symlink;

use super::*;

/// A log whose file has become one that is always full.
fn full(folder: &Folder, deny_on_failure: bool) -> (AuditLog, AuditSettings) {
    let settings = AuditSettings {
        deny_on_failure,
        ..folder.settings()
    };
    let path = folder.path("audit.jsonl");
    let log = AuditLog::open(&settings).unwrap();
    write(&log, 1);
    fs::rename(&path, folder.path("audit.1")).unwrap();
    symlink("/dev/full", &path).unwrap();
    log.reopen(&settings).unwrap();
    (log, settings)
}

fn recover(folder: &Folder, log: &AuditLog, settings: &AuditSettings) {
    fs::remove_file(folder.path("audit.jsonl")).unwrap();
    log.reopen(settings).unwrap();
}

#[test]
fn what_cannot_be_recorded_is_refused_if_the_settings_say_so() {
    let folder = Folder::new();
    let (log, settings) = full(&folder, true);
    let who = Who::default();
    for reference in 0..3 {
        assert_eq!(log.record(&event(&who, reference)), Err(Unwritable));
    }
    recover(&folder, &log, &settings);
    assert_eq!(log.record(&event(&who, 4)), Ok(()));
    let path = folder.path("audit.jsonl");
    assert_eq!(records(&path)[0]["lost"], 3);
    assert_ok(&[&folder.path("audit.1"), &path], 4);
}

#[test]
fn what_cannot_be_recorded_is_counted_otherwise() {
    let folder = Folder::new();
    let (log, settings) = full(&folder, false);
    write(&log, 3);
    recover(&folder, &log, &settings);
    write(&log, 1);
    let path = folder.path("audit.jsonl");
    let records = records(&path);
    assert_eq!(records[0]["lost"], 3);
    assert_eq!(records[0]["reason"], "3 records could not be written");
    assert_eq!(records.len(), 2);
    assert_ok(&[&folder.path("audit.1"), &path], 4);
}

#[test]
fn it_does_not_start_with_a_file_that_cannot_be_written() {
    for file in ["/dev/full", "/nowhere/audit.jsonl"] {
        let settings = AuditSettings {
            file: Some(file.into()),
            ..AuditSettings::default()
        };
        let error = AuditLog::open(&settings).unwrap_err().to_string();
        let expected = format!("cannot open the audit log {file}: ");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn the_old_file_is_kept_if_there_can_be_no_new_one() {
    let folder = Folder::new();
    let path = folder.path("sub/audit.jsonl");
    let settings = AuditSettings {
        file: Some(path.clone()),
        ..AuditSettings::default()
    };
    fs::create_dir(folder.path("sub")).unwrap();
    let log = AuditLog::open(&settings).unwrap();
    fs::rename(folder.path("sub"), folder.path("old")).unwrap();
    assert!(log.reopen(&settings).is_err());
    write(&log, 1);
    assert_ok(&[&folder.path("old/audit.jsonl")], 2);
}

#[test]
fn without_a_file_nothing_is_written_or_refused() {
    let log = AuditLog::open(&AuditSettings::default()).unwrap();
    write(&log, 1);
    let folder = Folder::new();
    log.reopen(&folder.settings()).unwrap();
    write(&log, 1);
    log.reopen(&AuditSettings::default()).unwrap();
    write(&log, 1);
    assert_ok(&[&folder.path("audit.jsonl")], 2);
}

/// A disk takes a part of a record, part of the next try, and then all of it.
#[test]
fn a_record_torn_by_a_full_disk_is_accounted_for() {
    let folder = Folder::new();
    let path = folder.path("audit.jsonl");
    let mut file = chain_on(&path);
    file.put("{\"kind\":\"log_start\"}").unwrap();
    let mut text = fs::read(&path).unwrap();
    for part in [&b"{\"ts\":"[..], b"\n{\"t", b"", b"\n"] {
        file.tear(part);
        text.extend_from_slice(part);
        fs::write(&path, &text).unwrap();
    }
    let torn = file.torn();
    let start = Start { lost: 1, torn };
    file.put(&start.body("here")).unwrap();
    drop(file);
    assert_ok(&[&path], 2);
    // A restart in the middle of that finds the same.
    fs::write(&path, &text).unwrap();
    folder.log_of(1);
    assert_ok(&[&path], 3);
}

#[test]
fn a_file_that_ends_torn_is_accounted_for_in_the_next_one() {
    let folder = Folder::new();
    let (path, old) = (folder.path("audit.jsonl"), folder.path("audit.1"));
    let log = AuditLog::open(&folder.settings()).unwrap();
    let part = b"{\"ts\":\"2026";
    log.lock().chain.as_mut().unwrap().tear(part);
    let text = [fs::read(&path).unwrap(), part.to_vec()].concat();
    fs::write(&path, text).unwrap();
    fs::rename(&path, &old).unwrap();
    log.reopen(&folder.settings()).unwrap();
    write(&log, 1);
    assert_ok(&[&old, &path], 3);
    assert_broken(&[&old], "audit.1:2: ");
    assert_ok(&[&path], 2);
}

/// All of a record but its line's end is in the file; then only that is.
#[test]
fn a_line_end_that_is_owed_is_written_once() {
    let folder = Folder::new();
    let path = folder.log_of(1);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.trim_end()).unwrap();
    let mut file = chain_on(&path);
    fs::write(&path, text).unwrap();
    file.tear(b"\n");
    assert_eq!(file.torn(), None);
    file.put("{\"kind\":\"log_start\"}").unwrap();
    assert_ok(&[&path], 3);
}

fn chain_on(path: &Path) -> Chain {
    super::super::open(path, true, None).unwrap()
}
