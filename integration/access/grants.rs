//! Who gets which role, and that roles have servers of their own.

use std::process::Command;

use tokio_postgres::Config;

use crate::house::House;
use crate::support::raw::Raw;
use crate::support::{connect_with, eventually};

/// Roles whose holders can see which they have.
fn told(roles: &[&str]) -> String {
    let roles = roles.iter().map(|role| {
        format!(
            "[roles.{role}]\nserver = {{ user = \"app_rw\", password = \"x\" }}\n\
             application_name = \"{{user}}@{{role}}\"\n"
        )
    });
    roles.collect()
}

fn grant(role: &str, rest: &str) -> String {
    format!("[[grant]]\nrole = \"{role}\"\n{rest}\n")
}

/// The role that somebody has.
async fn role_of(house: &House, user: &str, database: &str) -> String {
    let raw = Raw::login(house.port(), user, database, &[]).await;
    let name = raw.unwrap().value(NAME).await;
    name.strip_prefix(&format!("{user}@")).unwrap().to_owned()
}

#[tokio::test]
async fn who_has_no_grant_is_told_what_a_wrong_password_is_told() {
    let access = format!(
        "[auth]\nusers = \"userlist.txt\"\n{}{}",
        told(&["team"]),
        grant("team", "user = \"anna\"")
    );
    let users = "\"anna\" \"anna\"\n\"stray\" \"stray\"\n\"boss\" \"boss\"\n\"wrong\" \"other\"\n";
    let files = [("userlist.txt", users)];
    let house = House::with_files(&access, &files, pgwarden()).await;
    assert_eq!(role_of(&house, "anna", "acl").await, "team");
    for (user, code) in [("stray", "28000"), ("wrong", "28P01"), ("nobody", "28P01")] {
        let failure = Raw::login(house.port(), user, "acl", &[])
            .await
            .unwrap_err();
        assert_eq!((&*failure.severity, &*failure.code), ("FATAL", code));
        let message = format!("password authentication failed for user \"{user}\"");
        assert_eq!(failure.message, message);
        assert_eq!(failure.detail + &failure.hint, "");
    }
    // Whether there is such a database is not told either.
    let failure = Raw::login(house.port(), "stray", "no_such", &[]).await;
    assert_eq!(failure.unwrap_err().code, "28000");
}

#[tokio::test]
async fn the_first_grant_that_fits_counts() {
    let access = [
        told(&["encrypted", "far", "bi", "second", "late", "rest"]),
        grant("encrypted", "tls = true"),
        grant("far", "from = [\"10.0.0.0/8\", \"192.0.2.7\"]"),
        grant("late", "expires = \"2020-01-01T00:00:00Z\""),
        grant("far", "uid = 0"),
        grant("bi", "user = [\"bi_*\", \"anna\"]\ndatabase = \"acl\""),
        grant("second", "database = \"o*\"\ntls = false"),
        grant("late", "user = \"anna\""),
        grant("rest", "user = \"*_x\"\nfrom = \"127.0.0.0/8\""),
        "[databases.other]\nport = $PORT\ndbname = \"acl\"\n".to_owned(),
    ];
    let house = House::with_access(&access.concat()).await;
    for (user, database, role) in [
        ("bi_1", "acl", "bi"),
        ("bi_", "acl", "bi"),
        ("anna", "acl", "bi"),
        ("bi_1", "other", "second"),
        ("anna", "other", "second"),
        ("x_x", "acl", "rest"),
        ("bi_x", "acl", "bi"),
    ] {
        assert_eq!(role_of(&house, user, database).await, role, "{user}");
    }
    for user in ["annabel", "BI_1", "bi", "xx", "*", ""] {
        let failure = Raw::login(house.port(), user, "acl", &[]).await;
        assert_eq!(failure.unwrap_err().code, "28000", "{user}");
    }
}

#[tokio::test]
async fn a_unix_socket_tells_who_connects() {
    let folder = tempfile::tempdir().unwrap();
    let mine = rustix::process::getuid().as_raw();
    let access = [
        told(&["other", "mine", "tcp"]),
        grant("other", &format!("uid = {}", mine + 1)),
        grant("mine", &format!("uid = [{}, {mine}]", mine + 2)),
        grant("tcp", "from = \"0.0.0.0/0\""),
    ];
    let mut command = pgwarden();
    command.env("PGWARDEN__LISTEN__UNIX_SOCKET_DIR", folder.path());
    let house = House::with_files(&access.concat(), &[], command).await;
    assert_eq!(role_of(&house, "anna", "acl").await, "tcp");
    let mut config = Config::new();
    config.host_path(folder.path()).port(house.port());
    config.user("anna").dbname("acl");
    let client = connect_with(&config).await.unwrap();
    let row = client.query_one(NAME, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "anna@mine");
}

#[tokio::test]
async fn without_any_grant_everybody_may_do_everything() {
    let house = House::with_access("[pool]\nsize = 1\n").await;
    let mut raw = house.login("app_rw").await;
    assert_eq!(raw.value("select current_user").await, "app_rw");
    raw.query("create table tmp_x(); drop table tmp_x")
        .await
        .fine();
    let mut raw = house.login("other").await;
    assert_eq!(raw.value("select current_user").await, "other");
    // What rights they have is the server's business.
    assert_eq!(raw.query("drop table u").await.code(), Some("42501"));
}

