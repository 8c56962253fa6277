//! A private PostgreSQL in a temporary folder, gone when the test ends.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, Config};

use super::{connect_with, eventually, free_port};

/// How the server lets clients in, unless a test says otherwise.
const HBA: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// Users have their name for a password. `tester` is a superuser, `app`, `alice` and `bob` are
/// ordinary, `auditor` is a role that `app` may take on.
const ROLES: &str = "\
create role app login password 'app'
create role alice login password 'alice'
create role bob login password 'bob'
create role auditor
grant auditor to app
create role tester login superuser password 'tester'
create database shop owner app
";

/// A running server.
#[derive(Debug)]
pub(crate) struct Postgres {
    dir: TempDir,
    child: Child,
    pub(crate) port: u16,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts a server.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[], HBA).await
    }

    /// Starts a server with these settings (`name=value`) and this pg_hba.conf.
    pub(crate) async fn start_with(settings: &[&str], hba: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pgwarden-postgres-")
            .tempdir()
            .unwrap();
        copy_template(dir.path());
        let data = dir.path().join("data");
        fs::write(data.join("pg_hba.conf"), hba).unwrap();
        let port = free_port();
        let settings = settings.iter().map(|&s| s.to_owned()).collect();
        let child = spawn(dir.path(), port, &settings);
        let this = Self {
            dir,
            child,
            port,
            settings,
        };
        this.is_up().await;
        this
    }

    /// The folder that a file can be put into for the server to read.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A superuser's session beside the pooler.
    pub(crate) async fn admin(&self) -> Client {
        self.superuser("shop").await
    }

    /// A superuser's session in a database.
    pub(crate) async fn superuser(&self, database: &str) -> Client {
        connect_with(&self.local(database)).await.unwrap()
    }

    /// Runs statements as a superuser in the database `shop`.
    pub(crate) async fn run(&self, sql: &str) {
        self.admin().await.batch_execute(sql).await.unwrap();
    }

    /// Stops the server: INT is a fast shutdown, QUIT an immediate one.
    pub(crate) async fn stop(&mut self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        let child = &mut self.child;
        eventually("PostgreSQL stops", async || {
            child.try_wait().unwrap().is_some()
        })
        .await;
    }

    /// Starts a stopped server again.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(self.dir.path(), self.port, &self.settings);
        self.is_up().await;
    }

    /// Adds a setting (`name=value`) for the next start.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Puts a file into the data folder, readable for the server only.
    pub(crate) fn put_file(&self, name: &str, text: &str) {
        let path = self.dir.path().join("data").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
    }

    /// Waits until it lets clients in.
    pub(crate) async fn is_up(&self) {
        let config = self.local("postgres");
        eventually("PostgreSQL is up", async || {
            connect_with(&config).await.is_ok()
        })
        .await;
    }

    fn local(&self, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(self.dir.path())
            .port(self.port)
            .user("tester")
            .dbname(database);
        config
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(self.pid(), Signal::QUIT);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let from = log.len().saturating_sub(4000);
            eprintln!(
                "PostgreSQL's log:\n{}",
                String::from_utf8_lossy(&log.as_bytes()[from..])
            );
        }
    }
}

fn spawn(dir: &Path, port: u16, settings: &Vec<String>) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut command = unprivileged();
    command
        .arg(bin_dir().join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-p", &port.to_string(), "-k"])
        .arg(dir);
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "shared_buffers=16MB",
        "max_connections=60",
        "password_encryption=scram-sha-256",
        "autovacuum=off",
        "TimeZone=UTC",
    ] {
        command.args(["-c", setting]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A command as a user that PostgreSQL agrees to run as, that ends with the test's thread.
pub(crate) fn unprivileged() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if let Some(user) = server_user() {
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    command
}

/// The user to drop to; `None` where this is not root.
fn server_user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("postgres")
}

fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PGBIN") {
        return dir.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("a version of PostgreSQL is installed");
    Path::new("/usr/lib/postgresql")
        .join(newest.to_string())
        .join("bin")
}

/// Copies a fresh cluster into `dir/data`. It is made once: initdb takes seconds.
fn copy_template(dir: &Path) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let version = output(Command::new(bin_dir().join("postgres")).arg("--version"));
    let key: u64 = (version + ROLES)
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{key:x}"));
    {
        let _guard = ONE_AT_A_TIME.lock();
        if !template.exists() {
            make_template(&template);
        }
    }
    output(
        Command::new("cp")
            .arg("-r")
            .arg(&template)
            .arg(dir.join("data")),
    );
    own(dir);
    fs::set_permissions(dir.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
}

fn make_template(template: &Path) {
    let made = tempfile::tempdir().unwrap();
    own(made.path());
    let data = made.path().join("data");
    output(
        unprivileged()
            .arg(bin_dir().join("initdb"))
            .args(["--username", "admin", "--auth", "trust", "--no-sync"])
            .args([
                "--encoding",
                "UTF8",
                "--locale",
                "C.UTF-8",
                "--wal-segsize",
                "1",
                "-D",
            ])
            .arg(&data),
    );
    let mut single = unprivileged()
        .arg(bin_dir().join("postgres"))
        .args(["--single", "-c", "password_encryption=scram-sha-256", "-D"])
        .arg(&data)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    single
        .stdin
        .take()
        .unwrap()
        .write_all(ROLES.as_bytes())
        .unwrap();
    assert!(single.wait().unwrap().success());
    // Another test process may be doing the same: the first one wins.
    let mine = template.with_extension(std::process::id().to_string());
    output(Command::new("cp").arg("-r").arg(&data).arg(&mine));
    if fs::rename(&mine, template).is_err() {
        fs::remove_dir_all(&mine).unwrap();
    }
}

fn own(path: &Path) {
    if let Some(user) = server_user() {
        output(Command::new("chown").args(["-R", user]).arg(path));
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
