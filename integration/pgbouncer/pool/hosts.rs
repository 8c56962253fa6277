//! Several hosts.

use super::CONSOLE;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::Raw;

const HBA: &str = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n";

async fn postgres() -> Postgres {
    Postgres::start_with(&["listen_addresses=127.0.0.1,127.0.0.2"], HBA).await
}

/// Where each of so many servers is, each held by its client.
async fn addresses(pooler: &Pooler, count: usize) -> Vec<String> {
    let mut clients = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..count {
        let mut client = Raw::app(pooler.port).await;
        client.query("begin").await.fine();
        let address = client.query("select host(inet_server_addr())").await;
        addresses.push(address.fine().value().to_owned());
        clients.push(client);
    }
    addresses
}

fn settings(postgres: &Postgres, hosts: &str, more: &str) -> String {
    format!(
        "{CONSOLE}[databases.shop]\nhost = {hosts}\nport = {}\n{more}\n\
         server = {{ user = \"app\", password = \"app\" }}\n",
        postgres.port
    )
}

#[tokio::test]
async fn new_servers_are_opened_on_the_hosts_in_turn() {
    let postgres = postgres().await;
    let pooler = Pooler::start(&settings(&postgres, r#"["127.0.0.1", "127.0.0.2"]"#, "")).await;
    let four = addresses(&pooler, 4).await;
    assert_eq!(four[0], four[2]);
    assert_eq!(four[1], four[3]);
    assert_ne!(four[0], four[1]);
}

#[tokio::test]
async fn without_balancing_the_first_host_is_kept_until_it_fails() {
    let postgres = postgres().await;
    let kept = "load_balance_hosts = \"disable\"";
    let hosts = r#"["127.0.0.2", "127.0.0.1"]"#;
    let pooler = Pooler::start(&settings(&postgres, hosts, kept)).await;
    assert_eq!(addresses(&pooler, 3).await, ["127.0.0.2"; 3]);
    // Nobody listens at the first: it is tried once, and then no more.
    let hosts = r#"["127.0.0.9", "127.0.0.2", "127.0.0.1"]"#;
    let pooler = Pooler::start(&settings(&postgres, hosts, kept)).await;
    assert_eq!(addresses(&pooler, 3).await, ["127.0.0.2"; 3]);
    // Which PgBouncer's users find in the log, although no client notices it.
    let closed = "closing because: connect failed (age=0s)";
    assert_eq!(pooler.log().matches(closed).count(), 1);
}

#[tokio::test]
async fn a_host_that_is_down_costs_no_client_anything() {
    let postgres = postgres().await;
    let pooler = Pooler::start(&settings(&postgres, r#"["127.0.0.9", "127.0.0.2"]"#, "")).await;
    assert_eq!(addresses(&pooler, 3).await, ["127.0.0.2"; 3]);
}

#[tokio::test]
async fn a_cancel_request_goes_to_the_host_of_the_query() {
    let postgres = postgres().await;
    let pooler = Pooler::start(&settings(&postgres, r#"["127.0.0.9", "localhost"]"#, "")).await;
    let client = crate::support::connect(pooler.port, "app", "shop")
        .await
        .unwrap();
    let cancel = client.cancel_token();
    let slept = tokio::spawn(async move { client.batch_execute("select pg_sleep(60)").await });
    crate::support::eventually("the query runs", async || {
        let admin = postgres.admin().await;
        let running = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'";
        admin
            .query_one(running, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 1
    })
    .await;
    cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    let error = crate::support::in_time("the query ends", slept)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));
}
