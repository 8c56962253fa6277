//! LDAP, PAM and auth_query, against the real ones, and what is offered of TLS.

mod directory;
mod ldap;
mod lookup;
mod pam;
mod tls;
mod version1;

use tokio_postgres::{Client, Config};

use crate::support::connect_with;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;

/// A login to the database `shop` with a password.
async fn login(pooler: &Pooler, user: &str, password: &str) -> Result<Client, String> {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(pooler.port)
        .user(user)
        .password(password)
        .dbname("shop");
    connect_with(&config)
        .await
        .map_err(|error| match error.as_db_error() {
            Some(error) => error.message().to_owned(),
            None => error.to_string(),
        })
}

/// Who a session is on the server.
async fn whoami(client: &Client) -> String {
    let row = client.query_one("select current_user::text", &[]).await;
    row.unwrap().get(0)
}

/// The database `shop`, whose servers are opened in the clients' names.
fn shop(postgres: &Postgres) -> String {
    format!("[databases.shop]\nport = {}\n", postgres.port)
}
