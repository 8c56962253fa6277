//! Addresses of host names, kept for as long as the settings say.
//!
//! The names are looked up by the system, in the background: what `/etc/hosts` and the rest of
//! nsswitch.conf say counts. Only where the settings name a resolv.conf of their own are name
//! servers asked from here.

mod message;
mod resolver;
mod zones;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::pool::budget::Neighbours;
use crate::pool::dns::resolver::Resolver;
use crate::pool::dns::zones::Zones;
use crate::pool::settings::hosts::DnsSettings;

/// What is known of host names, for all pools.
#[derive(Debug)]
pub struct Dns {
    settings: Mutex<DnsSettings>,
    names: Mutex<HashMap<String, Arc<Name>>>,
    /// Told of addresses that a name has no longer.
    pools: OnceLock<Weak<dyn Neighbours>>,
    zones: Mutex<Zones>,
    /// Whether somebody looks at the zones at the moment.
    is_looking: AtomicBool,
}

#[derive(Debug, Default)]
struct Name {
    /// One asks, and the others wait for what it hears.
    asking: tokio::sync::Mutex<()>,
    answer: Mutex<Option<Answer>>,
}

#[derive(Clone, Debug)]
struct Answer {
    /// None: the name was not found.
    addresses: Vec<IpAddr>,
    until: Instant,
    /// Which address is next.
    next: usize,
}

/// A name, as SHOW DNS_HOSTS prints it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRow {
    /// The name.
    pub name: String,
    /// How long the answer is used without asking again.
    pub ttl: Duration,
    /// The addresses; none if it was not found.
    pub addresses: Vec<IpAddr>,
}

/// A zone, as SHOW DNS_ZONES prints it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZoneRow {
    /// The zone's name.
    pub name: String,
    /// The serial number of its SOA record.
    pub serial: u32,
    /// How many of the host names are in it.
    pub count: usize,
}

impl Dns {
    pub(super) fn new(settings: DnsSettings) -> Self {
        Self {
            settings: Mutex::new(settings),
            names: Mutex::default(),
            pools: OnceLock::new(),
            zones: Mutex::default(),
            is_looking: AtomicBool::new(false),
        }
    }

    /// Whom to tell of addresses that a name has no longer.
    pub(super) fn tell(&self, pools: Weak<dyn Neighbours>) {
        drop(self.pools.set(pools));
    }

    /// Takes over new settings, for answers to come; but for the path of resolv.conf, which stays
    /// that of the start, as with PgBouncer.
    pub(super) fn reload(&self, settings: &DnsSettings) {
        let mut current = self.lock_settings();
        *current = DnsSettings {
            resolv_conf: current.resolv_conf.take(),
            ..settings.clone()
        };
    }

