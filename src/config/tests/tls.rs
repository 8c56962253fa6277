//! Certificates and keys.

use super::{SHOP, Setup};
use crate::wire::tls::TlsMode;

#[test]
fn a_changed_certificate_changes_the_fingerprint() {
    let setup = Setup::new();
    let text = format!("{SHOP}[server_tls]\nmode = \"verify-full\"\nca = \"ca.crt\"");
    setup.write_certificate("ca.crt", "ca.key");
    let before = setup.shop(&text);
    assert!(before.has_same_servers(&setup.shop(&text)));
    setup.write_certificate("ca.crt", "ca.key");
    assert!(!before.has_same_servers(&setup.shop(&text)));
}

#[test]
fn a_database_has_its_own_tls_over_the_common_one() {
    let setup = Setup::new();
    setup.write_certificate("ca.crt", "ca.key");
    let text = format!(
        "server_tls.ca = \"ca.crt\"\n{SHOP}[databases.shop.tls]\nmode = \"verify-ca\"\n[databases.plain]\n\
         tls = {{ mode = \"disable\" }}"
    );
    let settings = setup.load(&text).unwrap();
    let databases = &settings.pools.databases;
    let side = databases["shop"].tls.side.as_ref().unwrap();
    assert_eq!(side.mode, TlsMode::VerifyCa);
    assert!(databases["plain"].tls.side.is_none());
}

#[test]
fn unusable_tls_files_are_complained_of_once_at_their_key() {
    let setup = Setup::new();
    setup.write_certificate("server.crt", "server.key");
    for (tls, expected) in [
        (
            "[listen.tls]\nmode = \"require\"",
            ["pgwarden.toml:1: listen.tls.certificate: certificate and key are both needed"],
        ),
        (
            "[listen.tls]\ncertificate = \"server.crt\"\nkey = \"none.key\"",
            [
                "pgwarden.toml:3: listen.tls.key = \"none.key\": cannot use \"none.key\": No such file \
              or directory (os error 2)",
            ],
        ),
        (
            "[listen.tls]\ncertificate = \"server.crt\"",
            ["pgwarden.toml:1: listen.tls.key: certificate and key are both needed"],
        ),
        (
            "[server_tls]\nmode = \"verify-ca\"",
            [
                "pgwarden.toml:1: server_tls.ca: verify-ca and verify-full need a file of \
              certificate authorities",
            ],
        ),
    ] {
        let problems = setup.problems(&format!("{tls}{SHOP}"));
        assert_eq!(problems, expected);
    }
}

#[test]
fn a_method_that_nobody_could_pass_is_refused() {
    let problems = Setup::new().problems("[auth]\nmethod = \"cert\"\n[databases.shop]");
    assert!(
        problems[0].starts_with("pgwarden.toml:2: auth.method = \"cert\": expected a client_ca")
    );
}

#[test]
fn what_is_offered_of_tls_is_inherited_key_by_key() {
    let setup = Setup::new();
    let text = format!(
        "server_tls.ciphers = \"CHACHA20\"\n{SHOP}[databases.old.tls]\nprotocols = \"tlsv1.2\"\n"
    );
    let settings = setup.load(&text).unwrap();
    let databases = &settings.pools.databases;
    let fingerprint = |name: &str| databases[name].tls.fingerprint.clone();
    assert_ne!(fingerprint("shop"), fingerprint("old"));
    let same = setup
        .load(&text.replace("CHACHA20", "CHACHA20:!AES"))
        .unwrap();
    assert_eq!(
        same.pools.databases["old"].tls.fingerprint,
        fingerprint("old"),
        "another text that comes to the same makes no new servers"
    );
    let broken = text.replace("\"tlsv1.2\"", "\"tlsv1.2\"\nciphers = \"RC4\"");
    assert_eq!(
        setup.problems(&broken),
        [
            "pgwarden.toml:8: databases.old.tls.ciphers = \"RC4\": leaves no cipher suite of TLS \
          1.2: there are ECDHE with AES-GCM and ChaCha20"
        ]
    );
}

#[test]
fn what_openssl_alone_offers_is_warned_of() {
    let setup = Setup::new();
    let text =
        format!("server_tls.protocols = \"all\"\nserver_tls.ciphers = \"HIGH:MEDIUM\"\n{SHOP}");
    let warnings = setup.load(&text).unwrap().warnings;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("TLS 1.0 and 1.1"), "{warnings:?}");
    assert!(warnings[1].contains("MEDIUM"), "{warnings:?}");
}
