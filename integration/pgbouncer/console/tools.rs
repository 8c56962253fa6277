//! What psql and scripts around it do with the console.

use std::process::Command;

use super::{CONSOLE, answer, console};
use crate::support::eventually;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

/// A pooler that listens on a Unix socket in its folder as well.
async fn pooler(postgres: &Postgres) -> Pooler {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    // The settings of a test begin behind its table `[listen]`.
    command.env("PGWARDEN__LISTEN__UNIX_SOCKET_DIR", ".");
    let settings = format!("{CONSOLE}{}", shop(postgres));
    Pooler::start_with(&settings, &[], command).await
}

/// What psql prints: its output, then its messages.
fn psql(pooler: &Pooler, host: &str, commands: &[&str]) -> String {
    let mut command = Command::new("psql");
    command
        .args(["-XAt", "-U", "ops", "-d", "pgbouncer", "-h", host])
        .args(["-p", &pooler.port.to_string()])
        .env("PGCONNECT_TIMEOUT", "20");
    for one in commands {
        command.args(["-c", one]);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn psql_shows_tables_help_and_errors() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres).await;
    let tcp = |commands: &[&str]| psql(&pooler, "127.0.0.1", commands);
    let pools = tcp(&["show pools;"]);
    assert!(
        pools.starts_with("pgbouncer|pgbouncer|1|0|0|0|0|0|0|0|0|0|0|0|0|statement|"),
        "{pools}"
    );
    assert_eq!(
        tcp(&["show state"]),
        "active|yes\npaused|no\nsuspended|no\n"
    );
    assert_eq!(tcp(&["pause", "resume"]), "PAUSE\nRESUME\n");
    let help = tcp(&["show help"]);
    assert!(
        help.contains("NOTICE:  Console usage\nDETAIL:  \n\tSHOW ACCESS|"),
        "{help}"
    );
    assert!(help.contains("\n\tKILL [<db>]\n"), "{help}");
    assert_eq!(
        tcp(&["show nothing"]),
        "ERROR:  invalid command 'show nothing', use SHOW HELP;\n"
    );
    assert_eq!(
        tcp(&["set timezone = 'utc'"]),
        "SET\nNOTICE:  SET ignored\n"
    );
    let info = tcp(&["\\conninfo"]);
    assert!(
        info.contains("connected to database \"pgbouncer\""),
        "{info}"
    );
}

#[tokio::test]
async fn the_console_is_there_on_the_unix_socket_while_clients_are_waited_for() {
    let postgres = Postgres::start().await;
    let mut pooler = pooler(&postgres).await;
    let folder = pooler.dir().to_str().unwrap().to_owned();
    let mut client = Raw::app(pooler.port).await;
    let mut console = console(&pooler).await;
    let asked = answer(&mut console, "SHUTDOWN WAIT_FOR_CLIENTS").await;
    assert_eq!(asked, "SHUTDOWN");
    eventually("nobody new is let in", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", pooler.port))
            .await
            .is_err()
    })
    .await;
    let clients = psql(&pooler, &folder, &["show clients"]);
    assert!(clients.contains("C|app|shop|none|idle|"), "{clients}");
    assert_eq!(
        psql(&pooler, &folder, &["resume"]),
        "ERROR:  pooler is shutting down\n"
    );
    client.query("select 1").await.fine();
    drop(client);
    assert!(pooler.ended().await.success());
}
