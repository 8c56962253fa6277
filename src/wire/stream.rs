//! A connection, with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{client, server};

use crate::wire::socket::Socket;

/// A connection to a client or to a server.
#[derive(Debug)]
pub enum Stream {
    /// Without TLS.
    Plain(Socket),
    /// With TLS, where the peer is a client.
    TlsFromClient(Box<server::TlsStream<Socket>>),
    /// With TLS, where the peer is a server.
    TlsToServer(Box<client::TlsStream<Socket>>),
}

impl Stream {
    /// The socket below.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::TlsFromClient(tls) => tls.get_ref().0,
            Self::TlsToServer(tls) => tls.get_ref().0,
        }
    }

    /// Whether something may have arrived since reading last found nothing; under TLS always, which
    /// may have kept something back. No system call.
    pub fn has_news(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_news(),
            Self::TlsFromClient(_) | Self::TlsToServer(_) => true,
        }
    }

    /// Waits until there may be something to read, and be it an error: to know costs less than to
    /// try, which takes a buffer. Under TLS ready always.
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(socket) => socket.poll_news(cx),
            Self::TlsFromClient(_) | Self::TlsToServer(_) => Poll::Ready(()),
        }
    }

    /// Registers the socket with the calling thread's runtime.
    ///
    /// # Errors
    /// As [`Socket::adopt`].
    pub fn adopt(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.adopt(),
            Self::TlsFromClient(tls) => tls.get_mut().0.adopt(),
            Self::TlsToServer(tls) => tls.get_mut().0.adopt(),
        }
    }

    /// The certificate that the peer has proved to own, in DER.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let certificates = match self {
            Self::Plain(_) => None,
            Self::TlsFromClient(tls) => tls.get_ref().1.peer_certificates(),
            Self::TlsToServer(tls) => tls.get_ref().1.peer_certificates(),
        };
        certificates?.first().map(AsRef::as_ref)
    }

    /// Version and cipher of the TLS in use, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`.
    pub fn tls(&self) -> Option<String> {
        let (version, suite) = match self {
            Self::Plain(_) => return None,
            Self::TlsFromClient(tls) => {
                let tls = tls.get_ref().1;
                (tls.protocol_version(), tls.negotiated_cipher_suite())
            }
            Self::TlsToServer(tls) => {
                let tls = tls.get_ref().1;
                (tls.protocol_version(), tls.negotiated_cipher_suite())
            }
        };
        let version = version?.as_str()?.replace('_', ".");
        let suite = suite?.suite();
        Some(format!(
            "{version}/{}",
            suite.as_str()?.replace("TLS13_", "TLS_")
        ))
    }

    /// Whether TLS is in use.
    pub fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }
}

impl<S: Into<Socket>> From<S> for Stream {
    fn from(socket: S) -> Self {
        Self::Plain(socket.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::TlsFromClient(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
            Self::TlsToServer(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::TlsFromClient(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
            Self::TlsToServer(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::TlsFromClient(tls) => Pin::new(&mut **tls).poll_flush(cx),
            Self::TlsToServer(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::TlsFromClient(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Self::TlsToServer(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
