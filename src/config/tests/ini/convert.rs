//! Conversion: the TOML must do what the INI does.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::super::{Settings, convert};
use super::{examples, load};

/// Converts a file, and compares what it does with what its TOML does.
fn convert_and_compare(file: &Path) -> String {
    let ini = Settings::load(file).unwrap_or_else(|problems| panic!("{problems}"));
    let converted = convert(file).unwrap();
    assert!(converted.problems.is_empty(), "{:?}", converted.problems);
    let toml = converted.toml;
    let settings = Settings::from_text(&toml, Path::new("pgbouncer.toml"), [])
        .unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
    let rows = |settings: &Settings| {
        let rows = settings.rows().into_iter();
        let rows: Vec<_> = rows.filter(|row| row.key != "conffile").collect();
        rows
    };
    for (from_ini, from_toml) in rows(&ini).iter().zip(rows(&settings)) {
        assert_eq!(*from_ini, from_toml, "{toml}");
    }
    assert_eq!(rows(&ini).len(), rows(&settings).len());
    // What SHOW DATABASES, SHOW USERS and SHOW PEERS are made of.
    let all = |settings: &Settings| {
        format!(
            "{:#?}{:#?}{:#?}{:#?}",
            settings.pools, settings.listen, settings.peers, settings.telemetry
        )
    };
    assert_eq!(all(&ini), all(&settings), "{toml}");
    assert_eq!(ini.session.lookup, settings.session.lookup);
    assert_eq!(ini.session.errors, settings.session.errors);
    toml
}

#[test]
fn the_toml_does_what_the_ini_does() {
    let files = examples();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        convert_and_compare(&file);
    }
}

#[test]
fn only_what_differs_is_printed_with_pgbouncers_words_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgbouncer.ini");
    let text = "[databases]\n'my db' = host=10.0.0.1 user=app password='a\"b' pool_size=5 \
                timezone=UTC\nplain = host=127.0.0.1\n[pgbouncer]\nauth_type = trust\n\
                pool_mode = transaction\nserver_lifetime = 0\nmax_client_conn = 500\n\
                admin_users = a, b\npkt_buf = 8192\nauth_user = asker\n\
                log_connections = 0\nsbuf_loopcnt = 5\n";
    fs::write(&file, text).unwrap();
    let toml = convert_and_compare(&file);
    let toml = toml.replace(&folder.path().display().to_string(), "");
    assert_eq!(toml, CONVERTED);
}

const CONVERTED: &str = r#"# From /pgbouncer.ini by pgwarden convert.

[listen]
address = []  # listen_addr: PgBouncer's default
unix_socket_dir = "/tmp"  # PgBouncer's default
backlog = 128  # listen_backlog: PgBouncer's default

[listen.tls]
mode = "disable"  # client_tls_sslmode: PgBouncer's default

[auth]
method = "trust"  # auth_type
users = "off"  # auth_file: PgBouncer's default
lookup.user = "asker"  # auth_user
allow_cleartext = true  # as PgBouncer

[clients]
max = 500  # max_client_conn
errors = "pgbouncer"  # as PgBouncer

[tcp]
keepidle = "off"  # tcp_keepidle: PgBouncer's default

[pool]
query_wait_notify = "5s"  # PgBouncer's default
server_lifetime = "0s"  # server_lifetime = 0
server_check_query = ""  # PgBouncer's default
track_parameters = ["IntervalStyle"]  # track_extra_parameters: PgBouncer's default

[server_tls]
allow_cleartext = true  # as PgBouncer

[databases."my db"]
host = ["10.0.0.1"]
server.user = "app"
server.password = "a\"b"
pool.size = 5  # pool_size
startup_parameters.timezone = "UTC"

[databases.plain]

[console]
admins = ["a", "b"]  # admin_users = a, b

[log]
format = "pgbouncer"  # as PgBouncer
syslog_ident = "pgbouncer"  # PgBouncer's default
connections = false  # log_connections = 0

[pgbouncer]
pkt_buf = 8192

# Set by the INI, and without effect in pgwarden:
#   pkt_buf = 8192 (line 10): accepted without effect: Buffers grow and shrink with what they hold.
#   sbuf_loopcnt = 5 (line 13): accepted without effect: Sockets take turns by themselves.
"#;

#[test]
fn what_is_no_ini_is_not_converted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    fs::write(&file, "[pool]\n").unwrap();
    let problems = convert(&file).unwrap_err().to_string();
    assert!(
        problems.ends_with("expected an INI of PgBouncer, not TOML"),
        "{problems}"
    );
    fs::write(folder.path().join("b.ini"), "[pgbouncer]\npool_mode = x\n").unwrap();
    let problems = convert(&folder.path().join("b.ini"))
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("b.ini:2: pool_mode = x: expected one of"),
        "{problems}"
    );
}

