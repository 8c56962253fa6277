//! Taking the place of a running process: its sockets, its clients and their servers.
//! <https://www.pgbouncer.org/usage.html#command-line-switches>
//!
//! All of it happens before this process serves anybody, so it may block. Until SHUTDOWN is sent,
//! an error here, or the end of this process, has the other one go on as if nothing had been.

mod foreign;

use std::collections::HashMap;
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use tracing::{info, warn};

use crate::app::handover::State;
use crate::app::listener::UnixAddress;
use crate::app::process::Process;
use crate::auth::method::Method;
use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::Keys;
use crate::pool::carried::CarriedServer;
use crate::session::carried::Carried;
use crate::session::settings::SessionSettings;
use crate::wire::backend::{Backend, Row, Tag, data_row};
use crate::wire::body::BodyReader;
use crate::wire::error_response::{Fields, Severity};
use crate::wire::frontend;
use crate::wire::head::Head;
use crate::wire::startup::{self, ProtocolVersion};

/// What another process has given, and still owns.
#[derive(Debug)]
pub(super) struct Takeover {
    old: Old,
    pub(super) listeners: Vec<OwnedFd>,
    clients: Vec<Carried>,
    servers: Vec<CarriedServer>,
}

impl Takeover {
    /// Has the process that serves a Unix socket stand still and give its sockets. `None`: nobody
    /// serves it. `method` is how clients log in by our settings.
    ///
    /// # Errors
    /// It does not do as it is told.
    pub(super) fn begin(address: &UnixAddress, method: Method) -> io::Result<Option<Self>> {
        let socket = match address.connect() {
            Ok(socket) => socket,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut old = Old {
            socket,
            unread: Vec::new(),
            sockets: Vec::new(),
        };
        let version = old.log_in()?;
        info!(%address, %version, "taking over");
        old.ask("SUSPEND;")?;
        let rows = old.ask("SHOW FDS;")?;
        let sockets = std::mem::take(&mut old.sockets);
        if rows.len() != sockets.len() {
            return Err(io::Error::other(
                "the other process sent rows without sockets",
            ));
        }
        let mut this = Self {
            old,
            listeners: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
        };
        let connections = this.take_listeners(rows, sockets);
        if version.contains("pgwarden") {
            let states = this.old.ask("SHOW HANDOVER;")?;
            this.sort(connections, &states);
        } else {
            this.sort_foreign(connections, method);
        }
        info!(
            listeners = this.listeners.len(),
            clients = this.clients.len(),
            idle_servers = this.servers.len(),
            "sockets received"
        );
        Ok(Some(this))
    }

    /// Ends the other process and goes on in its place.
    ///
    /// # Errors
    /// It does not end; it then goes on itself.
    pub(super) async fn finish(
        mut self,
        process: &Process,
        settings: &SessionSettings,
    ) -> io::Result<()> {
        self.old.shut_down()?;
        let mut arrived = Vec::new();
        for client in self.clients {
            arrived.push(client.arrive(settings, &process.pools));
        }
        let mut idle = Vec::new();
        for server in self.servers {
            let user = UserName::new(&server.user);
            let secret = settings.users.get(&server.user).cloned();
            let database = DatabaseName::new(&server.database);
            if let Some(pool) = process.pools.pool_of(&database, &user, secret) {
                idle.extend(pool.adopt(server));
            }
        }
        // Only now: who waits for a server would take the place of one that is still to come.
        for client in arrived {
            process.workers.arrive(client);
        }
        for lease in idle {
            drop(lease.release(std::time::Instant::now()));
        }
        info!("the other process has ended, going on in its place");
        Ok(())
    }

    /// Takes the listening sockets; returns the others by their numbers there.
    fn take_listeners(
        &mut self,
        rows: Vec<Row>,
        sockets: Vec<OwnedFd>,
    ) -> HashMap<i32, (Row, OwnedFd)> {
        let mut connections = HashMap::new();
        for (row, socket) in rows.into_iter().zip(sockets) {
            match column(&row, TASK) {
                Some("pooler") => self.listeners.push(socket),
                Some("client" | "server") => {
                    drop(connections.insert(fd(&row, FD), (row, socket)));
                }
                Some(_) | None => {
                    warn!(fd = fd(&row, FD), "a socket of an unknown kind is closed");
                }
            }
        }
        connections
    }

    fn sort(&mut self, mut known: HashMap<i32, (Row, OwnedFd)>, states: &[Row]) {
        for state in states.iter().filter_map(|row| row.first()?.as_deref()) {
            match serde_json::from_str(state) {
                Ok(State::Client(mut client)) => {
                    let Some((row, socket)) = known.remove(&client.fd) else {
                        continue;
                    };
                    client.socket = Some(socket);
                    client.password = row.get(PASSWORD).cloned().flatten();
                    client.scram_keys = scram_keys(&row);
                    if let Some(server) = &mut client.server {
                        server.socket = known.remove(&server.fd).map(|(_, socket)| socket);
                    }
                    self.clients.push(*client);
                }
                Ok(State::Server(mut server)) => {
                    server.socket = known.remove(&server.fd).map(|(_, socket)| socket);
                    self.servers.push(*server);
                }
                // Of another version, most likely.
                Err(error) => warn!(%error, "a connection cannot be gone on with"),
            }
        }
        if !known.is_empty() {
            warn!(
                count = known.len(),
                "connections of which too little is known are closed"
            );
        }
    }
}

fn column(row: &Row, at: usize) -> Option<&str> {
    row.get(at)?.as_deref()
}

fn fd(row: &Row, at: usize) -> i32 {
    column(row, at)
        .and_then(|fd| fd.parse().ok())
        .unwrap_or_default()
}

fn scram_keys(row: &Row) -> Option<Keys> {
    let key = |at: usize| {
        let text = row.get(at)?.as_deref()?.strip_prefix("\\x")?;
        let digits: Vec<_> = text.as_bytes().chunks(2).collect();
        let bytes: Option<Vec<u8>> = digits
            .iter()
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        bytes?.try_into().ok()
    };
    Some(Keys::from_parts(key(CLIENT_KEY)?, key(SERVER_KEY)?))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// The console of the process that is to be replaced.
#[derive(Debug)]
struct Old {
    socket: UnixStream,
    unread: Vec<u8>,
    /// Sockets that have come, in the order of their rows.
    sockets: Vec<OwnedFd>,
}

impl Old {
    /// Logs in; returns what it says it is.
    fn log_in(&mut self) -> io::Result<String> {
        let mut message = Vec::new();
        let parameters = [("user", "pgbouncer"), ("database", "pgbouncer")];
        startup::put_startup_message(&mut message, ProtocolVersion::V3_0, parameters);
        self.socket.write_all(&message)?;
        let mut version = String::new();
        loop {
            let (tag, body) = self.message()?;
            let mut body = BodyReader::new(&body);
            if tag == Tag::ReadyForQuery {
                return Ok(version);
            }
            if tag == Tag::Authentication && body.int32().map_err(broken)? != 0 {
                return Err(io::Error::other(
                    "the other process is not of the same user: it asks for a password",
                ));
            }
            if tag == Tag::ParameterStatus && body.cstr().map_err(broken)? == b"server_version" {
                let text = body.cstr().map_err(broken)?;
                version = String::from_utf8_lossy(text).into_owned();
            }
        }
    }

    /// Runs a command; returns its rows.
    fn ask(&mut self, command: &str) -> io::Result<Vec<Row>> {
        let mut message = Vec::new();
        frontend::put_query(&mut message, command);
        self.socket.write_all(&message)?;
        let mut rows = Vec::new();
        loop {
            let (tag, body) = self.message()?;
            if tag == Tag::ReadyForQuery {
                return Ok(rows);
            }
            if tag == Tag::DataRow {
                rows.push(data_row(&body).map_err(broken)?);
            }
        }
    }

    /// Ends the process and waits until it has closed the connection.
    fn shut_down(&mut self) -> io::Result<()> {
        let mut message = Vec::new();
        frontend::put_query(&mut message, "SHUTDOWN;");
        self.socket.write_all(&message)?;
        let mut rest = [0; 1024];
        loop {
            match self.socket.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // By a signal, which is obeyed later.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn message(&mut self) -> io::Result<(Tag, Vec<u8>)> {
        loop {
            if let Some(head) = Head::<Backend>::parse(&self.unread).map_err(broken)?
                && self.unread.len() >= head.message_len()
            {
                let body = self.unread[Head::<Backend>::LEN..head.message_len()].to_vec();
                self.unread.drain(..head.message_len());
                if head.tag() == Tag::ErrorResponse {
                    let error = Fields::parse(&body).to_response(Severity::Error);
                    return Err(io::Error::other(error.to_string()));
                }
                return Ok((head.tag(), body));
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        // A signal interrupts it, because the socket has a timeout, and is obeyed later.
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(&self.socket, &mut slices, &mut control, flags)
        })?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                self.sockets.extend(sockets);
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&bytes[..received.bytes]);
        Ok(())
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

const FD: usize = 0;
const TASK: usize = 1;
const USER: usize = 2;
const DATABASE: usize = 3;
const CANCEL: usize = 6;
const LINK: usize = 7;
const PASSWORD: usize = 12;
const CLIENT_KEY: usize = 13;
const SERVER_KEY: usize = 14;
/// Longer than any reasonable suspend_timeout.
const PATIENCE: Duration = Duration::from_secs(60);
