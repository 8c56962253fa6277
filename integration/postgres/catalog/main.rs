//! A real server's catalog against the tables of the judge.
//!
//! Run by `run.sh` beside this file, or `cargo test --test catalog`. Every test fails unless
//! `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE` say where a server is.

mod harmless;

use std::collections::BTreeSet;
use std::env;

use pgwarden::policy::catalog::is_catalog;
use pgwarden::policy::classification::Name;
use pgwarden::policy::functions::class_of;
use pgwarden::policy::functions::table::GUARDED;
use tokio_postgres::{Client, NoTls};

use harmless::{HARMLESS, NOT_VOLATILE};

/// Functions that SQL can call: not those of triggers, handlers and the like.
const CALLABLE: &str = "
    select distinct p.proname::text from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'pg_catalog' and p.provolatile = any ($1)
    and p.prorettype not in (select oid from pg_catalog.pg_type
        where typname in ('trigger', 'event_trigger', 'internal', 'language_handler')
        or typname like '%\\_handler')
    and not 'internal'::regtype = any (p.proargtypes)
    order by 1";

#[tokio::test]
async fn every_volatile_function_is_guarded_or_known_to_be_harmless() {
    let functions = functions(&connect().await, &['v']).await;
    assert!(functions.len() > 100);
    let unknown: Vec<_> = functions
        .iter()
        .filter(|name| class_of(name).is_none() && !is_harmless(name))
        .collect();
    assert!(
        unknown.is_empty(),
        "neither guarded nor harmless: {unknown:?}"
    );
}

#[tokio::test]
async fn every_guarded_function_of_the_servers_own_is_there_from_its_version_on() {
    let client = connect().await;
    let all = functions(&client, &['v', 's', 'i']).await;
    let number: String = client
        .query_one("show server_version_num", &[])
        .await
        .unwrap()
        .get(0);
    let version = u8::try_from(number.parse::<u32>().unwrap() / 10_000).unwrap();
    for name in &all {
        if let Some(function) = GUARDED.iter().find(|f| f.name == name) {
            assert!(
                function.since <= version,
                "{name} is older than {}",
                function.since
            );
        }
    }
    // What these versions have new. A name with a slip in it would be in none.
    let new = GUARDED
        .iter()
        .filter(|f| f.since == version && f.since > 13);
    let missing: Vec<_> = new
        .map(|f| f.name)
        .filter(|name| !name.starts_with("pg_buffercache_") && !all.contains(*name))
        .collect();
    assert!(missing.is_empty(), "not in version {version}: {missing:?}");
}

#[tokio::test]
async fn no_function_is_both_guarded_and_harmless() {
    for (names, reason) in HARMLESS {
        for name in names.split_whitespace() {
            assert_eq!(class_of(name), None, "{name}");
        }
        assert!(!reason.is_empty());
    }
    let guarded = functions(&connect().await, &['s', 'i']).await;
    let guarded: Vec<_> = guarded
        .iter()
        .filter(|name| class_of(name).is_some())
        .collect();
    for name in guarded {
        let volatile = !NOT_VOLATILE.split_whitespace().any(|n| n == name);
        assert!(!volatile, "{name} is not volatile: say why it is guarded");
    }
}

#[tokio::test]
async fn every_system_relation_is_known() {
    let rows = connect()
        .await
        .query(
            "select c.relname::text from pg_catalog.pg_class c
             where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v')",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() > 100);
    let unknown: Vec<String> = rows
        .iter()
        .map(|row| row.get(0))
        .filter(|name: &String| {
            !is_catalog(&Name {
                schema: None,
                name: name.as_str().into(),
            })
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn is_harmless(name: &str) -> bool {
    let mut lists = HARMLESS.iter();
    lists.any(|(names, _)| names.split_whitespace().any(|n| n == name))
}

async fn functions(client: &Client, volatilities: &[char]) -> BTreeSet<String> {
    let volatilities: Vec<i8> = volatilities.iter().map(|c| *c as i8).collect();
    let rows = client.query(CALLABLE, &[&volatilities]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn connect() -> Client {
    let of = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let mut config = tokio_postgres::Config::new();
    config
        .host(of("PGHOST"))
        .port(of("PGPORT").parse().unwrap())
        .user(of("PGUSER"))
        .password(of("PGPASSWORD"))
        .dbname(of("PGDATABASE"));
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
