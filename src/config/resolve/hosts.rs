//! Where servers are: hosts and ports, and how names are looked up.

use std::path::Path;

use super::super::forms::{FilePath, OneOf, OrOff, Port, Span, SpanOrZero, Texts};
use super::super::values::Table;
use super::is_host;
use crate::pool::settings::ServerAddress;
use crate::pool::settings::hosts::{DnsSettings, Hosts, LoadBalanceHosts};

/// `host`, one or several, and `port`.
pub(super) fn hosts(table: &Table<'_>) -> Hosts {
    let hosts = table.or("host", &Texts, vec![DEFAULT_HOST.into()]);
    let port = table.or("port", &Port, DEFAULT_PORT);
    if hosts.is_empty() {
        table.complain("host", "expected at least one host");
    }
    Hosts {
        addresses: hosts
            .iter()
            .filter_map(|host| address(table, "host", host, port))
            .collect(),
        balance: table.or("load_balance_hosts", &BALANCE, LoadBalanceHosts::default()),
    }
}

/// A host name, an address, a folder with a Unix socket, or `@` and an abstract one's beginning.
pub(super) fn address(
    table: &Table<'_>,
    key: &str,
    host: &str,
    port: u16,
) -> Option<ServerAddress> {
    if Path::new(host).is_absolute() || host.starts_with('@') {
        let socket = format!(".s.PGSQL.{port}");
        return Some(ServerAddress::Unix(Path::new(host).join(socket)));
    }
    if !is_host(host) {
        table.complain(
            key,
            "expected a host name or an address without a port, or the absolute path of a \
             folder with a Unix socket",
        );
        return None;
    }
    Some(ServerAddress::Tcp(host.to_owned(), port))
}

/// `[dns]`
pub(super) fn dns(table: &Table<'_>) -> DnsSettings {
    let default = DnsSettings::default();
    let period = default.zone_check_period;
    DnsSettings {
        max_ttl: table.or("max_ttl", &SpanOrZero, default.max_ttl),
        nxdomain_ttl: table.or("nxdomain_ttl", &SpanOrZero, default.nxdomain_ttl),
        zone_check_period: table.or("zone_check_period", &OrOff(Span), period),
        resolv_conf: table.or("resolv_conf", &OrOff(FilePath), default.resolv_conf),
    }
}

const BALANCE: OneOf<LoadBalanceHosts> = OneOf {
    all: &[LoadBalanceHosts::Disable, LoadBalanceHosts::RoundRobin],
    name: LoadBalanceHosts::as_str,
};
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 5432;
