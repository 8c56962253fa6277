//! Other poolers behind the same address: whose a cancel key is, and how a request gets there.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::config::settings::PeerSettings;
use crate::console::control::PeerRow;
use crate::pool::settings::ServerAddress;
use crate::wire::cancel_key::CancelKey;
use crate::wire::socket::Socket;
use crate::wire::startup;

/// The poolers that share an address, this one among them.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// This pooler's number; 0: it has no peers.
    own: u16,
    peers: BTreeMap<u16, Arc<Peer>>,
}

/// Where a cancel request has to go.
#[derive(Debug)]
pub(super) enum Owner {
    /// It is for a client of this process.
    Here(CancelKey),
    /// It is to be passed on.
    Peer(Arc<Peer>, CancelKey),
    /// It has been passed on too often.
    Nobody,
}

/// Another pooler.
#[derive(Debug)]
pub(super) struct Peer {
    settings: PeerSettings,
    /// `None`: as many at once as there are.
    places: Option<Semaphore>,
    active: AtomicUsize,
    waiting: AtomicUsize,
    connecting: AtomicUsize,
}

impl Peers {
    /// Takes over the settings. What is under way to a peer that is no longer known is finished.
    pub(super) fn set(&self, own: u16, peers: &BTreeMap<u16, PeerSettings>) {
        let mut known = self.known();
        known.own = own;
        let mut old = std::mem::take(&mut known.peers);
        for (number, settings) in peers {
            let peer = match old.remove(number) {
                Some(peer) if peer.settings == *settings => peer,
                Some(_) | None => Arc::new(Peer::new(settings.clone())),
            };
            known.peers.insert(*number, peer);
        }
    }

    /// Whose a key is.
    pub(super) fn owner(&self, key: CancelKey) -> Owner {
        let known = self.known();
        if known.own == 0 {
            return Owner::Here(key);
        }
        match known.peers.get(&key.peer()) {
            Some(peer) if key.peer() != known.own => match key.hops().checked_sub(1) {
                Some(hops) => Owner::Peer(peer.clone(), key.with_hops(hops)),
                None => Owner::Nobody,
            },
            // A key of nobody's is looked for here: it may have been given out before this
            // pooler had peers, and is dropped if not.
            Some(_) | None => Owner::Here(if key.peer() == known.own {
                key.with_hops(CancelKey::MAX_HOPS)
            } else {
                key
            }),
        }
    }

    /// What SHOW PEERS and SHOW PEER_POOLS print.
    pub(super) fn rows(&self) -> Vec<PeerRow> {
        let known = self.known();
        let row = |(&id, peer): (&u16, &Arc<Peer>)| {
            let (host, port) = peer.host_and_port();
            let active = peer.active.load(Ordering::Relaxed);
            PeerRow {
                id,
                host,
                port,
                pool_size: peer.settings.pool_size,
                cl_active_cancel: active,
                cl_waiting_cancel: peer.waiting.load(Ordering::Relaxed),
                sv_active_cancel: active,
                sv_login: peer.connecting.load(Ordering::Relaxed),
            }
        };
        known.peers.iter().map(row).collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn new(settings: PeerSettings) -> Self {
        Self {
            places: (settings.pool_size > 0).then(|| Semaphore::new(settings.pool_size)),
            settings,
            active: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            connecting: AtomicUsize::new(0),
        }
    }

    /// Passes a cancel request on and waits until the peer has seen to it. Who waits for its turn
    /// for longer than `patience` gives up. Cancel safe, as far as a request can be taken back.
    pub(super) async fn forward(&self, key: &CancelKey, patience: Option<Duration>) {
        let _place = match &self.places {
            None => None,
            Some(places) => {
                let _waiting = Counted::new(&self.waiting);
                let place = places.acquire();
                let got = match patience {
                    None => place.await,
                    Some(limit) => match tokio::time::timeout(limit, place).await {
                        Ok(got) => got,
                        Err(_) => return,
                    },
                };
                // It is never closed.
                got.ok()
            }
        };
        let sent = tokio::time::timeout(LIMIT, self.send(key)).await;
        if let Err(error) = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            let (host, port) = self.host_and_port();
            debug!(%host, port, %error, "a cancel request may not have reached a peer");
        }
    }

