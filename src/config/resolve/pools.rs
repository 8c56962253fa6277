//! `[pool]`, `[databases.NAME]`, `[users.NAME]`, and the servers of `[roles.NAME]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::forms::{
    AnyText, Count, Flag, OneOf, OrOff, Port, Span, SpanOrZero, Text, Texts,
};
use super::super::values::Table;
use super::is_host;
use super::password::credentials;
use super::tls::TowardsServers;
use crate::auth::names::{DatabaseName, UserName};
use crate::policy::role::RoleName;
use crate::pool::settings::{
    DatabaseSettings, PoolMode, PoolSettings, PoolsSettings, RoleServers, ServerAddress, ServerTls,
};

pub(super) fn pools(root: &Table<'_>) -> PoolsSettings {
    let common = Common {
        pool: pool(&root.table("pool"), &PoolSettings::default()),
        tls: TowardsServers::for_all(&root.table("server_tls")),
    };
    let databases = root.named("databases");
    if databases.is_empty() {
        root.complain_hidden(
            "databases",
            "missing: expected at least one [databases.NAME]",
        );
    }
    let databases: BTreeMap<_, _> = databases
        .iter()
        .map(|table| database(table, &common))
        .map(|database| (database.name.clone(), Arc::new(database)))
        .collect();
    PoolsSettings {
        roles: root
            .named("roles")
            .iter()
            .map(|table| {
                (
                    RoleName::new(table.name()),
                    role(table, &common, &databases),
                )
            })
            .collect(),
        databases,
        max_user_connections: root.named("users").iter().filter_map(user).collect(),
    }
}

/// What holds for a database that says nothing else.
struct Common {
    pool: PoolSettings,
    tls: TowardsServers,
}

fn database(table: &Table<'_>, common: &Common) -> DatabaseSettings {
    check_name(table);
    let address = address(table);
    DatabaseSettings {
        name: DatabaseName::new(table.name()),
        tls: tls(table, &address, common),
        address,
        dbname: table.or("dbname", &Text, table.name().to_owned()),
        server: credentials(table),
        max_connections: table.or("max_connections", &LIMIT, None),
        max_clients: table.or("max_clients", &LIMIT, None),
        startup_parameters: startup_parameters(table),
        pool: pool(&table.table("pool"), &common.pool),
    }
}

/// `server` and `pool` of a role: for each database, its pool with what the role says over it.
fn role(
    table: &Table<'_>,
    common: &Common,
    databases: &BTreeMap<DatabaseName, Arc<DatabaseSettings>>,
) -> RoleServers {
    let own = table.table("pool");
    if databases.is_empty() {
        pool(&own, &common.pool); // so that its keys are known
    }
    let pools = databases
        .iter()
        .map(|(name, database)| (name.clone(), pool(&own, &database.pool)));
    RoleServers {
        server: credentials(table),
        pools: pools.collect(),
    }
}

fn check_name(table: &Table<'_>) {
    let name = table.name();
    if CONSOLE_NAMES.contains(&name) {
        let complaint = format!("the name \"{name}\" is the console's: expected another name");
        table.complain_of_table(complaint);
    } else if name.is_empty() || name.contains('\0') {
        table.complain_of_table("expected a name that is not empty");
    }
}

fn address(table: &Table<'_>) -> ServerAddress {
    let host = table.or("host", &Text, DEFAULT_HOST.into());
    let port = table.or("port", &Port, DEFAULT_PORT);
    if Path::new(&host).is_absolute() {
        return ServerAddress::Unix(Path::new(&host).join(format!(".s.PGSQL.{port}")));
    }
    if !is_host(&host) {
        table.complain(
            "host",
            "expected a host name or an address without a port, or the absolute path of a \
             folder with a Unix socket",
        );
    }
    ServerAddress::Tcp(host, port)
}

