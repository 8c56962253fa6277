//! Who has come before the process is told to end, and has not logged in yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::app::process::Process;

/// What a connection has that came in time: it is waited for until it has logged in.
#[derive(Debug)]
pub(super) struct Ticket(Arc<Process>);

/// How many tickets there are.
#[derive(Debug, Default)]
pub(super) struct Tickets(AtomicUsize);

impl Ticket {
    pub(super) fn new(process: &Arc<Process>) -> Self {
        process.tickets.0.fetch_add(1, Ordering::SeqCst);
        Self(process.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.tickets.0.fetch_sub(1, Ordering::SeqCst);
        self.0.workers.departed.notify_waiters();
    }
}

impl Tickets {
    /// Whether nobody is logging in.
    pub(super) fn are_used_up(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}
