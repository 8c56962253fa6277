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

fn serve(mut socket: TcpStream, number: u32, mut random: Random, shared: &Shared) {
    let _ = socket.set_nodelay(true);
    if !log_in(&mut socket, number) {
        return;
    }
    let mut oracle = Oracle::default();
    let mut buffer = [0; 4096];
    loop {
        // Messages arrive in pieces of any size.
        let room = 1 + random.below(buffer.len());
        match socket.read(&mut buffer[..room]) {
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
            if socket.write_all(piece).is_err() {
                return;
            }
        }
    }
}

/// False: it was a cancel request, or the connection has ended.
fn log_in(socket: &mut TcpStream, number: u32) -> bool {
    let Some(mut packet) = packet(socket) else {
        return false;
    };
    if packet == [4, 210, 22, 47] {
        let Some(next) = refuse_tls(socket) else {
            return false;
        };
        packet = next;
    }
    if packet[..2] != [0, 3] {
        return false;
    }
    let key = CancelKey::new(number + 1, &number.to_be_bytes());
    let mut welcome = authenticated().bytes;
    for (name, value) in PARAMETERS {
        welcome.extend(parameter(name, value).bytes);
    }
    welcome.extend(key_data(&key).bytes);
    welcome.extend(ready(Idle).bytes);
    socket.write_all(&welcome).is_ok()
}

/// Says that there is no TLS; returns the packet that comes then.
fn refuse_tls(socket: &mut TcpStream) -> Option<Vec<u8>> {
    socket.write_all(b"N").ok()?;
    packet(socket)
}

/// A packet of the start-up phase.
fn packet(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    socket.read_exact(&mut len).ok()?;
    let len = u32::from_be_bytes(len) as usize;
    let mut packet = vec![0; len.checked_sub(4)?];
    socket.read_exact(&mut packet).ok()?;
    Some(packet)
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
