//! Whole files, as an operator writes them.

mod reference;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{Problems, Settings, check};
use crate::auth::method::Method;
use crate::auth::secret::Secret;
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
    assert_eq!(shop.address, ServerAddress::Tcp("127.0.0.1".into(), 5432));
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
            "pgwarden.toml:12: auth.method = \"scram\": expected one of \"cert\", \"md5\", \
             \"password\", \"scram-sha-256\", \"trust\"",
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
            "pgwarden.toml:1: pool_mode: unknown key",
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
fn variables_come_before_the_file() {
    let setup = Setup::new()
        .with("PGWARDEN__POOL__SIZE", "30")
        .with("PGWARDEN__POOL__PREPARE_UNNAMED", "true")
        .with("PGWARDEN__DATABASES__SHOP__HOST", "db1")
        .with("PGWARDEN__DATABASES__SHOP__SERVER__USER", "app")
        .with("PGWARDEN__DATABASES__NEW__POOL__SERVER_LIFETIME", "1d")
        .with("PGWARDEN__CONSOLE__ADMINS", "alice, bob")
        .with("PGWARDEN_PORT", "tcp://10.0.0.1:6432");
    let settings = setup
        .load(&format!("[pool]\nsize = 5\nmin_size = 1{SHOP}"))
        .unwrap();
    let shop = &settings.pools.databases["shop"];
    assert_eq!((shop.pool.size, shop.pool.min_size), (30, 1));
    assert!(shop.pool.prepare_unnamed);
    assert_eq!(shop.address, ServerAddress::Tcp("db1".into(), 5432));
    assert_eq!(shop.server.as_ref().unwrap().user.as_str(), "app");
    let new = &settings.pools.databases["new"];
    assert_eq!(new.pool.server_lifetime, Some(Duration::from_hours(24)));
    assert!(settings.console.admins.contains("bob"));
}

#[test]
fn a_variable_finds_a_database_in_upper_case() {
    let setup = Setup::new().with("PGWARDEN__DATABASES__SHOP__PORT", "1");
    let text = "[databases.Shop]\n[auth]\nmethod = \"trust\"";
    let settings = setup.load(text).unwrap();
    assert_eq!(settings.pools.databases.len(), 1);
    let address = &settings.pools.databases["Shop"].address;
    assert_eq!(*address, ServerAddress::Tcp("127.0.0.1".into(), 1));
    let problems = setup.problems(&format!("{text}\n[databases.sHOP]"));
    assert_eq!(
        problems,
        ["PGWARDEN__DATABASES__SHOP__PORT: could mean several entries that differ in case"]
    );
}

#[test]
fn a_wrong_variable_is_named() {
    let setup = Setup::new()
        .with("PGWARDEN__POOL__SIZE", "lots")
        .with("PGWARDEN__POOL__SIZEE", "3")
        .with("PGWARDEN__POLO__SIZE", "3")
        .with("PGWARDEN__WORKERS__X", "3")
        .with("PGWARDEN__DATABASES", "x")
        .with("PGWARDEN__LOG__LEVEL", "loud");
    let mut problems = setup.problems("workers = 2\n[auth]\nmethod = \"trust\"\n");
    problems.sort();
    for expected in [
        "PGWARDEN__DATABASES: expected a table, not a string",
        "PGWARDEN__LOG__LEVEL = \"loud\": expected one of",
        "PGWARDEN__POLO__SIZE: unknown key",
        "PGWARDEN__POOL__SIZE = \"lots\": expected a whole number",
        "PGWARDEN__POOL__SIZEE: unknown key; did you mean pool.size?",
        "PGWARDEN__WORKERS__X: unknown key",
    ] {
        let found = problems.iter().any(|line| line.starts_with(expected));
        assert!(found, "{expected}: {problems:#?}");
    }
}

#[test]
fn variables_that_contradict_each_other_are_refused() {
    let setup = Setup::new()
        .with("PGWARDEN__POOL", "5")
        .with("PGWARDEN__POOL__SIZE", "30");
    assert_eq!(
        setup.problems(SHOP),
        ["PGWARDEN__POOL__SIZE: contradicts PGWARDEN__POOL"]
    );
}

