//! `[users.NAME]`, and how users are found that no file lists.

use super::super::forms::{Count, OneOf, OrOff, Span, Text};
use super::super::values::Table;
use super::pools::{CONSOLE_NAMES, LIMIT, MODE, SERVERS};
use crate::auth::names::{DatabaseName, UserName};
use crate::pool::settings::PoolMode;
use crate::pool::settings::lookup::Lookup;
use crate::pool::settings::users::{UserPool, UserSettings};

/// `lookup` of `[auth]` or of a database.
pub(super) fn lookup(table: &Table<'_>) -> Lookup {
    let user = table.maybe("user", &Text);
    let query = table.maybe("query", &Text);
    let database = table.maybe("database", &Text);
    if let Some(name) = &database
        && CONSOLE_NAMES.contains(&name.as_str())
    {
        table.complain("database", "expected another database than the console");
    }
    Lookup {
        user: user.map(UserName::new),
        query,
        database: database.map(DatabaseName::new),
    }
}

pub(super) fn user(table: &Table<'_>) -> (UserName, UserSettings) {
    let settings = UserSettings {
        max_connections: table.or("max_connections", &LIMIT, None),
        max_clients: table.or("max_clients", &LIMIT, None),
        idle_timeout: table.or("idle_timeout", &OrOff(Span), None),
        query_wait_timeout: table.maybe("query_wait_timeout", &OrOff(Span)),
        pool: pool(&table.table("pool")),
    };
    (UserName::new(table.name()), settings)
}

fn pool(table: &Table<'_>) -> UserPool {
    let mode: &OneOf<PoolMode> = &MODE;
    let servers: &Count = &SERVERS;
    UserPool {
        mode: table.maybe("mode", mode),
        size: table.maybe("size", servers),
        reserve_size: table.maybe("reserve_size", servers),
        query_timeout: table.or("query_timeout", &OrOff(Span), None),
        idle_transaction_timeout: table.or("idle_transaction_timeout", &OrOff(Span), None),
        transaction_timeout: table.or("transaction_timeout", &OrOff(Span), None),
    }
}
