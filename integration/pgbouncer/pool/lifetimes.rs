//! How long servers, pools and databases live.

use super::{CONSOLE, console, pid, pools, shop};
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

#[tokio::test]
async fn with_a_lifetime_of_nothing_a_server_is_used_once() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&shop(&postgres, "server_lifetime = \"0s\"")).await;
    let mut client = Raw::app(pooler.port).await;
    assert_ne!(pid(&mut client).await, pid(&mut client).await);
}

#[tokio::test]
async fn the_first_client_gets_the_server_that_its_login_has_opened_however_old() {
    let postgres = Postgres::start().await;
    let settings = shop(&postgres, "mode = \"session\"\nserver_lifetime = \"0s\"");
    let pooler = Pooler::start(&settings).await;
    let mut client = Raw::app(pooler.port).await;
    pid(&mut client).await;
    let id = async |command: &str| -> u64 {
        let shown = console(pooler.port, command).await.fine();
        let row = shown
            .rows
            .iter()
            .find(|row| row[2].as_deref() == Some("shop"));
        let id = row.and_then(|row| row[20].as_deref()).unwrap();
        id.parse().unwrap()
    };
    // Clients and servers are numbered together: no server came between these two.
    assert_eq!(id("SHOW SERVERS").await, id("SHOW CLIENTS").await + 1);
}

#[tokio::test]
async fn the_server_that_was_used_last_is_used_next_unless_it_is_round_robin() {
    let postgres = Postgres::start().await;
    for (setting, round_robin) in [("", false), ("server_round_robin = true", true)] {
        let pooler = Pooler::start(&shop(&postgres, setting)).await;
        let (mut one, mut other) = (Raw::app(pooler.port).await, Raw::app(pooler.port).await);
        for client in [&mut one, &mut other] {
            client.query("begin").await.fine();
        }
        for client in [&mut one, &mut other] {
            client.query("commit").await.fine();
        }
        let (first, second) = (pid(&mut one).await, pid(&mut one).await);
        assert_eq!(first != second, round_robin);
    }
}

#[tokio::test]
async fn a_pool_without_clients_and_servers_is_forgotten() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "{CONSOLE}[pool]\nmin_size = 1\nserver_idle_timeout = \"1s\"\npool_idle_timeout = \"1s\"\n\
         [databases.shop]\nport = {0}\n[databases.kept]\nport = {0}\ndbname = \"shop\"\n\
         server = {{ user = \"app\", password = \"app\" }}\n",
        postgres.port
    );
    let hba = "local all all trust\nhost all all 127.0.0.1/32 trust\n";
    postgres.put_file("pg_hba.conf", hba);
    postgres.run("select pg_reload_conf()").await;
    let pooler = Pooler::start(&settings).await;
    let client = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    // As long as there is a client, min_size holds.
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        assert_eq!(pools(pooler.port, "shop").await, [("alice".into(), 1)]);
    }
    drop(client);
    eventually("the pool is forgotten", async || {
        pools(pooler.port, "shop").await.is_empty()
    })
    .await;
    assert_eq!(pools(pooler.port, "kept").await, [("app".into(), 1)]);
}

#[tokio::test]
async fn a_database_that_nobody_listed_is_made_from_the_template_and_forgotten() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "{CONSOLE}[pool]\nautodb_idle_timeout = \"1s\"\nserver_idle_timeout = \"1s\"\n\
         [databases.\"*\"]\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n",
        postgres.port
    );
    let pooler = Pooler::start(&settings).await;
    let mut client = Raw::app(pooler.port).await;
    let database = client.query("select current_database()").await;
    assert_eq!(database.fine().value(), "shop");
    assert!(pooler.log().contains("registered new auto-database: shop"));
    let failure = Raw::login(pooler.port, "app", "nope", &[])
        .await
        .unwrap_err();
    assert_eq!(failure.message, "database \"nope\" does not exist");
    assert_eq!(failure.code, "3D000");
    let is_shown = async |name: &str| {
        let shown = console(pooler.port, "SHOW DATABASES").await.fine();
        shown.rows.iter().any(|row| row[0].as_deref() == Some(name))
    };
    assert!(is_shown("shop").await);
    console(pooler.port, "PAUSE shop").await.fine();
    console(pooler.port, "RESUME shop").await.fine();
    eventually("what nobody uses is forgotten", async || {
        !is_shown("nope").await
    })
    .await;
    assert!(is_shown("shop").await, "a client is in it");
    drop(client);
    eventually("the database is forgotten", async || {
        !is_shown("shop").await
    })
    .await;
    Raw::app(pooler.port).await;
}
