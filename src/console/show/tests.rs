use std::time::Duration;

use super::*;
use crate::console::command;
use crate::console::command::table::Entry;
use crate::console::control::fake::FakeControl;
use crate::console::table::Kind;

/// PgBouncer's columns, as its console names and types them.
const SPECIFICATION: &str = include_str!("../../../integration/pgbouncer/columns.txt");

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bytea => "bytea",
        Kind::Int4 => "int4",
        Kind::Int8 => "int8",
        Kind::Numeric => "numeric",
        Kind::Text => "text",
    }
}

/// Every table by the name of its command.
fn every() -> impl Iterator<Item = (&'static str, Show)> {
    Entry::COMMANDS.iter().filter_map(|entry| {
        if let command::table::Kind::Show(show) = entry.kind {
            return Some((entry.name, show));
        }
        None
    })
}

/// Rows as text, NULL as `-`.
fn text(table: &Table) -> Vec<String> {
    let value = |value: &Value| match value.encode(crate::console::table::Format::Text) {
        None => "-".to_owned(),
        Some(bytes) => String::from_utf8(bytes).unwrap(),
    };
    table
        .rows
        .iter()
        .map(|row| row.iter().map(value).collect::<Vec<_>>().join("|"))
        .collect()
}

async fn show(show: Show, console: &Console) -> Vec<String> {
    let table = show.table(console).await;
    for row in &table.rows {
        assert_eq!(row.len(), table.columns.len(), "{show:?}");
        for (value, column) in row.iter().zip(table.columns) {
            assert!(value.is_a(column.kind), "{show:?}: {column:?} is {value:?}");
        }
    }
    text(&table)
}

#[test]
fn columns_are_those_of_the_specification() {
    let specified = SPECIFICATION.trim().lines();
    for line in specified.clone() {
        let (name, columns) = line.split_once(": ").unwrap();
        let ours: Vec<_> = every()
            .find(|(known, _)| known.eq_ignore_ascii_case(&format!("show {name}")))
            .unwrap()
            .1
            .columns()
            .unwrap()
            .iter()
            .map(|column| format!("{}:{}", column.name, type_name(column.kind)))
            .collect();
        assert_eq!(ours.join(" "), columns, "{name}");
    }
    let ours = [
        Show::Access,
        Show::Denials,
        Show::Grants,
        Show::Identities,
        Show::Roles,
    ];
    let known = specified.count() + 1 + ours.len();
    assert_eq!(known, every().count(), "all but HELP, which is a notice");
    assert!(Show::Help.columns().is_none());
}

#[tokio::test]
async fn every_table_has_values_of_its_columns_types() {
    let control = FakeControl::new();
    control.pool("shop", "ann");
    control.add_client(1, ("shop", "ann"), "active", 1);
    let console = Console::new(control);
    for (_, what) in every() {
        show(what, &console).await;
    }
}

#[tokio::test]
async fn pools_are_sorted_and_count_their_clients() {
    let control = FakeControl::new();
    control.pool("shop", "ann");
    control.pool("ledger", "ben");
    control.pool("ledger", "ann");
    control.add_client(1, ("shop", "ann"), "active", 1);
    control.add_client(2, ("shop", "ben"), "idle", 1);
    control.add_client(3, ("shop", "ben"), "waiting", 3);
    control.add_client(4, ("shop", "ben"), "waiting", 2);
    control.add_client(5, ("ledger", "ben"), "login", 2);
    control.add_client(6, ("pgbouncer", "root"), "active", 0);
    let console = Console::new(control);
    assert_eq!(
        show(Show::Pools, &console).await,
        [
            "ledger|ann|0|0|0|0|0|0|0|0|0|0|0|0|0|transaction|-",
            "ledger|ben|0|0|0|0|0|0|0|0|0|0|0|0|0|transaction|-",
            "pgbouncer|pgbouncer|1|0|0|0|0|0|0|0|0|0|0|0|0|statement|-",
            "shop|owner|2|2|0|0|0|0|0|0|0|0|0|3|0|transaction|-",
        ]
    );
}

