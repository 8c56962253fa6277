//! PgBouncer's lines, as tools read them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Config;

use super::{count, folder, is_like, program_in, settings};
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::{connect, connect_with, eventually, free_port};

/// Trust, an administrator, and PgBouncer's log with these settings of it.
fn logging(postgres: &Postgres, of_log: &str) -> String {
    format!(
        "[auth]\nmethod = \"trust\"\n[console]\nadmins = [\"app\"]\n\
         [log]\nformat = \"pgbouncer\"\n{of_log}\n{}",
        shop(postgres)
    )
}

/// Waits until the log has this many lines like the pattern.
async fn has(pooler: &Pooler, times: usize, pattern: &str) {
    eventually(pattern, async || count(&pooler.log(), pattern) >= times).await;
    assert_eq!(count(&pooler.log(), pattern), times, "{}", pooler.log());
}

#[tokio::test]
async fn a_client_and_its_server_are_followed_from_login_to_close() {
    let postgres = Postgres::start().await;
    let mut pooler = Pooler::start(&logging(&postgres, "")).await;
    let client = connect(pooler.port, "app", "shop").await.unwrap();
    client.simple_query("select 1").await.unwrap();
    drop(client);
    let client = "{t} [{n}] LOG C-0x{x}: shop/app@127.0.0.1:{n} ";
    let server = format!(
        "{{t}} [{{n}}] LOG S-0x{{x}}: shop/app@127.0.0.1:{} ",
        postgres.port
    );
    let attempt = format!("{client}login attempt: db=shop user=app tls=no replication=no");
    has(&pooler, 1, &attempt).await;
    let opened = format!("{server}new connection to server (from 127.0.0.1:{{n}})");
    has(&pooler, 1, &opened).await;
    let closed = format!("{client}closing because: client close request (age={{n}}s)");
    has(&pooler, 1, &closed).await;
    pooler.signal(Signal::TERM);
    pooler.ended().await;
    let log = pooler.log();
    for line in log.lines() {
        assert!(is_like(line, "{t} [{n}] {*}"), "{line}");
    }
    assert_eq!(
        count(&log, "{t} [{n}] LOG client connections dropped, exiting"),
        1
    );
}

#[tokio::test]
async fn a_client_on_a_unix_socket_is_named_by_its_process() {
    let postgres = Postgres::start().await;
    let dir = folder();
    let of_listen = format!("unix_socket_dir = \"{}\"\n", dir.path().display());
    let pooler = Pooler::start(&format!("{of_listen}{}", logging(&postgres, ""))).await;
    // TCP, which the start waits for, is there before the Unix socket.
    has(&pooler, 1, "{t} [{n}] LOG process up: {*}").await;
    let mut config = Config::new();
    config
        .host_path(dir.path())
        .port(pooler.port)
        .user("app")
        .dbname("shop");
    drop(connect_with(&config).await.unwrap());
    let (pid, port) = (std::process::id(), pooler.port);
    let client = format!("{{t}} [{{n}}] LOG C-0x{{x}}: shop/app@unix({pid}):{port} ");
    has(&pooler, 1, &format!("{client}login attempt: {{*}}")).await;
    has(
        &pooler,
        1,
        &format!("{client}closing because: client close request (age={{n}}s)"),
    )
    .await;
}

#[tokio::test]
async fn an_error_of_the_poolers_is_logged_twice_before_the_client_reads_it() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, "")).await;
    let error = connect(pooler.port, "app", "nowhere").await.unwrap_err();
    // No waiting: it is there by now.
    let log = pooler.log();
    let told = error.as_db_error().unwrap().message();
    let client = "C-0x{x}: nowhere/app@127.0.0.1:{n} ";
    let closing = format!("{{t}} [{{n}}] LOG {client}closing because: {told} (age={{n}}s)");
    assert_eq!(count(&log, &closing), 1, "{log}");
    let twin = format!("{{t}} [{{n}}] WARNING {client}pooler error: {told}");
    assert_eq!(count(&log, &twin), 1, "{log}");
    // And no third time.
    assert_eq!(log.matches(told).count(), 2, "{log}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_nobody() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, "")).await;
    drop(std::net::TcpStream::connect(("127.0.0.1", pooler.port)).unwrap());
    let line = "{t} [{n}] LOG C-0x{x}: (nodb)/(nouser)@127.0.0.1:{n} closing because: \
                client unexpected eof (age={n}s)";
    // The test's own wait for the port was the first.
    has(&pooler, 2, line).await;
}

#[tokio::test]
async fn a_server_that_ends_is_said_to_have_crashed() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, "")).await;
    let client = connect(pooler.port, "app", "shop").await.unwrap();
    client
        .simple_query("select pg_terminate_backend(pg_backend_pid())")
        .await
        .unwrap_err();
    let crashed = "closing because: server conn crashed? (age={n}s)";
    has(
        &pooler,
        1,
        &format!("{{t}} [{{n}}] LOG S-0x{{x}}: shop/app@{{*}} {crashed}"),
    )
    .await;
    has(
        &pooler,
        1,
        &format!("{{t}} [{{n}}] LOG C-0x{{x}}: shop/app@{{*}} {crashed}"),
    )
    .await;
}

