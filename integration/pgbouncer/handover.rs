//! Restarts that clients do not notice: peers, SUSPEND, SHOW FDS and `-R`.

mod descriptors;
mod roles;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::NoTls;

use super::support::pooler::{Pooler, shop};
use super::support::postgres::Postgres;
use super::support::raw::Raw;
use super::support::{connect, eventually, in_time};

/// A pooler on a Unix socket as well; `process` stands in `[process]`.
fn settings(postgres: &Postgres, process: &str, pool: &str) -> String {
    format!(
        "unix_socket_dir = \".\"\n[auth]\nmethod = \"trust\"\n[pool]\n{pool}\n\
         [process]\n{process}\n{}",
        shop(postgres)
    )
}

/// The console, as the owner of the process: nothing is asked but the name.
async fn console(pooler: &Pooler) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config
        .host_path(pooler.dir())
        .port(pooler.port)
        .user("pgbouncer")
        .dbname("pgbouncer");
    let mut connected = None;
    // It may have told that it is up by its port, and not listen here yet.
    eventually("the console answers", async || {
        connected = config.connect(NoTls).await.ok();
        connected.is_some()
    })
    .await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

/// Sends a cancel request to a port and waits until it has been seen to.
async fn cancel(port: u16, key: &[u8]) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut request = (8 + key.len() as u32).to_be_bytes().to_vec();
    request.extend(80_877_102_u32.to_be_bytes());
    request.extend(key);
    socket.write_all(&request).await.unwrap();
    let mut rest = Vec::new();
    in_time("a cancel request", socket.read_to_end(&mut rest))
        .await
        .unwrap();
}

/// Whether a cancel request with this key, sent to this port, ends a query of the client's.
async fn is_cancelled(client: &mut Raw, postgres: &Postgres, port: u16, key: &[u8]) -> bool {
    client.send_query(b"select pg_sleep(3)").await;
    let admin = postgres.admin().await;
    eventually("the query runs", async || {
        let sql = "select 1 from pg_stat_activity where query like '%pg_sleep(3)%' \
                   and state = 'active' and pid <> pg_backend_pid()";
        !admin.query(sql, &[]).await.unwrap().is_empty()
    })
    .await;
    cancel(port, key).await;
    client.reply().await.code() == Some("57014")
}

/// Poolers that know each other; each entry is who knows whom, by place.
async fn peers(postgres: &Postgres, knows: &[&[(u16, usize)]]) -> Vec<Pooler> {
    let mut poolers = Vec::new();
    for number in 1..=knows.len() {
        let text = settings(postgres, &format!("peer_id = {number}"), "");
        let pooler = Pooler::start(&text).await;
        // It listens before it obeys signals.
        Raw::app(pooler.port).await.query("select 1").await.fine();
        poolers.push(pooler);
    }
    for (at, known) in knows.iter().enumerate() {
        let mut text = settings(postgres, &format!("peer_id = {}", at + 1), "");
        for (number, place) in *known {
            let port = poolers[*place].port;
            text += &format!("[peers.{number}]\nhost = \"127.0.0.1\"\nport = {port}\n");
        }
        poolers[at].reload(&text).await;
    }
    poolers
}

#[tokio::test]
async fn a_cancel_request_reaches_the_peer_whose_key_it_has() {
    let postgres = Postgres::start().await;
    let both: &[_] = &[(1, 0), (2, 1)];
    let poolers = peers(&postgres, &[both, both]).await;
    for (own, other) in [(0, 1), (1, 0)] {
        let mut client = Raw::app(poolers[own].port).await;
        let key = client.key.clone();
        assert_eq!(
            u16::from_le_bytes([key[1], key[2]]),
            own as u16 + 1,
            "{key:?}"
        );
        assert!(key[0] < 0x80 && key[7] & 3 == 3, "{key:?}");
        assert!(is_cancelled(&mut client, &postgres, poolers[other].port, &key).await);
        assert!(is_cancelled(&mut client, &postgres, poolers[own].port, &key).await);
        let mut wrong = key.clone();
        wrong[6] ^= 1;
        assert!(!is_cancelled(&mut client, &postgres, poolers[other].port, &wrong).await);
    }
}