#[test]
fn a_password_comes_from_text_variable_or_file() {
    let setup = Setup::new().with("SHOP_PASSWORD", "from variable");
    setup.write("shop.password", "from file\n");
    for (password, expected) in [
        ("\"from text\"", "from text"),
        ("{ env = \"SHOP_PASSWORD\" }", "from variable"),
        ("{ file = \"shop.password\" }", "from file"),
    ] {
        let shop = setup.shop(&format!(
            "{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = {password}"
        ));
        let server = shop.server.unwrap();
        let Secret::Plain(plain) = server.secret.as_deref().unwrap() else {
            panic!("{server:?}");
        };
        assert_eq!(plain.expose(), expected);
    }
}

#[test]
fn an_unusable_password_is_named_and_not_shown() {
    let setup = Setup::new()
        .with("EMPTY", "")
        .with("VERIFIER", "SCRAM-SHA-256$hunter2")
        .with("OTHER", VERIFIER);
    for (password, expected) in [
        ("12345", ".password: expected a password in quotes, { env"),
        ("[\"hunter2\"]", ".password: expected a password in quotes"),
        ("\"\"", ".password: expected a password that is not empty"),
        (
            "{ env = \"NONE\" }",
            ".password.env = \"NONE\": expected the name",
        ),
        (
            "{ env = \"EMPTY\" }",
            ".env = \"EMPTY\": expected a password",
        ),
        ("{ env = \"VERIFIER\" }", "broken SCRAM-SHA-256 secret"),
        ("{ env = \"OTHER\" }", "a SCRAM verifier lets others log in"),
        ("{ file = \"none\" }", ".file = \"none\": cannot read"),
        (
            "{ env = \"A\", file = \"b\" }",
            ".password: expected either",
        ),
        ("{ text = \"hunter2\" }", ".password.text: unknown key"),
    ] {
        let text = format!(
            "{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = {password}\npasword = \"hunter2\""
        );
        let problems = setup.problems(&text).join("\n");
        assert!(problems.contains(expected), "{expected}: {problems}");
        assert!(
            problems.contains("server.pasword: unknown key"),
            "{problems}"
        );
        for secret in ["hunter2", "12345", "oMSPoB4C08seZ3vyewkd"] {
            assert!(!problems.contains(secret), "{problems}");
        }
    }
}

