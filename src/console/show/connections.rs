//! SHOW CLIENTS and SHOW SERVERS, which have the same columns, and both together: SHOW SOCKETS.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::View;
use crate::console::control::ClientRow;
use crate::console::table::{Column, Value};
use crate::console::{NAMES, is_console};
use crate::pool::Pool;
use crate::pool::server::info::{ServerInfo, ServerState};
use crate::pool::settings::ServerAddress;

/// Those of SHOW CLIENTS and SHOW SERVERS come first.
pub(super) const SOCKETS: &[Column] = &[
    Column::text("type"),
    Column::text("user"),
    Column::text("database"),
    Column::text("replication"),
    Column::text("state"),
    Column::text("addr"),
    Column::int4("port"),
    Column::text("local_addr"),
    Column::int4("local_port"),
    Column::text("connect_time"),
    Column::text("request_time"),
    Column::int4("wait"),
    Column::int4("wait_us"),
    Column::int4("close_needed"),
    Column::text("ptr"),
    Column::text("link"),
    Column::int4("remote_pid"),
    Column::text("tls"),
    Column::text("application_name"),
    Column::int4("prepared_statements"),
    Column::int4("id"),
    Column::int4("recv_pos"),
    Column::int4("pkt_pos"),
    Column::int4("pkt_remain"),
    Column::int4("send_pos"),
    Column::int4("send_remain"),
    Column::int4("pkt_avail"),
    Column::int4("send_avail"),
];
/// How many columns SHOW CLIENTS and SHOW SERVERS have.
pub(super) const OF_CLIENTS: usize = 21;
const STATE: usize = 4;

/// Clients that have logged in; as with PgBouncer the others are in SHOW SOCKETS only.
pub(super) fn clients(view: &View<'_>) -> Vec<Vec<Value>> {
    let known = view.clients.iter().filter(|row| row.state != "login");
    known.map(client).collect()
}

/// All connections.
pub(super) fn sockets(view: &View<'_>) -> Vec<Vec<Value>> {
    all_sockets(view).map(|(_, row)| row).collect()
}

/// Connections on which something is under way. PgBouncer lists those with bytes in their
/// buffers, which only their own tasks know here.
pub(super) fn active_sockets(view: &View<'_>) -> Vec<Vec<Value>> {
    all_sockets(view)
        .filter_map(|(active, row)| active.then_some(row))
        .collect()
}

fn all_sockets(view: &View<'_>) -> impl Iterator<Item = (bool, Vec<Value>)> {
    let clients = view.clients.iter().map(|of| {
        // PgBouncer's lists: one of clients that wait, and one of all others.
        let state = match of.state {
            "login" => "cl_login",
            "waiting" => "cl_waiting",
            _ => "cl_active",
        };
        let active = matches!(of.state, "active" | "waiting");
        (active, socket(client(of), state))
    });
    let servers = view.pools.iter().flat_map(|pool| {
        servers_of(pool).into_iter().map(|info| {
            let (active, state) = match info.state() {
                ServerState::Active => (true, "sv_active"),
                ServerState::BeingCanceled => (false, "sv_being_canceled"),
                ServerState::Idle => (false, "sv_idle"),
                ServerState::Tested => (true, "sv_tested"),
            };
            (active, socket(server(pool, &info), state))
        })
    });
    clients.chain(servers)
}

/// A row of SHOW SOCKETS: its buffers are empty whenever anybody could look at them.
fn socket(mut row: Vec<Value>, state: &'static str) -> Vec<Value> {
    row[STATE] = state.into();
    row.resize(SOCKETS.len(), Value::Int4(0));
    row
}

pub(super) fn servers(view: &View<'_>) -> Vec<Vec<Value>> {
    let pools = view.pools.iter();
    pools
        .flat_map(|pool| servers_of(pool).into_iter().map(|info| server(pool, &info)))
        .collect()
}

/// The servers of a pool in the order in which they were opened.
fn servers_of(pool: &Pool) -> Vec<Arc<ServerInfo>> {
    let mut servers = pool.servers();
    servers.sort_by_key(|server| server.id);
    servers
}