#[tokio::test]
async fn a_cancel_request_goes_along_a_chain_and_ends_in_a_circle() {
    let postgres = Postgres::start().await;
    // Each of the first three believes that the next one is pooler 4.
    let poolers = peers(&postgres, &[&[(4, 1)], &[(4, 2)], &[(4, 3)], &[]]).await;
    let mut client = Raw::app(poolers[3].port).await;
    let key = client.key.clone();
    assert!(is_cancelled(&mut client, &postgres, poolers[0].port, &key).await);
    // It may be passed on three times, and not once more.
    let mut tired = key.clone();
    tired[7] = tired[7] & !3 | 2;
    assert!(!is_cancelled(&mut client, &postgres, poolers[0].port, &tired).await);
    // The first two send it to each other.
    let circle = peers(&postgres, &[&[(3, 1)], &[(3, 0)]]).await;
    let mut key = key.clone();
    key[1..3].copy_from_slice(&3_u16.to_le_bytes());
    cancel(circle[0].port, &key).await;
}

#[tokio::test]
async fn suspend_holds_everything_up_and_ends_with_its_console() {
    let postgres = Postgres::start().await;
    let text = settings(&postgres, "", "mode = \"transaction\"");
    let pooler = Pooler::start(&text).await;
    let mut idle = Raw::app(pooler.port).await;
    let mut busy = Raw::app(pooler.port).await;
    busy.query("begin").await.fine();
    let owner = console(&pooler).await;
    in_time("SUSPEND", owner.batch_execute("SUSPEND"))
        .await
        .unwrap();
    idle.send_query(b"select 1").await;
    busy.send_query(b"select 2").await;
    let waits = async {
        tokio::select! {
            reply = idle.reply() => panic!("{reply:?}"),
            reply = busy.reply() => panic!("{reply:?}"),
        }
    };
    let waited = tokio::time::timeout(Duration::from_millis(300), waits).await;
    assert!(waited.is_err());
    drop(owner);
    assert_eq!(idle.reply().await.value(), "1");
    assert_eq!(busy.reply().await.value(), "2");
    busy.query("commit").await.fine();
}

#[tokio::test]
async fn who_does_not_take_what_it_asked_for_is_dropped_by_suspend() {
    let postgres = Postgres::start().await;
    let text = settings(&postgres, "suspend_timeout = \"1s\"", "");
    let pooler = Pooler::start(&text).await;
    let mut lazy = Raw::app(pooler.port).await;
    lazy.send_query(b"select repeat('x', 1000) from generate_series(1, 100000)")
        .await;
    let admin = postgres.admin().await;
    eventually("nobody takes what the server sends", async || {
        let sql = "select 1 from pg_stat_activity where wait_event = 'ClientWrite'";
        !admin.query(sql, &[]).await.unwrap().is_empty()
    })
    .await;
    let mut other = Raw::app(pooler.port).await;
    other.query("select 1").await.fine();
    let owner = console(&pooler).await;
    in_time("SUSPEND", owner.batch_execute("SUSPEND"))
        .await
        .unwrap();
    drop(owner);
    assert!(lazy.try_reply().await.is_err());
    assert_eq!(other.query("select 2").await.value(), "2");
}

