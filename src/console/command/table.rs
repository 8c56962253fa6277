//! The commands there are: what each is called, who may give it, and what follows it. What is
//! not in this table nobody may do.

use crate::console::role::Role;
use crate::console::show::Show;

/// One command.
#[derive(Debug)]
pub struct Entry {
    /// What it is called, in capitals.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// The least role that may give it.
    pub right: Role,
    /// What follows the name.
    pub argument: Argument,
}

/// What follows the name of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Argument {
    /// The number of a client, as SHOW CLIENTS prints it under `id`.
    Client,
    /// The name of a database, which must be there.
    Database,
    /// The name of a database; without one all are meant.
    DatabaseOrAll,
    /// Nothing.
    None,
    /// A grammar of its own, which looks like this.
    Own(&'static str),
}

/// What a command does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the commands'")]
pub enum Kind {
    Begin,
    Commit,
    Deallocate,
    Disable,
    Discard,
    Empty,
    Enable,
    Explain,
    IgnoredSet,
    Kill,
    KillClient,
    Parameter,
    Pause,
    Reconnect,
    Reload,
    Reset,
    Resume,
    Rollback,
    SelectOne,
    Set,
    Show(Show),
    Shutdown,
    Suspend,
    WaitClose,
}

impl Entry {
    /// Commands of operators. SELECT may stand for SHOW.
    pub const COMMANDS: &'static [Self] = &[
        Self::show("SHOW ACCESS", Show::Access),
        Self::show("SHOW ACTIVE_SOCKETS", Show::ActiveSockets),
        Self::show("SHOW CLIENTS", Show::Clients),
        Self::show("SHOW CONFIG", Show::Config),
        Self::show("SHOW DATABASES", Show::Databases),
        Self::show("SHOW DENIALS", Show::Denials),
        Self::show("SHOW DNS_HOSTS", Show::DnsHosts),
        Self::show("SHOW DNS_ZONES", Show::DnsZones),
        // Keys of cancel requests and secrets of users are in it.
        Self::admin("SHOW FDS", Kind::Show(Show::Fds), Argument::None),
        Self::show("SHOW GRANTS", Show::Grants),
        Self::show("SHOW HELP", Show::Help),
        Self::show("SHOW IDENTITIES", Show::Identities),
        Self::show("SHOW LISTS", Show::Lists),
        Self::show("SHOW MEM", Show::Mem),
        Self::show("SHOW PEER_POOLS", Show::PeerPools),
        Self::show("SHOW PEERS", Show::Peers),
        Self::show("SHOW POOLS", Show::Pools),
        Self::show("SHOW ROLES", Show::Roles),
        Self::show("SHOW SERVERS", Show::Servers),
        Self::show("SHOW SOCKETS", Show::Sockets),
        Self::show("SHOW STATE", Show::State),
        Self::show("SHOW STATS", Show::Stats),
        Self::show("SHOW STATS_AVERAGES", Show::StatsAverages),
        Self::show("SHOW STATS_TOTALS", Show::StatsTotals),
        Self::show("SHOW TOTALS", Show::Totals),
        Self::show("SHOW USERS", Show::Users),
        Self::show("SHOW VERSION", Show::Version),
        Self::viewer(
            "EXPLAIN ACCESS",
            Kind::Explain,
            Argument::Own("'SQL' FOR ROLE <role>"),
        ),
        Self::admin("DISABLE", Kind::Disable, Argument::Database),
        Self::admin("ENABLE", Kind::Enable, Argument::Database),
        Self::admin("KILL", Kind::Kill, Argument::DatabaseOrAll),
        Self::admin("KILL_CLIENT", Kind::KillClient, Argument::Client),
        Self::admin("PAUSE", Kind::Pause, Argument::DatabaseOrAll),
        Self::admin("RECONNECT", Kind::Reconnect, Argument::DatabaseOrAll),
        Self::admin("RELOAD", Kind::Reload, Argument::None),
        Self::admin("RESUME", Kind::Resume, Argument::DatabaseOrAll),
        Self::admin("SET", Kind::Set, Argument::Own("<key> = <value>")),
        Self::admin(
            "SHUTDOWN",
            Kind::Shutdown,
            Argument::Own("[WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]"),
        ),
        Self::admin("SUSPEND", Kind::Suspend, Argument::None),
        Self::admin("WAIT_CLOSE", Kind::WaitClose, Argument::DatabaseOrAll),
    ];

    /// What drivers send and must have answered. Nothing of it does anything.
    pub const OF_DRIVERS: &'static [Self] = &[
        Self::viewer("", Kind::Empty, Argument::None),
        Self::viewer("ABORT", Kind::Rollback, Argument::Own("[WORK]")),
        Self::viewer("BEGIN", Kind::Begin, Argument::Own("…")),
        Self::viewer("COMMIT", Kind::Commit, Argument::Own("[WORK]")),
        Self::viewer("DEALLOCATE", Kind::Deallocate, Argument::Own("<name>|ALL")),
        Self::viewer("DISCARD", Kind::Discard, Argument::Own("ALL")),
        Self::viewer("END", Kind::Commit, Argument::Own("[WORK]")),
        Self::viewer("RESET", Kind::Reset, Argument::Own("<parameter>")),
        Self::viewer("ROLLBACK", Kind::Rollback, Argument::Own("[WORK]")),
        Self::viewer("SELECT 1", Kind::SelectOne, Argument::None),
        Self::viewer(
            "SET of a server's parameter",
            Kind::IgnoredSet,
            Argument::None,
        ),
        Self::viewer(
            "SHOW of a server's parameter",
            Kind::Parameter,
            Argument::None,
        ),
        Self::viewer(
            "START TRANSACTION",
            Kind::Begin,
            Argument::Own("[READ ONLY]"),
        ),
    ];

    const fn show(name: &'static str, show: Show) -> Self {
        Self::viewer(name, Kind::Show(show), Argument::None)
    }

    const fn viewer(name: &'static str, kind: Kind, argument: Argument) -> Self {
        Self {
            name,
            kind,
            right: Role::Viewer,
            argument,
        }
    }

    const fn admin(name: &'static str, kind: Kind, argument: Argument) -> Self {
        Self {
            right: Role::Admin,
            ..Self::viewer(name, kind, argument)
        }
    }

    /// The entry of a kind of command. `None`: nobody may give it.
    pub(super) fn of(kind: Kind) -> Option<&'static Self> {
        let all = Self::COMMANDS.iter().chain(Self::OF_DRIVERS);
        all.into_iter().find(|entry| entry.kind == kind)
    }

    /// The entry of an operator's command, by its name in any case.
    pub(super) fn of_name(name: &str) -> Option<&'static Self> {
        Self::COMMANDS
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    /// How it is written.
    pub fn usage(&self) -> String {
        let argument = match self.argument {
            Argument::Client => "<client_id>",
            Argument::Database => "<db>",
            Argument::DatabaseOrAll => "[<db>]",
            Argument::None => return self.name.to_owned(),
            Argument::Own(argument) => argument,
        };
        format!("{} {argument}", self.name)
    }
}