fn client(client: &ClientRow) -> Vec<Value> {
    let wait = match client.state {
        "active" | "waiting" => client.in_state,
        _ => Duration::ZERO,
    };
    let requested = SystemTime::now()
        .checked_sub(client.in_state)
        .unwrap_or(client.connected);
    let (addr, port) = host_and_port(&client.address);
    let (local_addr, local_port) = host_and_port(&client.local_address);
    vec![
        "C".into(),
        name(&client.user, "(nouser)"),
        if is_console(&client.database) {
            NAMES[0].into()
        } else {
            name(&client.database, "(nodb)")
        },
        client.replication.into(),
        client.state.into(),
        addr,
        port,
        local_addr,
        local_port,
        Value::text(timestamp(client.connected)),
        Value::text(timestamp(requested)),
        Value::int4(wait.as_secs()),
        Value::int4(wait.subsec_micros()),
        Value::Int4(0),
        pointer(client.id),
        pointer(client.server),
        // Known of a client on a Unix socket only, and not asked for.
        Value::Int4(0),
        client.tls.as_str().into(),
        client.application_name.as_str().into(),
        Value::int4(client.prepared),
        Value::int4(client.id),
    ]
}

fn server(pool: &Pool, server: &ServerInfo) -> Vec<Value> {
    let state = server.state();
    let lent = SystemTime::UNIX_EPOCH + Duration::from_micros(server.lent_micros());
    let wait = match state {
        ServerState::Active => SystemTime::now().duration_since(lent).unwrap_or_default(),
        ServerState::BeingCanceled | ServerState::Idle | ServerState::Tested => Duration::ZERO,
    };
    let replication = match pool.database().startup_parameters.get("replication") {
        None => "none",
        Some(kind) if kind == "database" => "logical",
        Some(_) => "physical",
    };
    let (mut addr, mut port) = host_and_port(&server.addresses.0);
    if let ServerAddress::Unix(path) = &pool.database().hosts.addresses[0] {
        // `.s.PGSQL.5432`
        let number = path
            .extension()
            .and_then(|port| port.to_str()?.parse().ok());
        (addr, port) = ("unix".into(), Value::Int4(number.unwrap_or_default()));
    }
    let (local_addr, local_port) = host_and_port(&server.addresses.1);
    vec![
        "S".into(),
        pool.user().as_str().into(),
        pool.database_name().as_str().into(),
        replication.into(),
        match state {
            ServerState::Active => "active",
            ServerState::BeingCanceled => "being_canceled",
            ServerState::Idle => "idle",
            ServerState::Tested => "tested",
        }
        .into(),
        addr,
        port,
        local_addr,
        local_port,
        Value::text(timestamp(server.connected)),
        Value::text(timestamp(lent.max(server.connected))),
        Value::int4(wait.as_secs()),
        Value::int4(wait.subsec_micros()),
        Value::int4(u8::from(server.is_obsolete())),
        pointer(server.id),
        pointer(server.client()),
        Value::int4(server.pid),
        server.tls.as_str().into(),
        "".into(),
        Value::Int4(0),
        Value::int4(server.id),
    ]
}

fn name(name: &str, unknown: &'static str) -> Value {
    if name.is_empty() {
        unknown.into()
    } else {
        name.into()
    }
}

/// PgBouncer prints addresses in memory here, which only serve to tell which client has which
/// server; ours are the numbers under `id`, which serve as well.
fn pointer(id: u64) -> Value {
    if id == 0 {
        "".into()
    } else {
        Value::text(format!("{id:#x}"))
    }
}

/// The parts of `127.0.0.1:5432` or `[::1]:5432`; what is empty is a Unix socket.
pub(super) fn host_and_port(address: &str) -> (Value, Value) {
    match address.rsplit_once(':') {
        None => ("unix".into(), Value::Int4(0)),
        Some((host, port)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (host.into(), Value::Int4(port.parse().unwrap_or_default()))
        }
    }
}

/// `2026-01-31 23:59:59 UTC`
fn timestamp(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    // Howard Hinnant's civil_from_days, for days after 1970: eras of 400 years from 1 March 0000.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_a_calendar_has_it() {
        let at = |secs| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_767_225_599), "2025-12-31 23:59:59 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn an_address_falls_into_host_and_port() {
        assert_eq!(
            host_and_port("127.0.0.1:80"),
            ("127.0.0.1".into(), Value::Int4(80))
        );
        assert_eq!(
            host_and_port("[::1]:6432"),
            ("::1".into(), Value::Int4(6432))
        );
        assert_eq!(host_and_port(""), ("unix".into(), Value::Int4(0)));
    }
}
