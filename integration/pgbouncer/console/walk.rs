//! Every command of the table, given by everybody.

use pgwarden::console::command::table::{Argument, Entry, Kind};
use pgwarden::console::role::Role;

use super::{Table, answer, console, pooler};
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

/// Names and types of PgBouncer's columns.
const COLUMNS: &str = include_str!("../columns.txt");

fn oid(name: &str) -> u32 {
    match name {
        "bytea" => 17,
        "int4" => 23,
        "int8" => 20,
        "numeric" => 1700,
        "text" => 25,
        other => panic!("a type {other}"),
    }
}

#[tokio::test]
async fn every_table_has_pgbouncers_columns_in_their_order_and_of_their_types() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut client = Raw::app(pooler.port).await;
    client.query("select 1").await.fine();
    let mut console = console(&pooler).await;
    for line in COLUMNS.lines() {
        let (name, columns) = line.split_once(": ").unwrap();
        let expected: Vec<_> = columns
            .split(' ')
            .map(|column| column.split_once(':').unwrap())
            .map(|(name, kind)| (name.to_owned(), oid(kind)))
            .collect();
        let table = Table::of(&mut console, &format!("SHOW {name}")).await;
        assert_eq!(table.columns, expected, "{name}");
        let select = Table::of(&mut console, &format!("select {name};")).await;
        assert_eq!(select.columns, expected, "{name}");
    }
    let databases = Table::of(&mut console, "SHOW DATABASES").await;
    let names: Vec<_> = databases.rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(names, [Some("pgbouncer".into()), Some("shop".into())]);
    let port = databases.value("port", ("name", "pgbouncer"));
    assert_eq!(port, pooler.port.to_string());
    let version = Table::of(&mut console, "SHOW VERSION").await;
    let version = version.rows[0][0].clone().unwrap();
    assert!(
        version.starts_with("PgBouncer 1.25.2 (pgwarden "),
        "{version}"
    );
}

/// Each command as an operator may write it.
fn every() -> impl Iterator<Item = (&'static Entry, String)> {
    Entry::COMMANDS.iter().map(|entry| {
        let text = match (entry.argument, entry.kind) {
            (Argument::Client, _) => format!("{} 123456", entry.name),
            (Argument::Database | Argument::DatabaseOrAll, _) => format!("{} shop", entry.name),
            (Argument::Own(_), Kind::Explain) => format!("{} 'select 1' FOR ROLE x", entry.name),
            (Argument::Own(_), Kind::Set) => "SET nonsense = 1".to_owned(),
            (Argument::Own(_) | Argument::None, _) => entry.name.to_owned(),
        };
        (entry, text)
    })
}

#[tokio::test]
async fn a_stats_user_may_do_what_the_table_says_and_nothing_else() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    let mut stats = Raw::login(pooler.port, "stats", "pgbouncer", &[])
        .await
        .unwrap();
    let mut refused = 0;
    for (entry, text) in every() {
        let answer = answer(&mut stats, &text).await;
        if entry.right == Role::Admin {
            assert_eq!(answer, "08P01 admin access needed", "{text}");
            refused += 1;
        } else if entry.kind != Kind::Explain {
            assert_eq!(answer, "SHOW", "{text}");
        }
    }
    assert!(refused >= 13);
    // What every driver sends is for every user.
    for text in ["SET timezone = 'UTC'", "SET client_encoding TO UTF8"] {
        assert_eq!(answer(&mut stats, text).await, "SET", "{text}");
    }
    for text in ["SHOW timezone", "show client_encoding"] {
        assert_eq!(answer(&mut stats, text).await, "SHOW", "{text}");
    }
    // Nothing of all that has happened.
    let mut client = Raw::app(pooler.port).await;
    client.query("select 1").await.fine();
    let state = Table::of(&mut stats, "SHOW STATE").await;
    assert_eq!(state.value("value", ("key", "active")), "yes");
}

#[tokio::test]
async fn a_stranger_is_not_allowed() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "").await;
    for database in ["pgbouncer", "pgwarden"] {
        let refused = Raw::login(pooler.port, "app", database, &[])
            .await
            .unwrap_err();
        let said = (refused.code.as_str(), refused.message.as_str());
        assert_eq!(said, ("08P01", "not allowed"));
    }
}

#[tokio::test]
async fn in_pgbouncers_style_every_error_is_08p01_and_bare() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, "[clients]\nerrors = \"pgbouncer\"").await;
    let mut console = console(&pooler).await;
    for text in [
        "SET nonsense = 1",
        "EXPLAIN ACCESS 'select 1' FOR ROLE nobody",
        "PAUSE nothing",
        "RELOAD now",
        "DISABLE",
    ] {
        let failure = console.query(text).await.failure.unwrap();
        assert_eq!(failure.code, "08P01", "{text}");
        assert!(
            failure.detail.is_empty() && failure.hint.is_empty(),
            "{text}"
        );
    }
    pooler.write("[pool]\nsize = \"many\"\n");
    let failure = console.query("RELOAD").await.failure.unwrap();
    assert_eq!(failure.code, "F0000");
    assert_eq!(
        failure.message,
        "RELOAD failed, see logs for additional details"
    );
    assert!(failure.detail.is_empty());
    assert!(pooler.log().contains("pool.size"));
}
