//! Daemon, pidfile, and who the process is.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::{folder, pgwarden, settings, text};
use crate::support::{connect, eventually};

const NAMED: &str = "file = \"pooler.log\"\n[process]\npidfile = \"pooler.pid\"\n";

/// The number in the file of a process in the background.
fn number(dir: &Path) -> Option<i32> {
    let text = fs::read_to_string(dir.join("pooler.pid")).ok()?;
    text.trim().parse().ok()
}

/// Ends a process in the background when the test is over.
struct Background(Pid);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

fn status(pid: Pid, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[tokio::test]
async fn a_daemon_serves_when_its_starter_has_ended_and_can_be_found_by_its_pidfile() {
    let dir = folder();
    let port = settings(dir.path(), "", NAMED);
    let file = dir.path().join("pgwarden.toml");
    let started = pgwarden().arg("-d").arg(&file).output().unwrap();
    assert!(started.status.success(), "{}", text(&started.stderr));
    assert_eq!(text(&started.stderr) + &text(&started.stdout), "");
    let pid = Pid::from_raw(number(dir.path()).unwrap()).unwrap();
    let daemon = Background(pid);
    let _ = connect(port, "app", "pgbouncer").await.unwrap();
    // A session of its own: the end of this terminal is not its end.
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid);
    // Its number is taken.
    let second = pgwarden().arg("-d").arg(&file).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains("another instance running?"), "{said}");
    assert_eq!(number(dir.path()), Some(pid.as_raw_nonzero().get()));
    kill_process(pid, Signal::TERM).unwrap();
    eventually("the pidfile is gone", async || number(dir.path()).is_none()).await;
    drop(daemon);
    let log = fs::read_to_string(dir.path().join("pooler.log")).unwrap();
    assert!(log.contains("process up: PgBouncer 1.25.2"), "{log}");
    assert!(log.contains("FATAL pidfile"), "{log}");
}

#[tokio::test]
async fn the_pidfile_of_a_dead_process_is_removed() {
    let dir = folder();
    settings(dir.path(), "", NAMED);
    fs::write(dir.path().join("pooler.pid"), "2147483646\n").unwrap();
    let file = dir.path().join("pgwarden.toml");
    let started = pgwarden().arg("-d").arg(&file).output().unwrap();
    assert!(started.status.success(), "{}", text(&started.stderr));
    let pid = number(dir.path()).unwrap();
    let _daemon = Background(Pid::from_raw(pid).unwrap());
    let log = fs::read_to_string(dir.path().join("pooler.log")).unwrap();
    assert!(log.contains("LOG stale pidfile, removing"), "{log}");
}

#[test]
fn a_daemon_that_could_not_be_found_or_heard_is_not_started() {
    for (more, complaint) in [
        ("file = \"pooler.log\"", "daemon needs pidfile configured"),
        (
            "[process]\npidfile = \"pooler.pid\"",
            "daemon needs logfile or syslog configured",
        ),
    ] {
        let dir = folder();
        settings(dir.path(), "", more);
        let file = dir.path().join("pgwarden.toml");
        let said = pgwarden().arg("-d").arg(&file).output().unwrap();
        assert_eq!(said.status.code(), Some(1));
        assert!(
            text(&said.stderr).contains(complaint),
            "{}",
            text(&said.stderr)
        );
    }
}

#[tokio::test]
async fn root_becomes_the_user_that_it_is_told_to() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let dir = folder();
    let port = settings(dir.path(), "", NAMED);
    let file = dir.path().join("pgwarden.toml");
    let started = pgwarden()
        .args(["-d", "-u", "nobody"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(started.status.success(), "{}", text(&started.stderr));
    let pid = Pid::from_raw(number(dir.path()).unwrap()).unwrap();
    let _daemon = Background(pid);
    let nobody = text(
        &std::process::Command::new("id")
            .args(["-u", "nobody"])
            .output()
            .unwrap()
            .stdout,
    );
    let nobody = nobody.trim();
    assert_eq!(status(pid, "Uid"), [nobody; 4].join("\t"));
    assert!(
        !status(pid, "Groups")
            .split_whitespace()
            .any(|group| group == "0")
    );
    let _ = connect(port, "app", "pgbouncer").await.unwrap();
    let wrong = pgwarden()
        .args(["-u", "nobody-of-this-name"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    let said = text(&wrong.stderr);
    assert!(
        said.contains("could not find user 'nobody-of-this-name'"),
        "{said}"
    );
}

#[test]
fn root_is_refused_with_pgbouncers_file_and_no_user() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let dir = folder();
    let file = dir.path().join("pgbouncer.ini");
    let port = crate::support::free_port();
    let ini = format!(
        "[databases]\nshop = host=127.0.0.1 port=1\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\n"
    );
    fs::write(&file, ini).unwrap();
    let refused = pgwarden().arg(&file).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("should not run as root"), "{said}");
}
