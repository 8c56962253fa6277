//! Closing the servers of a pool that have had their time, and opening some before they are needed.

use std::time::{Duration, Instant};

use super::{AT_ONCE, Pool};
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
        let mut news = false;
        for store in self.stores() {
            drop(store.retain(|server, _| {
                let expired = !one_use && server.expires.is_some_and(|expires| expires <= now);
                let idle = settings.server_idle_timeout.is_some_and(|limit| {
                    now.duration_since(server.used) >= jittered(limit, server.info.id)
                });
                // A login or a filling-up may have ended after the pause or RECONNECT began.
                let old = self.is_paused() || server.info.is_obsolete();
                let close = old || expired || (idle && size > min_size);
                server.line.because(match (self.is_paused(), old, expired) {
                    _ if !close => line::UNCLEAN,
                    (true, ..) => line::PAUSED,
                    (false, true, _) => line::CHANGED,
                    (false, false, true) => line::LIFETIME,
                    (false, false, false) => line::IDLE,
                });
                size -= usize::from(close);
                news |= !close && server.has_news();
                !close
            }));
        }
        let taken_over = self.take_stock();
        // A server that has closed its connection says so; whether it did is seen when it is lent.
        let short = self.size() < min_size || news || taken_over > 0;
        if short && !self.is_paused() && !self.is_closed() {
            // The idle ones are held first, then come those that were taken over. Without any, an
            // idle one that has died is not replaced: nobody may need it, and a login that fails
            // would be told to who comes next.
            let held = match taken_over {
                0 => 0,
                taken_over => self.ordinary.status().available + taken_over,
            };
            self.fill(min_size.max(held)).await;
        }
    }

    /// How many servers wait that were taken over from another pool; those for which there is no
    /// room are closed.
    fn take_stock(&self) -> usize {
        let mut taken_over = self.workshop.heirlooms();
        let status = self.ordinary.status();
        let room = if self.is_paused() || self.is_closed() {
            0
        } else {
            status.max_size.saturating_sub(status.size)
        };
        taken_over.retain(|server| !server.info.is_obsolete());
        taken_over.truncate(room);
        taken_over.len()
    }

    /// Whether a server may be opened that nobody waits for: it makes no other make room.
    fn may_open(&self) -> bool {
        let workshop = &self.workshop;
        let idle = self.ordinary.status().available + workshop.heirlooms().len();
        let room = workshop.budgets.iter().all(|budget| !budget.is_used_up());
        workshop.recent_failure().is_none() && (room || idle > 0)
    }

    /// Opens servers until there are `min`: deadpool opens one only for who finds none idle, so
    /// the idle ones are held for the moment that takes, or until somebody needs one.
    async fn fill(&self, min: usize) {
        // One at a time: a second would take the first for a client in need.
        let Ok(_one) = self.filling.try_acquire() else {
            return;
        };
        let mut held = Vec::new();
        let need = self.workshop.need.notified();
        let fill = async {
            while held.len() < min && self.waiting() == 0 && self.may_open() {
                match self.ordinary.timeout_get(&AT_ONCE).await {
                    Ok(object) => held.push(object),
                    Err(_) => break,
                }
            }
        };
        tokio::select! {
            biased;
            () = need => {}
            () = fill => {}
        }
        for object in held {
            drop(object);
            self.workshop.server_returned();
        }
    }
}
