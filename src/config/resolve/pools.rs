//! `[pool]`, `[databases.NAME]`, `[users.NAME]`, and the servers of `[roles.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::forms::{AnyText, Count, Flag, OneOf, OrOff, Span, SpanOrZero, Text, Texts};
use super::super::values::Table;
use super::password::credentials;
use super::tls::TowardsServers;
use super::{hosts, listen, users};
use crate::auth::names::DatabaseName;
use crate::auth::userlist::Userlist;
use crate::policy::role::RoleName;
use crate::pool::settings::hosts::Hosts;
use crate::pool::settings::{
    DatabaseSettings, PoolMode, PoolSettings, PoolsSettings, RoleServers, ServerAddress,
    ServerCredentials, ServerTls, TEMPLATE,
};

pub(super) fn pools(root: &Table<'_>, userlist: &Userlist) -> PoolsSettings {
    let default = PoolsSettings::default();
    let all = root.table("pool");
    let common = Common {
        pool: pool(&all, &PoolSettings::default()),
        tls: TowardsServers::for_all(&root.table("server_tls")),
        max_connections: all.or("max_db_connections", &LIMIT, None),
        max_clients: root.table("clients").or("max_per_database", &LIMIT, None),
        userlist,
    };
    let databases = root.named("databases");
    if databases.is_empty() && !root.has("databases") {
        root.complain_hidden(
            "databases",
            "missing: expected at least one [databases.NAME]",
        );
    }
    let template = databases.iter().find(|table| table.name() == TEMPLATE);
    let template = template.map(|table| Arc::new(database(table, &common)));
    let mut databases: BTreeMap<_, _> = databases
        .iter()
        .filter(|table| table.name() != TEMPLATE)
        .map(|table| database(table, &common))
        .map(|database| (database.name.clone(), Arc::new(database)))
        .collect();
    // A role has pools for what is made from the template, too.
    let name = DatabaseName::new(TEMPLATE);
    databases.extend(
        template
            .iter()
            .map(|template| (name.clone(), template.clone())),
    );
    let roles = root.named("roles");
    let roles = roles.iter().map(|table| {
        let name = RoleName::new(table.name());
        (name, role(table, &common, &databases))
    });
    let roles = roles.collect();
    databases.remove(&name);
    PoolsSettings {
        roles,
        databases,
        template,
        users: Arc::new(root.named("users").iter().map(users::user).collect()),
        max_user_connections: all.or("max_user_connections", &LIMIT, None),
        autodb_idle_timeout: all.or(
            "autodb_idle_timeout",
            &OrOff(Span),
            default.autodb_idle_timeout,
        ),
        pool_idle_timeout: all.or("pool_idle_timeout", &OrOff(Span), None),
        dns: hosts::dns(&root.table("dns")),
        tcp: listen::tcp(&root.table("tcp")),
    }
}

/// What holds for a database that says nothing else.
struct Common<'a> {
    pool: PoolSettings,
    tls: TowardsServers,
    max_connections: Option<usize>,
    max_clients: Option<usize>,
    userlist: &'a Userlist,
}

fn database(table: &Table<'_>, common: &Common<'_>) -> DatabaseSettings {
    check_name(table);
    let hosts = hosts::hosts(table);
    DatabaseSettings {
        name: DatabaseName::new(table.name()),
        tls: tls(table, &hosts, common),
        hosts,
        dbname: table.or("dbname", &Text, table.name().to_owned()),
        server: credentials(table).map(|server| with_secret(server, common.userlist)),
        max_connections: table.or("max_connections", &LIMIT, common.max_connections),
        max_clients: table.or("max_clients", &LIMIT, common.max_clients),
        connect_query: table.maybe("connect_query", &Text),
        lookup: users::lookup(&table.table("lookup")),
        startup_parameters: startup_parameters(table),
        pool: pool(&table.table("pool"), &common.pool),
    }
}

