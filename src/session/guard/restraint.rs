//! Keeps a client within the limits of its role.

use std::sync::Arc;
use std::time::Instant;

use crate::policy::limits::Limits;
use crate::policy::role::Role;
use crate::session::roster::Client;
use crate::session::usage::{Running, Usage};
use crate::wire::backend::Tag;
use crate::wire::error_response::ErrorResponse;

/// What one client uses of its role's limits.
#[derive(Debug)]
pub(in crate::session) struct Restraint {
    limits: Limits,
    usage: Arc<Usage>,
    running: Option<Running>,
    rows: u64,
    bytes: u64,
    excess: Excess,
}

/// Whether the statement that runs has gone too far.
#[derive(Debug, Default)]
enum Excess {
    #[default]
    None,
    /// It takes too long: the server has been told to cancel it. If it does, the client will be
    /// told this in its words' place; if it had ended by then, nothing has happened.
    Late(Box<ErrorResponse>),
    /// Its result is too big: the server has been told to cancel it, and whether it does or not,
    /// the client gets no more of the result, and will be told this.
    Stopping(Box<ErrorResponse>),
    /// The client has been told, and gets nothing more of what it asked for up to the next
    /// ReadyForQuery.
    Told,
}

/// A limit that is reached.
#[derive(Clone, Debug)]
pub(in crate::session) struct Limit {
    /// Its key in the settings.
    pub(in crate::session) name: &'static str,
    /// Its value.
    pub(in crate::session) value: String,
    /// What happened.
    pub(in crate::session) message: &'static str,
}

/// What becomes of a message from the server.
#[derive(Debug)]
pub(in crate::session) enum Fate {
    /// It goes on.
    Pass,
    /// It is dropped.
    Drop,
    /// The client gets this error in its place.
    Replace(Box<ErrorResponse>),
}

impl Restraint {
    pub(super) fn new(role: &Role, usage: Arc<Usage>) -> Self {
        Self {
            limits: role.limits.clone(),
            usage,
            running: None,
            rows: 0,
            bytes: 0,
            excess: Excess::None,
        }
    }

    /// Takes over what runs at the moment.
    pub(super) fn take_over(&mut self, old: &mut Self) {
        self.running = old.running.take();
        (self.rows, self.bytes) = (old.rows, old.bytes);
        self.excess = std::mem::take(&mut old.excess);
    }

    /// Counts a statement that is to run.
    pub(super) fn start(&mut self, client: &Client) -> Result<(), Limit> {
        let limits = &self.limits;
        if limits.time.is_none() && limits.rate.is_none() && limits.concurrent.is_none() {
            return Ok(());
        }
        let now = Instant::now();
        if let Some(rate) = limits.rate
            && !self.usage.take(rate, now)
        {
            return Err(Limit {
                name: "rate",
                value: format!("{} in {:?}", rate.count, rate.per),
                message: "too many statements",
            });
        }
        if let Some(limit) = limits.concurrent
            && self.running.is_none()
        {
            self.running = self.usage.begin(limit);
            if self.running.is_none() {
                return Err(Limit {
                    name: "concurrent",
                    value: limit.to_string(),
                    message: "too many statements at the same time",
                });
            }
        }
        if let Some(time) = limits.time
            && client.deadline.get().is_none()
        {
            client.deadline.set(now.checked_add(time));
        }
        Ok(())
    }

    /// Lets the time of a statement begin: waiting for a server is not running.
    pub(super) fn restart(&self, client: &Client, now: Instant) {
        if let Some(time) = self.limits.time {
            client.deadline.set(now.checked_add(time));
        }
    }

    /// Notes that everything the client has asked for has been answered.
    pub(in crate::session) fn done(&mut self, client: &Client) {
        self.running = None;
        client.deadline.set(None);
    }

    /// Whether replies have to be looked at one by one.
    pub(in crate::session) fn is_watching(&self) -> bool {
        self.limits.rows.is_some()
            || self.limits.bytes.is_some()
            || self.limits.time.is_some()
            || !matches!(self.excess, Excess::None)
    }

    /// Whether nothing more may reach the client up to the next ReadyForQuery.
    pub(in crate::session) fn has_told(&self) -> bool {
        matches!(self.excess, Excess::Told)
    }

    /// Whether the server has been told to stop and has not done so.
    pub(in crate::session) fn is_stopping(&self) -> bool {
        matches!(self.excess, Excess::Stopping(_))
    }

    /// Counts a row; the limit it is too much for.
    pub(in crate::session) fn count(&mut self, bytes: usize) -> Option<Limit> {
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let over = |used: u64, limit: Option<u64>| limit.filter(|limit| used > *limit);
        if let Some(limit) = over(self.rows, self.limits.rows) {
            return Some(Limit {
                name: "rows",
                value: limit.to_string(),
                message: "result has too many rows",
            });
        }
        over(self.bytes, self.limits.bytes).map(|limit| Limit {
            name: "bytes",
            value: limit.to_string(),
            message: "result has too many bytes",
        })
    }

    /// The limit of time.
    pub(in crate::session) fn time(&self) -> Option<Limit> {
        self.limits.time.map(|time| Limit {
            name: "time",
            value: format!("{time:?}"),
            message: "canceling statement that takes too long",
        })
    }

    /// Notes that the server is being told to stop what takes too long.
    pub(in crate::session) fn cancel(&mut self, error: Box<ErrorResponse>) {
        self.excess = Excess::Late(error);
    }

    /// Whether the server is being told to stop what takes too long.
    pub(in crate::session) fn is_late(&self) -> bool {
        matches!(self.excess, Excess::Late(_))
    }

    /// Notes that the server is being told to stop.
    pub(in crate::session) fn stop(&mut self, error: Box<ErrorResponse>) {
        self.excess = Excess::Stopping(error);
    }

    /// Decides over a message that the client would get.
    pub(in crate::session) fn fate(&mut self, tag: Tag, client: &Client) -> Fate {
        let ends_statement = matches!(
            tag,
            Tag::CommandComplete | Tag::EmptyQueryResponse | Tag::ErrorResponse
        );
        if ends_statement {
            (self.rows, self.bytes) = (0, 0);
            if let Some(time) = self.limits.time {
                client.deadline.set(Instant::now().checked_add(time));
            }
        }
        let news = matches!(
            tag,
            Tag::NoticeResponse | Tag::NotificationResponse | Tag::ParameterStatus
        );
        match std::mem::take(&mut self.excess) {
            Excess::None => Fate::Pass,
            _ if tag == Tag::ReadyForQuery => Fate::Pass,
            Excess::Late(error) if tag == Tag::ErrorResponse => {
                self.excess = Excess::Told;
                Fate::Replace(error)
            }
            Excess::Late(error) => {
                self.excess = Excess::Late(error);
                Fate::Pass
            }
            Excess::Stopping(error) if ends_statement || tag == Tag::PortalSuspended => {
                self.excess = Excess::Told;
                Fate::Replace(error)
            }
            Excess::Stopping(error) => {
                self.excess = Excess::Stopping(error);
                if is_result(tag) {
                    Fate::Drop
                } else {
                    Fate::Pass
                }
            }
            Excess::Told => {
                self.excess = Excess::Told;
                if news { Fate::Pass } else { Fate::Drop }
            }
        }
    }
}

/// Whether a message is part of a result.
fn is_result(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::CopyData | Tag::CopyDone | Tag::DataRow | Tag::RowDescription | Tag::CopyOutResponse
    )
}