#[tokio::test]
async fn each_kind_of_line_can_be_switched_off_and_on_again_by_a_reload() {
    let postgres = Postgres::start().await;
    let off = "connections = false\ndisconnections = false\npooler_errors = false\n";
    let pooler = Pooler::start(&logging(&postgres, off)).await;
    drop(connect(pooler.port, "app", "shop").await.unwrap());
    connect(pooler.port, "app", "nowhere").await.unwrap_err();
    let all = [
        "login attempt",
        "new connection",
        "closing because",
        "pooler error",
    ];
    let log = pooler.log();
    for kind in all {
        assert!(!log.contains(kind), "{kind}: {log}");
    }
    pooler.reload(&logging(&postgres, "")).await;
    connect(pooler.port, "app", "nowhere").await.unwrap_err();
    let log = pooler.log();
    assert!(
        log.contains("login attempt") && log.contains("pooler error"),
        "{log}"
    );
}

#[tokio::test]
async fn counts_are_logged_every_stats_period() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, "stats_period = \"1s\"")).await;
    let line = "{t} [{n}] LOG stats: {n} xacts/s, {n} queries/s, {n} client parses/s, \
                {n} server parses/s, {n} binds/s, {n} client logins/s, in {n} B/s, out {n} B/s, \
                xact {n} us, query {n} us, wait {n} us";
    eventually(line, async || count(&pooler.log(), line) >= 2).await;
}

#[tokio::test]
async fn the_start_is_told_in_pgbouncers_words() {
    let postgres = Postgres::start().await;
    let dir = folder();
    let of_listen = format!("unix_socket_dir = \"{}\"\n", dir.path().display());
    let pooler = Pooler::start(&format!("{of_listen}{}", logging(&postgres, ""))).await;
    let (port, dir) = (pooler.port, dir.path().display());
    for line in [
        "kernel file descriptor limit: {n} (hard: {n}); max_client_conn: {n}, \
         max expected fd use: {n}"
            .to_owned(),
        format!("listening on 127.0.0.1:{port}"),
        format!("listening on unix:{dir}/.s.PGSQL.{port}"),
        "process up: PgBouncer 1.25.2 (pgwarden {*}), {*}".to_owned(),
    ] {
        has(&pooler, 1, &format!("{{t}} [{{n}}] LOG {line}")).await;
    }
}

#[tokio::test]
async fn a_log_file_is_begun_anew_by_a_reload_and_quiet_is_quiet() {
    let dir = folder();
    let port = settings(dir.path(), "", "file = \"pooler.log\"\n");
    let mut child = program_in(dir.path())
        .args(["-q", "-v"])
        .arg(dir.path().join("pgwarden.toml"))
        .spawn()
        .unwrap();
    let (file, moved) = (
        dir.path().join("pooler.log"),
        dir.path().join("pooler.log.1"),
    );
    let log = || fs::read_to_string(&file).unwrap_or_default();
    eventually("it is up", async || log().contains("process up")).await;
    // -v: what happens to each connection.
    let _ = connect(port, "app", "pgbouncer").await.unwrap();
    fs::rename(&file, &moved).unwrap();
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    eventually("the new file is there", async || {
        log().contains("configuration reloaded")
    })
    .await;
    let old = fs::read_to_string(&moved).unwrap();
    assert!(old.contains("got SIGHUP, re-reading config"), "{old}");
    kill_process(Pid::from_child(&child), Signal::QUIT).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(dir.path().join("stderr")).unwrap(), "");
}

