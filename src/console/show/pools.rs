//! SHOW POOLS.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{View, databases};
use crate::console::NAMES;
use crate::console::table::{Column, Value};
use crate::pool::server::info::ServerState;
use crate::pool::settings::PoolMode;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("database"),
    Column::text("user"),
    Column::int4("cl_active"),
    Column::int4("cl_waiting"),
    Column::int4("cl_active_cancel_req"),
    Column::int4("cl_waiting_cancel_req"),
    Column::int4("sv_active"),
    Column::int4("sv_active_cancel"),
    Column::int4("sv_being_canceled"),
    Column::int4("sv_idle"),
    Column::int4("sv_used"),
    Column::int4("sv_tested"),
    Column::int4("sv_login"),
    Column::int4("maxwait"),
    Column::int4("maxwait_us"),
    Column::text("pool_mode"),
    Column::text("load_balance_hosts"),
];

#[derive(Default)]
struct Row {
    mode: Option<PoolMode>,
    cl_active: usize,
    cl_waiting: usize,
    cancels: u32,
    cancels_waiting: u32,
    sv_active: usize,
    sv_being_canceled: usize,
    sv_idle: usize,
    sv_tested: usize,
    sv_login: usize,
    maxwait: Duration,
}

pub(super) fn rows(view: &View<'_>) -> Vec<Vec<Value>> {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    rows.entry((NAMES[0], NAMES[0])).or_default().mode = Some(PoolMode::Statement);
    // Replication connections have pools of their own, which have no row of their own.
    for pool in &view.pools {
        let key = (pool.database_name().as_str(), pool.user().as_str());
        let row = rows.entry(key).or_default();
        if !pool
            .database()
            .startup_parameters
            .contains_key("replication")
        {
            row.mode = Some(pool.settings().mode);
        }
        row.sv_login += pool.logins();
        for server in pool.servers() {
            let (cancels, waiting) = server.cancels();
            row.cancels += cancels;
            row.cancels_waiting += waiting;
            match server.state() {
                ServerState::Active => row.sv_active += 1,
                ServerState::BeingCanceled => row.sv_being_canceled += 1,
                ServerState::Idle => row.sv_idle += 1,
                ServerState::Tested => row.sv_tested += 1,
            }
        }
    }
    for client in &view.clients {
        let row = match client.state {
            "login" => continue,
            _ => rows.entry(client.pool()).or_default(),
        };
        if client.state == "waiting" && !crate::console::is_console(&client.database) {
            row.cl_waiting += 1;
            row.maxwait = row.maxwait.max(client.in_state);
        } else {
            row.cl_active += 1;
        }
    }
    let mode_of = |database: &str| view.database(database).map(|database| database.pool.mode);
    rows.into_iter()
        .map(|((database, user), row)| {
            let mode = row.mode.or_else(|| mode_of(database));
            vec![
                database.into(),
                user.into(),
                Value::int4(row.cl_active),
                Value::int4(row.cl_waiting),
                Value::int4(row.cancels),
                Value::int4(row.cancels_waiting),
                Value::int4(row.sv_active),
                // Each request that is under way has a connection of its own.
                Value::int4(row.cancels),
                Value::int4(row.sv_being_canceled),
                Value::int4(row.sv_idle),
                // A server that was used lately is idle here: it is checked when it is lent.
                Value::Int4(0),
                Value::int4(row.sv_tested),
                Value::int4(row.sv_login),
                Value::int4(row.maxwait.as_secs()),
                Value::int4(row.maxwait.subsec_micros()),
                mode.map_or(Value::Null, |mode| Value::text(mode.as_str())),
                view.database(database)
                    .map_or(Value::Null, |of| databases::balance(&of.hosts)),
            ]
        })
        .collect()
}
