//! A scripted PostgreSQL.

use std::net::{TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use pgwarden::wire::cancel_key::CancelKey;
use pgwarden::wire::startup::StartupPacket;

use super::backend::{Idle, authenticated, complete, key_data, parameter, ready};
use super::frontend::query;
use super::{Peer, Wire, wait_until};

/// Where the scripted PostgreSQL listens.
#[derive(Debug)]
pub(crate) struct Host {
    listener: TcpListener,
    next_pid: AtomicU32,
}

/// One connection to it.
#[derive(Debug)]
pub(crate) struct Server {
    peer: Peer,
    key: CancelKey,
}

impl Host {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        listener.set_nonblocking(true).expect("sockets can do that");
        Self {
            listener,
            next_pid: AtomicU32::new(1000),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }

    /// Accepts a connection and lets pgwarden log in.
    pub(crate) fn accepts(&self) -> Server {
        let mut server = self.accepts_startup();
        server.welcomes();
        server
    }

    /// Accepts a connection and reads its StartupMessage.
    pub(crate) fn accepts_startup(&self) -> Server {
        let mut peer = self.accepts_socket();
        let mut packet = peer.next_packet();
        if packet == [4, 210, 22, 47] {
            peer.sends_bytes(b"N");
            packet = peer.next_packet();
        }
        assert_eq!(packet[..2], [0, 3], "a StartupMessage was expected");
        self.adopts(peer)
    }

    /// Makes a server of a connection whose StartupMessage has been read.
    pub(crate) fn adopts(&self, peer: Peer) -> Server {
        let pid = self.next_pid.fetch_add(1, Ordering::Relaxed);
        let key = CancelKey::new(pid, &pid.to_be_bytes().repeat(8));
        Server { peer, key }
    }

    /// Accepts a connection and reads the CancelRequest for this server from it.
    pub(crate) fn accepts_cancel(&self, server: &Server) -> Peer {
        let mut peer = self.accepts_socket();
        let packet = peer.next_packet();
        let whole = [
            &u32::try_from(packet.len() + 4).unwrap_or(0).to_be_bytes(),
            &packet[..],
        ];
        let parsed = StartupPacket::parse(&whole.concat()).expect("a whole packet");
        let Some((StartupPacket::CancelRequest(key), _)) = parsed else {
            panic!("a CancelRequest was expected and not {parsed:?}");
        };
        assert!(key.matches(&server.key), "the key of another server");
        peer
    }

    pub(crate) fn accepts_socket(&self) -> Peer {
        let mut accepted = None;
        wait_until("pgwarden connects to the server", || {
            accepted = self.try_accept();
            accepted.is_some()
        });
        Peer::new("server", Wire::Tcp(accepted.expect("it was waited for")))
    }

    pub(crate) fn try_accept(&self) -> Option<TcpStream> {
        let (socket, _) = self.listener.accept().ok()?;
        socket.set_nonblocking(false).expect("sockets can do that");
        socket.set_nodelay(true).expect("TCP has this option");
        Some(socket)
    }

    /// Nobody has connected that was not expected.
    pub(crate) fn saw_nobody(&self) {
        assert!(self.try_accept().is_none(), "an unexpected connection");
    }
}

impl Server {
    /// The end of a login that asks for no password.
    pub(crate) fn welcomes(&mut self) {
        let key = key_data(&self.key);
        self.sends(authenticated());
        self.sends(PARAMETERS.map(|(name, value)| parameter(name, value)));
        self.sends([key, ready(Idle)]);
    }

    pub(crate) fn key(&self) -> &CancelKey {
        &self.key
    }

    /// Receives this and sends that.
    pub(crate) fn answers(
        &mut self,
        messages: impl Into<super::peer::Script>,
        replies: impl Into<super::peer::Script>,
    ) {
        self.receives(messages);
        self.sends(replies);
    }

    /// Is cleaned of what a client has left.
    pub(crate) fn is_cleaned(&mut self) {
        self.answers(query(CLEANING), [complete("RESET"), ready(Idle)]);
    }

    /// Is closed in good order.
    pub(crate) fn is_said_goodbye(&mut self) {
        self.receives(super::frontend::terminate());
        self.is_closed();
    }
}

impl Deref for Server {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }
}

/// What the server reports at login.
pub(crate) const PARAMETERS: [(&str, &str); 7] = [
    ("server_version", "15.9"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "postgres"),
    ("standard_conforming_strings", "on"),
    ("application_name", ""),
];

/// What takes away a client's settings, roles, locks, cursors and temporary tables.
pub(crate) const CLEANING: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; \
     UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";