#[tokio::test]
async fn a_process_takes_the_place_of_another_and_no_client_notices() {
    let postgres = Postgres::start().await;
    let text = settings(&postgres, "", "mode = \"transaction\"\nsize = 3");
    let mut pooler = Pooler::start(&text).await;
    postgres
        .run("create table log (t text); grant all on log to app")
        .await;

    let idle = connect(pooler.port, "app", "shop").await.unwrap();
    idle.batch_execute("set datestyle = 'German'")
        .await
        .unwrap();
    let prepared = idle.prepare("select $1::int + 1").await.unwrap();
    idle.query_one(&prepared, &[&1]).await.unwrap();

    let busy = connect(pooler.port, "app", "shop").await.unwrap();
    busy.batch_execute("begin; insert into log values ('a')")
        .await
        .unwrap();
    let in_block = busy.prepare("select pg_backend_pid()").await.unwrap();
    let pid: i32 = busy.query_one(&in_block, &[]).await.unwrap().get(0);

    let mut running = Raw::app(pooler.port).await;
    running.send_query(b"select 'done' from pg_sleep(3)").await;
    let mut extended = Raw::app(pooler.port).await;
    let slow = connect(pooler.port, "app", "shop").await.unwrap();
    let slow = tokio::spawn(async move {
        slow.query_one("select 'done too' from pg_sleep($1)", &[&3.0])
            .await
            .map(|row| row.get::<_, String>(0))
    });
    let admin = postgres.admin().await;
    eventually("the queries run", async || {
        let sql = "select 1 from pg_stat_activity where pid <> pg_backend_pid() and query like 'select %pg_sleep%' and state = 'active'";
        admin.query(sql, &[]).await.unwrap().len() == 2
    })
    .await;
    // All three servers are taken: this one waits.
    extended.send_query(b"select 'waited'").await;

    pooler.reboot().await;

    let row = in_time("a prepared statement", idle.query_one(&prepared, &[&41]))
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    let style = idle.query_one("show datestyle", &[]).await.unwrap();
    assert_eq!(style.get::<_, String>(0), "German, DMY");
    let same: i32 = busy.query_one(&in_block, &[]).await.unwrap().get(0);
    assert_eq!(same, pid);
    busy.batch_execute("insert into log values ('b'); commit")
        .await
        .unwrap();
    let count: i64 = admin
        .query_one("select count(*) from log", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 2);
    assert_eq!(running.reply().await.value(), "done");
    assert_eq!(slow.await.unwrap().unwrap(), "done too");
    assert_eq!(extended.reply().await.value(), "waited");
    // An old key still cancels, and new clients come in.
    let key = running.key.clone();
    assert!(is_cancelled(&mut running, &postgres, pooler.port, &key).await);
    let mut new = Raw::app(pooler.port).await;
    assert_eq!(new.query("select 1").await.value(), "1");
    // And once more, from the one that has taken over.
    pooler.reboot().await;
    let row = idle.query_one(&prepared, &[&1]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2);
    assert!(
        UnixStream::connect(pooler.dir().join(format!(".s.PGSQL.{}", pooler.port)))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn suspend_is_refused_twice_and_beside_a_pause_and_undone_by_resume() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&settings(&postgres, "", "")).await;
    let owner = console(&pooler).await;
    let says = async |sql: &str| {
        let error = owner.simple_query(sql).await.unwrap_err();
        error.as_db_error().unwrap().message().to_owned()
    };
    owner.simple_query("SUSPEND").await.unwrap();
    assert_eq!(says("SUSPEND").await, "already suspended/paused");
    assert_eq!(says("PAUSE").await, "already suspended/paused");
    owner.simple_query("RESUME").await.unwrap();
    assert_eq!(says("RESUME").await, "pooler is not paused/suspended");
    owner.simple_query("PAUSE shop").await.unwrap();
    let error = says("SUSPEND").await;
    assert_eq!(error, "cannot suspend with paused databases");
}