#[tokio::test]
async fn the_other_forms_have_the_same_fields() {
    let postgres = Postgres::start().await;
    let json = logging(&postgres, "").replace("\"pgbouncer\"", "\"json\"");
    let pooler = Pooler::start(&json).await;
    connect(pooler.port, "app", "nowhere").await.unwrap_err();
    let log = pooler.log();
    let mut lines = log.lines();
    let line = lines.find(|line| line.contains("closing because: ") && line.contains("nowhere"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for field in [
        "\"client\":",
        "\"database\":\"nowhere\"",
        "\"user\":\"app\"",
        "\"age\":",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
}

/// The same steps with PgBouncer itself, where it is installed.
#[tokio::test]
async fn pgbouncer_itself_writes_the_same_lines() {
    let program = Path::new("/usr/sbin/pgbouncer");
    if !program.exists() {
        eprintln!("skipped: {} is not installed", program.display());
        return;
    }
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, "")).await;
    let dir = folder();
    let (mut witness, port) = pgbouncer(program, dir.path(), postgres.port);
    eventually("PgBouncer is up", async || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
    for port in [pooler.port, port] {
        let client = connect(port, "app", "shop").await.unwrap();
        client.simple_query("select 1").await.unwrap();
        drop(client);
    }
    let shapes = |log: &str| -> Vec<String> {
        let about = |line: &&str| line.contains(" shop/app@");
        log.lines().filter(about).map(shape).collect()
    };
    let log = || fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
    eventually("both have seen the client leave", async || {
        shapes(&log()).len() >= 3 && shapes(&pooler.log()).len() >= 3
    })
    .await;
    witness.kill().unwrap();
    witness.wait().unwrap();
    let own = shapes(&pooler.log());
    for mut line in shapes(&log()) {
        if line.contains("login attempt") {
            line.push_str(" replication=no"); // since 1.24
        }
        assert!(own.contains(&line), "{line}\n{own:#?}");
    }
}

fn pgbouncer(program: &Path, dir: &Path, server: u16) -> (Child, u16) {
    let port = free_port();
    let ini = format!(
        "[databases]\nshop = host=127.0.0.1 port={server} user=app password=app\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
    );
    fs::write(dir.join("pgbouncer.ini"), ini).unwrap();
    // It refuses to be root.
    let mut command = match rustix::process::getuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--clear-groups"])
                .arg(program);
            command
        }
        false => Command::new(program),
    };
    let child = command
        .arg(dir.join("pgbouncer.ini"))
        .stdin(Stdio::null())
        .stderr(fs::File::create(dir.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    (child, port)
}

/// A line with every number replaced: what is left is its form.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut in_pointer = false;
    for c in line.chars() {
        in_pointer = (in_pointer && c.is_ascii_hexdigit()) || (shape.ends_with('0') && c == 'x');
        match c {
            _ if in_pointer && c != 'x' => {}
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            _ => shape.push(c),
        }
    }
    shape
}

#[tokio::test]
async fn what_an_operator_orders_is_logged_when_it_is_ordered() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, "")).await;
    let console = connect(pooler.port, "app", "pgbouncer").await.unwrap();
    for command in [
        "PAUSE",
        "RESUME",
        "PAUSE shop",
        "RESUME shop",
        "DISABLE shop",
        "ENABLE shop",
        "RECONNECT",
        "RECONNECT shop",
        "WAIT_CLOSE",
        "WAIT_CLOSE shop",
        "KILL",
        "RESUME",
        "KILL shop",
        "RESUME shop",
        "RELOAD",
        "SUSPEND",
        "RESUME",
    ] {
        console.simple_query(command).await.unwrap();
        let said = match command.split_once(' ') {
            None => format!("{command} command issued"),
            Some((verb, name)) => format!("{verb} '{name}' command issued"),
        };
        let log = pooler.log();
        let line = format!("{{t}} [{{n}}] LOG {said}");
        assert!(count(&log, &line) > 0, "{said}: {log}");
    }
    // Refused, it was given all the same; but not where something is paused already.
    console.simple_query("RESUME shop").await.unwrap_err();
    assert_eq!(
        count(&pooler.log(), "{t} [{n}] LOG RESUME 'shop' command issued"),
        3
    );
    console.simple_query("PAUSE").await.unwrap();
    console.simple_query("PAUSE").await.unwrap_err();
    assert_eq!(
        count(&pooler.log(), "{t} [{n}] LOG PAUSE command issued"),
        2
    );
    console.simple_query("RESUME").await.unwrap();
    console
        .simple_query("SHUTDOWN WAIT_FOR_CLIENTS")
        .await
        .unwrap();
    let shutdown = "{t} [{n}] LOG SHUTDOWN WAIT_FOR_CLIENTS command issued";
    assert_eq!(count(&pooler.log(), shutdown), 1);
}

/// The system's log has one place. Where there is a daemon, or we may not be one, the unit tests of
/// the datagrams have to do.
#[tokio::test]
async fn the_systems_log_gets_every_line_under_the_name_that_is_set() {
    let place: &'static Path = Path::new("/dev/log");
    let daemon = match std::os::unix::net::UnixDatagram::bind(place) {
        Ok(daemon) => daemon,
        Err(error) => {
            eprintln!("skipped: no {} of our own: {error}", place.display());
            return;
        }
    };
    let _gone = Gone(place);
    let of_log = "syslog = true\nsyslog_ident = \"our-pooler\"\nsyslog_facility = \"local3\"";
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&logging(&postgres, of_log)).await;
    daemon.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    let mut hears = async |what: &str| {
        eventually(what, async || {
            let mut bytes = [0; 4096];
            while let Ok(len) = daemon.recv(&mut bytes) {
                heard.push(String::from_utf8_lossy(&bytes[..len]).into_owned());
            }
            // local3 is 19, info is 6.
            let mut ours = heard.iter().filter(|line| line.contains(" our-pooler["));
            ours.any(|line| line.starts_with("<158>") && line.contains(what))
        })
        .await;
    };
    hears("process up: PgBouncer 1.25.2").await;
    connect(pooler.port, "app", "shop").await.unwrap();
    hears("login attempt: db=shop user=app").await;
}

/// Removes a file when the test ends, however it does.
struct Gone(&'static Path);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}
