//! PgBouncer's files, read as they are.

mod convert;
mod documentation;
mod set;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{Settings, check};
use super::Setup;
use crate::auth::method::Method;
use crate::pool::settings::{PoolMode, ServerAddress};
use crate::session::settings::ErrorStyle;

const TRUST: &str = "[pgbouncer]\nauth_type = trust\n";

/// Loads a text as `pgbouncer.ini`.
fn load(text: &str) -> Result<Settings, super::Problems> {
    Settings::from_text(text, Path::new("pgbouncer.ini"), [])
}

fn problems(text: &str) -> Vec<String> {
    let problems = load(text).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

/// The files that are read in these tests, and one that others include.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/pgbouncer/inis");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|ending| ending == "ini"))
        .filter(|file| !file.ends_with("included.ini"))
        .collect()
}

/// A row of SHOW CONFIG.
fn value(settings: &Settings, key: &str) -> String {
    let rows = settings.rows();
    let row = rows.into_iter().find(|row| row.key == key);
    row.unwrap_or_else(|| panic!("no {key}")).value
}

#[test]
fn a_file_that_says_nothing_behaves_as_with_pgbouncer() {
    let settings = load(TRUST).unwrap();
    let pools = &settings.pools;
    assert!(pools.databases.is_empty() && pools.template.is_none());
    assert!(settings.listen.addresses.is_empty());
    assert_eq!(
        settings.listen.unix_socket_dir.as_deref(),
        Some(Path::new("/tmp"))
    );
    assert_eq!(settings.session.errors, ErrorStyle::Pgbouncer);
    assert_eq!(settings.session.max_clients, 100);
    assert!(settings.session.tls.is_none());
    let settings = load(&format!("{TRUST}[databases]\nshop =\n")).unwrap();
    let shop = &settings.pools.databases["shop"];
    let socket = "/tmp/.s.PGSQL.5432";
    assert_eq!(shop.hosts.addresses, [ServerAddress::Unix(socket.into())]);
    assert_eq!(shop.pool.mode, PoolMode::Session);
    assert_eq!(shop.pool.query_wait_notify, Some(Duration::from_secs(5)));
    assert_eq!(shop.pool.server_check_query.as_deref(), Some(""));
}

#[test]
fn an_ini_is_known_by_its_ending_or_by_what_it_says_first() {
    for (name, text, is_ini) in [
        ("a.INI", "", true),
        ("a.toml", "[pgbouncer]", false),
        ("a.conf", "\n; x\n# y\n  [pgbouncer]", true),
        ("a", "[databases]\n", true),
        ("a", "%include x", true),
        ("a", "[databases.shop]", false),
        ("a", "[pool]", false),
        ("a", "", false),
    ] {
        let found = super::super::ini::is_ini(Path::new(name), text.as_bytes());
        assert_eq!(found, is_ini, "{name} {text}");
    }
}

#[test]
fn all_problems_come_together_in_the_words_of_the_file() {
    assert_eq!(
        problems(
            "[pgbouncer]\npool_mode = sesion\ndefault_pool_sise = 5\nlisten_port = 0x\n\
             [databases]\nshop = host=a prot=1\nledger = port=x\nodd = password='geheim\n"
        ),
        [
            "pgbouncer.ini:2: pool_mode = sesion: expected one of session, transaction, statement",
            "pgbouncer.ini:3: default_pool_sise: unknown key; did you mean default_pool_size?",
            "pgbouncer.ini:4: listen_port = 0x: expected a whole number that is not negative",
            "pgbouncer.ini:6: shop: prot: unknown key; did you mean port?",
            "pgbouncer.ini:7: ledger: port = x: expected a whole number that is not negative",
            "pgbouncer.ini:8: odd: expected a closing ' behind the value of password",
        ]
    );
    assert_eq!(
        problems("[databases]\nshop = host=a\n"),
        ["pgbouncer.ini: [pgbouncer]: missing"]
    );
}

#[test]
fn what_only_shows_later_is_said_in_the_words_of_the_file_too() {
    let here = std::env::current_dir().unwrap().join("none.txt");
    let problems = problems(&format!(
        "{TRUST}auth_file = none.txt\nlisten_port = 70000\n[databases]\na = host=a:1\n\
         pgbouncer =\nb = user=x password=SCRAM-SHA-256$1:a$b:c\n[peers]\nx = host=a\n"
    ));
    let expected = [
        "3: auth_file = none.txt: cannot read \"HERE\": No such file or directory (os error 2)",
        "4: listen_port = 70000: expected a port from 1 to 65535",
        "6: a: host = a:1: expected a host name or an address without a port, or the absolute \
         path of a folder with a Unix socket",
        "7: pgbouncer: the name \"pgbouncer\" is the console's: expected another name",
        "8: b: password: expected a password: broken SCRAM-SHA-256 secret",
        "10: x: expected a number from 1 to 16383",
    ];
    let expected = expected.map(|line| {
        let line = line.replace("HERE", &here.display().to_string());
        format!("pgbouncer.ini:{line}")
    });
    assert_eq!(problems, expected);
}

