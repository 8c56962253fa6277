//! Replication connections, with PostgreSQL's own tools.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{ended, settings};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;
use crate::support::{eventually, in_time};

const HBA: &str = "local all all trust\nlocal replication all trust\n\
    host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n";

/// A server that can be replicated, and a pooler in front of it with these lines in `[pool]`.
async fn stage(pool: &str) -> (Postgres, Pooler) {
    let postgres = Postgres::start_with(&["wal_level=logical"], HBA).await;
    postgres.run("alter role app replication").await;
    let pooler = Pooler::start(&replicated(&postgres, pool)).await;
    (postgres, pooler)
}

fn replicated(postgres: &Postgres, pool: &str) -> String {
    let port = postgres.port;
    format!(
        "{}\n[databases.replication]\nport = {port}\nserver = {{ user = \"app\", password = \"app\" }}\n",
        settings(postgres, "", pool)
    )
}

/// One of PostgreSQL's tools, as a client of the pooler's.
fn tool(name: &str, pooler: &Pooler, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command
        .args([
            "-h",
            "127.0.0.1",
            "-U",
            "app",
            "-p",
            &pooler.port.to_string(),
            "-w",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(name: &str, pooler: &Pooler, arguments: &[&str]) -> String {
    let output = in_time(name, tool(name, pooler, arguments).output())
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

async fn psql(pooler: &Pooler, connection: &str, commands: &[&str]) -> String {
    let mut arguments = vec!["-X", "-At", "-d", connection];
    for command in commands {
        arguments.extend(["-c", command]);
    }
    run("psql", pooler, &arguments).await
}

fn has_files(dir: &Path, name: &str) -> bool {
    dir.join(name).exists()
}

#[tokio::test]
async fn pg_basebackup_takes_a_whole_backup_with_its_wal_in_every_mode() {
    for mode in ["session", "transaction", "statement"] {
        let (_postgres, pooler) = stage(&format!("mode = \"{mode}\"")).await;
        let target = tempfile::tempdir().unwrap();
        let dir = target.path().join("backup");
        let dir_text = dir.to_str().unwrap();
        let arguments = ["-D", dir_text, "-X", "stream", "-c", "fast", "--no-sync"];
        run("pg_basebackup", &pooler, &arguments).await;
        assert!(has_files(&dir, "backup_manifest") && has_files(&dir, "global/pg_control"));
        let wal = std::fs::read_dir(dir.join("pg_wal")).unwrap();
        assert!(wal.flatten().any(|file| file.file_name().len() == 24));
    }
}

#[tokio::test]
async fn a_backup_does_not_stall_where_socket_buffers_are_small() {
    let postgres = Postgres::start_with(&["wal_level=logical"], HBA).await;
    postgres.run("alter role app replication").await;
    let small = "[tcp]\nsocket_buffer = 4096\n";
    let text = format!("{}{small}", replicated(&postgres, "mode = \"statement\""));
    let pooler = Pooler::start(&text).await;
    let target = tempfile::tempdir().unwrap();
    let dir = target.path().join("backup");
    let arguments = ["-D", dir.to_str().unwrap(), "-c", "fast", "--no-sync"];
    run("pg_basebackup", &pooler, &arguments).await;
    assert!(has_files(&dir, "backup_manifest"));
    let log = pooler.log();
    assert!(log.contains("replication client was closed"), "{log}");
    assert!(!log.contains("with query in progress"), "{log}");
}

#[tokio::test]
async fn pg_receivewal_streams_the_wal_of_a_slot() {
    let (postgres, pooler) = stage("mode = \"transaction\"").await;
    let target = tempfile::tempdir().unwrap();
    let dir = target.path().to_str().unwrap();
    run(
        "pg_receivewal",
        &pooler,
        &["--slot", "wal", "--create-slot"],
    )
    .await;
    let arguments = ["-D", dir, "--slot", "wal", "--no-loop"];
    let mut receiver = tool("pg_receivewal", &pooler, &arguments).spawn().unwrap();
    eventually("a segment is complete", async || {
        postgres
            .run("create table if not exists t (); select pg_switch_wal()")
            .await;
        assert_eq!(receiver.try_wait().unwrap(), None);
        let files = std::fs::read_dir(dir).unwrap();
        files.flatten().any(|file| file.file_name().len() == 24)
    })
    .await;
    receiver.kill().await.unwrap();
    // Its server is closed with it.
    let admin = postgres.admin().await;
    eventually("the slot is free", async || {
        let sql = "select count(*) from pg_replication_slots where active";
        admin.query(sql, &[]).await.unwrap()[0].get::<_, i64>(0) == 0
    })
    .await;
}

#[tokio::test]
async fn pg_recvlogical_follows_the_changes_of_a_database() {
    let (postgres, pooler) = stage("mode = \"transaction\"").await;
    postgres.run("create table changed (n int)").await;
    let create = [
        "-d",
        "shop",
        "--slot",
        "logical",
        "--create-slot",
        "-P",
        "test_decoding",
    ];
    run("pg_recvlogical", &pooler, &create).await;
    postgres.run("insert into changed values (42)").await;
    let admin = postgres.admin().await;
    let row = admin
        .query_one("select pg_current_wal_lsn()::text", &[])
        .await;
    let end: String = row.unwrap().get(0);
    let start = [
        "-d",
        "shop",
        "--slot",
        "logical",
        "--start",
        "-f",
        "-",
        "--no-loop",
        "--endpos",
        &end,
    ];
    let changes = run("pg_recvlogical", &pooler, &start).await;
    assert!(
        changes.contains("table public.changed: INSERT: n[integer]:42"),
        "{changes}"
    );
}

#[tokio::test]
async fn psql_speaks_to_a_wal_sender_of_its_own_whatever_the_mode() {
    for mode in ["session", "transaction", "statement"] {
        let (_postgres, pooler) = stage(&format!("mode = \"{mode}\"\nsize = 2")).await;
        let connection = "dbname=shop replication=database";
        let commands = [
            "begin",
            "select pg_backend_pid()",
            "select pg_backend_pid()",
            "commit",
        ];
        let pids = psql(&pooler, connection, &commands).await;
        let pids: Vec<_> = pids
            .lines()
            .filter(|line| line.parse::<i32>().is_ok())
            .collect();
        assert!(pids.len() == 2 && pids[0] == pids[1], "{pids:?}");
        let next = psql(&pooler, connection, &["select pg_backend_pid()"]).await;
        assert_ne!(next, pids[0], "never used again");
        let system = psql(
            &pooler,
            "dbname=replication replication=true",
            &["IDENTIFY_SYSTEM"],
        );
        assert_eq!(system.await.split('|').count(), 4);
    }
}

#[tokio::test]
async fn the_server_begins_with_what_the_client_has_asked_for() {
    let (_postgres, pooler) = stage("mode = \"transaction\"").await;
    let connection = "dbname=shop replication=database application_name=walker client_encoding=LATIN1 \
                      options='-c work_mem=7MB -c datestyle=German'";
    let shows = [
        "show work_mem",
        "show datestyle",
        "show application_name",
        "show client_encoding",
    ];
    let shown = psql(&pooler, connection, &shows).await;
    assert_eq!(shown, "7MB\nGerman, DMY\nwalker\nLATIN1");
    // Two clients with different wishes have different servers.
    let other = psql(
        &pooler,
        "dbname=shop replication=database",
        &["show work_mem"],
    )
    .await;
    assert_eq!(other, "4MB");
    // What only the server understands reaches it.
    let short = "dbname=shop replication=database options='-S 9MB'";
    assert_eq!(psql(&pooler, short, &["show work_mem"]).await, "9MB");
    let physical = "dbname=replication replication=true application_name=walker";
    assert_eq!(
        psql(&pooler, physical, &["SHOW application_name"]).await,
        "walker"
    );
}

#[tokio::test]
async fn replication_servers_count_in_the_pool_and_an_idle_one_makes_room() {
    let (postgres, pooler) = stage("mode = \"transaction\"\nsize = 1").await;
    let mut ordinary = Raw::app(pooler.port).await;
    let first = ordinary.value("select pg_backend_pid()").await;
    let replication = [("replication", "database")];
    let login = Raw::login(pooler.port, "app", "shop", &replication);
    let mut walker = in_time("room is made", login).await.unwrap();
    walker.query("begin").await.fine();
    let pid = walker.value("select pg_backend_pid()").await;
    assert_ne!(pid, first);
    assert_eq!(super::servers(&postgres).await.len(), 1);
    // There is no other: who asks for one waits.
    ordinary.send_query(b"select 'served'").await;
    let none = tokio::time::timeout(Duration::from_millis(700), ordinary.message()).await;
    assert!(none.is_err(), "{none:?}");
    drop(walker);
    assert_eq!(ordinary.reply().await.fine().value(), "served");
}

#[tokio::test]
async fn a_stream_ends_at_once_when_its_server_is_to_be_closed() {
    let (postgres, pooler) = stage("mode = \"transaction\"").await;
    let replication = [("replication", "database")];
    let login = Raw::login(pooler.port, "app", "shop", &replication);
    let mut walker = login.await.unwrap();
    walker.query("begin").await.fine();
    let mut other = Raw::app(pooler.port).await;
    other.query("begin").await.fine();
    let moved = replicated(&postgres, "").replace(
        "[databases.shop]",
        "[databases.shop]\nstartup_parameters = { work_mem = \"5MB\" }",
    );
    pooler.reload(&moved).await;
    assert_eq!(ended(&mut walker).await.code, "08P01");
    other.query("commit").await.fine();
    assert_eq!(other.value("show work_mem").await, "5MB");
}

#[tokio::test]
async fn a_server_that_does_not_let_it_in_is_told_in_two_words() {
    let postgres = Postgres::start_with(&["wal_level=logical"], HBA).await;
    let pooler = Pooler::start(&replicated(&postgres, "")).await;
    // `app` may not replicate here.
    let mut client = Raw::connect(pooler.port).await;
    let mut packet = bytes::BytesMut::new();
    let parameters = [
        ("user", "app"),
        ("database", "shop"),
        ("replication", "database"),
    ];
    postgres_protocol::message::frontend::startup_message(parameters, &mut packet).unwrap();
    client.send(&packet).await;
    let failure = ended(&mut client).await;
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("08P01", "login failed")
    );
    // Nobody else suffers for it.
    Raw::app(pooler.port).await.query("select 1").await.fine();
}
