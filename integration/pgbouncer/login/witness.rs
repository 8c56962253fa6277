//! PgBouncer itself, where it is installed, to be asked the same.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::postgres::Postgres;
use crate::support::{eventually, free_port};

/// A running PgBouncer.
pub(crate) struct Witness {
    _dir: TempDir,
    child: Child,
    pub(crate) port: u16,
}

impl Witness {
    /// Starts one before the database `shop` with these lines in `[pgbouncer]`, and these files
    /// beside its own; `users.txt` is its auth_file. `None`: there is none on this machine.
    pub(crate) async fn start(
        postgres: &Postgres,
        settings: &str,
        files: &[(&str, &str)],
    ) -> Option<Self> {
        let program = program()?;
        let dir = tempfile::Builder::new()
            .prefix("pgbouncer-")
            .tempdir()
            .unwrap();
        let port = free_port();
        let folder = dir.path().display();
        let text = format!(
            "[databases]\nshop = host=127.0.0.1 port={} user=app password=app\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {folder}\n\
             auth_file = {folder}/users.txt\n{}",
            postgres.port,
            settings.replace("$DIR", &folder.to_string()),
        );
        fs::write(dir.path().join("pgbouncer.ini"), text).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let log = File::create(dir.path().join("log")).unwrap();
        // It refuses to run as root.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if rustix::process::geteuid().is_root() {
            command.args([
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--init-groups",
            ]);
            let mut own = Command::new("chown");
            own.arg("-R").arg("postgres").arg(dir.path());
            assert!(own.status().unwrap().success());
        }
        let mut child = command
            .arg(&program)
            .arg(dir.path().join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually("PgBouncer is up", async || {
            let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            assert_eq!(child.try_wait().unwrap(), None, "{}", log());
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        Some(Self {
            _dir: dir,
            child,
            port,
        })
    }
}

/// The one that `PGBOUNCER` names, or the system's own.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("PGBOUNCER").map(PathBuf::from);
    named.or_else(|| {
        let installed = Path::new("/usr/sbin/pgbouncer");
        installed.exists().then(|| installed.to_owned())
    })
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
