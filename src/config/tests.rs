//! Whole files, as an operator writes them.

mod access;
mod environment;
mod ini;
mod ldap;
mod oauth;
mod questions;
mod reference;
mod secrets;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Problems, Settings, check};
use crate::auth::method::Method;
use crate::pool::settings::{DatabaseSettings, PoolMode, PoolSettings, ServerAddress};
use crate::wire::tls::TlsMode;

/// A folder with what the files under test name, and a file in it.
struct Setup {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Self {
            folder,
            variables: Vec::new(),
        };
        setup.write("userlist.txt", &format!("\"alice\" \"{VERIFIER}\"\n"));
        setup
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn write_certificate(&self, certificate: &str, key: &str) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write(certificate, &made.cert.pem());
        self.write(key, &made.signing_key.serialize_pem());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.into(), value.into()));
        self
    }

    fn load(&self, text: &str) -> Result<Settings, Problems> {
        let file = self.path("pgwarden.toml");
        Settings::from_text(text, &file, self.variables.clone())
    }

    /// The problems without the name of the folder.
    fn problems(&self, text: &str) -> Vec<String> {
        let problems = self.load(text).unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        let lines = problems
            .iter()
            .map(|problem| problem.to_string().replace(&folder, ""));
        lines.collect()
    }

    fn shop(&self, text: &str) -> DatabaseSettings {
        let settings = self.load(text).unwrap();
        settings.pools.databases["shop"].as_ref().clone()
    }
}

const VERIFIER: &str = "SCRAM-SHA-256$4096:oMSPoB4C08seZ3vyewkd/g==\
    $fCWeBh1ynuslVq8nehWxC4Dwuiv0LALjlvdKOTz/d6I=:rrTiWh8OTD0kiWS5sdQuy8UNdfs1Iske2iTTyVMbmag=";

/// What a valid file needs; appended so that line numbers stay.
const SHOP: &str = "\n[databases.shop]\n[auth]\nusers = \"userlist.txt\"\n";

#[test]
fn the_example_of_the_issue_works_as_written() {
    let setup = Setup::new();
    setup.write_certificate("server.crt", "server.key");
    setup.write_certificate("clients.crt", "clients.key");
    let settings = setup
        .load(
            r#"
[listen]
address = "127.0.0.1"          # or a list; "*" for every address
port = 6432
unix_socket_dir = "/run/pgwarden"     # optional

[listen.tls]                   # optional
mode = "prefer"                # disable, allow, prefer, require, verify-ca, verify-full
certificate = "server.crt"
key = "server.key"
client_ca = "clients.crt"

[pool]                         # defaults; a database, role or user may override
mode = "transaction"
size = 20
query_wait_timeout = "120s"

[databases.shop]
host = "127.0.0.1"
port = 5432
dbname = "shop"                # default: the entry's name

[auth]
method = "scram-sha-256"
users = "userlist.txt"

[console]
admins = ["postgres"]
viewers = ["monitor"]

[metrics]
address = "127.0.0.1:9187"
"#,
        )
        .unwrap();
    assert_eq!(settings.listen.addresses, ["127.0.0.1"]);
    assert_eq!(
        settings.listen.unix_socket_dir.as_deref(),
        Some(Path::new("/run/pgwarden"))
    );
    assert_eq!(settings.session.tls.unwrap().mode, TlsMode::Prefer);
    let shop = &settings.pools.databases["shop"];
    assert_eq!(
        shop.hosts.addresses[0],
        ServerAddress::Tcp("127.0.0.1".into(), 5432)
    );
    assert_eq!(shop.dbname, "shop");
    assert_eq!(shop.pool, PoolSettings::default());
    assert_eq!(settings.session.method, Method::ScramSha256);
    assert!(settings.session.users.get("alice").is_some());
    assert!(settings.console.admins.contains("postgres"));
    assert!(settings.console.viewers.contains("monitor"));
    let metrics = settings.telemetry.metrics_address.unwrap();
    assert_eq!(metrics.port(), 9187);
}

