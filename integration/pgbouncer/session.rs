//! What a client sees: timeouts, notices, statements, replication.

mod cancel;
mod parameters;
mod replication;
mod sizes;
mod statements;
mod timeouts;

use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::{Failure, Raw};

/// A pooler that speaks as PgBouncer does, with these lines in `[clients]` and in `[pool]`.
async fn pooler(postgres: &Postgres, clients: &str, pool: &str) -> Pooler {
    Pooler::start(&settings(postgres, clients, pool)).await
}

fn settings(postgres: &Postgres, clients: &str, pool: &str) -> String {
    let shop = shop(postgres);
    format!("[clients]\nerrors = \"pgbouncer\"\n{clients}\n[pool]\n{pool}\n{shop}")
}

/// The error with which the connection ends: it is FATAL and 08P01, as all of PgBouncer's are.
async fn last_words(client: &mut Raw) -> String {
    let Failure { code, message, .. } = ended(client).await;
    assert_eq!(code, "08P01", "{message}");
    message
}

async fn ended(client: &mut Raw) -> Failure {
    let mut last = None;
    while let Some((tag, body)) = client.message().await {
        if tag == b'E' {
            last = Some(crate::support::raw::failure(&body));
        }
    }
    last.expect("an error before the end of the connection")
}

/// The servers that `app` has, by process id.
async fn servers(postgres: &Postgres) -> Vec<i32> {
    let admin = postgres.admin().await;
    let sql = "select pid from pg_stat_activity where usename = 'app' order by pid";
    let rows = admin.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until `app` has no server that runs this statement.
async fn runs_no_more(postgres: &Postgres, statement: &str) {
    let admin = postgres.admin().await;
    let sql = "select count(*) from pg_stat_activity \
               where usename = 'app' and state = 'active' and query like $1";
    crate::support::eventually("the statement has been cancelled", async || {
        let rows = admin.query(sql, &[&format!("%{statement}%")]).await;
        rows.unwrap()[0].get::<_, i64>(0) == 0
    })
    .await;
}
