//! Clients that are known by their certificate, and TLS that is demanded.

use std::fs;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Client, Config, NoTls};

use super::{Told, client, enters, full, refused, server_user, start, told};
use crate::support::authority::{Authority, Certificate};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::{eventually, in_time};

const TLS: &str = "[listen.tls]\nmode = \"$MODE\"\ncertificate = \"server.crt\"\n\
     key = \"server.key\"\nclient_ca = \"ca.crt\"\n";
const USERS: &str = "\"alice\" \"alice\"\n\"bob\" \"\"\n";

async fn over_tls(
    authority: &Authority,
    pooler: &Pooler,
    user: &str,
    certificate: Option<&Certificate>,
) -> Result<Client, Told> {
    let stream = authority.connect(pooler.port, certificate).await.unwrap();
    let mut config = Config::new();
    config.user(user).dbname("shop").password("wrong");
    match in_time("a login", config.connect_raw(stream, NoTls)).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(client)
        }
        Err(error) => Err(Told {
            code: error.code().unwrap().code().to_owned(),
            message: error.as_db_error().unwrap().message().to_owned(),
            more: String::new(),
        }),
    }
}

async fn door(
    postgres: &Postgres,
    mode: &str,
    auth: &str,
    more: &[(&str, &str)],
) -> (Authority, Pooler) {
    let authority = Authority::new();
    let files = authority.files();
    let mut files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    files.push(("users.txt", USERS));
    files.extend(more);
    let settings = format!("{}{auth}", TLS.replace("$MODE", mode));
    let pooler = start(postgres, &settings, &files).await;
    (authority, pooler)
}

#[tokio::test]
async fn a_certificate_is_enough_for_the_user_it_names() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"cert\"\nusers = \"users.txt\"\n";
    let (authority, pooler) = door(&postgres, "prefer", auth, &[]).await;
    let alice = authority.signs("alice", "");
    let failed = told("certificate authentication failed");
    let inside = over_tls(&authority, &pooler, "alice", Some(&alice))
        .await
        .unwrap();
    assert_eq!(server_user(&inside).await, "app");
    // Another's, none, and one of a name that nobody has.
    let mallory = authority.signs("mallory", "");
    for (user, certificate) in [
        ("bob", Some(&alice)),
        ("alice", None),
        ("mallory", Some(&mallory)),
    ] {
        let entered = over_tls(&authority, &pooler, user, certificate).await;
        assert_eq!(refused(entered), failed, "{user}");
    }
    let entered = enters(&client(pooler.port, "alice", "shop", None)).await;
    assert_eq!(refused(entered), failed, "without TLS");
    // Who is taken out of the users file is out.
    fs::write(pooler.dir().join("users.txt"), "\"bob\" \"\"\n").unwrap();
    pooler.write(&full(
        &postgres,
        &format!("{}{auth}", TLS.replace("$MODE", "prefer")),
    ));
    pooler.signal(Signal::HUP);
    eventually("she is out", async || {
        let entered = over_tls(&authority, &pooler, "alice", Some(&alice)).await;
        entered.is_err_and(|told| told == failed)
    })
    .await;
}

#[tokio::test]
async fn rules_tell_encrypted_connections_and_map_names_of_certificates() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"hba\"\nusers = \"users.txt\"\nhba = \"hba\"\nident = \"map\"\n";
    let hba = "hostssl shop alice all cert map=m\nhostnossl shop bob all trust\nhostssl shop bob all reject\n";
    let more = [("hba", hba), ("map", "m host-7 alice\n")];
    let (authority, pooler) = door(&postgres, "prefer", auth, &more).await;
    let (host, alice) = (authority.signs("host-7", ""), authority.signs("alice", ""));
    assert!(
        over_tls(&authority, &pooler, "alice", Some(&host))
            .await
            .is_ok()
    );
    let entered = over_tls(&authority, &pooler, "alice", Some(&alice)).await;
    assert_eq!(refused(entered), told("certificate authentication failed"));
    assert!(
        enters(&client(pooler.port, "bob", "shop", None))
            .await
            .is_ok()
    );
    let entered = over_tls(&authority, &pooler, "bob", None).await;
    assert_eq!(refused(entered), told("login rejected"));
    let entered = enters(&client(pooler.port, "alice", "shop", None)).await;
    assert_eq!(refused(entered), told("no authentication method is found"));
}

#[tokio::test]
async fn where_tls_is_demanded_nothing_else_is_spoken() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"trust\"\nusers = \"users.txt\"\n";
    let (authority, pooler) = door(&postgres, "require", auth, &[]).await;
    let entered = enters(&client(pooler.port, "alice", "shop", None)).await;
    assert_eq!(refused(entered), told("SSL required"));
    assert!(over_tls(&authority, &pooler, "alice", None).await.is_ok());
}

#[tokio::test]
async fn bytes_behind_a_request_for_encryption_are_not_taken_for_encrypted() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"trust\"\nusers = \"users.txt\"\n";
    let (_, pooler) = door(&postgres, "prefer", auth, &[]).await;
    for (code, what) in [(47, "SSL"), (48, "GSSAPI encryption")] {
        let mut socket = TcpStream::connect(("127.0.0.1", pooler.port))
            .await
            .unwrap();
        socket
            .write_all(&[0, 0, 0, 8, 4, 210, 22, code, 0, 0])
            .await
            .unwrap();
        let mut answer = Vec::new();
        in_time("the refusal", socket.read_to_end(&mut answer))
            .await
            .unwrap();
        let expected =
            format!("SFATAL\0C08P01\0Mreceived unencrypted data after {what} request\0\0");
        assert_eq!(String::from_utf8_lossy(&answer[5..]), expected);
    }
}
