//! One end of a connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use super::{DEADLINE, Message};

/// What carries the bytes.
#[derive(Debug)]
pub(crate) enum Wire {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

/// One end of a connection, and the bytes that were read and not looked at.
#[derive(Debug)]
pub(crate) struct Peer {
    name: &'static str,
    wire: Option<Wire>,
    inbox: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(name: &'static str, wire: Wire) -> Self {
        let timeout = Some(DEADLINE);
        match &wire {
            Wire::Tcp(socket) => socket
                .set_read_timeout(timeout)
                .and_then(|()| socket.set_write_timeout(timeout)),
            Wire::Tls(stream) => stream.sock.set_read_timeout(timeout),
            Wire::Unix(socket) => socket.set_read_timeout(timeout),
        }
        .expect("a deadline is a timeout");
        Self {
            name,
            wire: Some(wire),
            inbox: Vec::new(),
        }
    }

    /// Sends all of it.
    pub(crate) fn sends(&mut self, messages: impl Into<Script>) {
        let bytes: Vec<u8> = messages
            .into()
            .0
            .into_iter()
            .flat_map(|m| m.bytes)
            .collect();
        self.sends_bytes(&bytes);
    }

    pub(crate) fn sends_bytes(&mut self, bytes: &[u8]) {
        let name = self.name;
        self.wire()
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("{name} could not send {}: {error}", shown(bytes)));
    }

    /// Sends it if anybody still listens.
    pub(crate) fn tries_to_send(&mut self, bytes: &[u8]) {
        let wire = self.wire();
        if wire.write_all(bytes).and_then(|()| wire.flush()).is_err() {
            // That nobody does is what its caller waits for.
        }
    }

    /// Sends as much as the other side takes at once; returns how much that was.
    pub(crate) fn sends_what_is_taken(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wire().write(bytes)
    }

    /// Receives exactly these messages.
    pub(crate) fn receives(&mut self, expected: impl Into<Script>) {
        let expected = expected.into().0;
        for (at, message) in expected.iter().enumerate() {
            let got = self.next(&format!("message {at}: {message:?} of {expected:?}"));
            assert!(
                message.is_like(&got),
                "{} expected message {at}: {message:?} of {expected:?} and got {got:?}",
                self.name
            );
        }
    }

    /// The next message.
    pub(crate) fn next(&mut self, waiting_for: &str) -> Message {
        let len = loop {
            if let Some(&[_, a, b, c, d]) = self.inbox.first_chunk() {
                let len = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
                if self.inbox.len() >= len {
                    break len;
                }
            }
            self.fill(waiting_for);
        };
        Message::exact(self.inbox.drain(..len).collect())
    }