#[tokio::test]
async fn clients_are_shown_with_parts_of_their_addresses() {
    let control = FakeControl::new();
    control.add_client(20, ("shop", "ann"), "waiting", 1);
    control.clients.lock().unwrap()[0].in_state = Duration::from_micros(1_000_007);
    control.clients.lock().unwrap()[0].server = 31;
    let rows = show(Show::Clients, &Console::new(control)).await;
    let row: Vec<_> = rows[0].split('|').collect();
    assert_eq!(
        row[..10].join("|"),
        "C|ann|shop|none|waiting|127.0.0.1|5000|127.0.0.1|6432|1970-01-01 00:00:00 UTC"
    );
    assert_eq!(row[11..].join("|"), "1|7|0|0x14|0x1f|0||psql|3|20");
}

#[tokio::test]
async fn databases_tell_where_they_are_and_whether_they_are_paused() {
    let control = FakeControl::new();
    control.pools.pause(Some(&DatabaseName::new("ledger")));
    control.add_client(1, ("shop", "ann"), "idle", 1);
    let console = Console::new(control);
    assert_eq!(
        show(Show::Databases, &console).await,
        [
            "ledger|db.example|5433|ledger_db|-|20|0|0|3600|transaction|-|50|0|0|0|1|0",
            "pgbouncer|-|0|pgbouncer|pgbouncer|2|0|0|0|statement|-|0|0|0|0|0|0",
            "shop|db.example|5433|shop_db|owner|20|0|0|3600|transaction|-|50|0|0|1|0|0",
        ]
    );
}

#[tokio::test]
async fn stats_are_summed_by_database_and_averaged_by_sample() {
    let control = FakeControl::new();
    control.pool("ledger", "ann").stats().of(0).xacts.add(2);
    control.pool("ledger", "ben").stats().of(0).xacts.add(3);
    let console = Console::new(control.clone());
    console.count_login();
    console.count_command();
    console.count_time(Duration::from_micros(9));
    assert_eq!(
        show(Show::StatsTotals, &console).await,
        [
            "ledger|0|5|0|0|0|0|0|0|0|0|0|0",
            "pgbouncer|0|1|1|0|0|9|9|0|0|0|0|1"
        ]
    );
    let stats = show(Show::Stats, &console).await;
    assert_eq!(
        stats[0],
        "ledger|0|5|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0"
    );
    let totals = show(Show::Totals, &console).await;
    assert_eq!(totals.len(), 24);
    assert_eq!(totals[1], "total_xact_count|6");
    assert_eq!(totals[3], "total_client_bytes|0");
    assert_eq!(totals[12], "avg_server_assignment_count|0");
    console.sample();
    let averages = show(Show::StatsAverages, &console).await;
    assert!(
        averages[1].starts_with("pgbouncer|") && averages[1].contains("|9|9|"),
        "{averages:?}"
    );
}

#[tokio::test]
async fn the_process_is_described() {
    let control = FakeControl::new();
    control.pool("shop", "ann");
    control.add_client(1, ("shop", "ann"), "idle", 1);
    control.add_client(2, ("shop", "ann"), "login", 1);
    let console = Console::new(control.clone());
    assert_eq!(show(Show::Config, &console).await, ["pool.size|30|20|yes"]);
    assert_eq!(
        show(Show::State, &console).await,
        ["active|yes", "paused|no", "suspended|no"]
    );
    control.pools.pause(None);
    assert_eq!(
        show(Show::State, &console).await,
        ["active|no", "paused|yes", "suspended|no"]
    );
    let version = concat!(
        "PgBouncer 1.25.2 (pgwarden ",
        env!("CARGO_PKG_VERSION"),
        ")"
    );
    assert_eq!(show(Show::Version, &console).await, [version]);
    assert_eq!(
        show(Show::Users, &console).await,
        [
            "ann|        3||session|7|0|9|1",
            "owner|||-|0|0|0|0",
            "pgbouncer|||-|0|0|0|0"
        ]
    );
    let lists = show(Show::Lists, &console).await;
    assert_eq!(lists.len(), 14);
    for line in [
        "databases|3",
        "users|3",
        "pools|2",
        "used_clients|1",
        "login_clients|1",
    ] {
        assert!(lists.iter().any(|l| l == line), "{line}: {lists:?}");
    }
}

