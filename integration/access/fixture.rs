//! The database that is attacked, and how it becomes what it was.

use tokio_postgres::Client;

use crate::snapshot::{self, Snapshot};
use crate::support::postgres::Postgres;

/// Everybody is let in, replication included: pgwarden is what is tested.
const HBA: &str = "local all all trust\nhost all all 127.0.0.1/32 trust\n\
    host replication all 127.0.0.1/32 trust\n";

const SCHEMA: &str = include_str!("schema.sql");
const ROLES: &str = include_str!("setup.sql");

/// A server with the database `acl` of `schema.sql`.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) postgres: Postgres,
    /// In the database `postgres`.
    outside: Client,
    /// In the database `acl`.
    admin: Client,
    tide: String,
    snapshot: Snapshot,
    names: String,
}

/// What has changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    /// Parts of the state.
    pub(crate) parts: Vec<String>,
    /// Names of the schema, with a sign.
    pub(crate) names: Vec<String>,
}

impl Changes {
    /// Whether there are any.
    pub(crate) fn is_none(&self) -> bool {
        self.parts.is_empty() && self.names.is_empty()
    }

    /// Whether only rows of tables have changed.
    fn are_rows(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.all(|part| part.starts_with("rows of ")) && self.names.is_empty()
    }
}

impl Fixture {
    /// Starts the server.
    pub(crate) async fn start() -> Self {
        let settings = ["wal_level=logical", "max_prepared_transactions=8"];
        let postgres = Postgres::start_with(&settings, HBA).await;
        let outside = postgres.superuser("postgres").await;
        outside.batch_execute(ROLES).await.unwrap();
        run_each(&outside, "create database acl").await;
        postgres
            .superuser("acl")
            .await
            .batch_execute(SCHEMA)
            .await
            .unwrap();
        disconnected(&outside).await;
        run_each(&outside, "alter database acl rename to acl_template").await;
        make(&outside).await;
        let admin = postgres.superuser("acl").await;
        Self {
            tide: snapshot::tide(&admin).await,
            snapshot: Snapshot::take(&admin).await,
            names: snapshot::names(&admin).await,
            postgres,
            outside,
            admin,
        }
    }

    /// The superuser's session.
    pub(crate) fn admin(&self) -> &Client {
        &self.admin
    }

    /// What has changed since the last call. It becomes what it was.
    pub(crate) async fn changes(&mut self) -> Changes {
        let tide = snapshot::tide(&self.admin).await;
        if tide == self.tide {
            return Changes::default();
        }
        let now = Snapshot::take(&self.admin).await;
        let names = snapshot::names(&self.admin).await;
        let changes = Changes {
            parts: self.snapshot.differences(&now),
            names: line_differences(&self.names, &names),
        };
        if changes.is_none() {
            self.tide = tide;
            return changes;
        }
        if changes.are_rows() {
            self.admin.batch_execute(&refill()).await.unwrap();
        } else {
            self.make_again().await;
        }
        self.forget().await;
        changes
    }

    /// Takes everything as it is now for what it was.
    pub(crate) async fn forget(&mut self) {
        self.tide = snapshot::tide(&self.admin).await;
        self.snapshot = Snapshot::take(&self.admin).await;
        self.names = snapshot::names(&self.admin).await;
    }

    async fn make_again(&mut self) {
        let prepared = "select gid from pg_prepared_xacts";
        for row in self.admin.query(prepared, &[]).await.unwrap() {
            let gid: &str = row.get(0);
            let sql = format!("rollback prepared '{gid}'");
            self.admin.batch_execute(&sql).await.unwrap();
        }
        run_each(
            &self.outside,
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots;
             alter system reset all;
             drop database acl with (force);
             alter role app_rw reset all;
             alter role app_rw login nosuperuser noreplication password 'x';
             grant other to app_rw",
        )
        .await;
        make(&self.outside).await;
        let odd = "select rolname from pg_roles where oid > 16383 and rolname not in
            ('app_rw', 'ro_user', 'other', 'repl', 'app', 'alice', 'bob', 'auditor', 'tester')";
        for row in self.outside.query(odd, &[]).await.unwrap() {
            let name: &str = row.get(0);
            run_each(&self.outside, &format!("drop role \"{name}\"")).await;
        }
        self.admin = self.postgres.superuser("acl").await;
    }
}

async fn make(outside: &Client) {
    run_each(
        outside,
        "create database acl template acl_template;
         grant create, temp on database acl to app_rw",
    )
    .await;
}

/// Runs statements that want a transaction of their own.
async fn run_each(client: &Client, sql: &str) {
    for sql in sql.split(';') {
        if let Err(error) = client.batch_execute(sql).await {
            panic!("{sql}: {error:?}");
        }
    }
}

async fn disconnected(outside: &Client) {
    let sessions = "select count(*) from pg_stat_activity where datname = 'acl'";
    crate::support::eventually("nobody is connected", async || {
        let count: i64 = outside.query_one(sessions, &[]).await.unwrap().get(0);
        count == 0
    })
    .await;
}

/// Statements that put the rows back that `schema.sql` puts there.
fn refill() -> String {
    let mut sql = "truncate t, u, secret, \"order\", part;
        alter sequence sq restart; select lo_unlink(oid) from pg_largeobject_metadata;"
        .to_owned();
    let lines = SCHEMA
        .lines()
        .filter(|line| !line.contains("create procedure") && !line.contains("create function"));
    for statement in lines.flat_map(|line| line.split(';')) {
        if statement.trim().starts_with("insert into") {
            sql.push_str(statement);
            sql.push(';');
        }
    }
    sql.push_str("refresh materialized view mv; analyze t");
    sql
}

fn line_differences(old: &str, new: &str) -> Vec<String> {
    let gone = old.lines().filter(|line| !new.lines().any(|n| n == *line));
    let come = new.lines().filter(|line| !old.lines().any(|o| o == *line));
    let gone = gone.map(|line| format!("-{line}"));
    gone.chain(come.map(|line| format!("+{line}"))).collect()
}
