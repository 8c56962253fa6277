//! Prepared statements: a client's own, whatever server it gets and whoever shares it.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::support::eventually;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, bind_execute};

async fn pooler(postgres: &Postgres, size: usize, more: &str) -> Pooler {
    Pooler::start(&format!(
        "[pool]\nsize = {size}\n{more}\n{}",
        shop(postgres)
    ))
    .await
}

#[tokio::test]
async fn the_same_name_is_each_clients_own_statement() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1, "").await;
    let mut clients = Vec::new();
    for number in 0..3 {
        let mut client = Raw::app(pooler.port).await;
        client
            .prepare("s", &format!("select {number}"))
            .await
            .fine();
        clients.push(client);
    }
    for _ in 0..2 {
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.execute("s").await.fine().value(), number.to_string());
        }
    }
    clients[0].close_statement("s").await.fine();
    assert_eq!(clients[0].execute("s").await.code(), Some("26000"));
    assert_eq!(clients[1].execute("s").await.fine().value(), "1");
    assert_eq!(clients[0].prepare("s", "select 7").await.fine().status, 'I');
    assert_eq!(clients[0].execute("s").await.fine().value(), "7");
    // A second Parse of a name is an error, as on a server of one's own.
    assert_eq!(
        clients[1].prepare("s", "select 9").await.code(),
        Some("42P05")
    );
    assert_eq!(clients[1].execute("s").await.fine().value(), "1");
}

#[tokio::test]
async fn an_unnamed_statement_is_its_clients_own() {
    let postgres = Postgres::start().await;
    for unnamed in ["prepare_unnamed = false", "prepare_unnamed = true"] {
        let pooler = pooler(&postgres, 1, unnamed).await;
        let mut one = Raw::app(pooler.port).await;
        let mut other = Raw::login(pooler.port, "app", "shop", &[("TimeZone", "Asia/Tokyo")])
            .await
            .unwrap();
        let mut never = Raw::app(pooler.port).await;
        one.prepare("", "select 'one'").await.fine();
        other.prepare("", "select 'other'").await.fine();
        assert_eq!(one.execute("").await.fine().value(), "one");
        assert_eq!(never.execute("").await.code(), Some("26000"), "{unnamed}");
        assert_eq!(other.execute("").await.fine().value(), "other");
        assert_eq!(one.execute("").await.fine().value(), "one");
        // Others that do not use it, with settings of their own, in between.
        other.prepare("named", "select 'named'").await.fine();
        assert_eq!(other.execute("named").await.fine().value(), "named");
        assert_eq!(one.execute("").await.fine().value(), "one", "{unnamed}");
        one.prepare("", "select 'new'").await.fine();
        other.execute("named").await.fine();
        assert_eq!(one.execute("").await.fine().value(), "new", "{unnamed}");
        // A simple Query destroys it.
        one.query("select 1").await.fine();
        assert_eq!(one.execute("").await.code(), Some("26000"), "{unnamed}");
    }
}