#[test]
fn a_second_pgbouncer_section_begins_with_the_defaults_again() {
    let text = "[pgbouncer]\nauth_type = trust\npool_mode = statement\nauth_user = kept\n\
                [pgbouncer]\nauth_type = any\n[databases]\nx = host=a\nx = host=b port=1\n";
    let settings = load(text).unwrap();
    assert_eq!(value(&settings, "pool_mode"), "session");
    assert_eq!(value(&settings, "auth_user"), "kept");
    assert_eq!(settings.session.method, Method::Any);
    assert_eq!(
        settings.pools.databases["x"].hosts.addresses,
        [ServerAddress::Tcp("b".into(), 1)]
    );
    let warning = settings.warnings[0].to_string();
    assert!(
        warning.starts_with("pgbouncer.ini:5: [pgbouncer]: begins with"),
        "{warning}"
    );
}

#[test]
fn a_pool_keeps_no_more_servers_than_it_may_have() {
    let text = format!(
        "{TRUST}default_pool_size = 5\nmin_pool_size = 9\n[databases]\na = host=a pool_size=20\n\
         b = host=b pool_size=3\nc = host=c pool_size=0 min_pool_size=7\n"
    );
    let settings = load(&text).unwrap();
    let sizes = |name: &str| {
        let pool = &settings.pools.databases[name].pool;
        (pool.size, pool.min_size)
    };
    assert_eq!(
        (sizes("a"), sizes("b"), sizes("c")),
        ((20, 5), (3, 3), (0, 7))
    );
    assert_eq!(
        settings.warnings[0].to_string(),
        "pgbouncer.ini:4: min_pool_size = 9: more than the size of the pool: 5 it is"
    );
}

#[test]
fn variables_stand_over_an_ini_as_well() {
    let variables = [("PGWARDEN__POOL__SIZE", "7"), ("PGWARDEN__WORKERS", "2")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::from_text(TRUST, Path::new("a.ini"), variables).unwrap();
    assert_eq!(value(&settings, "default_pool_size"), "7");
    assert_eq!(settings.workers, 2);
}

#[test]
fn check_says_what_is_without_effect() {
    let setup = Setup::new();
    let text = format!("{TRUST}pkt_buf = 8192\n[databases]\nx = host=a password=x\n");
    setup.write("pgbouncer.ini", &text);
    let file = setup.path("pgbouncer.ini");
    let name = file.display();
    assert_eq!(
        check(&file),
        (
            0,
            format!(
                "warning: {name}:5: x: password: no effect without user, as with PgBouncer\n\
                 note: {name}:3: pkt_buf = 8192: accepted without effect: Buffers grow and \
                 shrink with what they hold.\n\
                 {name}: ok (1 database, 0 users, listening on /tmp/.s.PGSQL.6432)\n"
            )
        )
    );
}

#[test]
fn show_config_has_the_rows_of_pgbouncer_in_its_order_and_then_our_own() {
    let setup = Setup::new();
    let toml = setup.load(super::SHOP).unwrap();
    let ini = load(TRUST).unwrap();
    for settings in [&toml, &ini] {
        let rows = settings.rows();
        let keys: Vec<_> = rows.iter().map(|row| row.key.as_str()).collect();
        let mut sorted = keys[..100].to_vec();
        sorted.sort_unstable();
        let at = |key: &str| keys.iter().position(|other| *other == key).unwrap();
        assert_eq!(at("pool_mode") + 1, at("pool_idle_timeout"));
        sorted.swap(at("pool_mode"), at("pool_idle_timeout"));
        assert_eq!(keys[..100], sorted);
        assert!(keys[100..].contains(&"workers"));
        assert!(keys[100..].contains(&"pool.prepare_unnamed"));
    }
    assert_eq!(value(&toml, "pool_mode"), "transaction");
    assert_eq!(value(&toml, "server_check_query"), "");
    assert_eq!(value(&toml, "unix_socket_mode"), "511");
    assert_eq!(value(&toml, "client_login_timeout"), "60");
    for row in ini.rows().into_iter().take(100) {
        let expected = match row.key.as_str() {
            "auth_type" => "trust",
            "conffile" => "pgbouncer.ini",
            "unix_socket_mode" => "511",
            "verbose" => "0",
            _ => &row.default,
        };
        assert_eq!(row.value, expected, "{}", row.key);
    }
}

proptest::proptest! {
    #[test]
    fn any_ini_is_read_or_refused_without_a_panic(
        text in "(\\[(pgbouncer|databases|users|peers|x)\\]\n|(pool_mode|auth_type|default_pool_size|min_pool_size|listen_addr|a|1|\\*|'x y'|\"\") ?= ?(0|-1|x|host=[a@/,.:]*|user=u password='p''q'|pool_size=[0-9-]* min_pool_size=9)\n|\\PC)*",
    ) {
        let _ = load(&text);
    }
}
