//! SHOW DNS_HOSTS and DNS_ZONES: which host names were looked up.

use super::View;
use crate::console::table::{Column, Value};
use crate::pool::dns::{HostRow, ZoneRow};

pub(super) const HOSTS: &[Column] = &[
    Column::text("hostname"),
    Column::int8("ttl"),
    Column::text("addrs"),
];

pub(super) const ZONES: &[Column] = &[
    Column::text("zonename"),
    Column::int8("serial"),
    Column::int4("count"),
];

pub(super) fn hosts(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |host: HostRow| {
        let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
        vec![
            Value::text(host.name),
            Value::Int8(i64::try_from(host.ttl.as_secs()).unwrap_or(i64::MAX)),
            Value::text(addresses.join(",")),
        ]
    };
    let mut hosts = view.control.pools().dns_hosts();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.into_iter().map(row).collect()
}

pub(super) fn zones(view: &View<'_>) -> Vec<Vec<Value>> {
    let row = |zone: ZoneRow| {
        vec![
            Value::text(zone.name),
            Value::Int8(i64::from(zone.serial)),
            Value::int4(zone.count),
        ]
    };
    let mut zones = view.control.pools().dns_zones();
    zones.sort_by(|a, b| a.name.cmp(&b.name));
    zones.into_iter().map(row).collect()
}