    /// The addresses of a host, the one whose turn it is first. Cancel safe.
    ///
    /// # Errors
    /// The name cannot be found.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = self
            .lock_names()
            .entry(host.to_owned())
            .or_default()
            .clone();
        if let Some(known) = name.take_turn() {
            return known;
        }
        let _asking = name.asking.lock().await;
        if let Some(known) = name.take_turn() {
            return known; // somebody else has asked in the meantime
        }
        self.look_up(host, &name).await?;
        name.take_turn().unwrap_or_else(|| Err(not_found()))
    }

    /// Looks up a name of which something is known already.
    async fn look_up_again(&self, host: &str) {
        let name = self.lock_names().get(host).cloned();
        if let Some(name) = name {
            let _asking = name.asking.lock().await;
            // Whoever needs the addresses will hear of a failure.
            let _ = self.look_up(host, &name).await;
        }
    }

    /// Looks up a name; its lock is held.
    async fn look_up(&self, host: &str, name: &Name) -> io::Result<()> {
        let settings = self.lock_settings().clone();
        let found = match settings.resolv_conf.clone() {
            None => asked_of_system(host).await,
            Some(path) => match Resolver::read(path).await {
                Ok(resolver) => resolver.addresses(host).await,
                Err(error) => Err(error),
            },
        };
        let gone = name.learn(&found, &settings);
        if !gone.is_empty()
            && let Some(pools) = self.pools.get().and_then(Weak::upgrade)
        {
            tracing::info!(host, ?gone, "the addresses of a host have changed");
            pools.moved(host, &gone);
        }
        found.map(drop)
    }

    /// All names that have been asked for.
    pub(super) fn rows(&self) -> Vec<HostRow> {
        let now = Instant::now();
        let names = self.lock_names();
        let mut rows: Vec<_> = names
            .iter()
            .filter_map(|(host, name)| {
                let answer = name.lock().clone()?;
                Some(HostRow {
                    name: host.clone(),
                    ttl: answer.until.saturating_duration_since(now),
                    addresses: answer.addresses,
                })
            })
            .collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// All zones that are watched.
    pub(super) fn zones(&self) -> Vec<ZoneRow> {
        self.lock_zones().rows.clone()
    }

    fn lock_zones(&self) -> std::sync::MutexGuard<'_, Zones> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_settings(&self) -> std::sync::MutexGuard<'_, DnsSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_names(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Name>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Name {
    /// The addresses, if they are known well enough; the next call begins with the next of them.
    fn take_turn(&self) -> Option<io::Result<Vec<IpAddr>>> {
        let mut answer = self.lock();
        let answer = answer.as_mut()?;
        if answer.until <= Instant::now() {
            return None;
        }
        if answer.addresses.is_empty() {
            return Some(Err(not_found()));
        }
        let mut addresses = answer.addresses.clone();
        let first = answer.next % addresses.len();
        answer.next = first + 1;
        addresses.rotate_left(first);
        Some(Ok(addresses))
    }

    /// Keeps what was heard; the addresses that are not among it any more.
    fn learn(&self, found: &io::Result<Vec<IpAddr>>, settings: &DnsSettings) -> Vec<IpAddr> {
        let (mut addresses, ttl) = match found {
            Ok(addresses) => (addresses.clone(), settings.max_ttl),
            Err(_) => (Vec::new(), settings.nxdomain_ttl),
        };
        // Whatever the order they come in today.
        addresses.sort_unstable();
        addresses.dedup();
        let mut answer = self.lock();
        let old = answer.take();
        // Even with a TTL of nothing, who has asked gets what was heard.
        let until = Instant::now() + ttl.max(LEAST_TTL);
        let next = old.as_ref().map_or(0, |old| old.next);
        let gone = old.map(|old| old.addresses).unwrap_or_default();
        let gone = gone
            .into_iter()
            .filter(|old| !addresses.contains(old))
            .collect();
        *answer = Some(Answer {
            addresses,
            until,
            next,
        });
        // A name that is not found at the moment has not moved.
        if found.is_ok() { gone } else { Vec::new() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Answer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn asked_of_system(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

fn not_found() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host name was not found")
}

const LEAST_TTL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn taken(name: &Name) -> Vec<IpAddr> {
        name.take_turn().unwrap().unwrap()
    }

    #[test]
    fn the_addresses_of_a_name_are_used_in_turn_whatever_order_they_come_in() {
        let (name, settings) = (Name::default(), DnsSettings::default());
        name.learn(&Ok(ips(&["10.0.0.2", "10.0.0.1"])), &settings);
        assert_eq!(taken(&name), ips(&["10.0.0.1", "10.0.0.2"]));
        name.learn(&Ok(ips(&["10.0.0.1", "10.0.0.2"])), &settings);
        assert_eq!(taken(&name), ips(&["10.0.0.2", "10.0.0.1"]));
        assert_eq!(taken(&name)[0], ips(&["10.0.0.1"])[0]);
    }

    #[test]
    fn an_address_that_is_gone_is_told_and_a_failed_look_up_is_no_move() {
        let (name, settings) = (Name::default(), DnsSettings::default());
        let learn = |found| name.learn(&found, &settings);
        assert!(learn(Ok(ips(&["10.0.0.1", "10.0.0.2"]))).is_empty());
        assert!(learn(Err(not_found())).is_empty());
        assert!(name.take_turn().unwrap().is_err());
        assert!(learn(Ok(ips(&["10.0.0.1", "10.0.0.2"]))).is_empty());
        assert_eq!(
            learn(Ok(ips(&["10.0.0.2", "10.0.0.3"]))),
            ips(&["10.0.0.1"])
        );
    }

    #[test]
    fn an_answer_is_used_for_as_long_as_the_settings_say() {
        let settings = DnsSettings {
            max_ttl: Duration::from_secs(60),
            nxdomain_ttl: Duration::ZERO,
            ..DnsSettings::default()
        };
        let name = Name::default();
        assert!(name.take_turn().is_none());
        name.learn(&Ok(ips(&["10.0.0.1"])), &settings);
        let until = name.lock().as_ref().unwrap().until;
        assert!(until > Instant::now() + Duration::from_secs(50));
        name.lock().as_mut().unwrap().until = Instant::now();
        assert!(name.take_turn().is_none());
    }

    #[test]
    fn a_reload_changes_how_long_answers_last_and_not_which_resolv_conf_is_read() {
        let with = |path: &str, seconds| DnsSettings {
            resolv_conf: Some(path.into()),
            max_ttl: Duration::from_secs(seconds),
            ..DnsSettings::default()
        };
        let dns = Dns::new(with("/first", 1));
        dns.reload(&with("/second", 2));
        let now = dns.lock_settings().clone();
        assert_eq!(
            (now.resolv_conf, now.max_ttl.as_secs()),
            (Some("/first".into()), 2)
        );
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up_and_a_name_is_kept() {
        let dns = Dns::new(DnsSettings::default());
        assert_eq!(dns.addresses("10.1.2.3").await.unwrap(), ips(&["10.1.2.3"]));
        assert!(dns.rows().is_empty());
        let found = dns.addresses("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback));
        let [row] = &dns.rows()[..] else {
            panic!("one name was looked up");
        };
        assert_eq!(
            (row.name.as_str(), row.addresses.len()),
            ("localhost", found.len())
        );
        assert!(row.ttl <= DnsSettings::default().max_ttl);
    }
}
