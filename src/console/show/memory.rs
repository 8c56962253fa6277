//! SHOW MEM: how many structures of each kind there are, and how large one is.

use super::{View, databases};
use crate::console::control::UserRow;
use crate::console::table::{Column, Value};
use crate::pool::Pool;
use crate::pool::server::info::ServerInfo;
use crate::pool::settings::DatabaseSettings;
use crate::session::roster::Client;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("name"),
    Column::int4("size"),
    Column::int4("used"),
    Column::int4("free"),
    Column::int4("memtotal"),
];

/// The names are those of PgBouncer's caches. Here nothing is kept in stock, so none is free;
/// and what a structure points to is not counted.
pub(super) fn rows(view: &View<'_>) -> Vec<Vec<Value>> {
    let servers = view.pools.iter().map(|pool| pool.servers().len()).sum();
    [
        (
            "user_cache",
            size_of::<UserRow>(),
            databases::known_users(view).len(),
        ),
        (
            "db_cache",
            size_of::<DatabaseSettings>(),
            view.databases.len(),
        ),
        ("pool_cache", size_of::<Pool>(), view.pools.len()),
        ("server_cache", size_of::<ServerInfo>(), servers),
        ("client_cache", size_of::<Client>(), view.clients.len()),
    ]
    .into_iter()
    .map(|(name, size, used)| {
        vec![
            name.into(),
            Value::int4(size),
            Value::int4(used),
            Value::Int4(0),
            Value::int4(size.saturating_mul(used)),
        ]
    })
    .collect()
}
