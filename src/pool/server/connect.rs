//! From an address to a connected stream, with TLS if asked for.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::pool::error::ConnectError;
use crate::pool::settings::{ServerAddress, ServerTls};
use crate::wire::cancel_key::CancelKey;
use crate::wire::socket::Socket;
use crate::wire::startup;
use crate::wire::stream::Stream;
use crate::wire::tls::TlsMode;

/// Where servers of a pool are, and how to reach them.
#[derive(Debug)]
pub struct Target {
    /// Where the server listens.
    pub address: ServerAddress,
    /// TLS towards it.
    pub tls: ServerTls,
    /// For the whole of connecting and logging in. `None`: no limit.
    pub timeout: Option<Duration>,
}

impl Target {
    /// Connects and, where the mode asks for it, begins TLS. Not cancel safe.
    ///
    /// # Errors
    /// No connection, no TLS where it is demanded, or a certificate that does not hold.
    pub async fn connect(&self) -> Result<Stream, ConnectError> {
        let socket = self.socket().await?;
        match (&self.address, &self.tls.side) {
            // As in libpq, a Unix socket has no TLS whatever the mode.
            (ServerAddress::Tcp(host, _), Some(tls)) => {
                begin_tls(socket, host, &tls.config, tls.mode).await
            }
            (ServerAddress::Tcp(..), None) | (ServerAddress::Unix(_), _) => {
                Ok(Stream::Plain(socket))
            }
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
        Ok(match &self.address {
            ServerAddress::Tcp(host, port) => {
                let socket = TcpStream::connect((host.as_str(), *port)).await?;
                socket.set_nodelay(true)?;
                let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
                socket2::SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
                socket.into()
            }
            ServerAddress::Unix(path) => UnixStream::connect(path).await?.into(),
        })
    }
}

async fn begin_tls(
    mut socket: Socket,
    host: &str,
    config: &std::sync::Arc<rustls::ClientConfig>,
    mode: TlsMode,
) -> Result<Stream, ConnectError> {
    let mut request = Vec::new();
    startup::put_ssl_request(&mut request);
    socket.write_all(&request).await?;
    // One byte and no more: what follows belongs to TLS, and plain bytes there break it.
    match socket.read_u8().await? {
        b'S' => {}
        b'N' if mode < TlsMode::Require => return Ok(Stream::Plain(socket)),
        b'N' => return Err(ConnectError::TlsRefused),
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
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("TLS handshake with the server failed: {error}"),
            )
        })?;
    Ok(Stream::TlsToServer(Box::new(tls)))
}

/// A cancel request that takes longer has lost its use.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);
/// Finds dead peers behind firewalls that forget idle connections.
const KEEPALIVE: Duration = Duration::from_secs(60);