#[tokio::test]
async fn without_anybody_to_take_over_from_a_process_starts_as_ever() {
    let postgres = Postgres::start().await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    command.arg("-R");
    let text = settings(&postgres, "", "");
    let pooler = Pooler::start_with(&text, &[], command).await;
    let mut client = Raw::app(pooler.port).await;
    assert_eq!(client.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn a_rolling_restart_behind_one_port_fails_no_transaction_and_no_login() {
    let postgres = Postgres::start().await;
    postgres
        .run("create table seen (n int); grant all on seen to app")
        .await;
    let text = |number: u16| {
        let process = format!("peer_id = {number}");
        let text = settings(&postgres, &process, "mode = \"transaction\"");
        format!("so_reuseport = true\n{text}")
    };
    let mut old = Pooler::start(&text(1)).await;
    let port = old.port;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut load = Vec::new();
    for number in 0..8_i32 {
        let stop = stop.clone();
        load.push(tokio::spawn(async move {
            let mut done = 0_i64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let mut client = connect(port, "app", "shop").await.unwrap();
                for _ in 0..2 {
                    let block = client.transaction().await.unwrap();
                    let sql = "insert into seen values ($1)";
                    block.execute(sql, &[&number]).await.unwrap();
                    block.commit().await.unwrap();
                    done += 1;
                }
            }
            done
        }));
    }
    let admin = postgres.admin().await;
    let count = async || -> i64 {
        let sql = "select count(*) from seen";
        admin.query_one(sql, &[]).await.unwrap().get(0)
    };
    eventually("the load runs", async || count().await > 20).await;
    let new = old.start_beside(&text(2)).await;
    let owner = console(&old).await;
    owner
        .simple_query("SHUTDOWN WAIT_FOR_CLIENTS")
        .await
        .unwrap();
    drop(owner);
    assert!(old.ended().await.success());
    let by_then = count().await;
    eventually("the new one serves", async || count().await > by_then + 20).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut done = 0;
    for task in load {
        done += task.await.unwrap();
    }
    assert_eq!(done, count().await);
    drop(new);
}

#[tokio::test]
async fn who_came_before_a_shutdown_that_waits_for_clients_still_logs_in() {
    let postgres = Postgres::start().await;
    let mut pooler = Pooler::start(&settings(&postgres, "", "")).await;
    let mut first = Raw::app(pooler.port).await;
    let late = Raw::connect(pooler.port).await;
    let owner = console(&pooler).await;
    let sql = "SHUTDOWN WAIT_FOR_CLIENTS";
    owner.simple_query(sql).await.unwrap();
    is_closed(&pooler).await;
    let mut config = tokio_postgres::Config::new();
    config.host_path(pooler.dir()).port(pooler.port);
    let refused = config.user("app").dbname("shop").connect(NoTls).await;
    let error = refused.err().unwrap();
    let message = error.as_db_error().unwrap().message();
    assert_eq!(message, "the pooler is shutting down");
    first.query("select 1").await.fine();
    drop((first, owner));
    // Now it is the only one.
    let mut late = late.start("app", "shop", &[]).await.unwrap();
    assert_eq!(late.value("select 'served'").await, "served");
    assert!(pooler.is_running());
    drop(late);
    assert!(pooler.ended().await.success());
}

#[tokio::test]
async fn who_came_before_a_shutdown_that_waits_for_servers_is_turned_away() {
    let postgres = Postgres::start().await;
    let mut pooler = Pooler::start(&settings(&postgres, "", "mode = \"transaction\"")).await;
    let mut busy = Raw::app(pooler.port).await;
    busy.query("begin").await.fine();
    let late = Raw::connect(pooler.port).await;
    // Connections are accepted in their order.
    Raw::app(pooler.port).await.query("select 1").await.fine();
    let owner = console(&pooler).await;
    let sql = "SHUTDOWN WAIT_FOR_SERVERS";
    owner.simple_query(sql).await.unwrap();
    is_closed(&pooler).await;
    let refused = late.start("app", "shop", &[]).await.unwrap_err();
    assert_eq!(refused.message, "the pooler is shutting down");
    busy.query("commit").await.fine();
    assert!(pooler.ended().await.success());
}

async fn is_closed(pooler: &Pooler) {
    eventually("TCP is closed", async || {
        TcpStream::connect(("127.0.0.1", pooler.port))
            .await
            .is_err()
    })
    .await;
}
