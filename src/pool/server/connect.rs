//! From the hosts of a database to a connected stream, with TLS if asked for.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixStream};
use tokio_rustls::TlsConnector;
use tracing::warn;

use crate::pool::dns::Dns;
use crate::pool::error::ConnectError;
use crate::pool::server::login::{LogIn, LoggedIn, log_in};
use crate::pool::settings::hosts::{Hosts, LoadBalanceHosts};
use crate::pool::settings::{ServerAddress, ServerTls};
use crate::wire::cancel_key::CancelKey;
use crate::wire::socket::Socket;
use crate::wire::startup;
use crate::wire::stream::Stream;
use crate::wire::tcp::TcpSettings;
use crate::wire::tls::TlsMode;

/// Where servers of a pool are, and how to reach them.
#[derive(Debug)]
pub struct Target {
    /// Where servers listen.
    pub hosts: Hosts,
    /// TLS towards them.
    pub tls: ServerTls,
    /// For the whole of connecting to one address and logging in there. `None`: no limit.
    pub timeout: Option<Duration>,
    /// Options of TCP connections.
    pub tcp: TcpSettings,
    /// Looks up host names.
    pub dns: Arc<Dns>,
    /// Which host is next.
    pub next: AtomicUsize,
}

/// Where one server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The host as the settings call it, or the socket file.
    pub host: String,
    end: End,
    tcp: TcpSettings,
    timeout: Option<Duration>,
}

#[derive(Clone, Debug)]
enum End {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Target {
    /// Connects to the host whose turn it is and logs in there; where that cannot be reached, at
    /// the next one, each address of each host once. `passed_over` is told of each host before
    /// the next one is tried. Not cancel safe.
    ///
    /// # Errors
    /// Those of the last address, or a server refused the login, which the others would do too.
    pub async fn open(
        &self,
        asks: &LogIn<'_>,
        passed_over: impl Fn(&ServerAddress, &ConnectError),
    ) -> Result<(LoggedIn, Place), ConnectError> {
        let count = self.hosts.addresses.len().max(1);
        let first = match self.hosts.balance {
            LoadBalanceHosts::RoundRobin => self.next.fetch_add(1, Ordering::Relaxed),
            LoadBalanceHosts::Disable => self.next.load(Ordering::Relaxed),
        };
        let mut failure = ConnectError::Io(io::ErrorKind::AddrNotAvailable.into());
        for at in first..first.saturating_add(count) {
            let Some(host) = self.hosts.addresses.get(at % count) else {
                continue;
            };
            match self.open_at(host, asks).await {
                Ok(opened) => return Ok(opened),
                Err(error) if error.may_pass() => failure = error,
                Err(error) => return Err(error),
            }
            if self.hosts.balance == LoadBalanceHosts::Disable {
                self.next.store((at + 1) % count, Ordering::Relaxed);
            }
            if at - first + 1 < count {
                passed_over(host, &failure);
            }
        }
        Err(failure)
    }

