//! PgBouncer itself, where it is installed, is asked the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{Table, answer, console, pooler};
use crate::support::postgres::{Postgres, unprivileged};
use crate::support::raw::Raw;
use crate::support::{eventually, free_port};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running PgBouncer with the databases and operators that the pooler has.
struct Witness {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Witness {
    /// `None`: there is none on this machine.
    async fn start(postgres: &Postgres) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("{PROGRAM} is not installed: nobody to compare with");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("pgwarden-witness-")
            .tempdir()
            .unwrap();
        let path = dir.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        let users = "\"ops\" \"\"\n\"stats\" \"\"\n\"app\" \"app\"\n";
        fs::write(path.join("users.txt"), users).unwrap();
        let port = free_port();
        let settings = format!(
            "[databases]\nshop = host=127.0.0.1 port={} user=app password=app\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}/users.txt\nadmin_users = ops\nstats_users = stats\n\
             pool_mode = transaction\n",
            postgres.port,
            path.display()
        );
        let file = path.join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let child = unprivileged()
            .args([PROGRAM, "-q"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("PgBouncer is up", async || {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        Some(Self {
            child,
            port,
            _dir: dir,
        })
    }

    async fn console(&self) -> Raw {
        Raw::login(self.port, "ops", "pgbouncer", &[])
            .await
            .unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In this order. Left out is what 1.18 does not know, or pgwarden does better on purpose.
const COMMANDS: [&str; 44] = [
    "RESUME",
    "RESUME shop",
    "RESUME nothing",
    "PAUSE nothing",
    "PAUSE pgbouncer",
    "PAUSE a b",
    "PAUSE shop",
    "PAUSE shop",
    "RESUME shop",
    "PAUSE",
    "PAUSE",
    "PAUSE shop",
    "SUSPEND",
    "KILL shop",
    "RESUME",
    "PAUSE \"shop\"",
    "SUSPEND",
    "RESUME shop",
    "DISABLE",
    "DISABLE nothing",
    "DISABLE pgbouncer",
    "DISABLE shop",
    "DISABLE shop",
    "ENABLE",
    "ENABLE nothing",
    "ENABLE shop",
    "RECONNECT",
    "RECONNECT shop;",
    "RECONNECT nothing",
    "RECONNECT pgbouncer",
    "WAIT_CLOSE",
    "WAIT_CLOSE shop",
    "WAIT_CLOSE nothing",
    "WAIT_CLOSE pgbouncer",
    "KILL nothing",
    "KILL pgbouncer",
    "RELOAD",
    "RELOAD x",
    "SUSPEND x",
    "SHUTDOWN x",
    "SET nonsense = 1",
    "SET timezone = 'UTC'",
    "SHOW timezone",
    "SHOW nothing",
];

#[tokio::test]
async fn commands_are_answered_as_pgbouncer_answers_them() {
    let postgres = Postgres::start().await;
    let Some(witness) = Witness::start(&postgres).await else {
        return;
    };
    let pooler = pooler(&postgres, "[clients]\nerrors = \"pgbouncer\"").await;
    // Both have a pool and a server of it.
    for port in [pooler.port, witness.port] {
        Raw::app(port).await.query("select 1").await.fine();
    }
    let (mut ours, mut theirs) = (console(&pooler).await, witness.console().await);
    let mut differences = Vec::new();
    for command in COMMANDS {
        let (ours, theirs) = (
            answer(&mut ours, command).await,
            answer(&mut theirs, command).await,
        );
        if ours != theirs {
            differences.push(format!("{command}: {ours:?}, and PgBouncer: {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Renamed in later versions.
const RENAMED: [(&str, &str); 1] = [("reserve_pool", "reserve_pool_size")];

#[tokio::test]
async fn what_pgbouncer_1_18_shows_is_shown_under_the_same_names() {
    let postgres = Postgres::start().await;
    let Some(witness) = Witness::start(&postgres).await else {
        return;
    };
    let pooler = pooler(&postgres, "").await;
    let (mut ours, mut theirs) = (console(&pooler).await, witness.console().await);
    for name in [
        "ACTIVE_SOCKETS",
        "CLIENTS",
        "CONFIG",
        "DATABASES",
        "DNS_HOSTS",
        "DNS_ZONES",
        "FDS",
        "LISTS",
        "MEM",
        "POOLS",
        "SERVERS",
        "SOCKETS",
        "STATS",
        "STATS_AVERAGES",
        "STATS_TOTALS",
        "TOTALS",
        "USERS",
        "VERSION",
    ] {
        let command = format!("SHOW {name}");
        let (ours, theirs) = (
            Table::of(&mut ours, &command).await,
            Table::of(&mut theirs, &command).await,
        );
        for (column, kind) in &theirs.columns {
            let renamed = RENAMED.iter().find(|(old, _)| old == column);
            let column = renamed.map_or(column.as_str(), |(_, new)| new);
            let ours = ours.columns.iter().find(|(known, _)| known == column);
            let ours = ours.unwrap_or_else(|| panic!("{command} has no {column}"));
            assert_eq!(ours.1, *kind, "{command}: {column}");
        }
        if name == "LISTS" {
            let list =
                |table: &Table| -> Vec<_> { table.rows.iter().map(|row| row[0].clone()).collect() };
            let ours = list(&ours);
            for one in list(&theirs) {
                assert!(ours.contains(&one), "{one:?}");
            }
        }
    }
}