    async fn send(&self, key: &CancelKey) -> io::Result<()> {
        let mut socket = {
            let _connecting = Counted::new(&self.connecting);
            self.connect().await?
        };
        let _active = Counted::new(&self.active);
        let mut request = Vec::new();
        startup::put_cancel_request(&mut request, key);
        socket.write_all(&request).await?;
        // Whatever it says, the end of the stream tells that the server has been signalled.
        let mut ignored = [0; 64];
        while socket.read(&mut ignored).await? > 0 {}
        Ok(())
    }

    async fn connect(&self) -> io::Result<Socket> {
        Ok(match &self.settings.address {
            ServerAddress::Tcp(host, port) => {
                TcpStream::connect((host.as_str(), *port)).await?.into()
            }
            ServerAddress::Unix(path) => {
                let path = path.to_string_lossy();
                // An abstract name begins with a zero byte.
                let path = path
                    .strip_prefix('@')
                    .map_or_else(|| path.to_string(), |name| format!("\0{name}"));
                UnixStream::connect(path).await?.into()
            }
        })
    }

    fn host_and_port(&self) -> (String, u16) {
        match &self.settings.address {
            ServerAddress::Tcp(host, port) => (host.clone(), *port),
            ServerAddress::Unix(path) => {
                let path = path.to_string_lossy();
                let (folder, name) = path.rsplit_once('/').unwrap_or_default();
                let port = name
                    .rsplit_once('.')
                    .and_then(|(_, port)| port.parse().ok());
                (folder.to_owned(), port.unwrap_or_default())
            }
        }
    }
}

/// One of a number, while it exists.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A cancel request that takes longer has lost its use.
const LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn peer_at(port: u16) -> PeerSettings {
        PeerSettings {
            address: ServerAddress::Tcp("127.0.0.1".into(), port),
            pool_size: 1,
        }
    }

    fn peers(own: u16, others: &[u16]) -> Peers {
        let peers = Peers::default();
        let settings: BTreeMap<_, _> = others.iter().map(|&n| (n, peer_at(1))).collect();
        peers.set(own, &settings);
        peers
    }

    /// A key of a peer's that may be passed on so many times.
    fn key(peer: u16, hops: u8) -> CancelKey {
        let [low, high] = peer.to_le_bytes();
        CancelKey::new(u32::from_be_bytes([1, low, high, 1]), &[9; 4]).with_hops(hops)
    }

    #[test]
    fn a_key_of_another_peer_is_passed_on_and_counts_down() {
        let peers = peers(1, &[1, 2]);
        let Owner::Peer(_, passed_on) = peers.owner(key(2, 3)) else {
            panic!("not passed on");
        };
        assert_eq!((passed_on.peer(), passed_on.hops()), (2, 2));
        assert!(matches!(peers.owner(key(2, 0)), Owner::Nobody));
    }

    #[test]
    fn an_own_key_is_whole_again_however_far_it_has_come() {
        let peers = peers(1, &[1, 2]);
        for hops in 0..=3 {
            let Owner::Here(own) = peers.owner(key(1, hops)) else {
                panic!("not here");
            };
            assert!(own.matches(&key(1, 3)));
        }
    }

    #[test]
    fn without_peers_and_for_unknown_ones_a_key_stays_as_it_is() {
        for peers in [peers(0, &[2]), peers(1, &[])] {
            let Owner::Here(same) = peers.owner(key(2, 1)) else {
                panic!("not here");
            };
            assert!(same.matches(&key(2, 1)));
        }
    }

    #[test]
    fn a_reload_keeps_the_peers_that_are_the_same() {
        let peers = peers(1, &[2]);
        let before = peers.known().peers[&2].clone();
        peers.set(1, &[(2, peer_at(1))].into());
        assert!(Arc::ptr_eq(&before, &peers.known().peers[&2]));
        peers.set(1, &[(2, peer_at(2))].into());
        assert!(!Arc::ptr_eq(&before, &peers.known().peers[&2]));
    }
}
