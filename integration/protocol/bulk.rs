//! Large messages and long streams in constant memory, with back-pressure from either side.

use std::io::ErrorKind;
use std::time::Duration;

use crate::script::backend::{self, Idle, complete, ready};
use crate::script::frontend::query;
use crate::script::{DEADLINE, Message, Peer, Stage};

const MIB: usize = 1 << 20;
/// More than the buffers of the kernel and of pgwarden together may take.
const ENOUGH: usize = 64 * MIB;
/// What pgwarden's memory may grow by.
const BOUND: u64 = 16 * MIB as u64;
/// One message: large enough to be seen in memory, small enough for a test run.
const LARGE: usize = 256 * MIB;

#[test]
fn a_client_that_does_not_read_stops_the_server_and_costs_no_memory() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut server) = stage.pair();
    client.sends(query("select"));
    server.receives(query("select"));
    let before = stage.pooler.resident();
    let rows = backend::row(&"x".repeat(8000)).bytes.repeat(16);
    let sent = sends_until_blocked(&mut server, &rows);
    let grown = stage.pooler.resident().saturating_sub(before);
    assert!(
        grown < BOUND,
        "grown by {grown} bytes after {sent} were sent"
    );
    // Others go on meanwhile.
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    let mut second = stage.host.accepts();
    second.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
    // And the reader gets every byte.
    let reader = std::thread::spawn(move || {
        let mut received = 0;
        loop {
            let message = client.next("a row");
            if message.tag() != b'D' {
                break received;
            }
            received += message.bytes.len();
        }
    });
    let rest = (rows.len() - sent % rows.len()) % rows.len();
    server.sends_bytes(&rows[rows.len() - rest..]);
    server.sends([complete("SELECT 1"), ready(Idle)]);
    let received = reader.join().expect("the client reads to the end");
    assert_eq!(received, sent + rest);
}

#[test]
fn a_server_that_does_not_read_stops_the_client_and_costs_no_memory() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.asks_server(&mut server, query("copy t from stdin"), backend::copy_in());
    let before = stage.pooler.resident();
    let data = crate::script::frontend::copy_data(&[b'x'; 8000])
        .bytes
        .repeat(16);
    let sent = sends_until_blocked(&mut client, &data);
    let grown = stage.pooler.resident().saturating_sub(before);
    assert!(
        grown < BOUND,
        "grown by {grown} bytes after {sent} were sent"
    );
    let reader = std::thread::spawn(move || {
        let mut received = 0;
        loop {
            let message = server.next("CopyData");
            if message.tag() != b'd' {
                break (server, received);
            }
            received += message.bytes.len();
        }
    });
    let rest = (data.len() - sent % data.len()) % data.len();
    client.sends_bytes(&data[data.len() - rest..]);
    client.sends(crate::script::frontend::copy_done());
    let (mut server, received) = reader.join().expect("the server reads to the end");
    assert_eq!(received, sent + rest);
    server.sends([complete("COPY 1"), ready(Idle)]);
    client.receives([complete("COPY 1"), ready(Idle)]);
}

#[test]
fn one_very_large_row_passes_in_constant_memory() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query("select"));
    server.receives(query("select"));
    let before = stage.pooler.resident();
    let head = head_of(b'D', LARGE);
    let writer = std::thread::spawn(move || {
        server.sends_bytes(&head);
        sends_zeros(&mut server, LARGE);
        server.sends([complete("SELECT 1"), ready(Idle)]);
        server
    });
    assert_eq!(
        client.next_bytes(5, "the head of a row"),
        head_of(b'D', LARGE)
    );
    client.skips(LARGE / 2, 0);
    let grown = stage.pooler.resident().saturating_sub(before);
    assert!(grown < BOUND, "grown by {grown} bytes");
    client.skips(LARGE / 2, 0);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    writer.join().expect("the server writes to the end");
}

#[test]
fn one_very_large_query_passes_in_constant_memory_and_is_cleaned_after() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let before = stage.pooler.resident();
    let writer = std::thread::spawn(move || {
        client.sends_bytes(&head_of(b'Q', LARGE));
        sends_zeros(&mut client, LARGE);
        client
    });
    assert_eq!(
        server.next_bytes(5, "the head of a query"),
        head_of(b'Q', LARGE)
    );
    server.skips(LARGE / 2, 0);
    let grown = stage.pooler.resident().saturating_sub(before);
    assert!(grown < BOUND, "grown by {grown} bytes");
    server.skips(LARGE / 2, 0);
    let mut client = writer.join().expect("the client writes to the end");
    server.sends([complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    server.is_cleaned();
}

/// Sends the block again and again until the other side has taken nothing for a while.
fn sends_until_blocked(peer: &mut Peer, block: &[u8]) -> usize {
    peer.set_write_timeout(Duration::from_millis(300));
    let mut sent = 0;
    loop {
        match peer.sends_what_is_taken(&block[sent % block.len()..]) {
            Ok(len) => sent += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("waited to be blocked, after {sent} bytes: {error}"),
        }
        assert!(sent < ENOUGH, "nothing held back the sender");
    }
    peer.set_write_timeout(DEADLINE);
    sent
}

fn sends_zeros(peer: &mut Peer, len: usize) {
    let zeros = vec![0; MIB];
    for _ in 0..len / MIB {
        peer.sends_bytes(&zeros);
    }
}

fn head_of(tag: u8, body_len: usize) -> Vec<u8> {
    let len = i32::try_from(body_len + 4).expect("a message may be 2 GiB");
    let mut head = Message::any_like(vec![tag]).bytes;
    head.extend(len.to_be_bytes());
    head
}