#[tokio::test]
async fn an_unnamed_statement_outlives_what_the_pooler_runs_on_its_server() {
    let postgres = Postgres::start().await;
    let check = "server_check_query = \"select 1\"\nserver_check_delay = \"1ms\"";
    let pooler = pooler(&postgres, 1, check).await;
    let mut client = Raw::app(pooler.port).await;
    client.prepare("", "select 'mine'").await.fine();
    for _ in 0..5 {
        assert_eq!(client.execute("").await.fine().value(), "mine");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_same_text_under_another_search_path_is_another_statement() {
    let postgres = Postgres::start().await;
    postgres
        .run(
            "create schema a; create schema b; grant usage on schema a, b to app;
             create table a.t as select 'a' as x; create table b.t as select 'b' as x;
             grant select on a.t, b.t to app",
        )
        .await;
    let pooler = pooler(&postgres, 1, "").await;
    let mut clients = Vec::new();
    for schema in ["a", "b"] {
        let options = [("options", format!("-c search_path={schema}"))];
        let options = options
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let client = Raw::login(pooler.port, "app", "shop", &options)
            .await
            .unwrap();
        clients.push((schema, client));
    }
    for (_, client) in &mut clients {
        client.prepare("s", "select x from t").await.fine();
    }
    for _ in 0..3 {
        for (schema, client) in &mut clients {
            assert_eq!(client.execute("s").await.fine().value(), *schema);
            assert_eq!(client.value("select x from t").await, *schema);
            client.prepare("", "select x from t").await.fine();
            assert_eq!(client.execute("").await.fine().value(), *schema);
        }
    }
}

#[tokio::test]
async fn a_search_path_set_within_a_transaction_is_gone_after_it() {
    let postgres = Postgres::start().await;
    postgres
        .run(
            "create schema a; grant usage on schema a to app;
             create table a.t as select 'a' as x; create table public.t as select 'public' as x;
             grant select on a.t, public.t to app",
        )
        .await;
    let pooler = pooler(&postgres, 1, "").await;
    let mut one = Raw::app(pooler.port).await;
    let mut other = Raw::app(pooler.port).await;
    one.prepare("s", "select x from t").await.fine();
    one.query("begin; set search_path = a").await.fine();
    assert_eq!(
        one.execute("s").await.fine().value(),
        "a",
        "PostgreSQL plans it anew"
    );
    one.query("commit").await.fine();
    assert_eq!(one.execute("s").await.fine().value(), "public");
    other.prepare("s", "select x from t").await.fine();
    assert_eq!(other.execute("s").await.fine().value(), "public");
    // Prepared for the first time while another path was set: still the text's own meaning.
    one.query("begin; set search_path = a").await.fine();
    one.prepare("first", "select x || '!' from t").await.fine();
    assert_eq!(one.execute("first").await.fine().value(), "a!");
    one.query("commit").await.fine();
    other
        .prepare("second", "select x || '!' from t")
        .await
        .fine();
    assert_eq!(other.execute("second").await.fine().value(), "public!");
    assert_eq!(one.execute("first").await.fine().value(), "public!");
}

#[tokio::test]
async fn a_plan_whose_result_type_has_changed_heals() {
    let postgres = Postgres::start().await;
    postgres
        .run("create table t (a int); insert into t values (5); grant all on t to app")
        .await;
    let pooler = pooler(&postgres, 2, "").await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Raw::app(pooler.port).await;
        client.prepare("s", "select * from t").await.fine();
        client.execute("s").await.fine();
        clients.push(client);
    }
    // On both servers.
    clients[0].query("begin").await.fine();
    clients[0].execute("s").await.fine();
    clients[1].execute("s").await.fine();
    clients[0].query("commit").await.fine();
    for change in [
        "alter table t alter a type text",
        "alter table t add b int default 6",
    ] {
        postgres.run(change).await;
        for client in &mut clients {
            let mut tries = 0;
            while let Some(code) = client.execute("s").await.code() {
                assert_eq!(code, "0A000");
                tries += 1;
                assert!(tries < 3, "it does not heal");
            }
            assert_eq!(
                client.execute("s").await.fine().rows[0][0].as_deref(),
                Some("5")
            );
        }
    }
}

#[tokio::test]
async fn discard_all_and_deallocate_do_what_the_client_expects() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1, "").await;
    let mut one = Raw::app(pooler.port).await;
    let mut other = Raw::app(pooler.port).await;
    for all in ["discard all", "deallocate all"] {
        one.prepare("s", "select 'one'").await.fine();
        other.prepare("s", "select 'other'").await.fine();
        one.query(all).await.fine();
        assert_eq!(one.execute("s").await.code(), Some("26000"), "{all}");
        assert_eq!(other.execute("s").await.fine().value(), "other", "{all}");
        one.prepare("s", "select 'again'").await.fine();
        assert_eq!(one.execute("s").await.fine().value(), "again");
        one.close_statement("s").await.fine();
        other.close_statement("s").await.fine();
    }
    // One by one, as some drivers do it.
    for (name, sql) in [
        ("s", "deallocate s"),
        ("S 1", "DEALLOCATE PREPARE \"S 1\";"),
    ] {
        one.prepare(name, "select 'one'").await.fine();
        other.prepare(name, "select 'one'").await.fine();
        assert_eq!(one.query(sql).await.fine().tags, ["DEALLOCATE"]);
        assert_eq!(one.execute(name).await.code(), Some("26000"), "{sql}");
        assert_eq!(other.execute(name).await.fine().value(), "one", "{sql}");
        other.close_statement(name).await.fine();
    }
    assert_eq!(one.query("deallocate nothing").await.code(), Some("26000"));
}

#[tokio::test]
async fn a_statement_of_the_poolers_own_name_cannot_be_taken_away() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1, "").await;
    let mut victim = Raw::app(pooler.port).await;
    victim.prepare("s", "select 'mine'").await.fine();
    assert_eq!(victim.execute("s").await.fine().value(), "mine");
    let mut other = Raw::app(pooler.port).await;
    let names = other
        .query("select name from pg_prepared_statements")
        .await
        .fine();
    for row in &names.rows {
        let name = row[0].as_deref().unwrap();
        other.query(&format!("deallocate {name}")).await;
    }
    assert_eq!(victim.execute("s").await.fine().value(), "mine");
}

#[tokio::test]
async fn a_statement_prepared_in_a_failed_pipeline_is_not_there() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1, "").await;
    let mut client = Raw::app(pooler.port).await;
    let mut out = BytesMut::new();
    frontend::parse("bad", "select 1/0", [], &mut out).unwrap();
    bind_execute("bad", &mut out);
    frontend::parse("later", "select 'later'", [], &mut out).unwrap();
    frontend::sync(&mut out);
    client.send(&out).await;
    assert_eq!(client.reply().await.code(), Some("22012"));
    assert_eq!(client.execute("later").await.code(), Some("26000"));
    client.prepare("later", "select 'now'").await.fine();
    assert_eq!(client.execute("later").await.fine().value(), "now");
}

#[tokio::test]
async fn many_statements_take_turns_on_a_server() {
    let postgres = Postgres::start().await;
    let pooler = pooler(&postgres, 1, "max_prepared_statements = 5").await;
    let mut clients = [Raw::app(pooler.port).await, Raw::app(pooler.port).await];
    for (seed, client) in clients.iter_mut().enumerate() {
        for number in 0..20 {
            let sql = format!("select {}", seed * 100 + number);
            client.prepare(&format!("s{number}"), &sql).await.fine();
        }
    }
    for number in (0..20).chain((0..20).rev()) {
        for (seed, client) in clients.iter_mut().enumerate() {
            let answer = client.execute(&format!("s{number}")).await.fine();
            assert_eq!(answer.value(), (seed * 100 + number).to_string());
        }
    }
    let admin = &mut clients[0];
    let kept = "select count(*) from pg_prepared_statements";
    eventually("no more than five are kept", async || {
        admin.value(kept).await.parse::<u32>().unwrap() <= 5
    })
    .await;
}