#[test]
fn a_url_in_the_wrong_place_does_not_give_its_password_away() {
    for line in [
        "databases.x = \"postgres://app:hunter2@db/x\"",
        "databases.x.host = \"postgres://app:hunter2@db/x\"",
        "databases.x.server = \"app:hunter2\"",
    ] {
        let problems = Setup::new().problems(&format!("{line}{SHOP}"));
        assert!(problems[0].starts_with("pgwarden.toml:1: databases.x"));
        assert!(!problems.join("\n").contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let setup = Setup::new().with("PGWARDEN__DATABASES__NEW__SERVER__PASSWORD", "hunter2");
    let setup = setup.with("PGWARDEN__DATABASES__NEW__SERVER__USER", "app");
    setup.write("userlist.txt", "\"alice\" \"hunter2\"");
    let text = format!("{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = \"hunter2\"");
    let shown = format!("{:?}", setup.load(&text).unwrap());
    assert!(shown.contains("PlainPassword(..)"));
    assert!(!shown.contains("hunter2"), "{shown}");
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
        assert_eq!(shop.address, ServerAddress::Tcp(host.into(), 5432));
    }
    let shop = setup.shop(
        "auth.method = \"trust\"\ndatabases.shop = { host = \"/run/postgresql\", port = 5433 }",
    );
    let socket = "/run/postgresql/.s.PGSQL.5433";
    assert_eq!(shop.address, ServerAddress::Unix(socket.into()));
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
    assert_eq!(settings.pools.max_user_connections["app"], 9);
    assert_eq!(settings.pools.max_user_connections.len(), 1);
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
fn a_changed_certificate_changes_the_fingerprint() {
    let setup = Setup::new();
    let text = format!("{SHOP}[server_tls]\nmode = \"verify-full\"\nca = \"ca.crt\"");
    setup.write_certificate("ca.crt", "ca.key");
    let before = setup.shop(&text);
    assert!(before.has_same_servers(&setup.shop(&text)));
    setup.write_certificate("ca.crt", "ca.key");
    assert!(!before.has_same_servers(&setup.shop(&text)));
}

#[test]
fn a_database_has_its_own_tls_over_the_common_one() {
    let setup = Setup::new();
    setup.write_certificate("ca.crt", "ca.key");
    let text = format!(
        "server_tls.ca = \"ca.crt\"\n{SHOP}[databases.shop.tls]\nmode = \"verify-ca\"\n[databases.plain]\n\
         tls = {{ mode = \"disable\" }}"
    );
    let settings = setup.load(&text).unwrap();
    let databases = &settings.pools.databases;
    let side = databases["shop"].tls.side.as_ref().unwrap();
    assert_eq!(side.mode, TlsMode::VerifyCa);
    assert!(databases["plain"].tls.side.is_none());
}

#[test]
fn unusable_tls_files_are_complained_of_once_at_their_key() {
    let setup = Setup::new();
    setup.write_certificate("server.crt", "server.key");
    for (tls, expected) in [
        (
            "[listen.tls]\nmode = \"require\"",
            ["pgwarden.toml:1: listen.tls.certificate: certificate and key are both needed"],
        ),
        (
            "[listen.tls]\ncertificate = \"server.crt\"\nkey = \"none.key\"",
            [
                "pgwarden.toml:3: listen.tls.key = \"none.key\": cannot use \"none.key\": No such file \
              or directory (os error 2)",
            ],
        ),
        (
            "[listen.tls]\ncertificate = \"server.crt\"",
            ["pgwarden.toml:1: listen.tls.key: certificate and key are both needed"],
        ),
        (
            "[server_tls]\nmode = \"verify-ca\"",
            [
                "pgwarden.toml:1: server_tls.ca: verify-ca and verify-full need a file of \
              certificate authorities",
            ],
        ),
    ] {
        let problems = setup.problems(&format!("{tls}{SHOP}"));
        assert_eq!(problems, expected);
    }
}

#[test]
fn a_method_that_nobody_could_pass_is_refused() {
    let problems = Setup::new().problems("[auth]\nmethod = \"cert\"\n[databases.shop]");
    assert!(
        problems[0].starts_with("pgwarden.toml:2: auth.method = \"cert\": expected a client_ca")
    );
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
fn every_broken_line_of_the_userlist_is_a_problem() {
    let setup = Setup::new();
    setup.write("userlist.txt", "\"a\" \"b\"\nhunter2\n\"c\" hunter2\n");
    let problems = setup.problems(SHOP);
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("pgwarden.toml:4: auth.users = \"userlist.txt\": line 2: "));
    assert!(!problems.concat().contains("hunter2"));
}

#[test]
fn entries_tell_what_holds_and_hide_passwords() {
    let text = format!(
        "pool.size = 7{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = \"hunter2\""
    );
    let settings = Setup::new().load(&text).unwrap();
    let entry = |key: &str| {
        let mut entries = settings.entries.iter();
        entries.find(|entry| entry.key == key).unwrap().clone()
    };
    assert_eq!(entry("pool.size").value.as_deref(), Some("7"));
    assert_eq!(entry("pool.size").default.as_deref(), Some("20"));
    assert_eq!(
        entry("databases.shop.pool.size").value.as_deref(),
        Some("7")
    );
    assert!(entry("pool.size").is_reloadable && !entry("listen.port").is_reloadable);
    let password = entry("databases.shop.server.password");
    assert_eq!(password.value.as_deref(), Some("(hidden)"));
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
