//! `[auth.oauth]`.

use super::Setup;
use crate::session::jwks::{Keyring, Source};

const PROVIDER: &str = "issuer = \"https://id.example.com/\"\naudience = \"pgwarden\"\n";
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn oauth(setup: &Setup, keys: &str) -> String {
    let text =
        format!("[databases.shop]\n[auth]\nmethod = \"oauth\"\n[auth.oauth]\n{PROVIDER}{keys}");
    let settings = setup.load(&text).unwrap_or_else(|e| panic!("{e}"));
    format!("{:?}", settings.session.oauth.unwrap().keys)
}

#[test]
fn keys_come_from_a_file_a_url_or_the_issuers_metadata() {
    let setup = Setup::new();
    setup.write("keys.json", KEYS);
    let from_file = oauth(&setup, "jwks = \"keys.json\"");
    let keys = crate::auth::jwt::Keys::parse(KEYS.as_bytes()).unwrap();
    let expected = Keyring::new(Source::File(keys.into()));
    assert_eq!(from_file, format!("{expected:?}"));
    let from_url = oauth(&setup, "jwks = \"http://localhost:8080/keys\"");
    assert!(
        from_url.contains("Jwks(") && from_url.contains("8080/keys"),
        "{from_url}"
    );
    let discovered = oauth(&setup, "");
    assert!(discovered.contains("Discover {"), "{discovered}");
    assert!(!discovered.contains("//.well-known"), "{discovered}");
}

#[test]
fn what_is_wrong_with_a_provider_is_complained_of_at_its_key() {
    let setup = Setup::new();
    setup.write("empty.json", "{\"keys\": []}");
    for (text, expected) in [
        (
            "[auth]\nmethod = \"oauth\"",
            "pgwarden.toml:2: auth.method = \"oauth\": expected a table [auth.oauth]",
        ),
        (
            "[auth]\nmethod = \"trust\"\n[auth.oauth]\nissuer = \"https://x\"\naudience = \"a\"",
            "pgwarden.toml:3: auth.oauth: auth.method = \"trust\" asks for no token",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]\naudience = \"a\"",
            "pgwarden.toml:3: auth.oauth.issuer: missing",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]\nissuer = \"https://x\"",
            "pgwarden.toml:3: auth.oauth.audience: missing",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]\naudience = \"a\"\nissuer = \"corp\"",
            "pgwarden.toml:5: auth.oauth.issuer = \"corp\": expected an https URL",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]\naudience = \"a\"\nissuer = \"https://x\"\n\
             jwks = \"http://x/keys\"",
            "pgwarden.toml:6: auth.oauth.jwks = \"http://x/keys\": expected an https URL",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]\naudience = \"a\"\nissuer = \"https://x\"\n\
             jwks = \"empty.json\"",
            "pgwarden.toml:6: auth.oauth.jwks = \"empty.json\": cannot use \"empty.json\": it has \
             no key",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]\naudience = \"a\"\nissuer = \"https://x\"\n\
             ca = \"none.crt\"",
            "pgwarden.toml:6: auth.oauth.ca = \"none.crt\": cannot use \"none.crt\": No such file",
        ),
        (
            "[auth]\nmethod = \"oauth\"\n[auth.oauth]",
            "pgwarden.toml:3: auth.oauth.issuer: missing",
        ),
    ] {
        let problems = setup.problems(&format!("{text}\n[databases.shop]"));
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}
