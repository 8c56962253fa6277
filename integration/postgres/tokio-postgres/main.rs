//! tokio-postgres: pipelined queries, portals, binary COPY, cancel, notifications.
//!
//! Run by `run.sh` beside this file, or `cargo test --test tokio_postgres`. Every test fails
//! unless `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE` say where a server is.
//! `SUITE_SESSION_DATABASE` is a database in session mode, for LISTEN.

use std::env;
use std::error::Error;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future, stream};
use tokio::sync::{OnceCell, mpsc};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, IsolationLevel, NoTls, SimpleQueryMessage};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

#[tokio::test]
async fn queries_sent_without_waiting_are_answered_in_order() -> Outcome {
    let client = connect().await?;
    let plus = client.prepare("select $1::int4 + 1").await?;
    let times = client.prepare("select $1::int4 * 2").await?;
    for i in 0..100_i32 {
        let word = format!("é{i}");
        let (number, text): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 1]) = ([&i], [&word]);
        let (a, b, c) = tokio::try_join!(
            client.query_one(&plus, &number),
            client.query_one(&times, &number),
            client.query_one("select $1::text", &text),
        )?;
        assert_eq!((a.get::<_, i32>(0), b.get::<_, i32>(0)), (i + 1, i * 2));
        assert_eq!(c.get::<_, &str>(0), word);
    }
    let all = (0..500_i32).map(|i| {
        let (client, plus) = (&client, &plus);
        async move {
            client
                .query_one(plus, &[&i])
                .await
                .map(|row| row.get::<_, i32>(0))
        }
    });
    assert_eq!(
        future::try_join_all(all).await?,
        (1..=500).collect::<Vec<_>>()
    );
    Ok(())
}

#[tokio::test]
async fn an_error_among_pipelined_queries_fails_only_its_own() -> Outcome {
    let client = connect().await?;
    let divide = client.prepare("select 10 / $1::int4").await?;
    for _ in 0..20 {
        let (a, b, c, d) = tokio::join!(
            client.query_one(&divide, &[&2]),
            client.query_one(&divide, &[&0]),
            client.query_one("select nothing_of_the_kind", &[]),
            client.query_one(&divide, &[&5]),
        );
        assert_eq!(a?.get::<_, i32>(0), 5);
        assert_eq!(code(b), Some(SqlState::DIVISION_BY_ZERO));
        assert_eq!(code(c), Some(SqlState::UNDEFINED_COLUMN));
        assert_eq!(d?.get::<_, i32>(0), 2);
    }
    Ok(())
}

#[tokio::test]
async fn prepared_statements_know_their_types() -> Outcome {
    let client = connect().await?;
    let statement = client
        .prepare("select $1::int8 as big, $2::text as word, null::bytea as none")
        .await?;
    assert_eq!(statement.params(), [Type::INT8, Type::TEXT]);
    let columns: Vec<_> = statement
        .columns()
        .iter()
        .map(|c| (c.name(), c.type_().clone()))
        .collect();
    assert_eq!(
        columns,
        [
            ("big", Type::INT8),
            ("word", Type::TEXT),
            ("none", Type::BYTEA)
        ]
    );
    let row = client.query_one(&statement, &[&i64::MAX, &"é"]).await?;
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        (i64::MAX, "é", None::<&[u8]>)
    );
    Ok(())
}

