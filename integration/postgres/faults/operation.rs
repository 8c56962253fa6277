//! What an operator does to a running pooler: reload, shut down.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::load::{Load, assert_whole, servers_of};
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;
use crate::support::{eventually, in_time};

/// A database beside `shop` that no reload changes, and whose servers are alice's.
fn steady(postgres: &Postgres) -> String {
    let port = postgres.port;
    let server = "server = { user = \"alice\", password = \"alice\" }";
    format!("[databases.steady]\nport = {port}\ndbname = \"shop\"\n{server}\npool.size = 2\n")
}

#[tokio::test]
async fn a_reload_under_load_fails_no_transaction_and_keeps_unchanged_servers() {
    let postgres = Postgres::start().await;
    let settings = |size: usize| {
        format!(
            "{}pool.size = {size}\n{}",
            shop(&postgres),
            steady(&postgres)
        )
    };
    let pooler = Pooler::start(&settings(4)).await;
    let mut one = Raw::login(pooler.port, "x", "steady", &[]).await.unwrap();
    let mut other = Raw::login(pooler.port, "x", "steady", &[]).await.unwrap();
    one.query("begin").await.fine();
    let pid = one.value("select pg_backend_pid()").await;
    other.query("select 1").await.fine();
    let admin = postgres.admin().await;
    let before = servers_of(&admin, "alice").await;
    assert_eq!(before.len(), 2);

    let load = Load::start(&postgres, pooler.port, 12).await;
    for size in [6, 2, 5] {
        pooler.reload(&settings(size)).await;
        load.progress(100).await;
        assert_whole(pooler.port, size).await;
        eventually("there are no more servers than that", async || {
            servers_of(&admin, "app").await.len() <= size
        })
        .await;
    }
    assert_eq!(load.failed(), 0);
    load.stop(&postgres).await;
    assert_eq!(one.value("select pg_backend_pid()").await, pid);
    one.query("commit").await.fine();
    assert_eq!(servers_of(&admin, "alice").await, before);
}

