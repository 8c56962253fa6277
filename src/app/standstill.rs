//! SUSPEND: the whole process stands still, until it goes on or another takes its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::app::process::Process;
use crate::app::workers::Order;

/// Whether the process stands still, or is about to.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    wanted: AtomicBool,
    /// Another process has been given the sockets.
    handed_over: AtomicBool,
    ended: Notify,
}

impl Standstill {
    /// Whether the process is to stand still.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Whether another process has been given the sockets: what they are bound to is its own.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::SeqCst)
    }

    /// Notes that another process has been given the sockets.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::SeqCst);
    }

    /// Waits while the process stands still. Cancel safe.
    pub(super) async fn over(&self) {
        loop {
            let ended = self.ended.notified();
            if !self.is_wanted() {
                return;
            }
            ended.await;
        }
    }

    /// Begins or ends; false if that is no change.
    fn set(&self, wanted: bool) -> bool {
        let changed = self.wanted.swap(wanted, Ordering::SeqCst) != wanted;
        if !wanted {
            self.handed_over.store(false, Ordering::SeqCst);
            self.ended.notify_waiters();
        }
        changed
    }
}

impl Process {
    /// Has every client stand still and waits until all do; ends those that do not in time. Who
    /// gives up waiting has everything go on.
    pub(super) async fn stand_still(&self) {
        self.standstill.set(true);
        let mut undo = Undo(Some(self));
        self.workers.ask_all(|| Order::StandStill(true));
        let until = Instant::now() + self.suspend_timeout();
        while self.workers.sum(Order::Moving).await > 0 {
            if Instant::now() >= until {
                let dropped = self.workers.sum(Order::EndMoving).await;
                warn!(dropped, "clients were not flushed within suspend_timeout");
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        undo.0 = None;
        info!("standing still");
    }

    /// Has everything go on; false if nothing stood still.
    pub(super) fn go_on(&self) -> bool {
        let changed = self.standstill.set(false);
        if changed {
            self.workers.ask_all(|| Order::StandStill(false));
            info!("going on");
        }
        changed
    }
}

/// Undoes a standstill that nobody waits for any more.
struct Undo<'a>(Option<&'a Process>);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            process.go_on();
        }
    }
}

/// How often it is looked whether all stand still.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
