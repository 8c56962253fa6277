//! SET: a key over what was read.

use super::super::super::Settings;
use super::super::super::set::Change;
use super::super::{SHOP, Setup};
use super::{TRUST, load, value};

fn set(settings: &Settings, key: &str, text: &str) -> Result<Option<Settings>, Vec<String>> {
    match settings.set(key, text) {
        Ok(Change::Now(settings)) => Ok(Some(*settings)),
        Ok(Change::AtRestart) => Ok(None),
        Ok(Change::Waits(_, problems)) => panic!("{key} waits: {problems}"),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

/// What the settings are with a key that has to wait for others.
fn waits(settings: &Settings, key: &str, text: &str) -> (Settings, String) {
    match settings.set(key, text) {
        Ok(Change::Waits(settings, why)) => (*settings, why.to_string()),
        other => panic!("{key} does not wait: {other:?}"),
    }
}

#[test]
fn a_key_is_set_over_either_kind_of_file() {
    let setup = Setup::new();
    let toml = setup.load(SHOP).unwrap();
    let ini = load(&format!("{TRUST}[databases]\nshop = host=a\n")).unwrap();
    for settings in [toml, ini] {
        let changed = set(&settings, "default_pool_size", "7").unwrap().unwrap();
        let changed = set(&changed, "query_wait_timeout", "0").unwrap().unwrap();
        let changed = set(&changed, "pool.mode", "statement").unwrap().unwrap();
        let changed = set(&changed, "pool.reserve_size", "3").unwrap().unwrap();
        let pool = &changed.pools.databases["shop"].pool;
        assert_eq!((pool.size, pool.reserve_size), (7, 3));
        assert_eq!(pool.query_wait_timeout, None);
        assert_eq!(value(&changed, "default_pool_size"), "7");
        assert_eq!(value(&changed, "pool_mode"), "statement");
        let again = set(&changed, "default_pool_size", "010").unwrap().unwrap();
        assert_eq!(again.pools.databases["shop"].pool.size, 8);
    }
}

#[test]
fn what_will_not_do_is_refused_as_a_whole_by_the_name_that_was_set() {
    let settings = load(TRUST).unwrap();
    for (key, text, expected) in [
        (
            "pool_mode",
            "x",
            "SET pool_mode = x: expected one of session, transaction, statement",
        ),
        (
            "auth_file",
            "/none",
            "SET auth_file = \"/none\": cannot read \"/none\"",
        ),
        (
            "pool.size",
            "many",
            "SET pool.size = \"many\": expected a whole number",
        ),
        ("colour", "red", "SET colour: unknown key"),
        ("pool.colour", "red", "SET pool.colour: unknown key"),
        ("pool", "red", "SET pool: unknown key"),
    ] {
        let problems = set(&settings, key, text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}

#[test]
fn what_changes_on_a_restart_only_is_left_as_it_is() {
    let settings = load(TRUST).unwrap();
    for (key, text) in [("listen_port", "x"), ("job_name", "y"), ("workers", "2")] {
        assert!(set(&settings, key, text).unwrap().is_none(), "{key}");
    }
}

#[test]
fn an_empty_text_takes_a_value_away() {
    let settings = load("[pgbouncer]\nauth_type = trust\nauth_user = asker\n").unwrap();
    let changed = set(&settings, "auth_user", "").unwrap().unwrap();
    assert_eq!(value(&changed, "auth_user"), "");
    assert_eq!(changed.session.lookup.user, None);
}

#[test]
fn tls_keys_are_set_one_by_one_and_count_once_they_go_together() {
    let setup = Setup::new();
    setup.write_certificate("a.crt", "a.key");
    setup.write_certificate("b.crt", "b.key");
    let path = |name| setup.path(name).display().to_string();
    let (settings, why) = waits(&load(TRUST).unwrap(), "client_tls_sslmode", "require");
    assert!(why.contains("certificate"), "{why}");
    assert!(settings.session.tls.is_none() && value(&settings, "client_tls_sslmode") == "disable");
    // Others do not wait for them, nor do these get lost.
    let settings = set(&settings, "default_pool_size", "7").unwrap().unwrap();
    let (settings, _) = waits(&settings, "client_tls_key_file", &path("a.key"));
    assert!(settings.session.tls.is_none() && value(&settings, "default_pool_size") == "7");
    let settings = set(&settings, "client_tls_cert_file", &path("a.crt"));
    let settings = settings.unwrap().unwrap();
    assert!(settings.session.tls.is_some() && value(&settings, "client_tls_sslmode") == "require");
    // What was in force stays so, whatever of it is to be replaced.
    let (settings, _) = waits(&settings, "client_tls_key_file", &path("b.key"));
    assert!(settings.session.tls.is_some());
    assert_eq!(value(&settings, "client_tls_key_file"), path("a.key"));
    let settings = set(&settings, "client_tls_cert_file", &path("b.crt"));
    let settings = settings.unwrap().unwrap();
    assert_eq!(value(&settings, "client_tls_key_file"), path("b.key"));
    let (settings, _) = waits(&settings, "client_tls13_ciphers", "unknown");
    assert!(settings.session.tls.is_some());
    // A value that never could do is refused.
    set(&settings, "client_tls_sslmode", "sometimes").unwrap_err();
}
