//! `[process]` and `[peers.NUMBER]`.

use std::collections::BTreeMap;

use super::super::forms::{Count, FilePath, OrOff, SpanOrZero, Text};
use super::super::settings::{PeerSettings, ProcessSettings};
use super::super::values::Table;
use super::hosts::address;

pub(super) fn process(table: &Table<'_>) -> ProcessSettings {
    let default = ProcessSettings::default();
    let peer = table.or("peer_id", &Count(0..=MOST_PEERS), 0);
    ProcessSettings {
        user: table.maybe("user", &Text),
        pidfile: table.or("pidfile", &OrOff(FilePath), default.pidfile),
        suspend_timeout: table.or("suspend_timeout", &SpanOrZero, default.suspend_timeout),
        peer_id: u16::try_from(peer).unwrap_or(0),
    }
}

pub(super) fn peers(root: &Table<'_>) -> BTreeMap<u16, PeerSettings> {
    let tables = root.named("peers");
    tables.iter().filter_map(peer).collect()
}

fn peer(table: &Table<'_>) -> Option<(u16, PeerSettings)> {
    let number = table.name().parse().ok();
    let number = number.filter(|number| (1..=MOST_PEERS).contains(&usize::from(*number)));
    if number.is_none() {
        table.complain_of_table(format!("expected a number from 1 to {MOST_PEERS}"));
    }
    let host = table.maybe("host", &Text);
    if host.is_none() && !table.has("host") {
        table.complain("host", "missing: expected where the peer listens");
    }
    let port = table.or("port", &super::super::forms::Port, 6432);
    let pool_size = table.or("pool_size", &Count(1..=10_000), 20);
    let address = address(table, "host", &host?, port)?;
    Some((number?, PeerSettings { address, pool_size }))
}

/// What fits into a cancel key.
const MOST_PEERS: usize = 16_383;
