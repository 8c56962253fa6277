//! Servers of PgBouncer: what its SHOW FDS tells, and nothing else.

use std::os::fd::OwnedFd;

use crate::pool::carried::CarriedServer;
use crate::pool::server::Unnamed;
use crate::pool::server::reset::Soil;
use crate::pool::workshop::next_id;
use crate::wire::cancel_key::CancelKey;
use crate::wire::printable::Printable;

/// A row of SHOW FDS, with its socket.
#[derive(Debug)]
pub struct Foreign {
    /// The connection.
    pub socket: OwnedFd,
    /// Its number in the process it comes from.
    pub fd: i32,
    /// The user.
    pub user: String,
    /// What clients call the database.
    pub database: String,
    /// The key to cancel queries with; PgBouncer has none longer than this.
    pub cancel: u64,
    /// The tracked parameters that it tells, by name.
    pub values: Vec<(String, String)>,
}

impl Foreign {
    /// The key to cancel queries with.
    pub fn key(&self) -> Printable {
        let [a, b, c, d, secret @ ..] = self.cancel.to_be_bytes();
        let mut bytes = Vec::new();
        CancelKey::new(u32::from_be_bytes([a, b, c, d]), &secret).put(&mut bytes);
        Printable(bytes)
    }
}

impl CarriedServer {
    /// The server that a client of PgBouncer's has. What it owes, and what it has seen, is not
    /// known: it serves the client to the end of what is under way and is then closed. `unnamed`
    /// tells whose unnamed statement it has, if it has one.
    pub fn foreign(row: Foreign, unnamed: Unnamed) -> Self {
        let peer = socket2::SockRef::from(&row.socket).peer_addr().ok();
        let address = peer.as_ref().and_then(socket2::SockAddr::as_socket);
        let path = peer.as_ref().and_then(socket2::SockAddr::as_pathname);
        Self {
            fd: row.fd,
            address: address.map(|a| a.to_string()).unwrap_or_default(),
            key: Some(row.key()),
            values: row.values,
            welcome: Vec::new(),
            id: next_id(),
            host: match (address, path) {
                (Some(address), _) => address.ip().to_string(),
                (None, Some(path)) => path.display().to_string(),
                (None, None) => String::new(),
            },
            connected: super::micros(std::time::SystemTime::now()),
            applied: Vec::new(),
            statements: Vec::new(),
            unnamed,
            soil: Soil::Lasting,
            replies: None,
            expires: None,
            idle: 0,
            age: 0,
            made_for: None,
            socket: Some(row.socket),
            database: row.database,
            user: row.user,
        }
    }
}