/// `server` and `pool` of a role: for each database, its pool with what the role says over it.
fn role(
    table: &Table<'_>,
    common: &Common<'_>,
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
        server: credentials(table).map(|server| with_secret(server, common.userlist)),
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

/// A server user without a password has the one of the users file. A SCRAM verifier there opens
/// nothing: the server's login says so.
fn with_secret(mut server: ServerCredentials, userlist: &Userlist) -> ServerCredentials {
    if server.secret.is_none() {
        server.secret = userlist.get(server.user.as_str()).cloned();
    }
    server
}

fn tls(table: &Table<'_>, hosts: &Hosts, common: &Common<'_>) -> ServerTls {
    let own = table.table("tls");
    let is_tcp = |address: &ServerAddress| matches!(address, ServerAddress::Tcp(..));
    if hosts.addresses.iter().any(is_tcp) || hosts.addresses.is_empty() {
        return common.tls.for_one(&own).tls;
    }
    if !own.is_empty() {
        own.complain_of_table("expected no TLS: PostgreSQL has none over Unix sockets");
    }
    TowardsServers::none()
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
        size: table.or("size", &SERVERS, default.size),
        min_size: table.or("min_size", &SERVERS, default.min_size),
        reserve_size: table.or("reserve_size", &SERVERS, default.reserve_size),
        reserve_timeout: table.or("reserve_timeout", &SpanOrZero, default.reserve_timeout),
        query_wait_timeout: table.or("query_wait_timeout", &TIMEOUT, default.query_wait_timeout),
        query_wait_notify: table.or("query_wait_notify", &TIMEOUT, default.query_wait_notify),
        query_timeout: table.or("query_timeout", &TIMEOUT, default.query_timeout),
        idle_transaction_timeout: table.or(
            "idle_transaction_timeout",
            &TIMEOUT,
            default.idle_transaction_timeout,
        ),
        transaction_timeout: table.or("transaction_timeout", &TIMEOUT, default.transaction_timeout),
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
        server_lifetime: table.or(
            "server_lifetime",
            &OrOff(SpanOrZero),
            default.server_lifetime,
        ),
        server_idle_timeout: table.or("server_idle_timeout", &TIMEOUT, default.server_idle_timeout),
        server_check_query: table.or(
            "server_check_query",
            &OrOff(AnyText),
            default.server_check_query,
        ),
        server_reset_query: table.or(
            "server_reset_query",
            &OrOff(Text),
            default.server_reset_query,
        ),
        server_reset_query_always: table.or(
            "server_reset_query_always",
            &Flag,
            default.server_reset_query_always,
        ),
        server_round_robin: table.or("server_round_robin", &Flag, default.server_round_robin),
        server_fast_close: table.or("server_fast_close", &Flag, default.server_fast_close),
        server_check_delay: table.or(
            "server_check_delay",
            &SpanOrZero,
            default.server_check_delay,
        ),
        max_prepared_statements: table.or(
            "max_prepared_statements",
            &Count(0..=MOST_STATEMENTS),
            default.max_prepared_statements,
        ),
        prepare_unnamed: table.or("prepare_unnamed", &Flag, default.prepare_unnamed),
        track_parameters: table.or("track_parameters", &Texts, default.track_parameters),
    };
    if pool.size > 0 && pool.min_size > pool.size {
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

pub(super) const MODE: OneOf<PoolMode> = OneOf {
    all: &[
        PoolMode::Session,
        PoolMode::Statement,
        PoolMode::Transaction,
    ],
    name: PoolMode::as_str,
};
const TIMEOUT: OrOff<Span> = OrOff(Span);
pub(super) const LIMIT: OrOff<Count> = OrOff(Count(1..=1_000_000));
pub(super) const SERVERS: Count = Count(0..=MOST_SERVERS);
const MOST_SERVERS: usize = 10_000;
const MOST_STATEMENTS: usize = 100_000;
pub(super) const CONSOLE_NAMES: [&str; 2] = ["pgwarden", "pgbouncer"];
