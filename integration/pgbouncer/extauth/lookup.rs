//! auth_query: users whom no file lists.

use super::{login, shop, whoami};
use crate::support::connect_with;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;

/// Asks as the superuser `tester`, whose password is its name.
const USERS: &[(&str, &str)] = &[("users.txt", "\"tester\" \"tester\"\n")];

async fn start(postgres: &Postgres, method: &str, lookup: &str) -> Pooler {
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let settings = settings(postgres, method, lookup);
    Pooler::start_with(&settings, USERS, command).await
}

fn settings(postgres: &Postgres, method: &str, lookup: &str) -> String {
    let auth = format!(
        "[auth]\nmethod = \"{method}\"\nusers = \"users.txt\"\nallow_cleartext = true\n\
         lookup.user = \"tester\"\n{lookup}\n"
    );
    let more = format!(
        "[databases.other]\nport = {}\ndbname = \"postgres\"\n\
         server = {{ user = \"app\", password = \"app\" }}\n",
        postgres.port
    );
    format!("{auth}{}{more}", shop(postgres))
}

#[tokio::test]
async fn a_user_whom_only_the_server_knows_logs_in_and_is_itself_there() {
    let postgres = Postgres::start().await;
    for method in ["scram-sha-256", "md5"] {
        let pooler = start(&postgres, method, "").await;
        for user in ["alice", "bob"] {
            let client = login(&pooler, user, user).await.unwrap();
            assert_eq!(whoami(&client).await, user);
        }
        // The file's own need no lookup.
        let client = login(&pooler, "tester", "tester").await.unwrap();
        assert_eq!(whoami(&client).await, "tester");
    }
}

#[tokio::test]
async fn an_unknown_user_hears_what_a_wrong_password_hears() {
    let postgres = Postgres::start().await;
    for method in ["scram-sha-256", "md5", "password"] {
        let pooler = start(&postgres, method, "").await;
        let wrong = login(&pooler, "alice", "wrong").await.unwrap_err();
        let unknown = login(&pooler, "mallory", "wrong").await.unwrap_err();
        assert_eq!(wrong.replace("alice", "mallory"), unknown, "{method}");
        let role = login(&pooler, "auditor", "wrong").await.unwrap_err();
        assert_eq!(role.replace("auditor", "mallory"), unknown, "no login role");
    }
}

#[tokio::test]
async fn a_changed_password_counts_at_the_next_login() {
    let postgres = Postgres::start().await;
    let pooler = start(&postgres, "scram-sha-256", "").await;
    login(&pooler, "alice", "alice").await.unwrap();
    postgres.run("alter role alice password 'other'").await;
    login(&pooler, "alice", "alice").await.unwrap_err();
    let client = login(&pooler, "alice", "other").await.unwrap();
    assert_eq!(whoami(&client).await, "alice");
    postgres
        .run("alter role alice valid until '2001-01-01'")
        .await;
    login(&pooler, "alice", "other").await.unwrap_err();
    postgres.run("alter role bob password null").await;
    login(&pooler, "bob", "bob").await.unwrap_err();
}

