//! Closing the servers of a pool that have had their time, and opening some before they are needed.

use std::time::{Duration, Instant};

use super::Pool;
use crate::pool::server::line;
use crate::pool::workshop::jittered;

impl Pool {
    /// Closes servers that are too old or idle for too long, and opens some up to `min_size`.
    /// To be called about once a second, on a thread with a runtime.
    pub async fn tidy(&self) {
        let (settings, now) = (self.settings(), Instant::now());
        // A server for one use waits for it.
        let one_use = settings.server_lifetime == Some(Duration::ZERO);
        let min_size = if self.is_kept_filled() || self.clients() > 0 {
            settings.min_size
        } else {
            0
        };
        let mut size = self.size();
        for store in self.stores() {
            drop(store.retain(|server| {
                let expired = !one_use && server.expires.is_some_and(|expires| expires <= now);
                let idle = settings.server_idle_timeout.is_some_and(|limit| {
                    now.duration_since(server.used) >= jittered(limit, server.info.id)
                });
                // A login or a filling-up may have ended after the pause or RECONNECT began.
                let old = self.is_paused() || server.info.is_obsolete();
                // A server that has closed its connection says so.
                let dead = !old && !server.looks_alive();
                let close = old || dead || expired || (idle && size > min_size);
                server.line.because(match (self.is_paused(), old, expired) {
                    _ if !close => line::UNCLEAN,
                    _ if dead => line::CRASHED,
                    (true, ..) => line::PAUSED,
                    (false, true, _) => line::CHANGED,
                    (false, false, true) => line::LIFETIME,
                    (false, false, false) => line::IDLE,
                });
                size -= usize::from(close);
                !close
            }));
        }
        let taken_over = self.take_stock();
        // An idle one that has died is not replaced otherwise: nobody may need it, and a login
        // that fails would be told to who comes next.
        let missing = min_size.saturating_sub(self.size()).max(taken_over);
        if missing > 0 && !self.is_paused() && !self.is_closed() {
            self.fill(missing).await;
        }
    }

    /// How many servers wait that were taken over from another pool; those for which there is no
    /// room are closed.
    fn take_stock(&self) -> usize {
        let mut taken_over = self.workshop.heirlooms();
        let room = if self.is_paused() || self.is_closed() {
            0
        } else {
            self.ordinary.room()
        };
        taken_over.retain(|server| !server.info.is_obsolete());
        taken_over.truncate(room);
        taken_over.len()
    }

    /// Whether a server may be opened that nobody waits for: it makes no other make room.
    fn may_open(&self) -> bool {
        let workshop = &self.workshop;
        let idle = self.ordinary.available() + workshop.heirlooms().len();
        let room = workshop.budgets.iter().all(|budget| !budget.is_used_up());
        workshop.recent_failure().is_none() && (room || idle > 0)
    }

    /// Opens so many servers, or brings in those that were taken over, unless somebody needs one.
    async fn fill(&self, missing: usize) {
        // One at a time: two would open twice as many.
        let Ok(_one) = self.filling.try_acquire() else {
            return;
        };
        let need = self.workshop.need.notified();
        let fill = async {
            for _ in 0..missing {
                if self.waiting() > 0 || !self.may_open() || self.ordinary.add().await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = need => {}
            () = fill => {}
        }
    }
}
