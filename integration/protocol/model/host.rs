//! A PostgreSQL that serves by itself, with an oracle behind each connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use pgwarden::wire::cancel_key::CancelKey;

use super::oracle::Oracle;
use super::random::Random;
use crate::script::backend::{Idle, authenticated, key_data, parameter, ready};
use crate::script::server::PARAMETERS;
use crate::script::{Peer, Wire};

/// A PostgreSQL that serves by itself.
#[derive(Debug)]
pub(super) struct ModelHost {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    connections: AtomicU32,
    violations: Mutex<Vec<String>>,
}

impl ModelHost {
    pub(super) fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let host = Self {
            port,
            shared: shared.clone(),
        };
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, random) = (shared.clone(), Random::new(seed ^ u64::from(number)));
                thread::spawn(move || serve(socket, number, random, &shared));
            }
        });
        host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn violations(&self) -> Vec<String> {
        let mut violations = self
            .shared
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut violations)
    }
}

impl Drop for ModelHost {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(socket: TcpStream, number: u32, mut random: Random, shared: &Shared) {
    let _ = socket.set_nodelay(true);
    let Ok(mut reader) = socket.try_clone() else {
        return;
    };
    if !log_in(socket, number) {
        return;
    }
    let Ok(mut writer) = reader.try_clone() else {
        return;
    };
    let mut oracle = Oracle::default();
    let mut buffer = [0; 4096];
    loop {
        // Messages arrive in pieces of any size.
        let room = 1 + random.below(buffer.len());
        match reader.read(&mut buffer[..room]) {
            Ok(0) | Err(_) => return,
            Ok(len) => oracle.hears(&buffer[..len]),
        }
        let violations = oracle.violations();
        if !violations.is_empty() {
            let mut all = shared
                .violations
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            all.extend(violations);
        }
        let said = oracle.says();
        for piece in pieces(&said, &mut random) {
            if writer.write_all(piece).is_err() {
                return;
            }
        }
    }
}

/// False: it was a cancel request.
fn log_in(socket: TcpStream, number: u32) -> bool {
    let mut peer = Peer::new("model server", Wire::Tcp(socket));
    let mut packet = peer.next_packet();
    if packet == [4, 210, 22, 47] {
        peer.sends_bytes(b"N");
        packet = peer.next_packet();
    }
    if packet[..2] != [0, 3] {
        return false;
    }
    let key = CancelKey::new(number + 1, &number.to_be_bytes());
    peer.sends(authenticated());
    peer.sends(PARAMETERS.map(|(name, value)| parameter(name, value)));
    peer.sends([key_data(&key), ready(Idle)]);
    let socket = peer.into_tcp();
    let _ = socket.set_read_timeout(None);
    true
}

/// Cuts bytes at random.
pub(super) fn pieces<'a>(bytes: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let len = if random.one_in(3) {
            1 + random.below(rest.len())
        } else {
            rest.len()
        };
        let (piece, tail) = rest.split_at(len);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
