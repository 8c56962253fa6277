//! Which server a client gets, and when it is closed.

mod dns;
mod failures;
mod hosts;
mod lifetimes;
mod queries;
mod reload;
mod sizes;

use crate::support::postgres::Postgres;
use crate::support::raw::{Failure, Raw, Reply};

/// Everybody is let in to the console as `tester`.
const CONSOLE: &str = "[console]\nadmins = [\"tester\"]\n";

/// `[databases.shop]` with one server user for all clients, and `pool` as its pool.
fn shop(postgres: &Postgres, pool: &str) -> String {
    format!(
        "{CONSOLE}[databases.shop]\nport = {}\nserver = {{ user = \"app\", password = \"app\" }}\n\
         [databases.shop.pool]\n{pool}\n",
        postgres.port
    )
}

/// The process id of the server that a client gets.
async fn pid(client: &mut Raw) -> String {
    let reply = client.query("select pg_backend_pid()").await;
    reply.fine().value().to_owned()
}

/// A command on the console.
async fn console(port: u16, command: &str) -> Reply {
    let mut console = Raw::login(port, "tester", "pgbouncer", &[]).await.unwrap();
    console.query(command).await
}

/// The rows of SHOW POOLS of one database: each its user and its servers.
async fn pools(port: u16, database: &str) -> Vec<(String, usize)> {
    let shown = console(port, "SHOW POOLS").await.fine();
    let text = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
    let mut rows = shown.rows;
    rows.retain(|row| text(row, 0) == database);
    rows.iter()
        .map(|row| {
            // sv_active to sv_login
            let servers = (6..13).map(|at| text(row, at).parse::<usize>().unwrap());
            (text(row, 1), servers.sum())
        })
        .collect()
}

/// What a client is told whose query ends its session.
async fn told(client: &mut Raw, sql: &str) -> Failure {
    client.send_query(sql.as_bytes()).await;
    client.try_reply().await.unwrap_err().unwrap()
}
