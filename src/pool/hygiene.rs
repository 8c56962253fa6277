//! What is done to a server between two clients.
//!
//! In session mode a client may leave anything behind, and the operator's server_reset_query is
//! all that is done about it. In the other modes nearly every client leaves nothing, and what one
//! does leave is seen and cleaned: see [`Soil`].

use std::sync::Arc;

use tracing::warn;

use crate::pool::server::reset::Soil;
use crate::pool::server::{RunError, Server};
use crate::pool::settings::{DatabaseSettings, PoolMode};

/// What is done to the servers of one pool between two clients.
#[derive(Debug)]
pub(super) struct Hygiene {
    /// Whether traces of clients are looked for and cleaned.
    cleans: bool,
    /// Run after each client.
    reset_query: Option<String>,
    /// Run again after what has undone it.
    connect_query: Option<String>,
}

impl Hygiene {
    pub(super) fn new(database: &DatabaseSettings) -> Self {
        let pool = &database.pool;
        let in_session = pool.mode == PoolMode::Session;
        let reset_query = pool.server_reset_query.clone();
        Self {
            cleans: !in_session,
            reset_query: reset_query
                .filter(|sql| !sql.is_empty() && (in_session || pool.server_reset_query_always)),
            connect_query: database.connect_query.clone(),
        }
    }

    /// Whether anything is to be done to a server in this state.
    pub(super) fn is_due(&self, soil: Soil) -> bool {
        self.reset_query.is_some() || (self.cleans && soil > Soil::Clean)
    }

    /// Does it. Not cancel safe.
    pub(super) async fn clean(&self, server: &mut Server) -> Result<(), RunError> {
        let reset_query = self.reset_query.as_deref();
        let discards_all = reset_query.is_some_and(|sql| has(sql, "discard all"));
        if self.cleans
            && !discards_all
            && let Some(sql) = server.soil.cleaning()
        {
            self.run(server, sql).await?;
        }
        if let Some(sql) = reset_query {
            self.run(server, sql).await?;
        }
        Ok(())
    }

    async fn run(&self, server: &mut Server, sql: &str) -> Result<(), RunError> {
        server.run(sql).await?;
        if has(sql, "discard all") || has(sql, "deallocate all") {
            server.statements.clear();
        }
        if !(has(sql, "discard all") || has(sql, "reset all")) {
            return Ok(());
        }
        server.applied = Arc::default();
        match &self.connect_query {
            None => Ok(()),
            Some(sql) => match server.run(sql).await {
                Err(RunError::Refused(error)) => {
                    warn!(%error, "connect_query failed");
                    Ok(())
                }
                ran => ran,
            },
        }
    }
}

/// Whether a query has these words in it, written like this or in capitals, one space between.
fn has(sql: &str, words: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    sql.split_ascii_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .contains(words)
}
