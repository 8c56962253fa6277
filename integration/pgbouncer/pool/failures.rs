//! What becomes of clients when no server can be opened.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{console, pid, shop, told};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;
use crate::support::{eventually, in_time};

const NO_BOB: &str =
    "local all all trust\nhost all bob all reject\nhost all all 127.0.0.1/32 scram-sha-256\n";

#[tokio::test]
async fn a_refused_login_ends_all_who_wait_with_the_servers_words_and_the_next_at_once() {
    let postgres = Postgres::start_with(&[], NO_BOB).await;
    let settings = format!(
        "[pool]\nserver_login_retry = \"1h\"\n[databases.shop]\nport = {}\n",
        postgres.port
    );
    let pooler = Pooler::start(&settings).await;
    let logins = (0..4).map(|_| Raw::login(pooler.port, "bob", "shop", &[]));
    let mut own_words = 0;
    for login in futures_util::future::join_all(logins).await {
        let failure = login.unwrap_err();
        assert_eq!(failure.code, "28000", "{failure:?}");
        let cached = "server login has been failing, cached error: pg_hba.conf rejects";
        if !failure.message.starts_with(cached) {
            assert!(
                failure.message.starts_with("pg_hba.conf rejects"),
                "{failure:?}"
            );
            own_words += 1;
        }
    }
    assert!(own_words > 0);
    let failure = Raw::login(pooler.port, "bob", "shop", &[])
        .await
        .unwrap_err();
    assert!(
        failure
            .message
            .starts_with("server login has been failing, cached error: pg_hba")
    );
    assert!(
        failure.message.ends_with(" (server_login_retry)"),
        "{failure:?}"
    );
    assert_eq!(pooler.log().matches("server login failed").count(), 1);
}

#[tokio::test]
async fn a_server_without_the_tls_that_is_asked_for_is_told_of_in_pgbouncers_words() {
    let postgres = Postgres::start().await;
    let tls = "[clients]\nerrors = \"pgbouncer\"\n[server_tls]\nmode = \"require\"\n";
    let pooler = Pooler::start(&format!("{tls}{}", shop(&postgres, ""))).await;
    let failure = Raw::login(pooler.port, "app", "shop", &[]).await;
    let failure = failure.unwrap_err();
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("08P01", "server refused SSL")
    );
}

#[tokio::test]
async fn who_waits_for_a_server_that_cannot_be_reached_gets_it_when_it_is_back() {
    let mut postgres = Postgres::start().await;
    let pool = "server_login_retry = \"2s\"\nquery_wait_timeout = \"1m\"";
    let pooler = Pooler::start(&shop(&postgres, pool)).await;
    let (mut early, mut late) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
    let before = pid(&mut early).await;
    postgres.stop(Signal::INT).await;
    early.send(b"Q\0\0\0\x0dselect 1\0").await;
    eventually("a login has failed", async || {
        pooler.log().contains("server login failed")
    })
    .await;
    // Whoever comes now is told at once.
    let failure = told(&mut late, "select 1").await;
    let cached = "server login has been failing, cached error: connect failed (server_login_retry)";
    assert_eq!(failure.message, cached);
    postgres.start_again().await;
    assert_eq!(early.reply().await.fine().value(), "1");
    assert_ne!(pid(&mut early).await, before);
}

#[tokio::test]
async fn a_server_that_is_to_be_closed_is_nothing_to_wait_for() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&shop(&postgres, "size = 2")).await;
    let mut busy = Raw::app(pooler.port).await;
    busy.query("begin").await.fine();
    let mut other = Raw::app(pooler.port).await;
    let admin = postgres.admin().await;
    admin.batch_execute("alter role app nologin").await.unwrap();
    console(pooler.port, "RECONNECT").await.fine();
    let failure = in_time("a refused login", told(&mut other, "select 1")).await;
    assert_eq!(failure.code, "28000");
    assert!(failure.message.contains("not permitted to log in"));
    busy.query("commit").await.fine();
}

