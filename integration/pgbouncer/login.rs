//! Who gets in, and how those who do not are told: in PgBouncer's words, as its users' scripts
//! and alarms know them.

mod certificates;
mod console;
mod files;
mod limits;
mod methods;
mod startup;
mod witness;

use std::process::Command;

use tokio_postgres::{Client, Config};

use crate::support::connect_with;
use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;

/// What a refused client is told: SQLSTATE, message, detail and hint.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Told {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) more: String,
}

/// PgBouncer's way to say something.
pub(crate) fn told(message: &str) -> Told {
    Told {
        code: "08P01".into(),
        message: message.into(),
        more: String::new(),
    }
}

/// A pooler that speaks like PgBouncer, before the database `shop`. `settings` begin within
/// `[listen]` and have an `[auth]`.
pub(crate) async fn start(postgres: &Postgres, settings: &str, files: &[(&str, &str)]) -> Pooler {
    let settings = full(postgres, settings);
    let command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    Pooler::start_with(&settings, files, command).await
}

pub(crate) fn full(postgres: &Postgres, settings: &str) -> String {
    let errors = if settings.contains("[clients]") {
        settings.replace("[clients]", "[clients]\nerrors = \"pgbouncer\"")
    } else {
        format!("{settings}\n[clients]\nerrors = \"pgbouncer\"\n")
    };
    format!("{errors}\n{}", shop(postgres))
}

/// A client on this machine.
pub(crate) fn client(port: u16, user: &str, database: &str, password: Option<&str>) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .dbname(database);
    if let Some(password) = password {
        config.password(password);
    }
    config
}

/// Logs in, or says what it was told.
pub(crate) async fn enters(config: &Config) -> Result<Client, Told> {
    connect_with(config)
        .await
        .map_err(|error| match error.as_db_error() {
            Some(told) => Told {
                code: told.code().code().to_owned(),
                message: told.message().to_owned(),
                more: [told.detail(), told.hint()].into_iter().flatten().collect(),
            },
            None => panic!("no error of the pooler's: {error:?}"),
        })
}

/// What the client was told; it must not get in.
#[track_caller]
pub(crate) fn refused(entered: Result<Client, Told>) -> Told {
    match entered {
        Ok(_) => panic!("it got in"),
        Err(told) => told,
    }
}

/// The user that the server sees.
pub(crate) async fn server_user(client: &Client) -> String {
    let row = client.query_one("select current_user::text", &[]).await;
    row.unwrap().get(0)
}
