//! A random walk: clients that share servers run what leaves things behind, and each must
//! find, after every step, what the same statements lead to in a session of its own.

use std::collections::BTreeMap;

use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, Reply};

const STEPS: usize = 400;
const CLIENTS: usize = 3;

/// What follows a client for good. In a session of one's own it stays; through the pooler too.
const FOLLOWS: &str = "select current_setting('TimeZone'), current_setting('DateStyle'),
    current_setting('application_name'), current_setting('client_encoding'),
    current_setting('standard_conforming_strings'), current_setting('IntervalStyle'),
    session_user";

/// What ends with the transaction.
const ENDS: &str = "select current_user, current_setting('role'), current_setting('search_path'),
    current_setting('work_mem'), current_setting('statement_timeout')";

/// What a fresh session has, and a client between two transactions.
const LEFT: &str =
    "select (select count(*) from pg_class where relnamespace = pg_my_temp_schema()),
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
    (select count(*) from pg_listening_channels()),
    (select count(*) from pg_cursors where name like 'c%'),
    (select count(*) from pg_prepared_statements where from_sql)";

/// What to undo in the direct session where the pooler's transaction ends: the documented rule
/// that untracked things end with it.
const END_OF_TRANSACTION: &str = "set session authorization default; reset search_path;
    reset work_mem; reset statement_timeout; close all; unlisten *; discard temp;
    select pg_advisory_unlock_all(); deallocate all";

/// Statements, chosen at random. Those with `{}` get a number.
const STATEMENTS: [&str; 30] = [
    "begin",
    "begin",
    "begin",
    "commit",
    "commit",
    "commit",
    "rollback",
    "set timezone = 'Etc/GMT+{}'",
    "set local timezone = 'Etc/GMT-{}'",
    "set datestyle = 'SQL, DMY'",
    "set datestyle = 'ISO, MDY'",
    "set application_name = 'walker {}'",
    "set client_encoding = 'LATIN1'",
    "set client_encoding = 'UTF8'",
    "set standard_conforming_strings = off",
    "reset standard_conforming_strings",
    "set intervalstyle = 'sql_standard'",
    "reset timezone",
    "set role auditor",
    "select set_config('role', 'auditor', false)",
    "set search_path = pg_catalog",
    "set work_mem = '{}MB'",
    "set local statement_timeout = '{}s'",
    "do $$ begin set work_mem = '7MB'; end $$",
    "create temp table if not exists walk (a int)",
    "select pg_advisory_lock(pg_backend_pid(), {})",
    "listen walk",
    "declare c{} cursor with hold for select 1",
    "prepare p{} as select 1",
    "select 1 / 0",
];

struct Walker {
    pooled: Raw,
    direct: Raw,
    trail: Vec<String>,
}

impl Walker {
    async fn step(&mut self, sql: &str) {
        self.trail.push(sql.to_owned());
        let pooled = self.pooled.query(sql).await;
        let direct = self.direct.query(sql).await;
        self.compare(sql, &pooled, &direct);
        let in_transaction = pooled.status != 'I';
        if !in_transaction {
            // As an ordinary query: its own tags and reports are not what is compared.
            self.direct.query(END_OF_TRANSACTION).await.fine();
        }
        if pooled.status == 'E' {
            return;
        }
        let look: &[&str] = if in_transaction {
            &[FOLLOWS, ENDS]
        } else {
            &[FOLLOWS, ENDS, LEFT]
        };
        for sql in look {
            let pooled = self.pooled.query(sql).await;
            let direct = self.direct.query(sql).await;
            self.compare(sql, &pooled, &direct);
        }
        self.compare_reports();
    }

    fn compare(&self, sql: &str, pooled: &Reply, direct: &Reply) {
        let last = &self.trail[self.trail.len().saturating_sub(12)..];
        assert_eq!(pooled, direct, "{sql}\nafter {last:#?}");
    }

    /// What both have been told of the parameters, once both have settled.
    fn compare_reports(&self) {
        let told = |raw: &Raw| -> BTreeMap<String, String> {
            let follow = [
                "TimeZone",
                "DateStyle",
                "application_name",
                "client_encoding",
            ];
            let kept = |name: &str| follow.contains(&name);
            let all = raw.parameters.iter().filter(|(name, _)| kept(name));
            all.map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        let last = &self.trail[self.trail.len().saturating_sub(12)..];
        assert_eq!(
            told(&self.pooled),
            told(&self.direct),
            "reports after {last:#?}"
        );
    }
}

async fn walk(seed: u64) {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&format!("[pool]\nsize = 2\n{}", shop(&postgres))).await;
    let mut walkers = Vec::new();
    for number in 0..CLIENTS {
        let zone = format!("Etc/GMT-{number}");
        let parameters = [("TimeZone", zone.as_str())];
        // The first has no wishes at the start.
        let parameters = &parameters[..number.min(1)];
        walkers.push(Walker {
            pooled: Raw::login(pooler.port, "app", "shop", parameters)
                .await
                .unwrap(),
            direct: Raw::login(postgres.port, "app", "shop", parameters)
                .await
                .unwrap(),
            trail: Vec::new(),
        });
    }
    let mut random = seed;
    let mut below = |limit: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % limit
    };
    let mut in_transaction = [false; CLIENTS];
    for _ in 0..STEPS {
        let mut who = below(CLIENTS);
        // Two may hold a server each; the third must then not ask for one.
        if !in_transaction[who] && in_transaction.iter().filter(|&&held| held).count() == 2 {
            who = in_transaction.iter().position(|&held| held).unwrap();
        }
        let sql = STATEMENTS[below(STATEMENTS.len())].replace("{}", &below(5).to_string());
        // Within a transaction RESET gives the server's default, and only then the client's own.
        let sql = match sql.as_str() {
            "reset timezone" if in_transaction[who] => "show timezone".to_owned(),
            _ => sql,
        };
        walkers[who].step(&sql).await;
        let status = walkers[who].pooled.query("").await.status;
        walkers[who].direct.query("").await;
        in_transaction[who] = status != 'I';
    }
}

#[tokio::test]
async fn a_random_walk_finds_what_a_private_session_has() {
    for seed in 1..=4 {
        println!("seed {seed}");
        walk(seed).await;
    }
}