#[tokio::test]
async fn a_restart_of_postgresql_while_nobody_asks_fails_nobody() {
    let mut postgres = Postgres::start().await;
    let kept = format!(
        "[databases.kept]\nport = {}\ndbname = \"shop\"\n\
         server = {{ user = \"app\", password = \"app\" }}\n\
         pool = {{ min_size = 1, server_login_retry = \"300ms\" }}\n",
        postgres.port
    );
    let retry = "server_login_retry = \"1h\"";
    let pooler = Pooler::start(&format!("{}{kept}", shop(&postgres, retry))).await;
    let mut client = Raw::app(pooler.port).await;
    let before = pid(&mut client).await;
    postgres.stop(Signal::INT).await;
    // Both pools are looked after in the same rounds; only this one has a size to keep.
    eventually("several rounds are over", async || {
        let log = pooler.log();
        let failed = |line: &&str| line.contains("login failed") && line.contains("\"kept\"");
        log.lines().filter(failed).count() >= 3
    })
    .await;
    postgres.start_again().await;
    assert_ne!(pid(&mut client).await, before);
}

#[tokio::test]
async fn a_login_waits_for_a_server_that_is_not_up_yet() {
    let mut postgres = Postgres::start().await;
    postgres.stop(Signal::INT).await;
    let pooler = Pooler::start(&shop(&postgres, "server_login_retry = \"0s\"")).await;
    let login = tokio::spawn(Raw::login(pooler.port, "app", "shop", &[]));
    eventually("a login has failed", async || {
        pooler.log().contains("server login failed")
    })
    .await;
    postgres.start_again().await;
    let mut client = in_time("the login", login).await.unwrap().unwrap();
    assert_eq!(client.query("select 1").await.fine().value(), "1");
}

#[tokio::test]
async fn a_forced_user_has_the_secret_of_the_users_file_unless_that_is_a_verifier() {
    let postgres = Postgres::start().await;
    let verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (secret, works) in [("app", true), (verifier, false)] {
        let settings = format!(
            "[auth]\nmethod = \"trust\"\nusers = \"users\"\n[databases.shop]\nport = {}\n\
             server = {{ user = \"app\" }}\n",
            postgres.port
        );
        let users = format!("\"app\" \"{secret}\"\n");
        let files = [("users", users.as_str())];
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
        let pooler = Pooler::start_with(&settings, &files, command).await;
        match Raw::login(pooler.port, "app", "shop", &[]).await {
            Ok(_) => assert!(works),
            Err(failure) => {
                assert!(!works, "{failure:?}");
                assert_eq!(failure.message, "server login failed: wrong password type");
            }
        }
    }
}

/// Whoever sits between could put in what the server seems to say under TLS.
#[tokio::test]
async fn bytes_behind_a_servers_answer_about_tls_are_refused() {
    for (mode, answer) in [("require", b'S'), ("prefer", b'S'), ("prefer", b'N')] {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let settings = format!(
            "[server_tls]\nmode = \"{mode}\"\n[pool]\nserver_login_retry = \"1h\"\n\
             [databases.shop]\nport = {port}\nserver = {{ user = \"app\", password = \"app\" }}\n"
        );
        let pooler = Pooler::start(&settings).await;
        let login = tokio::spawn(Raw::login(pooler.port, "app", "shop", &[]));
        let (mut socket, _) = in_time("a server", server.accept()).await.unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
        // The answer, and that whoever logs in is let in.
        let mut said = vec![answer];
        said.extend(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
        socket.write_all(&said).await.unwrap();
        let mut rest = Vec::new();
        // It may end with a reset, since not all was read.
        let _ = in_time("the end", socket.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{mode}: {rest:?}");
        let words = "the server sent data behind its answer to SSLRequest";
        eventually("it is logged", async || pooler.log().contains(words)).await;
        login.abort();
    }
}
