//! SHOW PEERS and PEER_POOLS: the other processes that share our address.

use super::View;
use crate::console::table::{Column, Value};

pub(super) const PEERS: &[Column] = &[
    Column::int4("peer_id"),
    Column::text("host"),
    Column::int4("port"),
    Column::int4("pool_size"),
];

pub(super) const POOLS: &[Column] = &[
    Column::int4("peer_id"),
    Column::int4("cl_active_cancel_req"),
    Column::int4("cl_waiting_cancel_req"),
    Column::int4("sv_active_cancel"),
    Column::int4("sv_login"),
];

pub(super) fn peers(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |peer: crate::console::control::PeerRow| {
        vec![
            Value::int4(peer.id),
            Value::text(peer.host),
            Value::int4(peer.port),
            Value::int4(peer.pool_size),
        ]
    };
    view.control.peers().into_iter().map(row).collect()
}

pub(super) fn pools(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |peer: crate::console::control::PeerRow| {
        vec![
            Value::int4(peer.id),
            Value::int4(peer.cl_active_cancel),
            Value::int4(peer.cl_waiting_cancel),
            Value::int4(peer.sv_active_cancel),
            Value::int4(peer.sv_login),
        ]
    };
    view.control.peers().into_iter().map(row).collect()
}
