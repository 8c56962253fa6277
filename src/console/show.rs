//! SHOW: which tables there are. Each group has its file; columns, order and types are
//! PgBouncer's, so that what reads its console can read this one.

mod access;
mod config;
mod connections;
mod databases;
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
    Clients,
    Config,
    Databases,
    Denials,
    Grants,
    Help,
    Identities,
    Lists,
    Pools,
    Roles,
    Servers,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

impl Show {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Access,
        Self::Clients,
        Self::Config,
        Self::Databases,
        Self::Denials,
        Self::Grants,
        Self::Help,
        Self::Identities,
        Self::Lists,
        Self::Pools,
        Self::Roles,
        Self::Servers,
        Self::State,
        Self::Stats,
        Self::StatsAverages,
        Self::StatsTotals,
        Self::Totals,
        Self::Users,
        Self::Version,
    ];

    /// What follows SHOW.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Clients => "clients",
            Self::Config => "config",
            Self::Databases => "databases",
            Self::Denials => "denials",
            Self::Grants => "grants",
            Self::Help => "help",
            Self::Identities => "identities",
            Self::Lists => "lists",
            Self::Pools => "pools",
            Self::Roles => "roles",
            Self::Servers => "servers",
            Self::State => "state",
            Self::Stats => "stats",
            Self::StatsAverages => "stats_averages",
            Self::StatsTotals => "stats_totals",
            Self::Totals => "totals",
            Self::Users => "users",
            Self::Version => "version",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|show| show.name() == name)
    }

    /// The columns; `None` for HELP, which is a notice.
    pub fn columns(self) -> Option<&'static [Column]> {
        Some(match self {
            Self::Access => access::ACCESS,
            Self::Clients | Self::Servers => connections::COLUMNS,
            Self::Config => config::SETTINGS,
            Self::Databases => databases::DATABASES,
            Self::Denials => access::DENIALS,
            Self::Grants => access::GRANTS,
            Self::Help => return None,
            Self::Identities => access::IDENTITIES,
            Self::Lists => databases::LISTS,
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
            Self::Clients => connections::clients(&view),
            Self::Config => config::settings(&view),
            Self::Databases => databases::databases(&view),
            Self::Denials => access::denials(&view),
            Self::Grants => access::grants(&view),
            Self::Help => Vec::new(),
            Self::Identities => access::identities(&view),
            Self::Lists => databases::lists(&view),
            Self::Pools => pools::rows(&view),
            Self::Roles => access::roles(&view),
            Self::Servers => connections::servers(&view),
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
        | Command::DiscardAll
        | Command::Empty
        | Command::IgnoredSet
        | Command::Kill(_)
        | Command::KillClient(_)
        | Command::Pause(_)
        | Command::Reconnect(_)
        | Command::Reload
        | Command::Reset
        | Command::Resume(_)
        | Command::Rollback
        | Command::Set
        | Command::Shutdown(_) => None,
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
