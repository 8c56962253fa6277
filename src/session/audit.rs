//! What is worth an entry in the audit log, and who writes it; `telemetry` implements that.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::classification::Classification;
use crate::policy::verdict::Denial;
use crate::wire::sqlstate::SqlState;

/// Writes the audit log.
pub trait Auditor: Send + Sync + std::fmt::Debug {
    /// Writes an entry, or does nothing where there is no audit log.
    ///
    /// # Errors
    /// It cannot be written, and the settings say that nothing may happen then.
    fn record(&self, event: &Event<'_>) -> Result<(), Unwritable>;
}

/// The audit log cannot be written, and service is to be refused for that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritable;

/// No audit log.
#[derive(Debug)]
pub struct NoAudit;

impl Auditor for NoAudit {
    fn record(&self, _: &Event<'_>) -> Result<(), Unwritable> {
        Ok(())
    }
}

/// One entry. What is empty, 0 or `None` does not apply and is left out.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// A number that errors and logs refer to, printed as 16 hexadecimal digits.
    pub reference: u64,
    /// Whose doing.
    pub who: &'a Who,
    /// `simple`, `extended` or `function`.
    pub protocol: &'static str,
    /// The text as it was sent.
    pub sql: Option<&'a [u8]>,
    /// What it does.
    pub classification: Option<&'a Classification>,
    /// Why it was refused, or would be.
    pub denial: Option<&'a Denial>,
    /// `allow`, `deny` or `would_deny`.
    pub verdict: &'static str,
    /// The number of the policy by which it was judged.
    pub generation: u64,
    /// The state of the transaction before: `idle`, `transaction` or `failed`.
    pub transaction: &'static str,
    /// The process id of the server it ran on.
    pub server_pid: u32,
    /// How long it took.
    pub duration: Option<Duration>,
    /// Rows returned.
    pub rows: u64,
    /// Bytes of the rows.
    pub bytes: u64,
    /// The code of the error that the client got.
    pub sqlstate: Option<SqlState>,
    /// More, in words: why a session ended, which limit, what kind of breach.
    pub reason: &'a str,
}

impl<'a> Event<'a> {
    /// An entry in which only this is known, with a number of its own.
    pub fn new(kind: EventKind, who: &'a Who, generation: u64) -> Self {
        Self {
            kind,
            reference: reference(),
            who,
            protocol: "",
            sql: None,
            classification: None,
            denial: None,
            verdict: "",
            generation,
            transaction: "",
            server_pid: 0,
            duration: None,
            rows: 0,
            bytes: 0,
            sqlstate: None,
            reason: "",
        }
    }
}

/// A number that no other entry has. It is no secret, so the system is asked for a random one
/// only once a thread: the rest follow by SplitMix64, <https://doi.org/10.1145/2714064.2660195>.
pub(super) fn reference() -> u64 {
    thread_local! {
        static LAST: Cell<u64> = Cell::new(getrandom::u64().unwrap_or_default());
    }
    LAST.with(|last| {
        let seed = last.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        last.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A session left the mode it was to keep to.
    Breach,
    /// A role used up what it may.
    Limit,
    /// A session ended.
    SessionEnd,
    /// A session began, or a login was refused by the grants.
    SessionStart,
    /// A statement ran.
    Statement,
    /// A statement was refused, or would be.
    Violation,
}

impl EventKind {
    /// The name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Limit => "limit",
            Self::SessionEnd => "session_end",
            Self::SessionStart => "session_start",
            Self::Statement => "statement",
            Self::Violation => "violation",
        }
    }
}

/// Whose session it is; made once for each, of names that many have in one copy.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The number of the session.
    pub session: u64,
    /// Its address and port; `None` for a Unix socket.
    pub address: Option<SocketAddr>,
    /// The user.
    pub user: Arc<str>,
    /// How the user was proved.
    pub method: &'static str,
    /// Names in the client's certificate.
    pub certificate: Box<[String]>,
    /// Issuer and subject of the client's token.
    pub token: Option<Box<(String, String)>>,
    /// The role.
    pub role: Arc<str>,
    /// The user on the server.
    pub server_user: Arc<str>,
    /// The database.
    pub database: Arc<str>,
    /// What the client says its program is.
    pub application_name: Arc<str>,
}

impl Who {
    /// Its address and port as text; empty for a Unix socket.
    pub fn address_text(&self) -> String {
        self.address.map(|a| a.to_string()).unwrap_or_default()
    }
}