#[tokio::test]
async fn many_identities_share_the_pool_of_their_role() {
    let access = [
        told(&["team", "single"]),
        grant("single", "user = \"otto\""),
        grant("team", ""),
        "[pool]\nsize = 1\n".to_owned(),
    ];
    let house = House::with_access(&access.concat()).await;
    let users = ["anna", "bert", "cleo"];
    let mut clients = Vec::new();
    for user in users {
        clients.push(house.login(user).await);
    }
    let pid = clients[0].value(PID).await;
    for (user, raw) in users.iter().zip(&mut clients) {
        raw.query("begin").await.fine();
        assert_eq!(raw.value(PID).await, pid);
        let seen = "select application_name from pg_stat_activity where pid = $1::text::int";
        let row = house
            .fixture
            .admin()
            .query_one(seen, &[&pid])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), format!("{user}@team"));
        raw.query("commit").await.fine();
    }
    let mut otto = house.login("otto").await;
    assert_ne!(otto.value(PID).await, pid);

    let pools = house.console("show pools").await.fine().rows;
    let of_acl = pools.iter().filter(|row| row[0].as_deref() == Some("acl"));
    let of_acl: Vec<_> = of_acl.map(|row| row[1].as_deref().unwrap()).collect();
    assert_eq!(of_acl, ["app_rw"], "{pools:?}");
    let rows = house.console("show identities").await.fine().rows;
    let mut seen: Vec<_> = rows
        .iter()
        .filter(|row| row[7].as_deref() == Some("acl"))
        .map(|row| {
            let column = |at: usize| row[at].clone().unwrap_or_default();
            [column(1), column(8), column(9), column(10), column(2)].join(" ")
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "anna team 2 app_rw trust",
            "bert team 2 app_rw trust",
            "cleo team 2 app_rw trust",
            "otto single 1 app_rw trust",
        ]
    );
    let grants = house.console("show grants").await.fine().rows;
    let clients: Vec<_> = grants.iter().map(|row| row[11].as_deref()).collect();
    assert_eq!(clients, [Some("1"), Some("3")]);
}

#[tokio::test]
async fn a_readers_servers_are_read_only_from_their_start_and_nobody_elses() {
    let house = House::with_pool("size = 1").await;
    let mut pids = Vec::new();
    for (user, value) in [
        ("reader", "on client"),
        ("noddl", "off default"),
        ("free", "off default"),
    ] {
        let mut raw = house.login(user).await;
        let sql = "select setting || ' ' || source from pg_settings \
            where name = 'default_transaction_read_only'";
        assert_eq!(raw.value(sql).await, value, "{user}");
        pids.push(raw.value(PID).await);
        // Nothing gives it back.
        raw.query("reset all").await;
        raw.query("discard all").await;
        assert_eq!(raw.value(sql).await, value, "{user}");
    }
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 3);
}

#[tokio::test]
async fn a_readers_rich_server_user_is_warned_of_and_the_warning_says_how_to_make_it_poor() {
    let access = |size: u32| {
        format!(
            "[log]\nformat = \"json\"\nlevel = \"debug\"\n\
             [roles.reader]\nserver = {{ user = \"looker\" }}\nread_only = true\n\
             pool = {{ size = {size} }}\n{}",
            grant("reader", "user = \"reader\"")
        )
    };
    let house = House::with_access(&format!(
        "{}[roles.unused]\n",
        access(1).replace("looker", "app_rw")
    ))
    .await;
    is_logged(&house, "may do more than read").await;
    let problems = logged(&house, "may do more than read", "problem");
    for problem in [
        "it may create temporary tables in database acl",
        "it may create objects in schema public",
        "it may write to ",
        "it may advance 1 sequences, such as public.sq",
        "it is a member of other",
    ] {
        let mut all = problems.iter();
        assert!(
            all.any(|p| p.starts_with(problem)),
            "{problem}: {problems:?}"
        );
    }
    is_logged(&house, "this makes it poor enough").await;
    let sql = logged(&house, "this makes it poor enough", "sql").remove(0);
    // As it was printed, for another user.
    let sql = sql.replace("app_rw", "looker");
    let admin = house.fixture.admin();
    admin.batch_execute(&sql).await.unwrap();
    let before = logged(&house, "may do more than read", "problem").len();
    house.pooler.write(&crate::house::before(
        house.fixture.postgres.port,
        &access(2),
    ));
    house.console("reload").await.fine();
    is_logged(&house, "the server user may only read").await;
    assert_eq!(
        logged(&house, "may do more than read", "problem").len(),
        before
    );
    let mut raw = house.login("reader").await;
    assert_eq!(raw.value("select current_user").await, "looker");
    assert_eq!(raw.value("select count(*) from t").await, "5");
    // By itself the user is locked out of everything else as well.
    let mut raw = Raw::login(house.fixture.postgres.port, "looker", "acl", &[])
        .await
        .unwrap();
    assert_eq!(raw.value("show default_transaction_read_only").await, "on");
    raw.query("set default_transaction_read_only = off")
        .await
        .fine();
    for sql in [
        "insert into u values (7, 'x')",
        "create table x()",
        "create temp table x()",
        "select nextval('sq')",
        "create schema s",
    ] {
        assert_eq!(raw.query(sql).await.code(), Some("42501"), "{sql}");
    }
}

async fn is_logged(house: &House, message: &str) {
    eventually(message, async || house.pooler.log().contains(message)).await;
}

/// A field of the lines of the log that have such a message.
fn logged(house: &House, message: &str, field: &str) -> Vec<String> {
    let log = house.pooler.log();
    let lines = log.lines().filter(|line| line.contains(message));
    let values = lines.map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        find(&line, field).unwrap_or_default()
    });
    values.collect()
}

fn find(value: &serde_json::Value, field: &str) -> Option<String> {
    let object = value.as_object()?;
    match object.get(field).and_then(|value| value.as_str()) {
        Some(text) => Some(text.to_owned()),
        None => object.values().find_map(|inner| find(inner, field)),
    }
}

fn pgwarden() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pgwarden"))
}

const NAME: &str = "select current_setting('application_name')";
const PID: &str = "select pg_backend_pid()";