#[tokio::test]
async fn roles_rules_and_refusals_are_shown() {
    use crate::policy::admission::Policy;
    use crate::policy::grant::Grant;
    use crate::policy::kind::Kinds;
    use crate::policy::role::{Role, RoleName};
    use crate::policy::rule::Rule;
    use crate::session::denials::Denied;

    let control = FakeControl::new();
    let mut role = Role::free(RoleName::new("app"));
    let mut rule = Rule::new("no-ddl");
    rule.statements = Kinds::named("ddl").unwrap();
    role.deny.push(rule);
    let mut policy = Policy::default();
    policy.grants.push(Grant::new(role.name.clone()));
    policy.roles.insert(role.name.clone(), Arc::new(role));
    *control.policy.lock().unwrap() = Arc::new(policy);
    control.denials.note(Denied {
        time: std::time::SystemTime::UNIX_EPOCH,
        reference: 10,
        user: "ann".into(),
        address: String::new(),
        database: "shop".into(),
        role: "app".into(),
        rule: "no-ddl".into(),
        code: "42501".into(),
        command: "DROP TABLE".into(),
        subject: "DROP TABLE".into(),
        observed: false,
    });
    let console = Console::new(control);
    assert_eq!(
        show(Show::Denials, &console).await,
        [
            "1970-01-01T00:00:00Z|000000000000000a|ann|app|shop||no-ddl|42501|DROP TABLE|DROP TABLE|deny"
        ]
    );
    let rules = show(Show::Access, &console).await;
    assert!(
        rules
            .iter()
            .any(|rule| rule.starts_with("app|no-ddl|enforce|") && rule.ends_with("|always|1|0")),
        "{rules:?}"
    );
    assert_eq!(
        show(Show::Grants, &console).await,
        ["1|app|-|-|-|-|-|-|-|-|-|0"]
    );
    assert_eq!(
        show(Show::Roles, &console).await,
        ["app|enforce|allow|never|3|0|0|-"]
    );
    let explained = explain(&*console.control, "drop table t", "app").unwrap();
    let last = text(&explained).pop().unwrap();
    assert!(last.starts_with("-|verdict|no-ddl|deny|42501"), "{last}");
    assert!(explain(&*console.control, "select 1", "nobody").is_err());
}

#[tokio::test]
async fn sockets_are_clients_and_servers_with_their_buffers() {
    let control = FakeControl::new();
    control.add_client(1, ("shop", "ann"), "login", 1);
    control.add_client(2, ("shop", "ann"), "waiting", 1);
    control.add_client(3, ("pgwarden", "ops"), "idle", 1);
    let console = Console::new(control);
    let states = |rows: Vec<String>| -> Vec<String> {
        let parts = |row: String| row.split('|').map(str::to_owned).collect::<Vec<_>>();
        let rows = rows.into_iter().map(parts);
        rows.map(|row| {
            assert_eq!(row[21..], ["0"; 7]);
            format!("{} {} {}", row[20], row[2], row[4])
        })
        .collect()
    };
    let all = states(show(Show::Sockets, &console).await);
    let expected = [
        "3 pgbouncer cl_active",
        "1 shop cl_login",
        "2 shop cl_waiting",
    ];
    assert_eq!(all, expected);
    let active = states(show(Show::ActiveSockets, &console).await);
    assert_eq!(active, ["2 shop cl_waiting"]);
    let clients = show(Show::Clients, &console).await;
    assert_eq!(clients.len(), 2, "{clients:?}");
}

#[tokio::test]
async fn peers_and_descriptors_are_shown_as_the_process_tells_them() {
    let console = Console::new(FakeControl::new());
    assert_eq!(show(Show::Peers, &console).await, ["2|peer.example|6433|5"]);
    assert_eq!(show(Show::PeerPools, &console).await, ["2|0|0|1|0"]);
    assert_eq!(
        show(Show::Fds, &console).await,
        ["9|client|ann|shop|10.0.0.1|5000|-1|0|UTF8|on|-|GMT|-|\\x00ff|\\x01"]
    );
    let lists = show(Show::Lists, &console).await;
    assert!(lists.contains(&"peers|1".to_owned()), "{lists:?}");
}
