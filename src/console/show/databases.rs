//! SHOW DATABASES, SHOW USERS, and how many there are of everything: SHOW LISTS.

use std::collections::BTreeMap;

use super::View;
use crate::auth::names::UserName;
use crate::console::table::{Column, Value};
use crate::console::{NAMES, is_console};
use crate::pool::server::info::ServerState;
use crate::pool::settings::{DatabaseSettings, ServerAddress};

pub(super) const DATABASES: &[Column] = &[
    Column::text("name"),
    Column::text("host"),
    Column::int4("port"),
    Column::text("database"),
    Column::text("force_user"),
    Column::int4("pool_size"),
    Column::int4("min_pool_size"),
    Column::int4("reserve_pool_size"),
    Column::int4("server_lifetime"),
    Column::text("pool_mode"),
    Column::text("load_balance_hosts"),
    Column::int4("max_connections"),
    Column::int4("current_connections"),
    Column::int4("max_client_connections"),
    Column::int4("current_client_connections"),
    Column::int4("paused"),
    Column::int4("disabled"),
];

pub(super) const USERS: &[Column] = &[
    Column::text("name"),
    Column::text("pool_size"),
    Column::text("reserve_pool_size"),
    Column::text("pool_mode"),
    Column::int4("max_user_connections"),
    Column::int4("current_connections"),
    Column::int4("max_user_client_connections"),
    Column::int4("current_client_connections"),
];

pub(super) const LISTS: &[Column] = &[Column::text("list"), Column::int4("items")];

pub(super) fn databases(view: &View<'_>) -> Vec<Vec<Value>> {
    let mut rows: Vec<_> = view
        .databases
        .iter()
        .map(|of| (of.name.as_str(), database(view, of)))
        .collect();
    rows.push((NAMES[0], console(view)));
    rows.sort_by_key(|(name, _)| *name);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn database(view: &View<'_>, of: &DatabaseSettings) -> Vec<Value> {
    let (host, port) = match &of.hosts.addresses[0] {
        ServerAddress::Tcp(host, port) => (host.clone(), i32::from(*port)),
        ServerAddress::Unix(path) => {
            let port = path
                .extension()
                .and_then(|port| port.to_str()?.parse().ok());
            let folder = path.parent().unwrap_or(path);
            (folder.display().to_string(), port.unwrap_or_default())
        }
    };
    let clients = view
        .clients
        .iter()
        .filter(|client| client.database == of.name.as_str());
    let paused = view.control.pools().is_paused(Some(&of.name));
    vec![
        of.name.as_str().into(),
        Value::text(host),
        Value::Int4(port),
        of.dbname.as_str().into(),
        of.server
            .as_ref()
            .map_or(Value::Null, |server| server.user.as_str().into()),
        Value::int4(of.pool.size),
        Value::int4(of.pool.min_size),
        Value::int4(of.pool.reserve_size),
        Value::int4(of.pool.server_lifetime.map_or(0, |limit| limit.as_secs())),
        Value::text(of.pool.mode.as_str()),
        Value::Null,
        Value::int4(of.max_connections.unwrap_or(0)),
        Value::int4(view.servers_of(&of.name)),
        Value::int4(of.max_clients.unwrap_or(0)),
        Value::int4(clients.filter(|client| client.state != "login").count()),
        Value::int4(u8::from(paused)),
        Value::Int4(0),
    ]
}

/// The console's own row. It has no servers, so what bounds them says nothing.
fn console(view: &View<'_>) -> Vec<Value> {
    let clients = view
        .clients
        .iter()
        .filter(|client| is_console(&client.database));
    vec![
        NAMES[0].into(),
        Value::Null,
        Value::Int4(0),
        NAMES[0].into(),
        NAMES[0].into(),
        Value::Int4(0),
        Value::Int4(0),
        Value::Int4(0),
        Value::Int4(0),
        "statement".into(),
        Value::Null,
        Value::Int4(0),
        Value::Int4(0),
        Value::Int4(0),
        Value::int4(clients.count()),
        Value::Int4(0),
        Value::Int4(0),
    ]
}

/// Users by name, with their limit of servers: those of the users file and those of pools.
fn known_users(view: &View<'_>) -> BTreeMap<String, Option<usize>> {
    let mut users: BTreeMap<_, _> = view
        .control
        .users()
        .into_iter()
        .map(|user| (user.name, user.max_connections))
        .collect();
    for pool in &view.pools {
        users.entry(pool.user().to_string()).or_default();
    }
    users
}

pub(super) fn users(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |(name, limit): (String, Option<usize>)| {
        let clients = view.clients.iter().filter(|client| client.user == name);
        let servers = view.servers_for(&UserName::new(&name));
        vec![
            Value::text(name.clone()),
            "".into(),
            "".into(),
            Value::Null,
            Value::int4(limit.unwrap_or(0)),
            Value::int4(servers),
            Value::Int4(0),
            Value::int4(clients.filter(|client| client.state != "login").count()),
        ]
    };
    known_users(view).into_iter().map(row).collect()
}

pub(super) fn lists(view: &View<'_>) -> Vec<Vec<Value>> {
    let login = view
        .clients
        .iter()
        .filter(|client| client.state == "login")
        .count();
    let servers: Vec<_> = view.pools.iter().flat_map(|pool| pool.servers()).collect();
    let idle = servers
        .iter()
        .filter(|server| server.state() == ServerState::Idle)
        .count();
    [
        ("databases", view.databases.len() + 1),
        ("users", known_users(view).len()),
        ("peers", 0),
        ("pools", view.pools.len() + 1),
        ("peer_pools", 0),
        // PgBouncer counts structures kept in stock here; there are none.
        ("free_clients", 0),
        ("used_clients", view.clients.len() - login),
        ("login_clients", login),
        ("free_servers", idle),
        ("used_servers", servers.len() - idle),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ]
    .into_iter()
    .map(|(list, items)| vec![list.into(), Value::int4(items)])
    .collect()
}
