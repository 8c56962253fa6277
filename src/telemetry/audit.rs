//! The audit log: a file of JSON objects, one a line, each of which holds the hash of the one
//! before, so that nothing can be changed or taken out unseen.
//!
//! The file is written by whoever has something to record, under a lock, with one write a
//! record. Whoever rotates it moves it away and has the process reload.

mod chain;
pub mod learn;
mod record;
mod tail;
pub mod verify;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{error, info, warn};

use crate::session::audit::{Auditor, Event, Unwritable};
use crate::telemetry::audit::chain::{Chain, End};
use crate::telemetry::audit::record::{Start, event_body};
use crate::telemetry::settings::{AuditSettings, AuditSql};

/// The audit log of the process. Without a file it does nothing.
#[derive(Debug)]
pub struct AuditLog {
    instance: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: AuditSettings,
    chain: Option<Chain>,
    /// What has to be said before the next record.
    due: Option<Start>,
    /// Whether the last write failed.
    is_failing: bool,
}

impl AuditLog {
    /// Opens the file and goes on where its last record ends.
    ///
    /// # Errors
    /// The file cannot be opened or written, is written by another process, or is something
    /// else than an audit log.
    pub fn open(settings: &AuditSettings) -> io::Result<Self> {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().into_owned();
        let mut state = State {
            settings: settings.clone(),
            chain: None,
            due: None,
            is_failing: false,
        };
        let log = |state| Self {
            instance: format!("{host}:{}", std::process::id()),
            state: Mutex::new(state),
        };
        let Some(path) = &settings.file else {
            return Ok(log(state));
        };
        state.chain = Some(open(path, settings.chain, None).map_err(|e| named(path, &e))?);
        state.due = Some(Start::default());
        let log = log(state);
        log.lock()
            .catch_up(&log.instance)
            .map_err(|e| named(path, &e))?;
        info!(file = %path.display(), "audit log opened");
        Ok(log)
    }

    /// Takes over new settings, and opens the file anew if another is in its place. If that
    /// cannot be done, it goes on with the old file.
    ///
    /// # Errors
    /// As of [`AuditLog::open`], but a file that cannot be written for now is taken.
    pub fn reopen(&self, settings: &AuditSettings) -> io::Result<()> {
        let mut state = self.lock();
        let Some(path) = &settings.file else {
            state.chain = None;
            state.settings = settings.clone();
            return Ok(());
        };
        if let Some(chain) = &mut state.chain
            && is_at(chain.file(), path)
        {
            chain
                .set_chained(settings.chain)
                .map_err(|e| named(path, &e))?;
            state.settings = settings.clone();
            return Ok(());
        }
        let before = state.chain.as_ref().map(Chain::tip);
        // A disk that is full is why some rotate: the new file accounts for the old one's end.
        let torn = state.chain.as_ref().and_then(Chain::torn);
        let chain = open(path, settings.chain, before).map_err(|e| named(path, &e))?;
        if let Some(before) = before {
            // To be kept elsewhere: nothing else shows that the end of a file is missing.
            info!(seq = before.seq, hash = %before.hash_hex(), "audit log ends");
        }
        state.chain = Some(chain);
        state.settings = settings.clone();
        state.due.get_or_insert_default().torn = torn;
        if let Err(error) = state.catch_up(&self.instance) {
            state.failed(&error, 0);
        }
        info!(file = %path.display(), "audit log reopened");
        Ok(())
    }

    /// Writes a record of what the process itself did, such as `config_reload`.
    ///
    /// # Errors
    /// As of [`Auditor::record`].
    pub fn note(&self, kind: &str, reason: &str) -> Result<(), Unwritable> {
        self.append(|instance, _| record::note_body(instance, kind, reason))
    }

    fn append(&self, body: impl FnOnce(&str, AuditSql) -> String) -> Result<(), Unwritable> {
        let sql = {
            let state = self.lock();
            if state.chain.is_none() {
                return Ok(());
            }
            state.settings.sql
        };
        // The costly part, outside the lock.
        let body = body(&self.instance, sql);
        self.lock().append(&self.instance, &body)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auditor for AuditLog {
    fn record(&self, event: &Event<'_>) -> Result<(), Unwritable> {
        self.append(|instance, sql| event_body(event, instance, sql))
    }
}

impl State {
    fn append(&mut self, instance: &str, body: &str) -> Result<(), Unwritable> {
        let written = self
            .catch_up(instance)
            .and_then(|()| match &mut self.chain {
                Some(chain) => chain.put(body),
                None => Ok(()),
            });
        match written {
            Ok(()) => Ok(()),
            Err(error) => {
                self.failed(&error, 1);
                if self.settings.deny_on_failure {
                    Err(Unwritable)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Writes what has to be said before the next record.
    fn catch_up(&mut self, instance: &str) -> io::Result<()> {
        let Some(chain) = &mut self.chain else {
            return Ok(());
        };
        let torn = chain.torn();
        if self.due.is_none() && torn.is_none() {
            return Ok(());
        }
        let start = self.due.get_or_insert_default();
        start.torn = torn.or_else(|| start.torn.take());
        chain.put(&start.body(instance))?;
        if self.is_failing {
            warn!(lost = start.lost, "the audit log is written again");
        }
        self.is_failing = false;
        self.due = None;
        Ok(())
    }

    fn failed(&mut self, error: &io::Error, lost: u64) {
        if !self.is_failing {
            let refused = self.settings.deny_on_failure;
            error!(%error, refused, "the audit log cannot be written");
        }
        self.is_failing = true;
        let due = self.due.get_or_insert_default();
        due.lost = due.lost.saturating_add(lost);
    }
}

/// Opens a file for appending. `before` is where a chain stands that an empty file goes on with.
fn open(path: &Path, is_chained: bool, before: Option<chain::Tip>) -> io::Result<Chain> {
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let tail = if file.metadata()?.is_file() {
        tail::read(&mut file)?
    } else {
        None
    };
    let mut chain = match tail {
        Some((tip, end)) => Chain::new(file, tip, end),
        None => Chain::new(file, before.unwrap_or_default(), End::Complete),
    };
    chain.set_chained(is_chained)?;
    Ok(chain)
}

fn is_at(file: &File, path: &Path) -> bool {
    let Ok((ours, there)) = file.metadata().and_then(|m| Ok((m, path.metadata()?))) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    let text = format!("cannot open the audit log {}: {error}", path.display());
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests;
