//! How the pooler logs in to servers: methods, TLS, where its passwords come from.

use std::fs;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;

use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::{Failure, Raw};

/// A server with TLS whose certificate is for `name`; the authority's certificate.
async fn with_tls(name: &str, hba: &str) -> (Postgres, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();

    let mut postgres = Postgres::start_with(&[], hba).await;
    // Into the data folder, whose owner the files get by a restart's settings.
    postgres.stop(Signal::QUIT).await;
    postgres.put_file("server.crt", &certificate.pem());
    postgres.put_file("server.key", &key.serialize_pem());
    postgres.set("ssl=on");
    postgres.start_again().await;
    (postgres, ca.pem())
}

const HBA: &str = "\
local all all trust
hostssl all app 127.0.0.1/32 scram-sha-256
hostssl all md5er 127.0.0.1/32 md5
hostssl all alice 127.0.0.1/32 password
hostnossl all alice 127.0.0.1/32 password
hostnossl all app 127.0.0.1/32 scram-sha-256
host all bob 127.0.0.1/32 trust
";

/// Asks who it is through a pooler that logs in to the server like this.
async fn ask(settings: &str, files: &[(&str, &str)]) -> Result<String, Failure> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    command.env("TEST_SERVER_PASSWORD", "app");
    let settings = format!("[pool]\nserver_login_retry = \"1ms\"\n{settings}");
    let pooler = Pooler::start_with(&settings, files, command).await;
    let mut client = Raw::login(pooler.port, "x", "shop", &[]).await?;
    let tls = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let tls = client.value(tls).await;
    Ok(format!(
        "{} {tls}",
        client.value("select session_user").await
    ))
}

fn database(postgres: &Postgres, server: &str, tls: &str) -> String {
    let port = postgres.port;
    format!("[databases.shop]\nport = {port}\nserver = {{ {server} }}\ntls = {{ {tls} }}\n")
}

#[tokio::test]
async fn every_method_of_a_server_is_answered() {
    let (postgres, _) = with_tls("localhost", HBA).await;
    postgres
        .run("set password_encryption = md5; create role md5er login password 'md5er'")
        .await;
    for (user, password) in [
        ("app", true),
        ("md5er", true),
        ("alice", true),
        ("bob", false),
    ] {
        let server = if password {
            format!("user = \"{user}\", password = \"{user}\"")
        } else {
            format!("user = \"{user}\"")
        };
        let answer = ask(&database(&postgres, &server, "mode = \"require\""), &[]).await;
        assert_eq!(answer.as_deref(), Ok(format!("{user} t").as_str()));
    }
    let app = "user = \"app\", password = \"app\"";
    let answer = ask(&database(&postgres, app, "mode = \"disable\""), &[]).await;
    assert_eq!(answer.as_deref(), Ok("app f"));
}

#[tokio::test]
async fn a_cleartext_password_needs_tls() {
    let (postgres, _) = with_tls("localhost", HBA).await;
    let alice = "user = \"alice\", password = \"alice\"";
    let answer = ask(&database(&postgres, alice, "mode = \"disable\""), &[]).await;
    assert_eq!(answer.unwrap_err().code, "08006");
    let allowed = "mode = \"disable\", allow_cleartext = true";
    let answer = ask(&database(&postgres, alice, allowed), &[]).await;
    assert_eq!(answer.as_deref(), Ok("alice f"));
}

#[tokio::test]
async fn a_wrong_password_is_told_without_a_host_name() {
    let (postgres, _) = with_tls("localhost", HBA).await;
    let wrong = "user = \"app\", password = \"wrong\"";
    let failure = ask(&database(&postgres, wrong, "mode = \"prefer\""), &[])
        .await
        .unwrap_err();
    assert_eq!(failure.code, "28P01");
    assert!(!failure.message.contains("127.0.0.1"), "{failure:?}");
}

