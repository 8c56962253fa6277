//! A socket that can follow its user from one worker thread to another.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected TCP or Unix socket, registered with the reactor of one thread's runtime.
#[derive(Debug)]
pub struct Socket {
    kind: Kind,
    home: ThreadId,
}

#[derive(Debug)]
enum Kind {
    /// Between two reactors; only ever seen if a move failed half way.
    Lost,
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Registers the socket with the calling thread's runtime, if it is not so already.
    ///
    /// # Errors
    /// The socket cannot be registered; it is then unusable.
    pub fn adopt(&mut self) -> io::Result<()> {
        if self.is_at_home() {
            return Ok(());
        }
        self.kind = match std::mem::replace(&mut self.kind, Kind::Lost) {
            Kind::Tcp(socket) => Kind::Tcp(TcpStream::from_std(socket.into_std()?)?),
            Kind::Unix(socket) => Kind::Unix(UnixStream::from_std(socket.into_std()?)?),
            Kind::Lost => return Err(io::ErrorKind::NotConnected.into()),
        };
        self.home = here();
        Ok(())
    }

    /// Whether it is registered with the calling thread's runtime.
    pub fn is_at_home(&self) -> bool {
        self.home == here()
    }

    /// Takes a connected socket that came from another process, and registers it with the calling
    /// thread's runtime.
    ///
    /// # Errors
    /// It is of another kind, or not connected any more.
    pub fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(descriptor);
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?;
        if socket.local_addr()?.is_unix() {
            return Ok(UnixStream::from_std(OwnedFd::from(socket).into())?.into());
        }
        Ok(TcpStream::from_std(OwnedFd::from(socket).into())?.into())
    }

    /// Sends bytes over a Unix socket, and a descriptor with the first of them. Not cancel safe.
    ///
    /// # Errors
    /// The socket's, or it is no Unix socket.
    pub async fn send_with(&self, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let Kind::Unix(socket) = &self.kind else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            let send = || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let descriptors = [descriptor];
                if sent == 0 {
                    control.push(SendAncillaryMessage::ScmRights(&descriptors));
                }
                let slices = [io::IoSlice::new(rest)];
                let flags = SendFlags::NOSIGNAL;
                Ok(rustix::net::sendmsg(socket, &slices, &mut control, flags)?)
            };
            sent += socket.async_io(Interest::WRITABLE, send).await?;
        }
        Ok(())
    }

    /// Whether this is a Unix socket: its peer is on this machine and nobody listens in.
    pub fn is_unix(&self) -> bool {
        matches!(self.kind, Kind::Unix(_))
    }

    /// The peer's address; `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(socket) => socket.peer_addr().ok(),
            Kind::Unix(_) | Kind::Lost => None,
        }
    }

    /// Our own address; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(socket) => socket.local_addr().ok(),
            Kind::Unix(_) | Kind::Lost => None,
        }
    }

    /// Where the peer is, for people: `host:port`, with an IPv6 host in brackets; or
    /// `unix(pid):port` with the peer's process id and the port in the socket's name.
    pub fn peer_name(&self) -> String {
        match &self.kind {
            Kind::Tcp(socket) => match socket.peer_addr() {
                Ok(address) => address.to_string(),
                Err(_) => "unknown".to_owned(), // it is gone already
            },
            Kind::Unix(_) => {
                let (pid, port) = self.unix_peer().unwrap_or_default();
                format!("unix({pid}):{port}")
            }
            Kind::Lost => "unknown".to_owned(),
        }
    }

    /// The process at the other end of a Unix socket and the port in the socket's name, each 0
    /// where it is not known; `None` for another socket.
    pub fn unix_peer(&self) -> Option<(i32, u16)> {
        match &self.kind {
            Kind::Unix(socket) => {
                let peer = socket.peer_cred().ok().and_then(|peer| peer.pid());
                let names = [socket.local_addr(), socket.peer_addr()];
                let port = names.iter().flatten().find_map(port_in_name);
                Some((peer.unwrap_or(0), port.unwrap_or(0)))
            }
            Kind::Tcp(_) | Kind::Lost => None,
        }
    }

    /// The user id of the process at the other end of a Unix socket.
    pub fn peer_uid(&self) -> Option<u32> {
        match &self.kind {
            Kind::Unix(socket) => socket.peer_cred().ok().map(|peer| peer.uid()),
            Kind::Tcp(_) | Kind::Lost => None,
        }
    }

    /// The process at the other end of a Unix socket, where the system knows it.
    pub fn peer_pid(&self) -> Option<i32> {
        match &self.kind {
            Kind::Unix(socket) => socket.peer_cred().ok()?.pid(),
            Kind::Tcp(_) | Kind::Lost => None,
        }
    }

    /// The port in the name of a Unix socket's file, `.s.PGSQL.<port>`.
    pub fn unix_port(&self) -> Option<u16> {
        match &self.kind {
            Kind::Unix(socket) => {
                let address = socket.local_addr().ok()?;
                let file = address.as_pathname()?.file_name()?.to_str()?;
                file.rsplit_once('.')?.1.parse().ok()
            }
            Kind::Tcp(_) | Kind::Lost => None,
        }
    }

    /// Whether something may have arrived since reading last found nothing, such as the end of the
    /// connection. No system call.
    pub fn has_news(&self) -> bool {
        match &self.kind {
            Kind::Tcp(socket) => socket.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Kind::Unix(socket) => socket.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Kind::Lost => true,
        }
    }

    /// Waits until there may be something to read, and be it an error.
    pub(super) fn poll_news(&self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = match &self.kind {
            Kind::Tcp(socket) => socket.poll_read_ready(cx),
            Kind::Unix(socket) => socket.poll_read_ready(cx),
            Kind::Lost => Poll::Ready(Ok(())),
        };
        polled.map(drop) // reading says what is wrong
    }

    /// The first byte that will be read, without reading it; `None` at the end of the stream.
    /// `Some(0)` for a Unix socket, where nobody needs to ask. Cancel safe.
    ///
    /// # Errors
    /// The socket's.
    pub async fn peek(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        match &self.kind {
            Kind::Tcp(socket) => Ok((socket.peek(&mut first).await? > 0).then_some(first[0])),
            Kind::Unix(_) | Kind::Lost => Ok(Some(0)),
        }
    }
}

impl Socket {
    /// The number of the descriptor; 0: it is lost.
    pub fn number(&self) -> i32 {
        self.descriptor()
            .map_or(0, |descriptor| descriptor.as_raw_fd())
    }

    /// The descriptor. `None`: it is lost.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::Lost => None,
            Kind::Tcp(socket) => Some(socket.as_fd()),
            Kind::Unix(socket) => Some(socket.as_fd()),
        }
    }
}

/// The port in the name of a Unix socket, `.s.PGSQL.5432`.
fn port_in_name(address: &tokio::net::unix::SocketAddr) -> Option<u16> {
    let name = match address.as_pathname() {
        Some(path) => path.to_str()?,
        None => std::str::from_utf8(address.as_abstract_name()?).ok()?,
    };
    name.rsplit('.').next()?.parse().ok()
}

/// The thread that asks.
fn here() -> ThreadId {
    thread_local! {
        // std would count a reference to the thread, and that no more.
        static HERE: ThreadId = thread::current().id();
    }
    HERE.with(|here| *here)
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self {
            kind: Kind::Tcp(socket),
            home: here(),
        }
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self {
            kind: Kind::Unix(socket),
            home: here(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Kind::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
            Kind::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Kind::Unix(socket) => Pin::new(socket).poll_write(cx, buf),
            Kind::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Lost => Poll::Ready(Ok(())),
        }
    }
}
