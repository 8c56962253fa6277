//! The keys within an entry of `[databases]`, `[users]` and `[peers]`.

use super::super::forms::{BALANCE, Form, POOL_MODE};

/// A key of an entry.
#[derive(Debug)]
pub(in super::super) struct EntryKey {
    pub(in super::super) name: &'static str,
    pub(in super::super) form: Form,
    /// The path of the key in the entry's table in TOML, with dots.
    pub(in super::super) toml: &'static str,
    /// The numbers up to this one are as good as no key.
    pub(in super::super) inherits: Option<i64>,
}

const fn key(name: &'static str, form: Form, toml: &'static str) -> EntryKey {
    EntryKey {
        name,
        form,
        toml,
        inherits: None,
    }
}

impl EntryKey {
    const fn or_inherits(self, up_to: i64) -> Self {
        Self {
            inherits: Some(up_to),
            ..self
        }
    }
}

#[rustfmt::skip] // a table
pub(in super::super) const DATABASE: &[EntryKey] = &[
    key("host", Form::Hosts, "host"),
    key("port", Form::Count, "port"),
    key("dbname", Form::Text, "dbname"),
    key("load_balance_hosts", BALANCE, "load_balance_hosts"),
    key("user", Form::Text, "server.user"),
    key("password", Form::Text, "server.password"),
    key("auth_user", Form::Text, "lookup.user"),
    key("auth_query", Form::Text, "lookup.query"),
    key("auth_dbname", Form::Text, "lookup.database"),
    key("connect_query", Form::Text, "connect_query"),
    key("max_db_connections", Form::Limit, "max_connections").or_inherits(0),
    key("max_db_client_connections", Form::Limit, "max_clients").or_inherits(0),
    key("client_encoding", Form::Text, "startup_parameters.client_encoding"),
    key("datestyle", Form::Text, "startup_parameters.datestyle"),
    key("timezone", Form::Text, "startup_parameters.timezone"),
    key("application_name", Form::Text, "startup_parameters.application_name"),
    key("pool_mode", POOL_MODE, "pool.mode"),
    key("pool_size", Form::Count, "pool.size").or_inherits(-1),
    key("min_pool_size", Form::Count, "pool.min_size").or_inherits(-1),
    key("reserve_pool_size", Form::Count, "pool.reserve_size").or_inherits(-1),
    key("reserve_pool", Form::Count, "pool.reserve_size").or_inherits(-1),
    key("query_wait_timeout", Form::Seconds, "pool.query_wait_timeout").or_inherits(-1),
    key("server_lifetime", Form::Seconds, "pool.server_lifetime").or_inherits(0),
];

#[rustfmt::skip] // a table
pub(in super::super) const USER: &[EntryKey] = &[
    key("pool_mode", POOL_MODE, "pool.mode"),
    key("pool_size", Form::Count, "pool.size").or_inherits(-1),
    key("reserve_pool_size", Form::Count, "pool.reserve_size").or_inherits(-1),
    key("max_user_connections", Form::Most, "max_connections").or_inherits(-1),
    key("max_user_client_connections", Form::Most, "max_clients").or_inherits(-1),
    key("query_timeout", Form::Seconds, "pool.query_timeout").or_inherits(0),
    key("idle_transaction_timeout", Form::Seconds, "pool.idle_transaction_timeout").or_inherits(0),
    key("transaction_timeout", Form::Seconds, "pool.transaction_timeout").or_inherits(0),
    key("client_idle_timeout", Form::Seconds, "idle_timeout").or_inherits(0),
    key("query_wait_timeout", Form::Seconds, "query_wait_timeout").or_inherits(-1),
];

pub(in super::super) const PEER: &[EntryKey] = &[
    key("host", Form::Text, "host"),
    key("port", Form::Count, "port"),
    key("pool_size", Form::Count, "pool_size").or_inherits(-1),
];