    /// The next message if it is there; `Some(None)`: the connection has ended.
    pub(crate) fn tries_next(&mut self) -> Option<Option<Message>> {
        if let Some(&[_, a, b, c, d]) = self.inbox.first_chunk() {
            let len = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
            if self.inbox.len() >= len {
                return Some(Some(Message::exact(self.inbox.drain(..len).collect())));
            }
        }
        self.set_timeout(Duration::from_millis(1));
        let mut buffer = [0; 65_536];
        let read = self.wire().read(&mut buffer);
        self.set_timeout(DEADLINE);
        match read {
            Ok(0) => Some(None),
            Ok(len) => {
                self.inbox.extend_from_slice(&buffer[..len]);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(None),
        }
    }

    /// The next bytes, as they are.
    pub(crate) fn next_bytes(&mut self, len: usize, waiting_for: &str) -> Vec<u8> {
        while self.inbox.len() < len {
            self.fill(waiting_for);
        }
        self.inbox.drain(..len).collect()
    }

    /// The next bytes, as many as are expected.
    pub(crate) fn hears_up_to(&mut self, len: usize, context: &str) -> Vec<u8> {
        while self.inbox.len() < len {
            self.fill(context);
        }
        self.inbox.drain(..len).collect()
    }

    /// The next packet of the start-up phase, which has no tag.
    pub(crate) fn next_packet(&mut self) -> Vec<u8> {
        let len = self.next_bytes(4, "the length of a start-up packet");
        let total = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        self.next_bytes(total - 4, "the rest of a start-up packet")
    }

    /// Receives this one byte so many times.
    pub(crate) fn skips(&mut self, mut len: usize, byte: u8) {
        let mut buffer = vec![0; 1 << 20];
        let buffered = len.min(self.inbox.len());
        assert!(self.inbox.drain(..buffered).all(|b| b == byte));
        len -= buffered;
        while len > 0 {
            let room = len.min(buffer.len());
            let read = self.wire().read(&mut buffer[..room]);
            let read = read.unwrap_or_else(|e| panic!("waited for {len} more bytes: {e}"));
            assert!(read > 0, "waited for {len} more bytes, got the end");
            assert!(buffer[..read].iter().all(|&b| b == byte));
            len -= read;
        }
    }

    /// Hears nothing more, and the end of the connection.
    pub(crate) fn is_closed(&mut self) {
        while self.read("the end of the connection") > 0 {}
        let rest = shown(&self.inbox);
        assert!(self.inbox.is_empty(), "{} still heard {rest}", self.name);
    }

    /// The connection ends, whatever is said before.
    pub(crate) fn ends(&mut self) {
        while self.read("the end of the connection") > 0 {}
    }

    /// Has heard nothing that was not asked for.
    pub(crate) fn saw_nothing(&mut self) {
        self.set_timeout(Duration::from_millis(1));
        let mut buffer = [0; 4096];
        let read = self.wire().read(&mut buffer);
        self.set_timeout(DEADLINE);
        if let Ok(len) = read {
            self.inbox.extend_from_slice(&buffer[..len]);
            assert!(len > 0, "{} saw the end of the connection", self.name);
        }
        let seen = shown(&self.inbox);
        assert!(self.inbox.is_empty(), "{} saw {seen}", self.name);
    }

    /// Sends nothing more, but goes on listening.
    pub(crate) fn half_closes(&mut self) {
        let closed = match self.wire() {
            Wire::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Wire::Tls(stream) => stream.sock.shutdown(Shutdown::Write),
            Wire::Unix(socket) => socket.shutdown(Shutdown::Write),
        };
        closed.expect("an open socket can be half closed");
    }

    /// Disappears with a TCP reset.
    pub(crate) fn resets(mut self) {
        if let Some(Wire::Tcp(socket)) = self.wire.take() {
            socket2::SockRef::from(&socket)
                .set_linger(Some(Duration::ZERO))
                .expect("TCP has this option");
        }
    }

    /// The bare socket, with nothing read ahead.
    pub(crate) fn into_tcp(mut self) -> TcpStream {
        assert!(self.inbox.is_empty());
        match self.wire.take() {
            Some(Wire::Tcp(socket)) => socket,
            other => panic!("{other:?} is not TCP"),
        }
    }

    pub(crate) fn wire(&mut self) -> &mut Wire {
        self.wire
            .as_mut()
            .expect("the wire is there until it is taken")
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        match self.wire() {
            Wire::Tcp(socket) => socket.set_read_timeout(Some(timeout)),
            Wire::Tls(stream) => stream.sock.set_read_timeout(Some(timeout)),
            Wire::Unix(socket) => socket.set_read_timeout(Some(timeout)),
        }
        .expect("it is a timeout");
    }

    pub(crate) fn set_write_timeout(&mut self, timeout: Duration) {
        match self.wire() {
            Wire::Tcp(socket) => socket.set_write_timeout(Some(timeout)),
            Wire::Tls(stream) => stream.sock.set_write_timeout(Some(timeout)),
            Wire::Unix(socket) => socket.set_write_timeout(Some(timeout)),
        }
        .expect("it is a timeout");
    }

    fn fill(&mut self, waiting_for: &str) {
        let read = self.read(waiting_for);
        let (name, rest) = (self.name, shown(&self.inbox));
        assert!(
            read > 0,
            "{name} waited for {waiting_for} and met the end after {rest}"
        );
    }

    /// 0: the connection has ended, in whatever way.
    fn read(&mut self, waiting_for: &str) -> usize {
        let mut buffer = [0; 65_536];
        let began = Instant::now();
        match self.wire().read(&mut buffer) {
            Ok(len) => {
                self.inbox.extend_from_slice(&buffer[..len]);
                len
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let rest = shown(&self.inbox);
                panic!(
                    "{} waited {:?} in vain for {waiting_for}; there is {rest}",
                    self.name,
                    began.elapsed()
                );
            }
            Err(_) => 0,
        }
    }
}

/// Messages in their order.
#[derive(Debug)]
pub(crate) struct Script(pub(crate) Vec<Message>);

impl From<Message> for Script {
    fn from(message: Message) -> Self {
        Self(vec![message])
    }
}

impl From<Vec<Message>> for Script {
    fn from(messages: Vec<Message>) -> Self {
        Self(messages)
    }
}

impl<const N: usize> From<[Message; N]> for Script {
    fn from(messages: [Message; N]) -> Self {
        Self(messages.into())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Unix(socket) => socket.flush(),
        }
    }
}

/// Bytes for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let front = bytes[..bytes.len().min(300)].escape_ascii();
    format!("{} bytes \"{front}\"", bytes.len())
}