#[tokio::test]
async fn plain_and_md5_secrets_of_a_table_open_the_servers_too() {
    let hba = "local all all trust\nhost all all 127.0.0.1/32 md5\n";
    let postgres = Postgres::start_with(&["password_encryption=md5"], hba).await;
    postgres
        .run("alter role alice password 'alice'; alter role bob password 'bob'")
        .await;
    postgres
        .run(
            "create table people (name text, secret text);
             insert into people select rolname, rolpassword from pg_authid where rolname = 'alice';
             insert into people values ('bob', 'bob'), ('app', null), ('auditor', '')",
        )
        .await;
    let query = "lookup.query = \"select name, secret from people where name = $1\"\n\
                 lookup.database = \"shop\"";
    let pooler = start(&postgres, "md5", query).await;
    for user in ["alice", "bob"] {
        let client = login(&pooler, user, user).await.unwrap();
        assert_eq!(whoami(&client).await, user);
    }
    for user in ["app", "auditor"] {
        for password in [user, "", "x"] {
            login(&pooler, user, password).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn a_lookup_that_cannot_be_made_is_a_mistake_of_the_settings() {
    let postgres = Postgres::start().await;
    for lookup in [
        "lookup.query = \"select rolname, rolpassword, 1 from pg_authid where rolname = $1\"",
        "lookup.query = \"select rolname from pg_authid where rolname = $1\"",
        "lookup.query = \"select rolname, rolpassword from pg_authid where $1 <> ''\"",
        "lookup.query = \"select nonsense($1)\"",
        "lookup.query = \"create table x (y int)\"",
        "lookup.database = \"nowhere\"",
    ] {
        let pooler = start(&postgres, "scram-sha-256", lookup).await;
        for user in ["alice", "mallory"] {
            let refused = login(&pooler, user, user).await.unwrap_err();
            assert_eq!(refused, "bouncer config error", "{lookup}");
        }
        assert!(pooler.log().contains("cannot look up a user"), "{lookup}");
        // The file's own are let in all the same.
        login(&pooler, "tester", "tester").await.unwrap();
    }
}

#[tokio::test]
async fn a_lookup_is_made_where_the_settings_say() {
    let postgres = Postgres::start().await;
    postgres
        .superuser("postgres")
        .await
        .batch_execute(
            "create table people as select 'alice'::text as name, 'here'::text as secret",
        )
        .await
        .unwrap();
    let lookup = "lookup.query = \"select name, secret from people where name = $1\"\n\
                  lookup.database = \"other\"";
    let pooler = start(&postgres, "password", lookup).await;
    // In the other database, and for every one of them.
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("alice");
    config.password("wrong").dbname("no such database");
    let refused = connect_with(&config).await.map(drop).unwrap_err();
    let message = refused.as_db_error().unwrap().message().to_owned();
    assert!(
        message.contains("password authentication failed"),
        "{message}"
    );
    config.password("here");
    let refused = connect_with(&config).await.map(drop).unwrap_err();
    let message = refused.as_db_error().unwrap().message().to_owned();
    assert!(message.contains("does not exist"), "{message}");
}

#[tokio::test]
async fn users_of_a_database_that_nobody_listed_are_looked_up_too() {
    let postgres = Postgres::start().await;
    let settings = |lookup: &str| {
        format!(
            "[auth]\nusers = \"users.txt\"\nlookup.user = \"tester\"\n{lookup}\n\
             [databases.\"*\"]\nport = {}\n",
            postgres.port
        )
    };
    for lookup in ["", "lookup.database = \"postgres\""] {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
        let pooler = Pooler::start_with(&settings(lookup), USERS, command).await;
        let client = login(&pooler, "alice", "alice").await.unwrap();
        assert_eq!(whoami(&client).await, "alice", "{lookup}");
        login(&pooler, "alice", "wrong").await.unwrap_err();
    }
    // Where the server has no such database, it says so, and the client hears it.
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let pooler = Pooler::start_with(&settings(""), USERS, command).await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("alice");
    config.password("alice").dbname("nowhere");
    let refused = connect_with(&config).await.map(drop).unwrap_err();
    let told = refused.as_db_error().unwrap();
    assert_eq!(told.code().code(), "3D000");
    assert_eq!(told.message(), "database \"nowhere\" does not exist");
}

#[tokio::test]
async fn where_lookups_are_disabled_a_client_is_told_so() {
    let postgres = Postgres::start().await;
    let lookup = "lookup.database = \"other\"\n[console]\nadmins = [\"tester\"]";
    let pooler = start(&postgres, "scram-sha-256", lookup).await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("tester");
    config.password("tester").dbname("pgbouncer");
    let console = connect_with(&config).await.unwrap();
    console.simple_query("DISABLE other").await.unwrap();
    config.user("alice").password("alice").dbname("shop");
    let refused = connect_with(&config).await.map(drop).unwrap_err();
    let told = refused.as_db_error().unwrap();
    assert_eq!(told.code().code(), "55000");
    assert_eq!(
        told.message(),
        "authentication database \"other\" is disabled"
    );
    console.simple_query("ENABLE other").await.unwrap();
    connect_with(&config).await.unwrap();
}

/// Anybody may name databases without end, and each lookup would be a server connection that stays.
#[tokio::test]
async fn strangers_leave_no_databases_and_no_servers_behind() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "[auth]\nusers = \"users.txt\"\nlookup.user = \"tester\"\n\
         [console]\nadmins = [\"tester\"]\n\
         [databases.\"*\"]\nport = {}\ndbname = \"shop\"\n",
        postgres.port
    );
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let pooler = Pooler::start_with(&settings, USERS, command).await;
    let enters = async |database: &str, password: &str| {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(pooler.port).user("alice");
        connect_with(config.password(password).dbname(database)).await
    };
    let lookups = async || {
        let sql = "select count(*) from pg_stat_activity where usename = 'tester' \
                   and backend_type = 'client backend' and pid <> pg_backend_pid()";
        let counted = postgres.admin().await.query_one(sql, &[]).await;
        counted.unwrap().get::<_, i64>(0)
    };
    for number in 0..30 {
        let refused = enters(&format!("any{number}"), "wrong").await;
        refused.map(drop).unwrap_err();
    }
    crate::support::eventually("no lookup stays", async || lookups().await == 0).await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("tester");
    config.password("tester").dbname("pgbouncer");
    let console = connect_with(&config).await.unwrap();
    let databases = async || {
        let shown = console.simple_query("SHOW DATABASES").await.unwrap();
        let rows = shown.iter().filter_map(|message| {
            let tokio_postgres::SimpleQueryMessage::Row(row) = message else {
                return None;
            };
            row.get(0).map(str::to_owned)
        });
        rows.filter(|name| name != "pgbouncer").collect::<Vec<_>>()
    };
    assert!(databases().await.is_empty(), "{:?}", databases().await);
    // Who has the password makes one that stays.
    let client = enters("mine", "alice").await.unwrap();
    assert_eq!(whoami(&client).await, "alice");
    drop(client);
    assert_eq!(databases().await, ["mine"]);
    enters("mine", "wrong").await.map(drop).unwrap_err();
    assert_eq!(
        (databases().await, lookups().await),
        (vec!["mine".to_owned()], 1)
    );
}

/// CVE-2025-12819: a client's search_path reached the lookup.
#[tokio::test]
async fn nothing_that_a_client_says_reaches_the_lookup() {
    let postgres = Postgres::start().await;
    postgres
        .superuser("postgres")
        .await
        .batch_execute(
            "create schema evil;
             create table evil.pg_authid as select 'alice'::name as rolname,
                'evil'::text as rolpassword, null::timestamptz as rolvaliduntil,
                true as rolcanlogin;
             alter role tester set search_path = evil, pg_catalog",
        )
        .await
        .unwrap();
    let pooler = start(&postgres, "password", "").await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("alice");
    config.dbname("other").password("evil");
    connect_with(&config).await.map(drop).unwrap_err();
    config.password("alice");
    connect_with(&config).await.unwrap();
    postgres.run("alter role tester reset search_path").await;
    let query = "lookup.query = \"select $1::text, current_setting('search_path') || \
                 current_setting('application_name') || current_setting('DateStyle')\"";
    let pooler = start(&postgres, "password", query).await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("alice");
    config.dbname("other").application_name("evil");
    config.options("-c search_path=evil -c datestyle=German");
    config.password("evilevilGerman, DMY");
    connect_with(&config).await.map(drop).unwrap_err();
    // What the lookup sees, whoever comes first: the server's defaults.
    config.password("\"$user\", publicISO, MDY");
    let client = connect_with(&config).await.unwrap();
    assert_eq!(whoami(&client).await, "app");
}

#[tokio::test]
async fn who_waits_for_a_lookup_keeps_nobody_else_waiting() {
    let postgres = Postgres::start().await;
    let query = "lookup.query = \"select usename::text, passwd from (select \
                 pg_sleep(case when $1 = 'bob' then 600 else 0 end)) slow, pg_shadow \
                 where usename = $1\"";
    let pooler = start(&postgres, "scram-sha-256", query).await;
    let port = pooler.port;
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn(async move {
                let mut config = tokio_postgres::Config::new();
                let config = config.host("127.0.0.1").port(port);
                let config = config.user("bob").password("bob").dbname("shop");
                config.connect(tokio_postgres::NoTls).await.map(drop)
            })
        })
        .collect();
    let admin = postgres.admin().await;
    crate::support::eventually("lookups are waiting", async || {
        let sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        let count: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
        count == 5
    })
    .await;
    let client = login(&pooler, "alice", "alice").await.unwrap();
    assert_eq!(whoami(&client).await, "alice");
    assert!(waiting.iter().all(|login| !login.is_finished()));
    for login in waiting {
        login.abort();
    }
}