fn tls(table: &Table<'_>, address: &ServerAddress, common: &Common) -> ServerTls {
    let own = table.table("tls");
    match address {
        ServerAddress::Tcp(..) => common.tls.for_one(&own).tls,
        ServerAddress::Unix(_) => {
            if !own.is_empty() {
                own.complain_of_table("expected no TLS: PostgreSQL has none over Unix sockets");
            }
            TowardsServers::none()
        }
    }
}

fn startup_parameters(table: &Table<'_>) -> BTreeMap<String, String> {
    let parameters = table.texts("startup_parameters", &AnyText);
    for name in parameters.keys() {
        // These are keys of the packet, not run-time parameters, and pgwarden's own to set.
        if matches!(name.as_str(), "database" | "replication" | "user") || name.starts_with("_pq_.")
        {
            let table = table.table("startup_parameters");
            table.complain(name, "expected a run-time parameter, which this is not");
        } else if name.is_empty() || name.contains('\0') {
            let table = table.table("startup_parameters");
            table.complain(name, "expected the name of a parameter");
        }
    }
    parameters
}

/// A `pool` table over the `default`s.
fn pool(table: &Table<'_>, default: &PoolSettings) -> PoolSettings {
    let default = default.clone();
    let pool = PoolSettings {
        mode: table.or("mode", &MODE, default.mode),
        size: table.or("size", &Count(1..=MOST_SERVERS), default.size),
        min_size: table.or("min_size", &SERVERS, default.min_size),
        reserve_size: table.or("reserve_size", &SERVERS, default.reserve_size),
        reserve_timeout: table.or("reserve_timeout", &SpanOrZero, default.reserve_timeout),
        query_wait_timeout: table.or("query_wait_timeout", &TIMEOUT, default.query_wait_timeout),
        server_connect_timeout: table.or(
            "server_connect_timeout",
            &TIMEOUT,
            default.server_connect_timeout,
        ),
        server_login_retry: table.or(
            "server_login_retry",
            &SpanOrZero,
            default.server_login_retry,
        ),
        server_lifetime: table.or("server_lifetime", &TIMEOUT, default.server_lifetime),
        server_idle_timeout: table.or("server_idle_timeout", &TIMEOUT, default.server_idle_timeout),
        server_check_query: table.or(
            "server_check_query",
            &OrOff(Text),
            default.server_check_query,
        ),
        server_check_delay: table.or(
            "server_check_delay",
            &SpanOrZero,
            default.server_check_delay,
        ),
        max_prepared_statements: table.or(
            "max_prepared_statements",
            &Count(1..=MOST_STATEMENTS),
            default.max_prepared_statements,
        ),
        prepare_unnamed: table.or("prepare_unnamed", &Flag, default.prepare_unnamed),
        track_parameters: table.or("track_parameters", &Texts, default.track_parameters),
    };
    if pool.min_size > pool.size {
        if table.has("min_size") {
            table.complain("min_size", format!("expected at most size ({})", pool.size));
        } else if table.has("size") {
            table.complain(
                "size",
                format!("expected at least min_size ({})", pool.min_size),
            );
        }
    }
    pool
}

fn user(table: &Table<'_>) -> Option<(UserName, usize)> {
    let most = table.or("max_connections", &LIMIT, None)?;
    Some((UserName::new(table.name()), most))
}

const MODE: OneOf<PoolMode> = OneOf {
    all: &[
        PoolMode::Session,
        PoolMode::Statement,
        PoolMode::Transaction,
    ],
    name: PoolMode::as_str,
};
const TIMEOUT: OrOff<Span> = OrOff(Span);
const LIMIT: OrOff<Count> = OrOff(Count(1..=1_000_000));
const SERVERS: Count = Count(0..=MOST_SERVERS);
const MOST_SERVERS: usize = 10_000;
const MOST_STATEMENTS: usize = 100_000;
const CONSOLE_NAMES: [&str; 2] = ["pgwarden", "pgbouncer"];
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 5432;
