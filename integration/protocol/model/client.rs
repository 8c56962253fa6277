//! A client of the model: a connection through pgwarden, and the server it believes it has.

use super::generator::Knowledge;
use super::oracle::Oracle;
use crate::script::{Client, Message};

/// A client and the server it believes it has.
#[derive(Debug)]
pub(super) struct ModelClient {
    pub(super) number: usize,
    pub(super) connection: Client,
    pub(super) oracle: Oracle,
    pub(super) knowledge: Knowledge,
    /// What it has sent, for people.
    pub(super) history: Vec<String>,
}

impl ModelClient {
    pub(super) fn new(number: usize, connection: Client) -> Self {
        Self {
            number,
            connection,
            oracle: Oracle::default(),
            knowledge: Knowledge::default(),
            history: Vec::new(),
        }
    }

    /// Messages and what they are answered with, for people.
    pub(super) fn describes(&self, messages: &[Message], replies: &[u8]) -> String {
        let sent: Vec<_> = messages.iter().map(|m| format!("{m:?}")).collect();
        format!(
            "client {} sends {} and expects {}",
            self.number,
            sent.join(" "),
            replies.escape_ascii()
        )
    }
}
