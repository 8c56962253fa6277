//! Where clients connect, and what systemd is told.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{folder, pgwarden, program_in, settings};
use crate::support::pooler::Pooler;
use crate::support::{DEADLINE, connect, eventually};

/// A process that is killed when the test is over.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn is_up(dir: &Path) {
    let log = || fs::read_to_string(dir.join("stderr")).unwrap_or_default();
    eventually("it is up", async || {
        let log = log();
        assert!(!log.contains("FATAL"), "{log}");
        log.contains("process up")
    })
    .await;
}

fn start(dir: &Path) -> Running {
    let mut command = program_in(dir);
    Running(command.arg(dir.join("pgwarden.toml")).spawn().unwrap())
}

#[tokio::test]
async fn two_processes_share_a_port_if_both_want_to() {
    let (first, second) = (folder(), folder());
    let port = settings(first.path(), "so_reuseport = true", "");
    let text = fs::read_to_string(first.path().join("pgwarden.toml")).unwrap();
    fs::write(second.path().join("pgwarden.toml"), &text).unwrap();
    let one = start(first.path());
    is_up(first.path()).await;
    let _two = start(second.path());
    is_up(second.path()).await;
    // Each of them alone is enough.
    drop(one);
    eventually("the other serves", async || {
        connect(port, "app", "pgbouncer").await.is_ok()
    })
    .await;
    let alone = text.replace("so_reuseport = true", "");
    fs::write(first.path().join("pgwarden.toml"), alone).unwrap();
    let refused = pgwarden()
        .arg(first.path().join("pgwarden.toml"))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = super::text(&refused.stderr);
    let expected = format!("cannot listen on 127.0.0.1:{port}: ");
    assert!(said.contains("FATAL") && said.contains(&expected), "{said}");
}

#[tokio::test]
async fn several_addresses_and_names_are_served() {
    let settings = "address = [\"127.0.0.2\", \"localhost\"]\n[auth]\nmethod = \"trust\"\n\
                    [databases.shop]\nport = 1\n";
    let pooler = Pooler::start(settings).await;
    TcpStream::connect(("127.0.0.1", pooler.port)).unwrap();
    TcpStream::connect(("127.0.0.2", pooler.port)).unwrap();
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_is_gone_in_the_end() {
    let dir = folder();
    let of_listen = format!(
        "address = []\nunix_socket_dir = \"{}\"\nunix_socket_mode = \"0712\"\n",
        dir.path().display()
    );
    let port = settings(dir.path(), &of_listen, "");
    let process = start(dir.path());
    is_up(dir.path()).await;
    let socket = dir.path().join(format!(".s.PGSQL.{port}"));
    let about = fs::metadata(&socket).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o712);
    assert_eq!(about.uid(), rustix::process::getuid().as_raw());
    // A second process does not take it away.
    let refused = pgwarden()
        .arg(dir.path().join("pgwarden.toml"))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = super::text(&refused.stderr);
    assert!(
        said.contains("FATAL unix socket is in use, cannot continue"),
        "{said}"
    );
    assert!(socket.exists());
    process.signal(Signal::TERM);
    eventually("the socket is gone", async || !socket.exists()).await;
}

#[tokio::test]
async fn an_abstract_socket_has_no_file() {
    let name = format!("@pgwarden-life-{}", std::process::id());
    let dir = folder();
    let of_listen = format!("unix_socket_dir = \"{name}\"\n");
    let port = settings(dir.path(), &of_listen, "");
    let _process = start(dir.path());
    is_up(dir.path()).await;
    let listening = fs::read_to_string("/proc/net/unix").unwrap();
    let expected = format!("{name}/.s.PGSQL.{port}");
    assert!(
        listening.lines().any(|line| line.ends_with(&expected)),
        "{listening}"
    );
}

#[tokio::test]
async fn systemds_sockets_are_served_instead_of_our_own() {
    let dir = folder();
    let port = settings(dir.path(), "", "");
    // As systemd passes it: file 3, and the variables that say so to this process alone.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = listener.local_addr().unwrap();
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$1\"";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_pgwarden")])
        .arg(dir.path().join("pgwarden.toml"))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stderr(fs::File::create(dir.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let _process = Running(child);
    is_up(dir.path()).await;
    let _ = connect(given.port(), "app", "pgbouncer").await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn systemd_is_told_of_start_reload_and_stop() {
    let dir = folder();
    settings(dir.path(), "", "");
    let path = dir.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(DEADLINE)).unwrap();
    let heard = || {
        let mut buffer = [0; 4096];
        let len = systemd.recv(&mut buffer).unwrap();
        super::text(&buffer[..len])
    };
    let mut command = program_in(dir.path());
    command
        .env("NOTIFY_SOCKET", &path)
        .arg(dir.path().join("pgwarden.toml"));
    let process = Running(command.spawn().unwrap());
    assert!(heard().starts_with("READY=1\nSTATUS="));
    process.signal(Signal::HUP);
    let reloading = heard();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(heard().starts_with("READY=1\n"));
    process.signal(Signal::TERM);
    assert!(heard().starts_with("STOPPING=1\n"));
}