#[tokio::test]
async fn a_password_comes_from_the_environment_or_a_file() {
    let postgres = Postgres::start().await;
    for password in [
        "{ env = \"TEST_SERVER_PASSWORD\" }",
        "{ file = \"app.password\" }",
    ] {
        let server = format!("user = \"app\", password = {password}");
        let settings = database(&postgres, &server, "mode = \"prefer\"");
        let answer = ask(&settings, &[("app.password", "app\n")]).await;
        assert_eq!(answer.as_deref(), Ok("app f"), "{password}");
    }
}

#[tokio::test]
async fn verify_full_takes_the_right_name_and_no_other() {
    let app = "user = \"app\", password = \"app\"";
    let tls = "mode = \"verify-full\", ca = \"ca.crt\"";
    let (right, ca) = with_tls("127.0.0.1", HBA).await;
    let answer = ask(&database(&right, app, tls), &[("ca.crt", &ca)]).await;
    assert_eq!(answer.as_deref(), Ok("app t"));

    let (wrong, other_ca) = with_tls("db.example.com", HBA).await;
    let answer = ask(&database(&wrong, app, tls), &[("ca.crt", &other_ca)]).await;
    assert_eq!(answer.unwrap_err().code, "08006");
    // verify-ca does not look at the name, but at who signed.
    let tls = "mode = \"verify-ca\", ca = \"ca.crt\"";
    let answer = ask(&database(&wrong, app, tls), &[("ca.crt", &other_ca)]).await;
    assert_eq!(answer.as_deref(), Ok("app t"));
    let answer = ask(&database(&wrong, app, tls), &[("ca.crt", &ca)]).await;
    assert_eq!(answer.unwrap_err().code, "08006");
}

/// The server's own verifiers, so that no password is stored with the pooler.
async fn passing_through(postgres: &Postgres) -> (Pooler, String) {
    let rows = "select format('\"%s\" \"%s\"', rolname, rolpassword) from pg_authid
        where rolname in ('app', 'alice')";
    let rows = postgres.admin().await.query(rows, &[]).await.unwrap();
    let users: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let settings = format!(
        "[auth]\nusers = \"users\"\n[pool]\nserver_login_retry = \"1ms\"\n\
         [databases.shop]\nport = {}\n",
        postgres.port
    );
    let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let files = [("users", users.join("\n"))];
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let pooler = Pooler::start_with(&settings, &files, command).await;
    (pooler, settings)
}

#[tokio::test]
async fn keys_learned_from_a_client_serve_after_a_restart_of_postgresql() {
    let mut postgres = Postgres::start().await;
    let (pooler, _) = passing_through(&postgres).await;
    let mut client = Raw::login(pooler.port, "app", "shop", &[]).await.unwrap();
    assert_eq!(client.value("select session_user").await, "app");
    let mut alice = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    assert_eq!(alice.value("select session_user").await, "alice");
    postgres.stop(Signal::INT).await;
    postgres.start_again().await;
    assert_eq!(client.value("select session_user").await, "app");
    assert_eq!(alice.value("select session_user").await, "alice");
}

#[tokio::test]
async fn keys_learned_from_a_client_serve_after_a_reload() {
    let postgres = Postgres::start().await;
    let (pooler, settings) = passing_through(&postgres).await;
    let mut client = Raw::login(pooler.port, "app", "shop", &[]).await.unwrap();
    assert_eq!(client.value("select session_user").await, "app");
    // Another size: a new pool, which has to log in anew.
    pooler.reload(&format!("{settings}pool.size = 7\n")).await;
    client.send_query(b"select session_user").await;
    let reply = client.try_reply().await.expect("the session goes on");
    assert_eq!(reply.fine().value(), "app");
}

#[tokio::test]
async fn a_wrong_ca_file_is_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pgwarden.toml");
    let text = "[auth]\nmethod = \"trust\"\n[databases.shop]\n\
        tls = { mode = \"verify-full\", ca = \"none.crt\" }\n";
    fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pgwarden"))
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("none.crt"), "{said}");
}
