//! A pgwarden of the test's own.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::postgres::{Postgres, unprivileged};
use super::{eventually, free_port};

/// A running pooler.
#[derive(Debug)]
pub(crate) struct Pooler {
    dir: TempDir,
    child: Child,
    pub(crate) port: u16,
}

/// The database `shop` with one user on the server for all clients.
pub(crate) fn shop(postgres: &Postgres) -> String {
    format!(
        "[databases.shop]\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n",
        postgres.port
    )
}

impl Pooler {
    /// Starts a pooler with these settings. Clients are trusted unless there is an `[auth]`.
    pub(crate) async fn start(settings: &str) -> Self {
        Self::start_with(settings, &[], Command::new(env!("CARGO_BIN_EXE_pgwarden"))).await
    }

    /// Starts a pooler with these settings, and these files beside them.
    pub(crate) async fn start_with(
        settings: &str,
        files: &[(&str, &str)],
        command: Command,
    ) -> Self {
        Self::start_at(free_port(), settings, files, command).await
    }

    /// Starts another pooler on the same port, for which both need `so_reuseport`.
    pub(crate) async fn start_beside(&self, settings: &str) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
        Self::start_at(self.port, settings, &[], command).await
    }

    async fn start_at(port: u16, settings: &str, files: &[(&str, &str)], command: Command) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pgwarden-pooler-")
            .tempdir()
            .unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        write_settings(dir.path(), port, settings);
        let file = dir.path().join("pgwarden.toml");
        Self::spawn(dir, port, &file, command).await
    }

    async fn spawn(dir: TempDir, port: u16, file: &Path, mut command: Command) -> Self {
        let log = dir.path().join("log");
        File::create(&log).unwrap();
        let log = File::options().append(true).open(log).unwrap();
        let child = command
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut this = Self { dir, child, port };
        eventually("pgwarden is up", async || {
            assert_eq!(this.child.try_wait().unwrap(), None, "{}", this.log());
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        this
    }

    /// Has another process take this one's place (`-R`), and waits until it has.
    pub(crate) async fn reboot(&mut self) {
        let log = File::options()
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        let new = Command::new(env!("CARGO_BIN_EXE_pgwarden"))
            .arg("-R")
            .arg(self.dir.path().join("pgwarden.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut old = std::mem::replace(&mut self.child, new);
        eventually("the old process ends", async || {
            assert_eq!(self.child.try_wait().unwrap(), None, "{}", self.log());
            old.try_wait().unwrap().is_some()
        })
        .await;
    }

    /// Starts a pooler with a file of another name, in which PORT stands for its port and DIR
    /// for the folder; userlist.txt in it has the users `app` and `anybody`.
    pub(crate) async fn start_file(name: &str, text: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pgwarden-pooler-")
            .tempdir()
            .unwrap();
        let port = free_port();
        let file = dir.path().join(name);
        let folder = dir.path().display().to_string();
        let text = text.replace("PORT", &port.to_string());
        fs::write(&file, text.replace("DIR", &folder)).unwrap();
        let users = "\"app\" \"app\"\n\"anybody\" \"\"\n";
        fs::write(dir.path().join("userlist.txt"), users).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // With an INI it does not run as root.
        let mut command = unprivileged();
        command.arg(env!("CARGO_BIN_EXE_pgwarden"));
        Self::spawn(dir, port, &file, command).await
    }

    /// Writes other settings, which count after a reload.
    pub(crate) fn write(&self, settings: &str) {
        write_settings(self.dir.path(), self.port, settings);
    }

    /// Has the settings read again, and waits until it says that they count.
    pub(crate) async fn reload(&self, settings: &str) {
        let count = || self.log().matches("configuration reloaded").count();
        let before = count();
        self.write(settings);
        self.signal(Signal::HUP);
        eventually("the configuration is reloaded", async || count() > before).await;
    }

    /// The folder of its settings.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("pgwarden ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// A number of kilobytes from its `/proc/<pid>/status`, such as `VmRSS`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("pgwarden's log:\n{last}");
        }
    }
}

fn write_settings(dir: &Path, port: u16, settings: &str) {
    // What stands in no table must come first.
    let root = match settings.find('\n') {
        Some(end) if settings.starts_with("workers") => end + 1,
        Some(_) | None => 0,
    };
    let (root, settings) = settings.split_at(root);
    let mut text = format!("{root}[listen]\nport = {port}\n");
    if !settings.contains("[auth]") {
        text.push_str("[auth]\nmethod = \"trust\"\n");
    }
    text.push_str(settings);
    // Whole or not at all, as an editor does it.
    let new = dir.join("pgwarden.toml.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, dir.join("pgwarden.toml")).unwrap();
}
