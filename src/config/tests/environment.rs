//! Variables over the file.

use std::time::Duration;

use super::{SHOP, Setup};
use crate::pool::settings::ServerAddress;

#[test]
fn variables_come_before_the_file() {
    let setup = Setup::new()
        .with("PGWARDEN__POOL__SIZE", "30")
        .with("PGWARDEN__POOL__PREPARE_UNNAMED", "true")
        .with("PGWARDEN__DATABASES__SHOP__HOST", "db1")
        .with("PGWARDEN__DATABASES__SHOP__SERVER__USER", "app")
        .with("PGWARDEN__DATABASES__NEW__POOL__SERVER_LIFETIME", "1d")
        .with("PGWARDEN__CONSOLE__ADMINS", "alice, bob")
        .with("PGWARDEN_PORT", "tcp://10.0.0.1:6432");
    let settings = setup
        .load(&format!("[pool]\nsize = 5\nmin_size = 1{SHOP}"))
        .unwrap();
    let shop = &settings.pools.databases["shop"];
    assert_eq!((shop.pool.size, shop.pool.min_size), (30, 1));
    assert!(shop.pool.prepare_unnamed);
    assert_eq!(
        shop.hosts.addresses[0],
        ServerAddress::Tcp("db1".into(), 5432)
    );
    assert_eq!(shop.server.as_ref().unwrap().user.as_str(), "app");
    let new = &settings.pools.databases["new"];
    assert_eq!(new.pool.server_lifetime, Some(Duration::from_hours(24)));
    assert!(settings.console.admins.contains("bob"));
}

#[test]
fn a_variable_finds_a_database_in_upper_case() {
    let setup = Setup::new().with("PGWARDEN__DATABASES__SHOP__PORT", "1");
    let text = "[databases.Shop]\n[auth]\nmethod = \"trust\"";
    let settings = setup.load(text).unwrap();
    assert_eq!(settings.pools.databases.len(), 1);
    let address = &settings.pools.databases["Shop"].hosts.addresses[0];
    assert_eq!(*address, ServerAddress::Tcp("127.0.0.1".into(), 1));
    let problems = setup.problems(&format!("{text}\n[databases.sHOP]"));
    assert_eq!(
        problems,
        ["PGWARDEN__DATABASES__SHOP__PORT: could mean several entries that differ in case"]
    );
}

#[test]
fn a_wrong_variable_is_named() {
    let setup = Setup::new()
        .with("PGWARDEN__POOL__SIZE", "lots")
        .with("PGWARDEN__POOL__SIZEE", "3")
        .with("PGWARDEN__POLO__SIZE", "3")
        .with("PGWARDEN__WORKERS__X", "3")
        .with("PGWARDEN__DATABASES", "x")
        .with("PGWARDEN__LOG__LEVEL", "loud");
    let mut problems = setup.problems("workers = 2\n[auth]\nmethod = \"trust\"\n");
    problems.sort();
    for expected in [
        "PGWARDEN__DATABASES: expected a table, not a string",
        "PGWARDEN__LOG__LEVEL = \"loud\": expected one of",
        "PGWARDEN__POLO__SIZE: unknown key",
        "PGWARDEN__POOL__SIZE = \"lots\": expected a whole number",
        "PGWARDEN__POOL__SIZEE: unknown key; did you mean pool.size?",
        "PGWARDEN__WORKERS__X: unknown key",
    ] {
        let found = problems.iter().any(|line| line.starts_with(expected));
        assert!(found, "{expected}: {problems:#?}");
    }
}

#[test]
fn variables_that_contradict_each_other_are_refused() {
    let setup = Setup::new()
        .with("PGWARDEN__POOL", "5")
        .with("PGWARDEN__POOL__SIZE", "30");
    assert_eq!(
        setup.problems(SHOP),
        ["PGWARDEN__POOL__SIZE: contradicts PGWARDEN__POOL"]
    );
}
