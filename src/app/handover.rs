//! What a process hands over to the one that takes its place.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Weak;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tracing::{info, warn};

use crate::app::process::Process;
use crate::app::workers::Order;
use crate::console::control::{Descriptor, HandedOver};
use crate::pool::carried::CarriedServer;
use crate::session::carried::Carried;
use crate::session::roster::Client;
use crate::wire::cancel_key::CancelKey;
use crate::wire::printable::Printable;

/// A listening socket, as long as somebody accepts from it.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(Weak<TcpListener>),
    Unix(Weak<UnixListener>),
}

/// What SHOW HANDOVER tells of a socket. Another version of pgwarden may read it: what is added
/// must have a default, and what is changed needs another name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// A client, with the server it has.
    Client(Box<Carried>),
    /// A server that is idle.
    Server(Box<CarriedServer>),
}

impl Process {
    /// All sockets, with all that the process needs to know that takes this one's place.
    pub(super) async fn hand_over_all(&self) -> Vec<HandedOver> {
        let mut all = self.listeners_to_hand_over();
        if !self.standstill.is_wanted() {
            return all;
        }
        self.standstill.hand_over();
        for mut client in self.workers.carry().await {
            let socket = client.socket.take();
            let server = client.server.as_mut().and_then(|server| {
                let socket = server.socket.take()?;
                Some((of_server(server, client.fd), socket))
            });
            let row = of_client(&client);
            let state = serde_json::to_string(&State::Client(Box::new(client)));
            let (Some(socket), Ok(state)) = (socket, state) else {
                continue;
            };
            if let Some((row, socket)) = server {
                let state = String::new();
                all.push(HandedOver { row, socket, state });
            }
            all.push(HandedOver { row, socket, state });
        }
        for mut server in self.pools.carry_idle() {
            let row = of_server(&server, 0);
            let socket = server.socket.take();
            let state = serde_json::to_string(&State::Server(Box::new(server)));
            if let (Some(socket), Ok(state)) = (socket, state) {
                all.push(HandedOver { row, socket, state });
            }
        }
        info!(sockets = all.len(), "handing over");
        all
    }

    /// All sockets without TLS, and nothing secret: what an administrator sees who is not of our
    /// own user.
    pub(super) async fn describe_all(&self) -> Vec<Descriptor> {
        let listeners = self.listeners_to_hand_over();
        let mut all: Vec<_> = listeners.into_iter().map(|listener| listener.row).collect();
        let clients = self.workers.descriptors().await;
        for pool in self.pools.all() {
            let servers = pool.servers();
            let plain = servers.iter().filter(|server| server.tls.is_empty());
            all.extend(plain.map(|server| Descriptor {
                user: pool.user().to_string(),
                database: pool.database_name().to_string(),
                address: server.addresses.0.clone(),
                link: linked_to(server.fd, &clients),
                ..row(server.fd, "server")
            }));
        }
        all.extend(clients);
        all
    }

    /// Tells the clients that could not be handed over that they have to go, and gives them a
    /// moment to hear it.
    pub(super) async fn end_the_rest(&self) {
        let mut rest = self.workers.sum(Order::EndTheRest).await;
        let begun = tokio::time::Instant::now();
        while rest > 0 && begun.elapsed() < LAST_WORDS {
            tokio::time::sleep(LOOK_AGAIN).await;
            rest = self.workers.sum(Order::EndTheRest).await;
        }
        if rest > 0 {
            warn!(rest, "some clients did not hear that they have to go");
        }
    }

    fn listeners_to_hand_over(&self) -> Vec<HandedOver> {
        let mut all = Vec::new();
        for listening in self.listening().iter() {
            let (socket, address) = match listening {
                Listening::Tcp(listener) => {
                    let Some(listener) = listener.upgrade() else {
                        continue;
                    };
                    let socket = listener.as_fd().try_clone_to_owned();
                    let address = listener
                        .local_addr()
                        .ok()
                        .map(|a: SocketAddr| a.to_string());
                    (socket.map(|s| (listener.as_raw_fd(), s)), address)
                }
                Listening::Unix(listener) => {
                    let Some(listener) = listener.upgrade() else {
                        continue;
                    };
                    let socket = listener.as_fd().try_clone_to_owned();
                    (socket.map(|s| (listener.as_raw_fd(), s)), None)
                }
            };
            if let Ok((fd, socket)) = socket {
                let row = Descriptor {
                    address: address.unwrap_or_default(),
                    ..row(fd, "pooler")
                };
                let state = String::new();
                all.push(HandedOver { row, socket, state });
            }
        }
        all
    }
}

/// The client that has the server with this descriptor; 0: none.
fn linked_to(server: i32, clients: &[Descriptor]) -> i32 {
    let has = clients.iter().find(|client| client.link == server);
    has.map_or(0, |client| client.fd)
}

/// A client as everybody may see it.
pub(super) fn row_of(client: &Client) -> Descriptor {
    let server = client.server.borrow();
    Descriptor {
        user: client.user().to_string(),
        database: client.database().to_string(),
        address: client.address(),
        link: server.as_ref().map_or(0, |server| server.fd),
        ..row(client.fd.get(), "client")
    }
}

fn of_client(client: &Carried) -> Descriptor {
    let keys = client.scram_keys.as_ref().map(|keys| keys.to_parts());
    Descriptor {
        user: client.user.clone(),
        database: client.database.clone(),
        address: client.address.clone(),
        cancel: head(&client.key),
        link: client.server.as_ref().map_or(0, |server| server.fd),
        password: client.password.clone(),
        scram_keys: keys.map(|(client, server)| (client.to_vec(), server.to_vec())),
        ..with_values(row(client.fd, "client"), &client.values)
    }
}

fn of_server(server: &CarriedServer, link: i32) -> Descriptor {
    Descriptor {
        user: server.user.clone(),
        database: server.database.clone(),
        address: server.address.clone(),
        cancel: server.key.as_ref().map(head).unwrap_or_default(),
        link,
        ..with_values(row(server.fd, "server"), &server.values)
    }
}

fn head(key: &Printable) -> u64 {
    CancelKey::parse(&key.0)
        .map(|key| key.head())
        .unwrap_or_default()
}

fn with_values(row: Descriptor, values: &[(String, String)]) -> Descriptor {
    let value = |name: &str| {
        let found = values
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    Descriptor {
        client_encoding: value("client_encoding"),
        std_strings: value("standard_conforming_strings"),
        datestyle: value("DateStyle"),
        timezone: value("TimeZone"),
        ..row
    }
}

fn row(fd: i32, task: &'static str) -> Descriptor {
    Descriptor {
        fd,
        task,
        user: String::new(),
        database: String::new(),
        address: String::new(),
        cancel: 0,
        link: 0,
        client_encoding: String::new(),
        std_strings: String::new(),
        datestyle: String::new(),
        timezone: String::new(),
        password: None,
        scram_keys: None,
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long clients have that must go.
const LAST_WORDS: Duration = Duration::from_secs(1);
