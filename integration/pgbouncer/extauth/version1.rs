//! Certificates of version 1, as `openssl x509 -req` makes them, on both sides of the pooler.
//! psql is the client: it is OpenSSL that judges the pooler's own certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{login, whoami};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;

/// A folder in which openssl makes authorities and what they sign.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for ca in ["ours", "other"] {
            this.key(ca);
            // One name for both, so that only the signature tells them apart.
            this.openssl(&format!(
                "req -new -x509 -days 9 -subj /CN=authority -key {ca}.key -out {ca}.crt \
                 -addext keyUsage=critical,keyCertSign"
            ));
        }
        this
    }

    fn openssl(&self, arguments: &str) {
        let arguments = arguments.split_whitespace();
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }

    fn key(&self, name: &str) {
        self.openssl(&format!(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"
        ));
    }

    /// Makes `name`.crt of version 1 for a common name.
    fn sign(&self, name: &str, common: &str, ca: &str, days: i32) {
        self.key(name);
        self.openssl(&format!(
            "req -new -subj /CN={common} -key {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -set_serial 7 -days {days} \
             -out {name}.crt"
        ));
        let pem = self.read(&format!("{name}.crt"));
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        assert_eq!(pem.parse_x509().unwrap().version.0, 0, "not of version 1");
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}

async fn pooler(settings: &str, workshop: &Workshop) -> Pooler {
    let names = ["ours.crt", "own.crt", "own.key"];
    let texts = names.map(|name| workshop.read(name));
    let files: Vec<_> = names.into_iter().zip(texts.iter().map(|t| &**t)).collect();
    let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    Pooler::start_with(settings, &files, command).await
}

#[tokio::test]
async fn clients_and_the_pooler_may_have_certificates_of_version_1() {
    let postgres = Postgres::start().await;
    let workshop = Workshop::new();
    workshop.sign("own", "localhost", "ours", 9);
    workshop.sign("app", "app", "ours", 9);
    workshop.sign("forged", "app", "other", 9);
    workshop.sign("expired", "app", "ours", -1);
    workshop.sign("stranger", "anybody", "ours", 9);
    for protocol in ["tlsv1.2", "tlsv1.3"] {
        let settings = format!(
            "[listen.tls]\nmode = \"verify-full\"\ncertificate = \"own.crt\"\nkey = \"own.key\"\n\
             client_ca = \"ours.crt\"\nprotocols = \"{protocol}\"\n[auth]\nmethod = \"cert\"\n\
             [databases.shop]\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n",
            postgres.port
        );
        let pooler = pooler(&settings, &workshop).await;
        let enters = |certificate: &str| psql(pooler.port, &workshop.path(certificate));
        let (entered, told) = enters("app");
        assert!(entered, "{protocol}: {told}\n{}", pooler.log());
        for certificate in ["forged", "expired", "stranger"] {
            assert!(!enters(certificate).0, "{protocol} {certificate}");
        }
    }
}

/// Whether psql enters as `app` with a certificate, and what it says.
fn psql(port: u16, certificate: &Path) -> (bool, String) {
    let folder = certificate.parent().unwrap().display();
    let certificate = certificate.display();
    let target = format!(
        "host=localhost port={port} user=app dbname=shop sslmode=verify-full connect_timeout=10 \
         sslrootcert={folder}/ours.crt sslcert={certificate}.crt sslkey={certificate}.key"
    );
    let output = Command::new("psql")
        .args(["-X", "-w", "-At", "-c", "select 1", &target])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), told)
}

/// A server with the certificate of that name.
async fn server(postgres: &mut Postgres, workshop: &Workshop, name: &str) {
    postgres.put_file("server.crt", &workshop.read(&format!("{name}.crt")));
    postgres.put_file("server.key", &workshop.read(&format!("{name}.key")));
    postgres.stop(Signal::INT).await;
    postgres.start_again().await;
}

#[tokio::test]
async fn servers_may_have_certificates_of_version_1_in_their_names() {
    let mut postgres = Postgres::start().await;
    let workshop = Workshop::new();
    workshop.sign("own", "pooler", "ours", 9);
    workshop.sign("good", "localhost", "ours", 9);
    workshop.sign("forged", "localhost", "other", 9);
    workshop.sign("expired", "localhost", "ours", -1);
    workshop.sign("elsewhere", "elsewhere", "ours", 9);
    postgres.set("ssl=on");
    for (certificate, mode, protocol, holds) in [
        ("good", "verify-full", "tlsv1.2", true),
        ("good", "verify-full", "tlsv1.3", true),
        ("elsewhere", "verify-ca", "tlsv1.3", true),
        ("elsewhere", "verify-full", "tlsv1.3", false),
        ("forged", "verify-ca", "tlsv1.3", false),
        ("expired", "verify-ca", "tlsv1.2", false),
    ] {
        server(&mut postgres, &workshop, certificate).await;
        let settings = format!(
            "[server_tls]\nmode = \"{mode}\"\nca = \"ours.crt\"\nprotocols = \"{protocol}\"\n\
             certificate = \"own.crt\"\nkey = \"own.key\"\n\
             [pool]\nquery_wait_timeout = \"2s\"\n\
             [databases.shop]\nhost = \"localhost\"\nport = {}\n\
             server = {{ user = \"app\", password = \"app\" }}\n",
            postgres.port
        );
        let pooler = pooler(&settings, &workshop).await;
        let what = format!("{certificate} {mode} {protocol}");
        match login(&pooler, "app", "app").await {
            Ok(client) if holds => assert_eq!(whoami(&client).await, "app", "{what}"),
            Ok(_) => panic!("{what} holds"),
            Err(error) => {
                let log = pooler.log();
                assert!(!holds, "{what}: {error}\n{log}");
                assert!(log.contains("certificate verify failed"), "{what}: {log}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_refused() {
    let workshop = Workshop::new();
    workshop.sign("own", "localhost", "ours", 9);
    workshop.key("own");
    let settings = workshop.path("pgwarden.toml");
    fs::write(
        &settings,
        "[listen]\nport = 0\n[listen.tls]\nmode = \"require\"\ncertificate = \"own.crt\"\n\
         key = \"own.key\"\n[auth]\nmethod = \"trust\"\n[databases.shop]\nport = 1\n",
    )
    .unwrap();
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"))
        .arg(&settings)
        .kill_on_drop(true)
        .output();
    let output = crate::support::in_time("pgwarden ends", child)
        .await
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("certificate or key refused"), "{told}");
}
