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
