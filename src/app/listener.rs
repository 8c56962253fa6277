//! Where clients connect.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tracing::{error, info, warn};

use crate::app::handover::Listening;
use crate::app::process::Process;
use crate::config::settings::ListenSettings;
use crate::wire::socket::Socket;

/// What is bound and not yet served.
#[derive(Debug)]
pub(super) struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<(UnixListener, SocketFile)>,
}

impl Listeners {
    /// Binds every address. To be called within a runtime.
    ///
    /// # Errors
    /// An address cannot be resolved or bound, or somebody serves the Unix socket already.
    pub(super) async fn bind(settings: &ListenSettings) -> io::Result<Self> {
        let mut tcp = Vec::new();
        for address in &settings.addresses {
            for address in resolve(address, settings.port).await? {
                match bind_tcp(address, settings.backlog) {
                    Ok(listener) => {
                        info!(%address, "listening");
                        tcp.push(listener);
                    }
                    // A machine without IPv6 still has every address.
                    Err(error)
                        if address.is_ipv6() && settings.addresses.iter().any(|a| a == "*") =>
                    {
                        warn!(%address, %error, "not listening");
                    }
                    Err(error) => return Err(named(&address, &error)),
                }
            }
        }
        let unix = match &settings.unix_socket_dir {
            None => None,
            Some(dir) => {
                let path = dir.join(format!(".s.PGSQL.{}", settings.port));
                let bound = bind_unix(&path, settings.unix_socket_mode);
                let bound = bound.map_err(|error| named(&path.display(), &error))?;
                info!(path = %path.display(), "listening");
                Some(bound)
            }
        };
        Ok(Self { tcp, unix })
    }

    /// Takes listening sockets of another process; what it does not have is bound.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub(super) async fn inherit(
        sockets: Vec<OwnedFd>,
        settings: &ListenSettings,
    ) -> io::Result<Self> {
        let mut this = Self {
            tcp: Vec::new(),
            unix: None,
        };
        for socket in sockets {
            let socket = RawSocket::from(socket);
            socket.set_nonblocking(true)?;
            socket.set_cloexec(true)?;
            let address = socket.local_addr()?;
            if let Some(path) = address.as_pathname() {
                let file = SocketFile(path.to_owned());
                let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
                info!(path = %file.0.display(), "listening, taken over");
                this.unix = Some((listener, file));
            } else if let Some(address) = address.as_socket() {
                info!(%address, "listening, taken over");
                this.tcp.push(TcpListener::from_std(socket.into())?);
            }
        }
        if this.tcp.is_empty() && !settings.addresses.is_empty() {
            let settings = ListenSettings {
                unix_socket_dir: None,
                ..settings.clone()
            };
            this.tcp = Self::bind(&settings).await?.tcp;
        }
        Ok(this)
    }

    /// Accepts until the process is closing; the Unix socket stays for the console.
    pub(super) fn serve(self, process: &Arc<Process>) {
        for listener in self.tcp {
            let process = process.clone();
            let listener = Arc::new(listener);
            let listening = Listening::Tcp(Arc::downgrade(&listener));
            process.listening().push(listening);
            tokio::spawn(async move {
                let mut asked = process.shutdown_asked();
                tokio::select! {
                    () = accept_tcp(&listener, &process) => {}
                    _ = asked.wait_for(Option::is_some) => {}
                }
            });
        }
        if let Some((listener, file)) = self.unix {
            let process = process.clone();
            let listener = Arc::new(listener);
            let listening = Listening::Unix(Arc::downgrade(&listener));
            process.listening().push(listening);
            tokio::spawn(async move {
                let _file = Bound(file, process.clone());
                accept_unix(&listener, &process).await;
            });
        }
    }
}

/// Removes the socket's file when the process ends in good order.
#[derive(Debug)]
struct SocketFile(PathBuf);

/// A socket's file, which may be another process's by the end of this one.
struct Bound(SocketFile, Arc<Process>);

impl Drop for Bound {
    fn drop(&mut self) {
        if self.1.standstill.is_handed_over() {
            self.0.0.clear();
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn accept_tcp(listener: &TcpListener, process: &Process) {
    loop {
        process.standstill.over().await;
        match listener.accept().await {
            Ok((socket, _)) => {
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                // Neither is worth refusing a client for.
                let _ = socket.set_nodelay(true);
                let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
                process.workers.give(Socket::from(socket));
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

async fn accept_unix(listener: &UnixListener, process: &Process) {
    loop {
        process.standstill.over().await;
        match listener.accept().await {
            Ok((socket, _)) => process.workers.give(Socket::from(socket)),
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Out of file descriptors, most likely: trying again at once would only burn the processor.
async fn pause_after(error: &io::Error) {
    error!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn resolve(address: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if address == "*" {
        return Ok(vec![
            (Ipv4Addr::UNSPECIFIED, port).into(),
            (Ipv6Addr::UNSPECIFIED, port).into(),
        ]);
    }
    let found = tokio::net::lookup_host((address, port)).await;
    Ok(found.map_err(|error| named(&address, &error))?.collect())
}

fn bind_tcp(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "unix socket is in use, cannot continue",
        ));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((listener, SocketFile(path.to_owned())))
}

fn named(what: &dyn std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {what}: {error}"))
}

const KEEPALIVE: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
