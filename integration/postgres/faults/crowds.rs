//! Many clients at once, idle or not even logged in.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::load::assert_whole;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;
use crate::support::{eventually, in_time};

const IDLE: u64 = 5_000;
/// Kilobytes of the pooler's memory that an idle client may take.
const LIMIT: u64 = 24;

#[tokio::test]
async fn five_thousand_idle_clients_cost_little_and_can_all_be_served() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .unwrap();
    let postgres = Postgres::start().await;
    // The pooler raises its soft limit by itself.
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -S -n 1024 && exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_pgwarden"),
    ]);
    let settings = format!("[pool]\nsize = 4\n{}", shop(&postgres));
    let pooler = Pooler::start_with(&settings, &[], command).await;
    assert_whole(pooler.port, 4).await;
    let before = pooler.memory("VmRSS");

    let mut clients = Vec::new();
    while (clients.len() as u64) < IDLE {
        let mut logins = JoinSet::new();
        for _ in 0..100 {
            logins.spawn(Raw::app(pooler.port));
        }
        clients.extend(in_time("100 logins", logins.join_all()).await);
    }
    let logged_in = (pooler.memory("VmRSS") - before) * 1024 / IDLE;

    let mut used = Vec::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        let answer = client.value(&format!("select {number}")).await;
        assert_eq!(answer, number.to_string());
        used.push(client);
    }
    let after_use = (pooler.memory("VmRSS") - before) * 1024 / IDLE;
    println!("resident bytes per idle client: {logged_in} after login, {after_use} after a query");
    assert!(
        after_use < LIMIT * 1024,
        "{after_use} bytes per idle client"
    );
    drop(used);
    eventually("their connections are closed", async || {
        pooler.open_files() < 100
    })
    .await;
    assert_whole(pooler.port, 4).await;
}

/// A connection that stops somewhere before the end of its login.
async fn half_open(port: u16, kind: usize) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut out = BytesMut::new();
    match kind % 5 {
        0 => {}
        1 => {
            frontend::startup_message([("user", "app"), ("database", "shop")], &mut out).unwrap();
            let half = out.len() / 2;
            stream.write_all(&out[..half]).await.unwrap();
        }
        2 => {
            frontend::ssl_request(&mut out);
            stream.write_all(&out).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'N');
        }
        step => {
            frontend::startup_message([("user", "app"), ("database", "shop")], &mut out).unwrap();
            stream.write_all(&out).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'R');
            if step == 4 {
                out.clear();
                let first = b"n,,n=,r=abcdefghijklmnopqr";
                frontend::sasl_initial_response("SCRAM-SHA-256", first, &mut out).unwrap();
                stream.write_all(&out).await.unwrap();
                let mut buffer = [0; 256];
                assert!(stream.read(&mut buffer).await.unwrap() > 0);
            }
        }
    }
    stream
}

#[tokio::test]
async fn half_open_logins_hold_nobody_up_and_end_at_login_timeout() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nusers = \"userlist.txt\"\nlogin_timeout = \"4s\"\n[pool]\nsize = 2\n";
    let settings = format!("{auth}{}", shop(&postgres));
    let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let users = [("userlist.txt", "\"app\" \"app\"\n")];
    let pooler = Pooler::start_with(&settings, &users, command).await;
    assert_whole(pooler.port, 2).await;
    let open = pooler.open_files();
    let began = Instant::now();
    let mut half = Vec::new();
    for kind in 0..200 {
        half.push(in_time("a half-open login", half_open(pooler.port, kind)).await);
    }
    for _ in 0..10 {
        let login = Instant::now();
        let mut client = Raw::app(pooler.port).await;
        client.query("select 1").await.fine();
        assert!(
            login.elapsed() < Duration::from_secs(2),
            "a login took {:?}",
            login.elapsed()
        );
    }
    let all_were_there = began.elapsed() < Duration::from_secs(4);
    assert!(
        all_were_there,
        "too slow a machine to tell: {:?}",
        began.elapsed()
    );
    eventually("they are sent away", async || pooler.open_files() <= open).await;
    for mut stream in half {
        let mut rest = Vec::new();
        // With or without a last word, or a reset: but at an end.
        let _ = in_time(
            "the end of a half-open login",
            stream.read_to_end(&mut rest),
        )
        .await;
    }
    assert_whole(pooler.port, 2).await;
}
