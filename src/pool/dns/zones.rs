//! Watching the serial numbers of zones, which change with anything in them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::resolver::Resolver;
use super::{Dns, ZoneRow};

/// The last part of a look at all zones.
#[derive(Debug, Default)]
pub(super) struct Zones {
    /// What was seen of each.
    pub(super) rows: Vec<ZoneRow>,
    /// When they were looked at.
    looked: Option<Instant>,
}

impl Dns {
    /// Looks at the zones if it is time to. To be called about once a second, on a thread with a
    /// runtime where the settings have a period.
    pub(in crate::pool) fn tidy(self: &Arc<Self>, now: Instant) {
        let settings = self.lock_settings().clone();
        let Some(period) = settings.zone_check_period else {
            return;
        };
        let mut zones = self.lock_zones();
        let is_due = |looked| now.saturating_duration_since(looked) >= period.max(LEAST_PERIOD);
        if !zones.looked.is_none_or(is_due) || self.is_looking.swap(true, Ordering::SeqCst) {
            return;
        }
        zones.looked = Some(now);
        let this = self.clone();
        tokio::spawn(async move {
            this.look_at_zones(settings.resolv_conf).await;
            this.is_looking.store(false, Ordering::SeqCst);
        });
    }

    /// Looks up the hosts anew that are in a zone whose serial number has changed.
    async fn look_at_zones(&self, resolv_conf: Option<PathBuf>) {
        let path = resolv_conf.unwrap_or_else(|| RESOLV_CONF.into());
        let resolver = match Resolver::read(path).await {
            Ok(resolver) => resolver,
            Err(error) => {
                tracing::warn!(%error, "zones are not watched: resolv_conf cannot be read");
                return;
            }
        };
        let hosts = self.rows();
        let mut zones: Vec<_> = hosts.iter().filter_map(|host| zone(&host.name)).collect();
        zones.sort_unstable();
        zones.dedup();
        let before = self.zones();
        let mut rows = Vec::new();
        for name in zones {
            let known = before.iter().find(|row| row.name == name);
            let within: Vec<_> = hosts
                .iter()
                .filter(|host| zone(&host.name) == Some(name))
                .collect();
            let serial = match resolver.serial(name).await {
                Ok(Some(serial)) => Some(serial),
                Ok(None) => None,
                Err(error) => {
                    tracing::debug!(zone = name, %error, "no serial number of a zone");
                    None
                }
            };
            let known = known.map(|row| row.serial);
            if let (Some(new), Some(old)) = (serial, known)
                && new != old
            {
                tracing::info!(zone = name, serial = new, "a zone has changed");
                for host in &within {
                    self.look_up_again(&host.name).await;
                }
            }
            rows.extend(serial.or(known).map(|serial| ZoneRow {
                name: name.to_owned(),
                serial,
                count: within.len(),
            }));
        }
        self.lock_zones().rows = rows;
    }
}

/// The zone of a host: what is behind its first dot, which nearly always is one.
fn zone(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.split_once('.').map(|(_, zone)| zone)
}

const RESOLV_CONF: &str = "/etc/resolv.conf";
const LEAST_PERIOD: Duration = Duration::from_secs(1);