#[test]
fn a_file_that_names_what_is_not_here_is_converted_and_complained_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ini");
    fs::write(&file, "[pgbouncer]\nauth_file = /none/userlist.txt\n").unwrap();
    let converted = convert(&file).unwrap();
    let users = "users = \"/none/userlist.txt\"  # auth_file\n";
    assert!(converted.toml.contains(users), "{}", converted.toml);
    assert_eq!(converted.problems.len(), 1, "{:?}", converted.problems);
}

/// A value of each key that has a meaning, whatever the other keys say.
fn line() -> impl Strategy<Value = String> {
    let keys: Vec<_> = load(super::TRUST)
        .unwrap()
        .rows()
        .into_iter()
        .take(100)
        .collect();
    let whole = select(vec!["0", "1", "7", "010", "0x20", "1000"]);
    let time = select(vec!["0", "1", "0.5", "90", "3600", "1.2345", "1e4"]);
    let text = "[ -~]{1,20}[!-~]".prop_map(|text| text.trim().to_owned());
    let words = "([a-z_]{1,8}[, ]{0,2}){0,4}";
    (select(keys), whole, time, text, words).prop_filter_map(
        "a key that goes with all others",
        |(row, whole, time, text, words)| {
            let is_numeric = row.default.parse::<f64>().is_ok();
            let value = match row.key.as_str() {
                // Files that would have to be there, and what is checked elsewhere.
                "auth_file" | "auth_hba_file" | "auth_ident_file" | "auth_ldap_options"
                | "conffile" | "auth_type" | "user" => return None,
                key if key.contains("_tls") => return None,
                "unix_socket_mode" => "0750".into(),
                "listen_addr" => "localhost, *".into(),
                "pool_mode" => "Statement".into(),
                "verbose" => "2".into(),
                "syslog_facility" => "LOCAL3".into(),
                "unix_socket_dir" => "/run/x y".into(),
                "listen_port" | "listen_backlog" | "max_client_conn" | "scram_iterations"
                | "stats_period" | "pkt_buf" | "max_packet_size" => "0x100".into(),
                "tcp_keepcnt" => "9".into(),
                key if key.ends_with("_users") || key.ends_with("_parameters") => words,
                key if key.starts_with("tcp_") || key == "query_wait_notify" => whole.to_owned(),
                key if key.contains("timeout")
                    || key.contains("ttl")
                    || key.contains("period")
                    || key.contains("lifetime")
                    || key.contains("delay")
                    || key.contains("retry") =>
                {
                    time.to_owned()
                }
                _ if is_numeric => whole.to_owned(),
                _ => text,
            };
            Some(format!("{} = {value}\n", row.key))
        },
    )
}

fn entry() -> impl Strategy<Value = String> {
    let name = "('[ -&(-~]{1,10}'|[a-zA-Z0-9_.*-]{1,10})";
    let quoted = || "[ -~]{1,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''")));
    let pair = prop_oneof![
        quoted().prop_map(|text| format!("dbname={text}")),
        quoted().prop_map(|text| format!("connect_query={text}")),
        quoted().prop_map(|text| format!("user={text} password={text}")),
        quoted().prop_map(|text| format!("timezone={text}")),
        quoted().prop_map(|text| format!("auth_query={text}")),
        quoted().prop_map(|text| format!("application_name={text}")),
        select(vec![
            "host=a,b.c",
            "host=::1",
            "host=/tmp",
            "host=127.0.0.1",
            "port=0x10",
            "pool_size=0",
            "pool_size=-1",
            "pool_size=3",
            "min_pool_size=8",
            "reserve_pool=2",
            "pool_mode=SESSION",
            "max_db_connections=4",
            "server_lifetime=0",
            "server_lifetime=60",
            "query_wait_timeout=0",
            "load_balance_hosts=disable",
        ])
        .prop_map(str::to_owned),
    ];
    (name, proptest::collection::vec(pair, 0..5))
        .prop_filter("the console's names", |(name, _)| {
            !name.contains("pgbouncer") && !name.contains("pgwarden")
        })
        .prop_map(|(name, pairs)| format!("{name} = {}\n", pairs.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_the_ini_says_its_toml_does_the_same(
        lines in proptest::collection::vec(line(), 0..30),
        databases in proptest::collection::vec(entry(), 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ini");
        let text = format!(
            "[pgbouncer]\nauth_type = trust\n{}[databases]\n{}",
            lines.concat(),
            databases.concat()
        );
        fs::write(&file, &text).unwrap();
        convert_and_compare(&file);
    }
}