    /// The same for one host.
    async fn open_at(
        &self,
        host: &ServerAddress,
        asks: &LogIn<'_>,
    ) -> Result<(LoggedIn, Place), ConnectError> {
        let mut failure = ConnectError::Io(io::ErrorKind::AddrNotAvailable.into());
        for place in self.places(host).await? {
            let attempt = async {
                let stream = self.connect(&place).await?;
                log_in(stream, asks).await
            };
            let opened = match self.timeout {
                Some(limit) => tokio::time::timeout(limit, attempt)
                    .await
                    .unwrap_or(Err(ConnectError::Timeout(limit))),
                None => attempt.await,
            };
            match opened {
                Ok(opened) => return Ok((opened, place)),
                Err(error) if error.may_pass() => {
                    warn!(host = place.host, address = %place, %error, "connect failed");
                    failure = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    /// The places of a host, the one whose turn it is first.
    async fn places(&self, host: &ServerAddress) -> Result<Vec<Place>, ConnectError> {
        let place = |host: &str, end| Place {
            host: host.to_owned(),
            end,
            tcp: self.tcp,
            timeout: self.timeout,
        };
        Ok(match host {
            ServerAddress::Unix(path) => {
                let end = End::Unix(path.clone());
                vec![place(&path.display().to_string(), end)]
            }
            ServerAddress::Tcp(name, port) => {
                let addresses = self.dns.addresses(name).await.map_err(ConnectError::Dns)?;
                let tcp = |ip| place(name, End::Tcp(SocketAddr::new(ip, *port)));
                addresses.into_iter().map(tcp).collect()
            }
        })
    }

    /// Connects and, where the mode asks for it, begins TLS.
    async fn connect(&self, place: &Place) -> Result<Stream, ConnectError> {
        let socket = place.socket().await?;
        match (&place.end, &self.tls.side) {
            // As in libpq, a Unix socket has no TLS whatever the mode.
            (End::Tcp(_), Some(tls)) => begin_tls(socket, &place.host, &tls.config, tls.mode).await,
            (End::Tcp(_), None) | (End::Unix(_), _) => Ok(Stream::Plain(socket)),
        }
    }
}

/// As the log has it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            End::Tcp(address) => address.fmt(f),
            End::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Place {
    /// Where a server is that another process has connected to, as that calls the place.
    pub(in crate::pool) fn carried(target: &Target, host: String, socket: &Socket) -> Self {
        Self {
            end: match socket.peer_addr() {
                Some(address) => End::Tcp(address),
                None => End::Unix(PathBuf::from(&host)),
            },
            host,
            tcp: target.tcp,
            timeout: target.timeout,
        }
    }

    /// The address; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.end {
            End::Tcp(address) => Some(*address),
            End::Unix(_) => None,
        }
    }

    /// Sends a CancelRequest and waits until the server has closed the connection, which it
    /// does after it has signalled. Without TLS, as libpq's PQcancel; the server accepts that
    /// whatever its settings. Not cancel safe.
    ///
    /// # Errors
    /// No connection, or none in time.
    pub async fn cancel(&self, key: &CancelKey) -> Result<(), ConnectError> {
        let limit = self.timeout.unwrap_or(CANCEL_LIMIT).min(CANCEL_LIMIT);
        let deliver = async {
            let mut socket = self.socket().await?;
            let mut request = Vec::new();
            startup::put_cancel_request(&mut request, key);
            socket.write_all(&request).await?;
            // Whatever it says, the end of the stream is what counts.
            let mut ignored = [0; 64];
            while socket.read(&mut ignored).await? > 0 {}
            Ok(())
        };
        tokio::time::timeout(limit, deliver)
            .await
            .unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    async fn socket(&self) -> Result<Socket, ConnectError> {
        Ok(match &self.end {
            End::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                // Before it connects: a receive buffer that shrinks afterwards has a peer send
                // more than fits, and what is dropped is only sent again after a long while.
                self.tcp.apply(&socket)?;
                socket.connect(*address).await?.into()
            }
            End::Unix(path) => UnixStream::connect(socket_name(path)).await?.into(),
        })
    }
}

/// What to connect to: `@` begins the name of an abstract socket, which is a NUL to the kernel.
fn socket_name(path: &Path) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => path.to_owned(),
    }
}

async fn begin_tls(
    mut socket: Socket,
    host: &str,
    config: &Arc<rustls::ClientConfig>,
    mode: TlsMode,
) -> Result<Stream, ConnectError> {
    let mut request = Vec::new();
    startup::put_ssl_request(&mut request);
    socket.write_all(&request).await?;
    // Nothing may follow before we speak again: somebody else could have put it in, and it could
    // be taken for what the server says under TLS (CVE-2021-23222).
    let mut answer = [0; 2];
    let len = socket.read(&mut answer).await?;
    match answer[..len] {
        [] => return Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into())),
        [b'S'] => {}
        [b'N'] if mode < TlsMode::Require => return Ok(Stream::Plain(socket)),
        [b'N'] => return Err(ConnectError::TlsRefused),
        [_, _] => {
            return Err(ConnectError::Protocol(
                "the server sent data behind its answer to SSLRequest",
            ));
        }
        _ => {
            return Err(ConnectError::Protocol(
                "the answer to SSLRequest is neither S nor N",
            ));
        }
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::TlsName(host.to_owned()))?;
    let tls = TlsConnector::from(config.clone())
        .connect(name, socket)
        .await
        .map_err(handshake_failure)?;
    Ok(Stream::TlsToServer(Box::new(tls)))
}

fn handshake_failure(error: io::Error) -> ConnectError {
    if error.kind() != io::ErrorKind::InvalidData {
        return ConnectError::Io(error);
    }
    // What is wrong with a certificate will be so the next time.
    if is_about_certificate(&error) {
        // OpenSSL's words, which logs are searched for.
        let told = format!("certificate verify failed: {error}");
        return ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidData, told));
    }
    ConnectError::Tls(error)
}

fn is_about_certificate(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

/// A cancel request that takes longer has lost its use.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);
