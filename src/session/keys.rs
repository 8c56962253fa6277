//! Cancel keys: how they are made, and what they tell about who made them.

use crate::session::context::Context;
use crate::session::roster::Client;
use crate::wire::cancel_key::CancelKey;
use crate::wire::startup::ProtocolVersion;

/// A key that no other client of the process has, noted in the worker's roster. Its process id
/// tells the worker, and where poolers are peers the pooler.
pub fn new_key(cx: &Context, client: &Client, version: ProtocolVersion) -> CancelKey {
    let secret_len = if version >= ProtocolVersion::V3_2 {
        LONG_SECRET
    } else {
        SHORT_SECRET
    };
    loop {
        let mut random = [0; 4 + LONG_SECRET];
        getrandom::fill(&mut random).expect("the operating system has random numbers");
        let (pid, secret) = random.split_at(4);
        // The top bit stays clear: to some clients the process id is a signed number.
        let mut pid = [pid[0] & 0x7f, pid[1], pid[2], cx.naming.signed(pid[3])];
        let peer = cx.naming.peer.get();
        if peer != 0 {
            [pid[1], pid[2]] = peer.to_le_bytes();
        }
        let pid = u32::from_be_bytes(pid);
        let mut key = CancelKey::new(pid, &secret[..secret_len]);
        if peer != 0 {
            key = key.with_hops(CancelKey::MAX_HOPS);
        }
        if pid != 0 && cx.roster.set_key(client, key.clone()) {
            return key;
        }
    }
}

/// The worker, of so many, that a cancel key belongs to.
pub fn worker_of(key: &CancelKey, workers: usize) -> usize {
    let [.., last] = key.pid().to_be_bytes();
    usize::from(last % WORKERS) % workers.max(1)
}

/// What the keys of a worker tell.
#[derive(Debug, Default)]
pub struct Naming {
    worker: u8,
    workers: u8,
    /// This pooler's number among its peers; 0: it has none.
    pub peer: std::cell::Cell<u16>,
}

impl Naming {
    /// The worker with this number, of so many.
    pub fn new(worker: usize, workers: usize) -> Self {
        let of = |number: usize| u8::try_from(number).unwrap_or(WORKERS).min(WORKERS);
        Self {
            worker: of(worker),
            workers: of(workers).max(1),
            peer: std::cell::Cell::default(),
        }
    }

    /// A random byte, changed so that [`worker_of`] finds the worker. It takes no more of the
    /// byte's randomness than there are workers to tell apart.
    fn signed(&self, byte: u8) -> u8 {
        let workers = self.workers.max(1);
        let place = byte % WORKERS / workers * workers + self.worker;
        // The last round may not have room for every worker.
        let place = if place < WORKERS { place } else { self.worker };
        byte / WORKERS * WORKERS + place
    }
}

/// Most workers there can be.
pub const WORKERS: u8 = 64;
/// What protocol 3.0 has room for, in bytes.
const SHORT_SECRET: usize = 4;
/// As long as PostgreSQL 18's own, in bytes.
const LONG_SECRET: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_finds_its_worker() {
        for workers in 1..=64 {
            for worker in 0..workers {
                let naming = Naming::new(worker, workers);
                for byte in 0..=255 {
                    let pid = u32::from_be_bytes([1, 2, 3, naming.signed(byte)]);
                    let key = CancelKey::new(pid, &[0; 4]);
                    assert_eq!(
                        worker_of(&key, workers),
                        worker,
                        "{worker}/{workers}: {byte}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_worker_costs_a_key_no_randomness() {
        let naming = Naming::new(0, 1);
        assert!((0..=255).all(|byte| naming.signed(byte) == byte));
    }
}
