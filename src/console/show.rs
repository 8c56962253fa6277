//! SHOW: which tables there are. Each group has its file; columns, order and types are
//! PgBouncer's, so that what reads its console can read this one.

mod access;
mod config;
mod connections;
mod databases;
mod fds;
mod memory;
mod names;
mod peers;
mod pools;
pub(super) mod stats;

use std::sync::Arc;

use crate::auth::names::{DatabaseName, UserName};
use crate::console::Console;
use crate::console::command::{Command, Parameter};
use crate::console::control::{ClientRow, Control};
use crate::console::table::{Column, Table, Value};
use crate::pool::Pool;
use crate::pool::settings::DatabaseSettings;

pub(super) use access::explain;
pub(super) use config::help;

/// What can be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the commands'")]
pub enum Show {
    Access,
    ActiveSockets,
    Clients,
    Config,
    Databases,
    Denials,
    DnsHosts,
    DnsZones,
    Fds,
    Grants,
    Help,
    Identities,
    Lists,
    Mem,
    PeerPools,
    Peers,
    Pools,
    Roles,
    Servers,
    Sockets,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

impl Show {
    /// The columns; `None` for HELP, which is a notice.
    pub fn columns(self) -> Option<&'static [Column]> {
        Some(match self {
            Self::Access => access::ACCESS,
            Self::ActiveSockets | Self::Sockets => connections::SOCKETS,
            Self::Clients | Self::Servers => &connections::SOCKETS[..connections::OF_CLIENTS],
            Self::Config => config::SETTINGS,
            Self::Databases => databases::DATABASES,
            Self::Denials => access::DENIALS,
            Self::DnsHosts => names::HOSTS,
            Self::DnsZones => names::ZONES,
            Self::Fds => fds::COLUMNS,
            Self::Grants => access::GRANTS,
            Self::Help => return None,
            Self::Identities => access::IDENTITIES,
            Self::Lists => databases::LISTS,
            Self::Mem => memory::COLUMNS,
            Self::PeerPools => peers::POOLS,
            Self::Peers => peers::PEERS,
            Self::Pools => pools::COLUMNS,
            Self::Roles => access::ROLES,
            Self::State => config::STATE,
            Self::Stats => stats::STATS,
            Self::StatsAverages => stats::AVERAGES,
            Self::StatsTotals => stats::TOTALS,
            Self::Totals => stats::NAMED,
            Self::Users => databases::USERS,
            Self::Version => config::VERSION,
        })
    }

    pub(super) async fn table(self, console: &Console) -> Table {
        let view = View::of(console).await;
        let rows = match self {
            Self::Access => access::access(&view),
            Self::ActiveSockets => connections::active_sockets(&view),
            Self::Clients => connections::clients(&view),
            Self::Config => config::settings(&view),
            Self::Databases => databases::databases(&view),
            Self::Denials => access::denials(&view),
            Self::DnsHosts => names::hosts(&view),
            Self::DnsZones => names::zones(&view),
            Self::Fds => fds::rows(view.control.descriptors().await),
            Self::Grants => access::grants(&view),
            Self::Help => Vec::new(),
            Self::Identities => access::identities(&view),
            Self::Lists => databases::lists(&view),
            Self::Mem => memory::rows(&view),
            Self::PeerPools => peers::pools(&view),
            Self::Peers => peers::peers(&view),
            Self::Pools => pools::rows(&view),
            Self::Roles => access::roles(&view),
            Self::Servers => connections::servers(&view),
            Self::Sockets => connections::sockets(&view),
            Self::State => config::state(&view),
            Self::Stats => stats::stats(&view),
            Self::StatsAverages => stats::averages(&view),
            Self::StatsTotals => stats::per_database(&view),
            Self::Totals => stats::named(&view),
            Self::Users => databases::users(&view),
            Self::Version => config::version(),
        };
        Table {
            columns: self.columns().unwrap_or_default(),
            rows,
        }
    }
}

/// The columns of a command's result, if it has one.
pub(super) fn columns(command: &Command) -> Option<&'static [Column]> {
    match command {
        Command::ExplainAccess { .. } => Some(access::EXPLANATION),
        Command::Parameter(parameter) => Some(parameter_columns(*parameter)),
        Command::SelectOne => Some(ONE),
        Command::Show(show) => show.columns(),
        Command::Begin
        | Command::Commit
        | Command::Deallocate(_)
        | Command::Disable(_)
        | Command::DiscardAll
        | Command::Empty
        | Command::Enable(_)
        | Command::IgnoredSet
        | Command::Kill(_)
        | Command::KillClient(_)
        | Command::Pause(_)
        | Command::Reconnect(_)
        | Command::Reload
        | Command::Reset
        | Command::Resume(_)
        | Command::Rollback
        | Command::Set { .. }
        | Command::Shutdown(_)
        | Command::Suspend
        | Command::WaitClose(_) => None,
    }
}

/// SHOW of a parameter that PostgreSQL has.
pub(super) fn parameter(parameter: Parameter) -> Table {
    let (_, value) = parameter.name_and_value();
    Table {
        columns: parameter_columns(parameter),
        rows: vec![vec![value.into()]],
    }
}

/// `SELECT 1`.
pub(super) fn one() -> Table {
    Table {
        columns: ONE,
        rows: vec![vec![Value::Int4(1)]],
    }
}

fn parameter_columns(parameter: Parameter) -> &'static [Column] {
    match parameter {
        Parameter::ClientEncoding => const { &[Column::text("client_encoding")] },
        Parameter::DateStyle => const { &[Column::text("DateStyle")] },
        Parameter::DefaultTransactionIsolation => {
            const { &[Column::text("default_transaction_isolation")] }
        }
        Parameter::StandardConformingStrings => {
            const { &[Column::text("standard_conforming_strings")] }
        }
        Parameter::TimeZone => const { &[Column::text("TimeZone")] },
    }
}

/// The process at one moment.
struct View<'a> {
    console: &'a Console,
    control: &'a dyn Control,
    clients: Vec<ClientRow>,
    pools: Vec<Arc<Pool>>,
    databases: Vec<Arc<DatabaseSettings>>,
}

impl<'a> View<'a> {
    async fn of(console: &'a Console) -> Self {
        let control = &*console.control;
        let mut clients = control.clients().await;
        clients.sort_by(|a, b| (&a.database, &a.user, a.id).cmp(&(&b.database, &b.user, b.id)));
        let pools = control.pools();
        Self {
            console,
            control,
            clients,
            pools: pools.all(),
            databases: pools.databases(),
        }
    }

    fn database(&self, name: &str) -> Option<&DatabaseSettings> {
        self.databases
            .iter()
            .find(|database| database.name.as_str() == name)
            .map(AsRef::as_ref)
    }

    /// Servers of a database, those being opened included.
    fn servers_of(&self, database: &DatabaseName) -> usize {
        self.servers(|pool| pool.database_name() == database)
    }

    /// Servers of a server user, those being opened included.
    fn servers_for(&self, user: &UserName) -> usize {
        self.servers(|pool| pool.user() == user)
    }

    fn servers(&self, of: impl Fn(&Pool) -> bool) -> usize {
        let pools = self.pools.iter().filter(|pool| of(pool));
        pools.map(|pool| pool.servers().len() + pool.logins()).sum()
    }
}

const ONE: &[Column] = &[Column::int4("?column?")];

#[cfg(test)]
mod tests;
