//! `-R` with several workers, and clients whose statements are judged.

use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::raw::{Failure, Raw};

use super::{console, is_cancelled};

/// `app` may not delete, and no statement of its takes longer than five seconds; `alice` may do
/// anything. `more` are further rules of `app`.
fn settings(postgres: &Postgres, grants: &str, more: &str) -> String {
    format!(
        r#"workers = 3
unix_socket_dir = "."
[auth]
method = "trust"
[pool]
mode = "transaction"
size = 4
[databases.shop]
port = {}
[roles.careful]
server = {{ user = "app", password = "app" }}
limits = {{ time = "5s", connections = 6 }}
[[roles.careful.deny]]
name = "no-delete"
statements = ["delete"]
{more}
[roles.free]
server = {{ user = "alice", password = "alice" }}
{grants}
[[grant]]
role = "free"
user = "alice"
"#,
        postgres.port
    )
}

const GRANT: &str = "[[grant]]\nrole = \"careful\"\nuser = \"app\"\n";

async fn start(postgres: &Postgres) -> Pooler {
    postgres
        .run("create table log (n int); grant all on log to public")
        .await;
    Pooler::start(&settings(postgres, GRANT, "")).await
}

#[track_caller]
fn is_denied(failure: Option<Failure>, rule: &str) {
    let failure = failure.expect("it is refused");
    assert_eq!(failure.code, "42501", "{failure:?}");
    assert!(failure.detail.contains(rule), "{failure:?}");
}

/// So many clients of each name that all workers have some.
async fn clients(pooler: &Pooler) -> Vec<Raw> {
    let mut all = Vec::new();
    for user in ["app", "alice", "app", "alice", "app", "alice"] {
        all.push(Raw::login(pooler.port, user, "shop", &[]).await.unwrap());
    }
    all
}

#[tokio::test]
async fn clients_of_all_workers_go_on_and_are_judged_as_before() {
    let postgres = Postgres::start().await;
    let mut pooler = start(&postgres).await;
    let mut clients = clients(&pooler).await;
    let keys: Vec<_> = clients.iter().map(|client| client.key.clone()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.prepare("s", &format!("select {n}")).await.fine();
    }
    let deletes = "delete from log";
    is_denied(clients[0].query(deletes).await.failure, "no-delete");
    clients[0]
        .query("begin; insert into log values (1)")
        .await
        .fine();
    clients[1]
        .query("begin; insert into log values (2)")
        .await
        .fine();

    pooler.reboot().await;

    for (n, client) in clients.iter_mut().enumerate() {
        let reply = client.execute("s").await.fine();
        assert_eq!(reply.value(), n.to_string());
    }
    // In the transaction, outside of it, by either protocol.
    for at in [2, 0] {
        is_denied(clients[at].query(deletes).await.failure, "no-delete");
    }
    is_denied(clients[4].prepare("d", deletes).await.failure, "no-delete");
    clients[0].query("rollback").await.fine();
    clients[1]
        .query(&format!("{deletes} where n = 2; commit"))
        .await
        .fine();
    clients[2].query("insert into log values (3)").await.fine();
    assert_eq!(clients[3].value("select count(*) from log").await, "1");
    // The limits of the role: its clients are counted, and its statements timed.
    let mut more = Vec::new();
    for _ in 0..3 {
        more.push(Raw::app(pooler.port).await);
    }
    let refused = Raw::login(pooler.port, "app", "shop", &[]).await;
    assert_eq!(refused.unwrap_err().code, "53400");
    let late = clients[4].query("select pg_sleep(20)").await;
    assert_eq!(late.code(), Some("57014"));
    // Each key finds its client, whichever worker that has now.
    for (client, key) in clients.iter_mut().zip(&keys) {
        assert!(is_cancelled(client, &postgres, pooler.port, key).await);
    }
    let owner = console(&pooler).await;
    let rows = owner.simple_query("show clients").await.unwrap();
    let shown = |user: &str| {
        let rows = rows.iter().filter_map(|row| {
            let tokio_postgres::SimpleQueryMessage::Row(row) = row else {
                return None;
            };
            row.get("user")
        });
        rows.filter(|shown| *shown == user).count()
    };
    assert_eq!((shown("app"), shown("alice")), (6, 3));
    drop(more);
}

#[tokio::test]
async fn a_statement_that_is_timed_goes_on_being_timed() {
    let postgres = Postgres::start().await;
    let mut pooler = start(&postgres).await;
    let mut timed = Raw::app(pooler.port).await;
    let mut free = Raw::login(pooler.port, "alice", "shop", &[]).await.unwrap();
    for client in [&mut timed, &mut free] {
        client.send_query(b"select pg_sleep(7)").await;
    }
    let admin = postgres.admin().await;
    eventually("both run", async || {
        let sql = "select 1 from pg_stat_activity where query like 'select pg_sleep%' \
                   and state = 'active'";
        admin.query(sql, &[]).await.unwrap().len() == 2
    })
    .await;
    pooler.reboot().await;
    assert_eq!(timed.reply().await.code(), Some("57014"));
    assert_eq!(free.reply().await.fine().rows.len(), 1);
    assert_eq!(timed.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn who_the_new_file_no_longer_lets_in_is_sent_away_and_new_rules_hold() {
    let postgres = Postgres::start().await;
    let mut pooler = start(&postgres).await;
    let mut clients = clients(&pooler).await;
    for client in &mut clients {
        client
            .query("begin; insert into log values (1)")
            .await
            .fine();
        client.query("commit").await.fine();
        client.prepare("t", "truncate log").await.fine();
    }
    clients[0].query("begin").await.fine();
    let more = "[[roles.careful.deny]]\nname = \"no-truncate\"\nstatements = [\"truncate\"]\n";
    pooler.write(&settings(&postgres, GRANT, more));
    pooler.reboot().await;
    for at in [0, 2] {
        is_denied(clients[at].execute("t").await.failure, "no-truncate");
    }
    clients[0].query("rollback").await.fine();
    clients[1].query("select 1").await.fine();
    pooler.write(&settings(&postgres, "", more));
    pooler.reboot().await;
    for (at, client) in clients.iter_mut().enumerate() {
        if at % 2 == 1 {
            client.query("select 1").await.fine();
            continue;
        }
        let failure = client.try_reply().await.unwrap_err().unwrap();
        assert_eq!((&*failure.severity, &*failure.code), ("FATAL", "57P01"));
    }
}