#[test]
fn all_problems_come_together_each_with_its_line() {
    let problems = Setup::new().problems(
        r#"workers = 0
[pool]
sizee = 5
query_wait_timeout = 30
min_size = "many"
[databases.shop]
port = 70000
pool = { size = 2,
         min_size = 3 }
colour = "red"
[auth]
method = "scram"
users = "nobody.txt"
[metrics]
address = "localhost"
"#,
    );
    assert_eq!(
        problems,
        [
            "pgwarden.toml:1: workers = 0: expected a whole number from 1 to 64",
            "pgwarden.toml:3: pool.sizee: unknown key; did you mean pool.size?",
            "pgwarden.toml:4: pool.query_wait_timeout = 30: a number without a unit: expected a \
             duration such as \"500ms\", \"30s\", \"2m\", \"1h\" or \"1d\", or \"off\"",
            "pgwarden.toml:5: pool.min_size = \"many\": expected a whole number from 0 to 10000",
            "pgwarden.toml:7: databases.shop.port = 70000: expected a port from 1 to 65535",
            "pgwarden.toml:9: databases.shop.pool.min_size = 3: expected at most size (2)",
            "pgwarden.toml:10: databases.shop.colour: unknown key",
            "pgwarden.toml:12: auth.method = \"scram\": expected one of \"any\", \"cert\", \"hba\", \
             \"ldap\", \"md5\", \"oauth\", \"pam\", \"password\", \"scram-sha-256\", \"trust\"",
            "pgwarden.toml:13: auth.users = \"nobody.txt\": cannot read \"nobody.txt\": No such \
             file or directory (os error 2)",
            "pgwarden.toml:15: metrics.address = \"localhost\": expected an address and a port \
             such as \"127.0.0.1:9187\", or \"off\"",
        ]
    );
}

#[test]
fn what_is_missing_is_said() {
    assert_eq!(
        Setup::new().problems("\n[auth]\n"),
        [
            "pgwarden.toml:2: auth.users: missing: scram-sha-256 needs a file of users and \
             their secrets",
            "pgwarden.toml: databases: missing: expected at least one [databases.NAME]",
        ]
    );
    let problems = Setup::new().problems("[databases.shop.server]\npassword = \"x\"");
    assert!(problems[0].starts_with("pgwarden.toml:1: databases.shop.server: user is missing"));
}

#[test]
fn a_syntax_error_has_line_and_column() {
    let problems = Setup::new().problems("workers = 1\nworkers 2\n");
    assert!(
        problems[0].starts_with("pgwarden.toml:2:9: "),
        "{problems:?}"
    );
}

#[test]
fn an_unknown_key_is_compared_with_all_known_ones() {
    let text =
        format!("pool_mode = \"session\"\n[listen]\nworkers = 2\n[databses.x]{SHOP}size = 3");
    assert_eq!(
        Setup::new().problems(&text),
        [
            "pgwarden.toml:1: pool_mode: unknown key; did you mean pool.mode?",
            "pgwarden.toml:3: listen.workers: unknown key; did you mean workers?",
            "pgwarden.toml:4: databses: unknown key; did you mean databases?",
            "pgwarden.toml:8: auth.size: unknown key; did you mean pool.size?",
        ]
    );
    let problems = Setup::new().problems("[databases.shop]\nsize = 3");
    let meant = "databases.shop.size: unknown key; did you mean databases.shop.pool.size?";
    assert!(problems[0].ends_with(meant), "{problems:?}");
}

#[test]
fn keys_in_quotes_do_not_pass_for_paths() {
    let problems = Setup::new().problems(&format!("\"pool.size\" = 7{SHOP}"));
    assert_eq!(problems, ["pgwarden.toml:1: \"pool.size\": unknown key"]);
}

#[test]
fn numbers_beyond_all_bounds_have_a_line_too() {
    let problems = Setup::new().problems(&format!("\nworkers = 99999999999999999999{SHOP}"));
    assert_eq!(
        problems,
        ["pgwarden.toml:2: workers: the number is too large"]
    );
}

#[test]
fn a_database_overrides_the_pool_and_inherits_the_rest() {
    let shop = Setup::new().shop(
        "[pool]\nsize = 7\nquery_wait_timeout = \"off\"\n[auth]\nmethod = \"trust\"\n\
         [databases.shop]\npool = { mode = \"session\", min_size = 2 }",
    );
    assert_eq!(
        shop.pool,
        PoolSettings {
            mode: PoolMode::Session,
            size: 7,
            min_size: 2,
            query_wait_timeout: None,
            ..PoolSettings::default()
        }
    );
}

#[test]
fn a_smaller_size_than_the_inherited_minimum_is_refused() {
    let text = format!("[pool]\nmin_size = 5{SHOP}[databases.shop.pool]\nsize = 3");
    assert_eq!(
        Setup::new().problems(&text),
        ["pgwarden.toml:7: databases.shop.pool.size = 3: expected at least min_size (5)"]
    );
}