#[tokio::test]
async fn statements_are_closed_and_prepared_again() -> Outcome {
    let client = connect().await?;
    for round in 0..3 {
        for i in 0..60_i32 {
            // Dropping the statement sends Close, unanswered until the next request.
            let statement = client.prepare(&format!("select $1::int4 + {i}")).await?;
            assert_eq!(
                client
                    .query_one(&statement, &[&round])
                    .await?
                    .get::<_, i32>(0),
                round + i
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_outlives_many_transactions() -> Outcome {
    let mut client = connect().await?;
    let statement = client
        .prepare("select $1::int4, current_setting('transaction_isolation')")
        .await?;
    for i in 0..20_i32 {
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::Serializable)
            .read_only(true)
            .start()
            .await?;
        let row = transaction.query_one(&statement, &[&i]).await?;
        assert_eq!(
            (row.get::<_, i32>(0), row.get::<_, &str>(1)),
            (i, "serializable")
        );
        transaction.rollback().await?;
        let row = client.query_one(&statement, &[&i]).await?;
        assert_eq!(
            (row.get::<_, i32>(0), row.get::<_, &str>(1)),
            (i, "read committed")
        );
    }
    Ok(())
}

#[tokio::test]
async fn statements_without_preparation() -> Outcome {
    let client = connect().await?;
    for i in 0..20_i32 {
        let rows = client
            .query_typed("select $1 + 1", &[(&i, Type::INT4)])
            .await?;
        assert_eq!(rows[0].get::<_, i32>(0), i + 1);
        let rows = client
            .query_typed("select $1 + 1", &[(&i64::from(i), Type::INT8)])
            .await?;
        assert_eq!(rows[0].get::<_, i64>(0), i64::from(i) + 1);
    }
    Ok(())
}

#[tokio::test]
async fn portals_are_fetched_in_parts() -> Outcome {
    let mut client = connect().await?;
    let transaction = client.transaction().await?;
    let numbers = transaction
        .bind("select i from generate_series(1, $1::int4) i", &[&25])
        .await?;
    let squares = transaction
        .bind("select i * i from generate_series(1, 25) i", &[])
        .await?;
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    for part in 0..4 {
        let rows = transaction.query_portal(&numbers, 10).await?;
        sizes.push(rows.len());
        seen.extend(rows.iter().map(|row| row.get::<_, i32>(0)));
        let square = transaction.query_portal(&squares, 1).await?;
        assert_eq!(square[0].get::<_, i32>(0), (part + 1) * (part + 1));
    }
    assert_eq!(sizes, [10, 10, 5, 0]);
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    transaction.commit().await?;
    Ok(())
}

#[tokio::test]
async fn portals_of_many_clients_do_not_mix() -> Outcome {
    let clients = (0..12_i32).map(|number| async move {
        let mut client = connect().await?;
        for _ in 0..5 {
            let transaction = client.transaction().await?;
            let portal = transaction
                .bind(
                    "select i + $1::int4 from generate_series(1, 9) i",
                    &[&number],
                )
                .await?;
            for part in 0..3 {
                let rows = transaction.query_portal(&portal, 3).await?;
                let values: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
                assert_eq!(
                    values,
                    (1..=3).map(|i| part * 3 + i + number).collect::<Vec<_>>()
                );
            }
            transaction.rollback().await?;
        }
        Outcome::Ok(())
    });
    future::try_join_all(clients).await?;
    Ok(())
}

#[tokio::test]
async fn savepoints_and_a_dropped_transaction() -> Outcome {
    let mut client = connect().await?;
    client
        .batch_execute("create table tokio_suite.kept (id int4 primary key)")
        .await?;
    let mut transaction = client.transaction().await?;
    transaction
        .execute("insert into tokio_suite.kept values (1)", &[])
        .await?;
    let inner = transaction.transaction().await?;
    inner
        .execute("insert into tokio_suite.kept values (2)", &[])
        .await?;
    let twice = inner
        .execute("insert into tokio_suite.kept values (1)", &[])
        .await;
    assert_eq!(code(twice), Some(SqlState::UNIQUE_VIOLATION));
    let failed = inner.query_one("select 1", &[]).await;
    assert_eq!(code(failed), Some(SqlState::IN_FAILED_SQL_TRANSACTION));
    inner.rollback().await?;
    transaction.commit().await?;

    let dropped = client.transaction().await?;
    dropped
        .execute("insert into tokio_suite.kept values (3)", &[])
        .await?;
    drop(dropped);
    let rows = client.query("select id from tokio_suite.kept", &[]).await?;
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1]);
    Ok(())
}

#[tokio::test]
async fn copy_both_ways_as_text() -> Outcome {
    let client = connect().await?;
    client
        .batch_execute("create table tokio_suite.lines (id int4, word text)")
        .await?;
    let lines: Vec<Bytes> = (0..20_000)
        .map(|i| Bytes::from(format!("{i}\tword {i}\n")))
        .collect();
    let mut sink = pin!(client.copy_in("copy tokio_suite.lines from stdin").await?);
    sink.send_all(&mut stream::iter(lines.clone().into_iter().map(Ok)))
        .await?;
    assert_eq!(sink.finish().await?, 20_000);
    let out = client
        .copy_out("copy (select * from tokio_suite.lines order by id) to stdout")
        .await?;
    let received: Vec<Bytes> = out.try_collect().await?;
    assert_eq!(received.concat(), lines.concat());
    Ok(())
}

#[tokio::test]
async fn copy_both_ways_as_binary() -> Outcome {
    let client = connect().await?;
    client
        .batch_execute("create table tokio_suite.packed (id int4, word text)")
        .await?;
    let types = [Type::INT4, Type::TEXT];
    let sink = client
        .copy_in("copy tokio_suite.packed from stdin (format binary)")
        .await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for i in 0..5_000_i32 {
        let word = (i % 3 != 0).then(|| "w".repeat(i.unsigned_abs() as usize % 200));
        writer.as_mut().write(&[&i, &word]).await?;
    }
    assert_eq!(writer.finish().await?, 5_000);
    let out = client
        .copy_out("copy (select * from tokio_suite.packed order by id) to stdout (format binary)")
        .await?;
    let mut rows = pin!(BinaryCopyOutStream::new(out, &types));
    for i in 0..5_000_i32 {
        let row = rows.next().await.ok_or("a row is missing")??;
        assert_eq!(row.get::<i32>(0), i);
        let length = row.get::<Option<&str>>(1).map(str::len);
        assert_eq!(
            length,
            (i % 3 != 0).then_some(i.unsigned_abs() as usize % 200)
        );
    }
    assert!(rows.next().await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_copy_that_is_dropped_or_bad_changes_nothing() -> Outcome {
    let client = connect().await?;
    client
        .batch_execute("create table tokio_suite.untouched (id int4)")
        .await?;
    {
        let mut sink = pin!(
            client
                .copy_in("copy tokio_suite.untouched from stdin")
                .await?
        );
        sink.send(Bytes::from_static(b"1\n2\n")).await?;
    }
    let mut sink = pin!(
        client
            .copy_in("copy tokio_suite.untouched from stdin")
            .await?
    );
    sink.send(Bytes::from_static(b"1\nno number\n")).await?;
    assert_eq!(
        code(sink.finish().await),
        Some(SqlState::INVALID_TEXT_REPRESENTATION)
    );
    assert_eq!(
        client
            .query_one("select count(*) from tokio_suite.untouched", &[])
            .await?
            .get::<_, i64>(0),
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_cancel_token_stops_the_statement() -> Outcome {
    let (client, watcher) = (connect().await?, connect().await?);
    for i in 0..3 {
        let text = format!("select pg_sleep(30) /* tokio cancel {i} */");
        let cancel = async {
            until_asleep(&watcher, &format!("%tokio cancel {i}%")).await?;
            let sent = Instant::now();
            client.cancel_token().cancel_query(NoTls).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(sent)
        };
        let (cancelled, sent) = tokio::join!(client.query(&text, &[]), cancel);
        assert_eq!(code(cancelled), Some(SqlState::QUERY_CANCELED));
        assert!(sent?.elapsed() < Duration::from_secs(5));
        assert_eq!(
            client
                .query_one("select $1::int4", &[&i])
                .await?
                .get::<_, i32>(0),
            i
        );
    }
    Ok(())
}

#[tokio::test]
async fn several_statements_in_one_message() -> Outcome {
    let client = connect().await?;
    let text =
        "create temporary table mine (v int4) on commit drop; insert into mine values (1), (2);
                select v from mine order by v; ; select null as n, 'é' as e";
    let messages = client.simple_query(text).await?;
    let shown: Vec<String> = messages.iter().map(show).collect();
    assert_eq!(
        shown,
        ["0", "2", "[v]", "1", "2", "2", "[n,e]", "null,é", "1"]
    );

    let broken = client
        .simple_query("select 1; select 1 / 0; select 2")
        .await;
    assert_eq!(code(broken), Some(SqlState::DIVISION_BY_ZERO));
    assert!(client.simple_query("").await?.len() <= 1);
    let transaction = client
        .simple_query("begin; select 1; commit; select 2")
        .await?;
    assert_eq!(
        transaction
            .iter()
            .map(show)
            .filter(|s| s.starts_with('['))
            .count(),
        2
    );
    Ok(())
}

#[tokio::test]
async fn notifications_arrive_in_session_mode() -> Outcome {
    let mut config = config()?;
    if let Ok(database) = env::var("SUITE_SESSION_DATABASE") {
        config.dbname(database);
    }
    let (listener, mut connection) = config.connect(NoTls).await?;
    let (heard, mut hear) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = pin!(stream::poll_fn(move |cx| connection.poll_message(cx)));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(n) = message {
                heard
                    .send((n.channel().to_owned(), n.payload().to_owned()))
                    .ok();
            }
        }
    });
    listener.batch_execute("listen tokio_news").await?;
    let sender = connect().await?;
    for i in 0..5 {
        sender
            .execute("select pg_notify('tokio_news', $1)", &[&format!("n{i}")])
            .await?;
        let news = tokio::time::timeout(Duration::from_secs(5), hear.recv()).await?;
        assert_eq!(news, Some(("tokio_news".into(), format!("n{i}"))));
    }
    Ok(())
}

#[tokio::test]
async fn types_that_must_be_looked_up() -> Outcome {
    let client = connect().await?;
    client
        .batch_execute("create type tokio_suite.mood as enum ('sad', 'glad')")
        .await?;
    let statement = client
        .prepare("select $1::tokio_suite.mood, array['sad'::tokio_suite.mood]")
        .await?;
    assert_eq!(statement.params()[0].name(), "mood");
    assert_eq!(statement.columns()[1].type_().name(), "_mood");
    Ok(())
}

#[tokio::test]
async fn big_values() -> Outcome {
    let client = connect().await?;
    let blob: Vec<u8> = (0..8_000_000_u32)
        .map(|i| i.to_le_bytes()[i as usize % 3])
        .collect();
    let row = client
        .query_one(
            "select $1::bytea, length($2::text)",
            &[&blob, &"x".repeat(3_000_000)],
        )
        .await?;
    assert!(
        row.get::<_, &[u8]>(0) == blob,
        "the blob has changed on its way"
    );
    assert_eq!(row.get::<_, i32>(1), 3_000_000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_each_get_their_own_values() -> Outcome {
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..50_i32 {
        clients.spawn(async move {
            let client = connect().await?;
            // tokio-postgres numbers statements per process: prepare in every client anyway.
            let own = client
                .prepare(&format!("select $1::text || ' of {number}', $2::int4"))
                .await?;
            let shared = client.prepare("select $1::text, $2::int4").await?;
            for i in 0..30_i32 {
                let word = format!("round {i}");
                let first: [&(dyn ToSql + Sync); 2] = [&word, &number];
                let second: [&(dyn ToSql + Sync); 2] = [&word, &i];
                let (a, b) = tokio::try_join!(
                    client.query_one(&own, &first),
                    client.query_one(&shared, &second),
                )?;
                assert_eq!(
                    (a.get::<_, String>(0), a.get::<_, i32>(1)),
                    (format!("{word} of {number}"), number)
                );
                assert_eq!(
                    (b.get::<_, &str>(0), b.get::<_, i32>(1)),
                    (word.as_str(), i)
                );
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_refused() -> Outcome {
    let refused = config()?.password("wrong").connect(NoTls).await;
    assert_eq!(code(refused), Some(SqlState::INVALID_PASSWORD));
    Ok(())
}

/// A client of the server under test; the suite's schema is there, and new.
async fn connect() -> Result<Client, Box<dyn Error + Send + Sync>> {
    static SCHEMA: OnceCell<()> = OnceCell::const_new();
    SCHEMA
        .get_or_try_init(|| async {
            open()
                .await?
                .batch_execute(
                    "drop schema if exists tokio_suite cascade; create schema tokio_suite",
                )
                .await?;
            Outcome::Ok(())
        })
        .await?;
    open().await
}

async fn open() -> Result<Client, Box<dyn Error + Send + Sync>> {
    let (client, connection) = config()?.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn config() -> Result<Config, Box<dyn Error + Send + Sync>> {
    let variable = |name: &str| {
        env::var(name).map_err(|_| format!("{name} is not set: see the head of this file"))
    };
    let mut config = Config::new();
    config
        .host(variable("PGHOST")?)
        .port(variable("PGPORT")?.parse()?)
        .user(variable("PGUSER")?)
        .password(variable("PGPASSWORD")?)
        .dbname(variable("PGDATABASE")?)
        .connect_timeout(Duration::from_secs(20));
    Ok(config)
}

/// Waits until a statement like `pattern` sleeps in the server.
async fn until_asleep(watcher: &Client, pattern: &str) -> Outcome {
    let sleepers =
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and query like $1";
    for _ in 0..500 {
        if watcher
            .query_one(sleepers, &[&pattern])
            .await?
            .get::<_, i64>(0)
            == 1
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the statement never ran".into())
}

fn code<T>(result: Result<T, tokio_postgres::Error>) -> Option<SqlState> {
    result.err()?.code().cloned()
}

fn show(message: &SimpleQueryMessage) -> String {
    match message {
        SimpleQueryMessage::Row(row) => (0..row.len())
            .map(|i| row.get(i).unwrap_or("null"))
            .collect::<Vec<_>>()
            .join(","),
        SimpleQueryMessage::CommandComplete(rows) => rows.to_string(),
        SimpleQueryMessage::RowDescription(columns) => {
            format!(
                "[{}]",
                columns
                    .iter()
                    .map(|c| c.name())
                    .collect::<Vec<_>>()
                    .join(",")
            )
        }
        other => format!("{other:?}"),
    }
}
