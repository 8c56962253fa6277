//! The console's commands, as admin, as stats user and as stranger.

mod operations;
mod tools;
mod walk;
mod witness;

use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, Reply, failure, row};

/// A pooler whose console `ops` may use for everything and `stats` for SHOW, with these lines
/// before its databases.
async fn pooler(postgres: &Postgres, lines: &str) -> Pooler {
    Pooler::start(&format!("{CONSOLE}{lines}\n{}", shop(postgres))).await
}

const CONSOLE: &str = "[console]\nadmins = [\"ops\"]\nviewers = [\"stats\"]\n";

async fn console(pooler: &Pooler) -> Raw {
    Raw::login(pooler.port, "ops", "pgbouncer", &[])
        .await
        .unwrap()
}

/// What a command is answered with: its tag, or code and text of its error.
async fn answer(console: &mut Raw, command: &str) -> String {
    said(&console.query(command).await)
}

fn said(reply: &Reply) -> String {
    match &reply.failure {
        Some(failure) => format!("{} {}", failure.code, failure.message),
        None => reply.tags.join(","),
    }
}

/// A table: names and types of its columns, and its rows.
#[derive(Debug, Default)]
struct Table {
    columns: Vec<(String, u32)>,
    rows: Vec<Vec<Option<String>>>,
}

impl Table {
    async fn of(console: &mut Raw, command: &str) -> Self {
        let mut table = Self::default();
        console.send_query(command.as_bytes()).await;
        loop {
            let (tag, body) = console.expect_message().await;
            match tag {
                b'T' => table.columns = columns(&body),
                b'D' => table.rows.push(row(&body)),
                b'E' => panic!("{command}: {:?}", failure(&body)),
                b'Z' => return table,
                _ => {}
            }
        }
    }

    /// A column's value in the first row in which another column has some value.
    #[track_caller]
    fn value(&self, column: &str, (key, wanted): (&str, &str)) -> &str {
        let at = |name: &str| {
            let position = self.columns.iter().position(|(known, _)| known == name);
            position.unwrap_or_else(|| panic!("no column {name}: {:?}", self.columns))
        };
        let row = self
            .rows
            .iter()
            .find(|row| row[at(key)].as_deref() == Some(wanted))
            .unwrap_or_else(|| panic!("no row with {key} = {wanted}: {:?}", self.rows));
        row[at(column)].as_deref().unwrap_or("NULL")
    }
}

/// Names and types of a RowDescription's columns.
fn columns(body: &[u8]) -> Vec<(String, u32)> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let fields = &rest[end + 1..];
        // Table and number of the column, type, length, typmod, format.
        let oid = u32::from_be_bytes(fields[6..10].try_into().unwrap());
        columns.push((name, oid));
        rest = &fields[18..];
    }
    columns
}
