//! Signals do what PgBouncer's do.

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio_postgres::{Config, SimpleQueryMessage};

use super::{count, folder};
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::{connect, connect_with, eventually, in_time};

async fn start(postgres: &Postgres, of_listen: &str) -> Pooler {
    let log = "[auth]\nmethod = \"trust\"\n[console]\nadmins = [\"app\"]\n\
               [log]\nformat = \"pgbouncer\"\n";
    Pooler::start(&format!("{of_listen}{log}{}", shop(postgres))).await
}

async fn says(pooler: &Pooler, line: &str) {
    let pattern = format!("{{t}} [{{n}}] LOG {line}");
    eventually(line, async || count(&pooler.log(), &pattern) > 0).await;
}

#[tokio::test]
async fn usr1_pauses_and_usr2_resumes() {
    let postgres = Postgres::start().await;
    let pooler = start(&postgres, "").await;
    let client = connect(pooler.port, "app", "shop").await.unwrap();
    client.simple_query("select 1").await.unwrap();
    pooler.signal(Signal::USR2);
    says(&pooler, "got SIGUSR2, but not paused/suspended").await;
    pooler.signal(Signal::USR1);
    says(&pooler, "got SIGUSR1, pausing all activity").await;
    pooler.signal(Signal::USR1);
    says(&pooler, "got SIGUSR1, but already paused/suspended").await;
    let query = tokio::spawn(async move {
        client.simple_query("select 2").await.unwrap();
    });
    // It waits at the pool, as the console can see.
    let console = connect(pooler.port, "app", "pgbouncer").await.unwrap();
    eventually("the client waits", async || {
        let clients = console.simple_query("show clients").await.unwrap();
        clients.iter().any(|message| {
            matches!(message, SimpleQueryMessage::Row(row) if row.get("state") == Some("waiting"))
        })
    })
    .await;
    assert!(!query.is_finished());
    pooler.signal(Signal::USR2);
    says(&pooler, "got SIGUSR2, continuing from PAUSE").await;
    query.await.unwrap();
}

#[tokio::test]
async fn term_closes_tcp_at_once_and_leaves_the_unix_socket_to_the_console() {
    let postgres = Postgres::start().await;
    let dir = folder();
    let of_listen = format!("unix_socket_dir = \"{}\"\n", dir.path().display());
    let mut pooler = start(&postgres, &of_listen).await;
    let client = connect(pooler.port, "app", "shop").await.unwrap();
    pooler.signal(Signal::TERM);
    says(
        &pooler,
        "got SIGTERM, shutting down, waiting for all clients disconnect",
    )
    .await;
    eventually("TCP is closed", async || {
        std::net::TcpStream::connect(("127.0.0.1", pooler.port)).is_err()
    })
    .await;
    let mut config = Config::new();
    config.host_path(dir.path()).port(pooler.port).user("app");
    let console = connect_with(config.clone().dbname("pgbouncer"))
        .await
        .unwrap();
    console.simple_query("show version").await.unwrap();
    let error = connect_with(config.dbname("shop")).await.unwrap_err();
    assert!(error.as_db_error().is_some(), "{error}");
    // Who is here already goes on, and nothing pauses it.
    pooler.signal(Signal::USR1);
    says(&pooler, "got SIGUSR1 while shutting down, ignoring").await;
    client.simple_query("select 1").await.unwrap();
    assert!(pooler.is_running());
    drop(client);
    assert!(pooler.ended().await.success());
    says(&pooler, "client connections dropped, exiting").await;
}

#[tokio::test]
async fn the_second_term_ends_at_once_and_well() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let postgres = Postgres::start().await;
        let mut pooler = start(&postgres, "").await;
        let client = connect(pooler.port, "app", "shop").await.unwrap();
        client.simple_query("begin").await.unwrap();
        pooler.signal(signal);
        says(&pooler, &format!("got {name}, shutting down, {{*}}")).await;
        assert!(pooler.is_running());
        pooler.signal(signal);
        assert_eq!(pooler.ended().await.code(), Some(0));
        says(
            &pooler,
            &format!("got {name} while shutting down, fast exit"),
        )
        .await;
    }
}

#[tokio::test]
async fn quit_waits_for_nobody() {
    let postgres = Postgres::start().await;
    let mut pooler = start(&postgres, "").await;
    let client = connect(pooler.port, "app", "shop").await.unwrap();
    client.simple_query("begin").await.unwrap();
    pooler.signal(Signal::QUIT);
    assert_eq!(pooler.ended().await.code(), Some(0));
    says(&pooler, "got SIGQUIT, fast exit").await;
}

/// Whoever finds the process may signal it before it serves anybody.
#[tokio::test]
async fn a_process_that_is_still_starting_survives_what_is_not_meant_to_end_it() {
    let dir = folder();
    let of_listen = format!("unix_socket_dir = \"{}\"\n", dir.path().display());
    let port = super::settings(dir.path(), &of_listen, "");
    // The process to be taken over, which keeps the new one waiting for its answer.
    let socket = dir.path().join(format!(".s.PGSQL.{port}"));
    let old = tokio::net::UnixListener::bind(&socket).unwrap();
    let mut command = super::program_in(dir.path());
    command.arg("-R").arg(dir.path().join("pgwarden.toml"));
    let mut child = command.spawn().unwrap();
    let (mut waiting, _) = in_time("it takes over", old.accept()).await.unwrap();
    assert!(waiting.read(&mut [0; 1024]).await.unwrap() > 0);
    let signal = |signal| kill_process(Pid::from_child(&child), signal).unwrap();
    for harmless in [Signal::HUP, Signal::USR1, Signal::USR2] {
        signal(harmless);
    }
    drop(waiting);
    let mut ended = None;
    eventually("it gives up", async || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    // By itself, and not by a signal.
    assert_eq!(ended.unwrap().code(), Some(1));
    let log = std::fs::read_to_string(dir.path().join("stderr")).unwrap();
    assert!(
        log.contains("cannot take over: unexpected end of file"),
        "{log}"
    );
}
