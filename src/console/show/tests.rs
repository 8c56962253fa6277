use std::time::Duration;

use super::*;
use crate::console::control::fake::FakeControl;
use crate::console::table::Kind;

/// PgBouncer's columns, as its console names and types them.
const SPECIFICATION: &str = "
clients: type:text user:text database:text replication:text state:text addr:text port:int4 local_addr:text local_port:int4 connect_time:text request_time:text wait:int4 wait_us:int4 close_needed:int4 ptr:text link:text remote_pid:int4 tls:text application_name:text prepared_statements:int4 id:int4
servers: type:text user:text database:text replication:text state:text addr:text port:int4 local_addr:text local_port:int4 connect_time:text request_time:text wait:int4 wait_us:int4 close_needed:int4 ptr:text link:text remote_pid:int4 tls:text application_name:text prepared_statements:int4 id:int4
config: key:text value:text default:text changeable:text
databases: name:text host:text port:int4 database:text force_user:text pool_size:int4 min_pool_size:int4 reserve_pool_size:int4 server_lifetime:int4 pool_mode:text load_balance_hosts:text max_connections:int4 current_connections:int4 max_client_connections:int4 current_client_connections:int4 paused:int4 disabled:int4
lists: list:text items:int4
pools: database:text user:text cl_active:int4 cl_waiting:int4 cl_active_cancel_req:int4 cl_waiting_cancel_req:int4 sv_active:int4 sv_active_cancel:int4 sv_being_canceled:int4 sv_idle:int4 sv_used:int4 sv_tested:int4 sv_login:int4 maxwait:int4 maxwait_us:int4 pool_mode:text load_balance_hosts:text
state: key:text value:text
stats: database:text total_server_assignment_count:numeric total_xact_count:numeric total_query_count:numeric total_received:numeric total_sent:numeric total_xact_time:numeric total_query_time:numeric total_wait_time:numeric total_client_parse_count:numeric total_server_parse_count:numeric total_bind_count:numeric total_client_login_count:numeric avg_server_assignment_count:numeric avg_xact_count:numeric avg_query_count:numeric avg_recv:numeric avg_sent:numeric avg_xact_time:numeric avg_query_time:numeric avg_wait_time:numeric avg_client_parse_count:numeric avg_server_parse_count:numeric avg_bind_count:numeric avg_client_login_count:numeric
stats_totals: database:text server_assignment_count:numeric xact_count:numeric query_count:numeric bytes_received:numeric bytes_sent:numeric xact_time:numeric query_time:numeric wait_time:numeric client_parse_count:numeric server_parse_count:numeric bind_count:numeric client_login_count:numeric
stats_averages: database:text server_assignment_count:numeric xact_count:numeric query_count:numeric bytes_received:numeric bytes_sent:numeric xact_time:numeric query_time:numeric wait_time:numeric avg_client_parse_count:numeric avg_server_parse_count:numeric avg_bind_count:numeric avg_client_login_count:numeric
totals: name:text value:numeric
users: name:text pool_size:text reserve_pool_size:text pool_mode:text max_user_connections:int4 current_connections:int4 max_user_client_connections:int4 current_client_connections:int4
version: version:text
";

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int4 => "int4",
        Kind::Int8 => "int8",
        Kind::Numeric => "numeric",
        Kind::Text => "text",
    }
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
        let ours: Vec<_> = Show::of_name(name)
            .unwrap()
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
    assert_eq!(known, Show::ALL.len(), "all but HELP, which is a notice");
    assert!(Show::Help.columns().is_none());
}

#[tokio::test]
async fn every_table_has_values_of_its_columns_types() {
    let control = FakeControl::new();
    control.pool("shop", "ann");
    control.add_client(1, ("shop", "ann"), "active", 1);
    let console = Console::new(control);
    for what in Show::ALL {
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
            "pgwarden|pgwarden|1|0|0|0|0|0|0|0|0|0|0|0|0|statement|-",
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
            "pgwarden|-|0|pgwarden|pgwarden|0|0|0|0|statement|-|0|0|0|0|0|0",
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
    console.count_command(Duration::from_micros(9));
    assert_eq!(
        show(Show::StatsTotals, &console).await,
        [
            "ledger|0|5|0|0|0|0|0|0|0|0|0|0",
            "pgwarden|0|1|1|0|0|9|9|0|0|0|0|1"
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
        averages[1].starts_with("pgwarden|") && averages[1].contains("|9|9|"),
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
    let version = concat!("pgwarden ", env!("CARGO_PKG_VERSION"));
    assert_eq!(show(Show::Version, &console).await, [version]);
    assert_eq!(
        show(Show::Users, &console).await,
        ["ann|||-|7|0|0|1", "owner|||-|0|0|0|0"]
    );
    let lists = show(Show::Lists, &console).await;
    assert_eq!(lists.len(), 14);
    for line in [
        "databases|3",
        "users|2",
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