#[test]
fn the_names_of_the_console_are_reserved() {
    let problems = Setup::new().problems(&format!(
        "[databases.pgbouncer]\n[databases.pgwarden]{SHOP}"
    ));
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with(
        "pgwarden.toml:1: databases.pgbouncer: the name \"pgbouncer\" is the console's"
    ));
}

#[test]
fn a_host_is_a_name_an_address_or_a_folder() {
    let setup = Setup::new();
    for host in ["db-1.example.com", "10.0.0.1", "::1", "fe80::1%eth0"] {
        let shop = setup.shop(&format!(
            "databases.shop.host = \"{host}\"\nauth.method = \"trust\""
        ));
        assert_eq!(
            shop.hosts.addresses[0],
            ServerAddress::Tcp(host.into(), 5432)
        );
    }
    let shop = setup.shop(
        "auth.method = \"trust\"\ndatabases.shop = { host = \"/run/postgresql\", port = 5433 }",
    );
    let socket = "/run/postgresql/.s.PGSQL.5433";
    assert_eq!(shop.hosts.addresses[0], ServerAddress::Unix(socket.into()));
    assert!(shop.tls.side.is_none());
    for host in ["", "db:5432", "run/postgresql", "a b", "a,b", "[::1]"] {
        let text = format!("databases.shop.host = \"{host}\"\nauth.method = \"trust\"");
        assert_eq!(setup.problems(&text).len(), 1, "{host}");
    }
}

#[test]
fn limits_and_parameters_reach_their_settings() {
    let setup = Setup::new();
    let text = format!(
        "{SHOP}[users.app]\nmax_connections = 9\n[users.other]\n[databases.shop.startup_parameters]\n\
         search_path = \"a, b\"\n[databases.ledger]\nmax_connections = 3\nmax_clients = \"off\"\n"
    );
    let settings = setup.load(&text).unwrap();
    assert_eq!(settings.pools.users["app"].max_connections, Some(9));
    assert_eq!(settings.pools.users.len(), 2);
    let shop = &settings.pools.databases["shop"];
    assert_eq!(shop.startup_parameters["search_path"], "a, b");
    let ledger = &settings.pools.databases["ledger"];
    assert_eq!(
        (ledger.max_connections, ledger.max_clients),
        (Some(3), None)
    );
    let text =
        format!("{SHOP}[databases.shop.startup_parameters]\nreplication = \"on\"\nuser = \"x\"");
    assert_eq!(setup.problems(&text).len(), 2);
}

#[test]
fn some_way_to_connect_is_needed() {
    let setup = Setup::new();
    assert_eq!(
        setup.problems(&format!("listen.address = []{SHOP}")).len(),
        1
    );
    let both = format!(
        "[listen]\naddress = []\nunix_socket_dir = \"run\"\nunix_socket_mode = \"0770\"{SHOP}"
    );
    let listen = setup.load(&both).unwrap().listen;
    assert_eq!(listen.unix_socket_dir, Some(setup.path("run")));
    assert_eq!(listen.unix_socket_mode, 0o770);
    for mode in ["777", "\"1777\"", "\"99\"", "\"rwx\""] {
        let text = format!("listen.unix_socket_mode = {mode}{SHOP}");
        assert_eq!(setup.problems(&text).len(), 1, "{mode}");
    }
}

#[test]
fn check_prints_a_summary_or_every_problem_and_their_number() {
    let setup = Setup::new();
    let file = setup.path("pgwarden.toml");
    setup.write("pgwarden.toml", SHOP);
    let name = file.display();
    let summary = "1 database, 1 user, listening on 127.0.0.1:6432";
    assert_eq!(check(&file), (0, format!("{name}: ok ({summary})\n")));
    setup.write("pgwarden.toml", &format!("a = 1\nb = 2{SHOP}"));
    let problems = format!("{name}:1: a: unknown key\n{name}:2: b: unknown key\n2 problems\n");
    assert_eq!(check(&file), (1, problems));
    let (code, text) = check(&setup.path("none.toml"));
    assert_eq!(code, 1);
    assert!(
        text.contains("none.toml: cannot be read: No such file"),
        "{text}"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(
        text in "(\\[{1,2}(pool|databases\\.x|users|listen\\.tls|roles\\.r|roles\\.r\\.deny|grant|test|access|maintenance)\\]{1,2}\n|(size|port|server|password|role|statements|read_only|window|from|sql|\"\") ?= ?(1|-1|\"off\"|\"r\"|\"ddl\"|true|\\{|\\}|\\[|1e9)\n|\\PC)*",
        variable in "PGWARDEN__[A-Z_.\\[\\]0é]*",
    ) {
        let _ = Setup::new().with(&variable, "x").load(&text);
    }
}
