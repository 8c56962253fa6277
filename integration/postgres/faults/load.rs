//! Clients that keep a pool busy and check every answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::support::postgres::Postgres;
use crate::support::raw::Raw;
use crate::support::{connect, eventually, in_time};

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What all clients have done.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicU64,
    failed: AtomicU64,
    /// Numbers to ask for, so that no two clients ever ask for the same.
    next: AtomicU64,
}

impl Load {
    /// Makes the bank, and sets clients to work on the database `shop`.
    pub(crate) async fn start(postgres: &Postgres, port: u16, clients: u64) -> Self {
        postgres
            .run(
                "create table bank (id int primary key, amount int8 not null);
                 insert into bank select n, 1000 from generate_series(0, 9) n;
                 grant all on bank to app",
            )
            .await;
        let shared = Arc::new(Shared::default());
        let mut set = JoinSet::new();
        for seed in 0..clients {
            set.spawn(work(shared.clone(), port, seed));
        }
        let load = Self {
            shared,
            clients: set,
        };
        load.progress(clients).await;
        load
    }

    /// Waits until this many more rounds have succeeded.
    pub(crate) async fn progress(&self, rounds: u64) {
        let goal = self.done() + rounds;
        eventually("the clients go on", async || self.done() >= goal).await;
    }

    /// Rounds that succeeded.
    pub(crate) fn done(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// Rounds and logins that did not.
    pub(crate) fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Ends the work; fails if a client got a wrong answer or does not end.
    pub(crate) async fn stop(mut self, postgres: &Postgres) {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(client) = in_time("a client's last round", self.clients.join_next()).await {
            client.expect("a client got a wrong answer or was stuck");
        }
        let sum = "select sum(amount)::int8 from bank";
        let sum: i64 = postgres
            .admin()
            .await
            .query_one(sum, &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(sum, 10_000, "money was made or lost");
    }
}

async fn work(shared: Arc<Shared>, port: u16, seed: u64) {
    let mut random = Random(seed);
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok(mut client) = connect(port, "app", "shop").await else {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while !shared.stop.load(Ordering::Relaxed) && !client.is_closed() {
            let round = round(&mut client, &shared.next, &mut random);
            match in_time("a round", round).await {
                Ok(()) => shared.done.fetch_add(1, Ordering::Relaxed),
                Err(_) => shared.failed.fetch_add(1, Ordering::Relaxed),
            };
        }
    }
}

/// Some questions whose answers are known, at once, and a transfer.
async fn round(client: &mut Client, next: &AtomicU64, random: &mut Random) -> Result<(), Error> {
    let first = i64::try_from(next.fetch_add(3, Ordering::Relaxed)).unwrap();
    let ask = async |number: i64| {
        let row = client.query_one("select $1::int8", &[&number]).await?;
        assert_eq!(row.get::<_, i64>(0), number, "another's answer");
        Ok::<_, Error>(())
    };
    tokio::try_join!(ask(first), ask(first + 1), ask(first + 2))?;
    let simple = client.simple_query(&format!("select {first}")).await?;
    let answered = simple.iter().any(|message| {
        matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some(&first.to_string()))
    });
    assert!(answered, "another's answer");
    let (one, other) = (random.below(10), random.below(10));
    // In order, or two transfers lock each other out.
    let (low, high) = (one.min(other), one.max(other));
    let transfer = client.transaction().await?;
    let update = "update bank set amount = amount + $2 where id = $1";
    transfer.execute(update, &[&low, &1_i64]).await?;
    transfer.execute(update, &[&high, &-1_i64]).await?;
    transfer.commit().await
}

/// Proves that a pool of `size` has all of it: so many clients hold a server each at once.
pub(crate) async fn assert_whole(port: u16, size: usize) {
    eventually("the pool serves", async || {
        match connect(port, "app", "shop").await {
            Ok(client) => client.simple_query("select 1").await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
    let mut pids = HashSet::new();
    let mut holding = Vec::new();
    for _ in 0..size {
        let mut client = Raw::app(port).await;
        client.query("begin").await.fine();
        pids.insert(client.value("select pg_backend_pid()").await);
        holding.push(client);
    }
    assert_eq!(
        pids.len(),
        size,
        "clients that hold a transaction share a server"
    );
    for mut client in holding {
        client.query("commit").await.fine();
    }
}

/// The process ids of a user's servers.
pub(crate) async fn servers_of(admin: &Client, user: &str) -> Vec<i32> {
    let sql = "select pid from pg_stat_activity where usename = $1 order by pid";
    let rows = admin.query(sql, &[&user]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The same numbers for the same seed.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`. SplitMix64.
    pub(crate) fn below(&mut self, limit: i32) -> i32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = (z ^ (z >> 31)) % u64::try_from(limit).unwrap();
        i32::try_from(z).unwrap()
    }
}

/// Between tries to log in to what is down.
const PAUSE: Duration = Duration::from_millis(20);