#[tokio::test]
async fn a_database_that_a_reload_removes_ends_its_clients_at_their_next_transaction() {
    let postgres = Postgres::start().await;
    let both = format!("{}{}", shop(&postgres), steady(&postgres));
    let pooler = Pooler::start(&both).await;
    let mut client = Raw::login(pooler.port, "x", "steady", &[]).await.unwrap();
    client.query("begin").await.fine();
    pooler.reload(&shop(&postgres)).await;
    client.query("select 1").await.fine();
    client.query("commit").await.fine();
    client.send_query(b"select 1").await;
    let failure = client.try_reply().await.unwrap_err().unwrap();
    assert_eq!(failure.severity, "FATAL");
    let admin = postgres.admin().await;
    eventually("its servers are closed", async || {
        servers_of(&admin, "alice").await.is_empty()
    })
    .await;
    let gone = Raw::login(pooler.port, "x", "steady", &[])
        .await
        .unwrap_err();
    assert_eq!(gone.code, "3D000");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_the_log_names_the_line() {
    let postgres = Postgres::start().await;
    let good = format!("[pool]\nsize = 2\n{}", shop(&postgres));
    let pooler = Pooler::start(&good).await;
    assert_whole(pooler.port, 2).await;
    let before = servers_of(&postgres.admin().await, "app").await;
    // "[listen]" and "[auth]" take the first four lines.
    pooler.write(&format!("[pool]\nsize = \"many\"\n{}", steady(&postgres)));
    pooler.signal(Signal::HUP);
    eventually("the log names the line", async || {
        let log = pooler.log();
        log.contains("pgwarden.toml:6") && log.contains("pool.size")
    })
    .await;
    assert_whole(pooler.port, 2).await;
    assert_eq!(servers_of(&postgres.admin().await, "app").await, before);
    let unknown = Raw::login(pooler.port, "x", "steady", &[])
        .await
        .unwrap_err();
    assert_eq!(unknown.code, "3D000");
    // And it still listens to the next one.
    pooler.reload(&good.replace("size = 2", "size = 3")).await;
    assert_whole(pooler.port, 3).await;
}

#[tokio::test]
async fn a_term_signal_waits_for_clients() {
    let postgres = Postgres::start().await;
    let mut pooler = Pooler::start(&shop(&postgres)).await;
    let mut idle = Raw::app(pooler.port).await;
    let mut busy = Raw::app(pooler.port).await;
    busy.query("begin").await.fine();
    pooler.signal(Signal::TERM);
    eventually("nobody new is let in", async || {
        TcpStream::connect(("127.0.0.1", pooler.port))
            .await
            .is_err()
    })
    .await;
    idle.query("select 1").await.fine();
    busy.query("commit").await.fine();
    drop(busy);
    idle.query("select 1").await.fine();
    assert!(pooler.is_running());
    drop(idle);
    assert!(pooler.ended().await.success());
    let admin = postgres.admin().await;
    eventually("its servers are closed", async || {
        servers_of(&admin, "app").await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_int_signal_waits_for_transactions_only() {
    let postgres = Postgres::start().await;
    let settings = "[pool]\nsize = 1\n[console]\nviewers = [\"ops\"]\n";
    let mut pooler = Pooler::start(&format!("{settings}{}", shop(&postgres))).await;
    let mut idle = Raw::app(pooler.port).await;
    let mut busy = Raw::app(pooler.port).await;
    let mut waiting = Raw::app(pooler.port).await;
    busy.query("create table t (a int)").await.fine();
    busy.query("begin; insert into t values (1)").await.fine();
    waiting.send_query(b"select count(*) from t").await;
    let mut console = Raw::login(pooler.port, "ops", "pgwarden", &[])
        .await
        .unwrap();
    eventually("one waits for a server", async || {
        let clients = console.query("show clients").await.fine();
        clients
            .rows
            .iter()
            .flatten()
            .any(|column| column.as_deref() == Some("waiting"))
    })
    .await;
    pooler.signal(Signal::INT);
    let sent_away = idle.try_reply().await.unwrap_err().unwrap();
    assert_eq!(sent_away.code, "57P01");
    // As in PgBouncer, who waits for a server is not waited for.
    let sent_away = waiting.try_reply().await.unwrap_err().unwrap();
    assert_eq!(sent_away.message, "server shutting down");
    busy.query("insert into t values (2)").await.fine();
    assert!(pooler.is_running());
    busy.query("commit").await.fine();
    let sent_away = busy.try_reply().await.unwrap_err().unwrap();
    assert_eq!(sent_away.code, "57P01");
    assert!(pooler.ended().await.success());
    let count = "select count(*) from t";
    let rows: i64 = postgres
        .admin()
        .await
        .query_one(count, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(rows, 2);
}

#[tokio::test]
async fn a_second_signal_ends_it_now() {
    let postgres = Postgres::start().await;
    for (first, second) in [
        (Some(Signal::TERM), Signal::TERM),
        (Some(Signal::INT), Signal::TERM),
        (None, Signal::QUIT),
    ] {
        let mut pooler = Pooler::start(&shop(&postgres)).await;
        let mut client = Raw::app(pooler.port).await;
        client.query("begin").await.fine();
        if let Some(first) = first {
            pooler.signal(first);
            eventually("nobody new is let in", async || {
                TcpStream::connect(("127.0.0.1", pooler.port))
                    .await
                    .is_err()
            })
            .await;
            client.query("select 1").await.fine();
        }
        pooler.signal(second);
        pooler.ended().await;
        assert!(client.message().await.is_none_or(|(tag, _)| tag == b'E'));
    }
}

/// Begins TLS, trusting these certificates.
async fn handshake(port: u16, trusted: &[&CertificateDer<'static>]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for &certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    socket.write_all(&out).await.unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), b'S');
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap()
}

fn shown(stream: &TlsStream<TcpStream>) -> &CertificateDer<'static> {
    &stream.get_ref().1.peer_certificates().unwrap()[0]
}

#[tokio::test]
async fn a_new_certificate_is_shown_after_a_reload() {
    let postgres = Postgres::start().await;
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (old, new) = (make(), make());
    let tls = "[listen.tls]\nmode = \"prefer\"\ncertificate = \"a.crt\"\nkey = \"a.key\"\n";
    let (pem, key) = (old.cert.pem(), old.signing_key.serialize_pem());
    let files = [("a.crt", pem.as_str()), ("a.key", key.as_str())];
    let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let pooler = Pooler::start_with(&format!("{tls}{}", shop(&postgres)), &files, command).await;
    let trusted = [old.cert.der(), new.cert.der()];

    let mut early = in_time("a handshake", handshake(pooler.port, &trusted)).await;
    assert_eq!(shown(&early), old.cert.der());
    fs::write(pooler.dir().join("a.crt"), new.cert.pem()).unwrap();
    fs::write(pooler.dir().join("a.key"), new.signing_key.serialize_pem()).unwrap();
    pooler.signal(Signal::HUP);
    eventually("the new certificate is shown", async || {
        let stream = handshake(pooler.port, &trusted).await;
        shown(&stream) == new.cert.der()
    })
    .await;

    // Who came before goes on.
    let mut out = BytesMut::new();
    frontend::startup_message([("user", "app"), ("database", "shop")], &mut out).unwrap();
    early.write_all(&out).await.unwrap();
    assert_eq!(in_time("an answer", early.read_u8()).await.unwrap(), b'R');
}
