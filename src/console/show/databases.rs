//! SHOW DATABASES, SHOW USERS, and how many there are of everything: SHOW LISTS.

use std::collections::BTreeMap;

use super::View;
use crate::auth::names::UserName;
use crate::console::control::UserRow;
use crate::console::table::{Column, Value};
use crate::console::{NAMES, is_console};
use crate::pool::server::info::ServerState;
use crate::pool::settings::hosts::Hosts;
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
    let (host, port) = place(&of.hosts);
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
        balance(&of.hosts),
        Value::int4(of.max_connections.unwrap_or(0)),
        Value::int4(view.servers_of(&of.name)),
        Value::int4(of.max_clients.unwrap_or(0)),
        Value::int4(clients.filter(|client| client.state != "login").count()),
        Value::int4(u8::from(paused)),
        Value::int4(u8::from(view.control.pools().is_disabled(&of.name))),
    ]
}

/// The hosts, or the folders of Unix sockets, with commas between; and the first one's port.
fn place(hosts: &Hosts) -> (String, i32) {
    let mut names = Vec::new();
    let mut first = None;
    for address in &hosts.addresses {
        let (name, port) = match address {
            ServerAddress::Tcp(host, port) => (host.clone(), i32::from(*port)),
            ServerAddress::Unix(path) => {
                let port = path
                    .extension()
                    .and_then(|port| port.to_str()?.parse().ok());
                let folder = path.parent().unwrap_or(path);
                (folder.display().to_string(), port.unwrap_or_default())
            }
        };
        names.push(name);
        first.get_or_insert(port);
    }
    (names.join(","), first.unwrap_or_default())
}

/// How a server is chosen among several hosts: NULL where there is nothing to choose.
pub(super) fn balance(hosts: &Hosts) -> Value {
    match hosts.addresses.len() {
        0 | 1 => Value::Null,
        _ => hosts.balance.as_str().into(),
    }
}

/// The console's own row. It has no servers; that it might have two is what PgBouncer says,
/// and dashboards divide by it.
fn console(view: &View<'_>) -> Vec<Value> {
    let clients = view
        .clients
        .iter()
        .filter(|client| is_console(&client.database));
    let settings = view.control.settings();
    let setting = |name: &str| {
        let row = settings.iter().find(|row| row.key == name);
        row.and_then(|row| row.value.parse::<u32>().ok())
    };
    let port = setting("listen_port").or_else(|| setting("listen.port"));
    let most = setting("max_db_client_connections");
    vec![
        NAMES[0].into(),
        Value::Null,
        Value::int4(port.unwrap_or(0)),
        NAMES[0].into(),
        NAMES[0].into(),
        Value::Int4(2),
        Value::Int4(0),
        Value::Int4(0),
        Value::Int4(0),
        "statement".into(),
        Value::Null,
        Value::Int4(0),
        Value::Int4(0),
        Value::int4(most.unwrap_or(0)),
        Value::int4(clients.count()),
        Value::Int4(0),
        Value::Int4(0),
    ]
}

/// Users by name: those of the users file and the settings, and those of pools.
pub(super) fn known_users(view: &View<'_>) -> BTreeMap<String, UserRow> {
    let users = view.control.users().into_iter();
    let mut users: BTreeMap<_, _> = users.map(|user| (user.name.clone(), user)).collect();
    // And the user of the console's own pool.
    let of_pools = view.pools.iter().map(|pool| pool.user().as_str());
    for name in of_pools.chain([NAMES[0]]) {
        users.entry(name.to_owned()).or_insert_with(|| UserRow {
            name: name.to_owned(),
            ..UserRow::default()
        });
    }
    users
}

pub(super) fn users(view: &View<'_>) -> Vec<Vec<Value>> {
    known_users(view)
        .into_values()
        .map(|of| user(view, of))
        .collect()
}

fn user(view: &View<'_>, of: UserRow) -> Vec<Value> {
    let clients = view.clients.iter().filter(|client| client.user == of.name);
    let servers = view.servers_for(&UserName::new(&of.name));
    vec![
        Value::text(of.name.clone()),
        padded(of.pool.size),
        padded(of.pool.reserve_size),
        of.pool
            .mode
            .map_or(Value::Null, |mode| Value::text(mode.as_str())),
        Value::int4(of.max_connections.unwrap_or(0)),
        Value::int4(servers),
        Value::int4(of.max_clients.unwrap_or(0)),
        Value::int4(clients.filter(|client| client.state != "login").count()),
    ]
}

/// A number as PgBouncer prints it in a column of text; nothing where none is set.
fn padded(number: Option<usize>) -> Value {
    number.map_or("".into(), |number| Value::text(format!("{number:9}")))
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
    let peers = view.control.peers().len();
    [
        ("databases", view.databases.len() + 1),
        ("users", known_users(view).len()),
        ("peers", peers),
        ("pools", view.pools.len() + 1),
        ("peer_pools", peers),
        // PgBouncer counts structures kept in stock here; there are none.
        ("free_clients", 0),
        ("used_clients", view.clients.len() - login),
        ("login_clients", login),
        ("free_servers", idle),
        ("used_servers", servers.len() - idle),
        ("dns_names", view.control.pools().dns_hosts().len()),
        ("dns_zones", view.control.pools().dns_zones().len()),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ]
    .into_iter()
    .map(|(list, items)| vec![list.into(), Value::int4(items)])
    .collect()
}
