//! Where clients connect.

mod last;
mod socket;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use crate::app::handover::Listening;
use crate::app::process::Process;
use crate::app::systemd;
use crate::app::ticket::Ticket;
use crate::config::settings::ListenSettings;
use crate::console::control::ShutdownMode;
use crate::pool::lines;
use crate::wire::socket::Socket;

pub(super) use socket::UnixAddress;

/// What is bound and not yet served.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Vec<(UnixListener, Option<SocketFile>)>,
}

impl Listeners {
    /// Refuses to be the second process with the same Unix socket.
    ///
    /// # Errors
    /// Somebody answers there, and it is not systemd on our behalf.
    pub(super) fn refuse_second(settings: &ListenSettings) -> io::Result<()> {
        let is_served = UnixAddress::of(settings).is_some_and(|address| address.is_served());
        if is_served && !systemd::has_sockets() {
            return Err(socket::in_use());
        }
        Ok(())
    }

    /// Takes the sockets that systemd has bound; if there are none, binds every address. To be
    /// called within a runtime.
    ///
    /// # Errors
    /// An address cannot be resolved or bound, or somebody serves the Unix socket already.
    pub(super) async fn open(settings: &ListenSettings) -> io::Result<Self> {
        let given = systemd::sockets()?;
        if given.is_empty() {
            return Self::bind(settings).await;
        }
        let mut this = Self::default();
        for socket in given {
            match socket::adopt(socket)? {
                socket::Adopted::Tcp(listener) => {
                    let address = listener.local_addr()?;
                    info!(target: lines::PLAIN, %address, "socket activation: listening on {address}");
                    this.tcp.push(listener);
                }
                socket::Adopted::Unix(listener) => {
                    let path = socket::name(&listener);
                    info!(target: lines::PLAIN, path, "socket activation: listening on unix:{path}");
                    this.unix.push((listener, None)); // the file is systemd's
                }
            }
        }
        Ok(this)
    }

    async fn bind(settings: &ListenSettings) -> io::Result<Self> {
        let mut this = Self::default();
        for host in &settings.addresses {
            for address in resolve(host, settings.port).await? {
                match socket::bind_tcp(address, settings) {
                    Ok(listener) => {
                        info!(target: lines::PLAIN, %address, "listening on {address}");
                        this.tcp.push(listener);
                    }
                    // A machine without IPv6 still has every address.
                    Err(error) if address.is_ipv6() && host == "*" => {
                        warn!(%address, %error, "not listening");
                    }
                    Err(error) => return Err(named(&address, &error)),
                }
            }
        }
        if let Some(address) = UnixAddress::of(settings) {
            let bound = socket::bind_unix(&address, settings);
            let listener = bound.map_err(|error| named(&address, &error))?;
            info!(target: lines::PLAIN, path = %address, "listening on unix:{address}");
            let file = address.file().map(SocketFile);
            this.unix.push((listener, file));
        }
        Ok(this)
    }

    /// Takes the listening sockets of another process.
    ///
    /// # Errors
    /// They cannot be used, or are none.
    pub(super) fn inherit(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let mut this = Self::default();
        for socket in sockets {
            match socket::adopt(socket)? {
                socket::Adopted::Tcp(listener) => {
                    let address = listener.local_addr()?;
                    info!(target: lines::PLAIN, %address, "taken over: listening on {address}");
                    this.tcp.push(listener);
                }
                socket::Adopted::Unix(listener) => {
                    let path = socket::name(&listener);
                    info!(target: lines::PLAIN, path, "taken over: listening on unix:{path}");
                    let file = (!path.starts_with('@')).then(|| SocketFile(path.into()));
                    this.unix.push((listener, file));
                }
            }
        }
        Ok(this)
    }

    /// Accepts until the process is closing; Unix sockets stay for the console.
    ///
    /// TCP connections are accepted by a worker: those that stay with it need not wake another
    /// thread, nor change the reactor.
    ///
    /// # Errors
    /// A socket cannot be given to that worker.
    pub(super) fn serve(self, process: &Arc<Process>, workers: &[Handle]) -> io::Result<()> {
        let here = Handle::current();
        for (number, listener) in self.tcp.into_iter().enumerate() {
            let process = process.clone();
            let runtime = workers.get(number % workers.len().max(1)).unwrap_or(&here);
            let listener = listener.into_std()?;
            let entered = runtime.enter();
            let listener = Arc::new(TcpListener::from_std(listener)?);
            drop(entered);
            let listening = Listening::Tcp(Arc::downgrade(&listener));
            process.listening().push(listening);
            // As long as it is open, somebody may come.
            let ticket = Ticket::new(&process);
            runtime.spawn(async move {
                let mut asked = process.shutdown_asked();
                tokio::select! {
                    () = accept_tcp(&listener, &process) => {}
                    _ = asked.wait_for(Option::is_some) => {}
                }
                let mode = *asked.borrow();
                if mode == Some(ShutdownMode::WaitForClients) {
                    last::accept(&listener, &process).await;
                }
                drop((listener, ticket));
            });
        }
        for (listener, file) in self.unix {
            let process = process.clone();
            let listener = Arc::new(listener);
            let listening = Listening::Unix(Arc::downgrade(&listener));
            process.listening().push(listening);
            tokio::spawn(async move {
                let _file = Bound(file, process.clone());
                accept_unix(&listener, &process).await;
            });
        }
        Ok(())
    }
}

/// Removes the socket's file when the process ends in good order.
#[derive(Debug)]
struct SocketFile(PathBuf);

/// A socket's file, which may be another process's by the end of this one.
struct Bound(Option<SocketFile>, Arc<Process>);

impl Drop for Bound {
    fn drop(&mut self) {
        if self.1.standstill.is_handed_over()
            && let Some(file) = self.0.take()
        {
            std::mem::forget(file);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn accept_tcp(listener: &TcpListener, process: &Arc<Process>) {
    loop {
        process.standstill.over().await;
        match listener.accept().await {
            Ok((socket, _)) => admit(socket, process),
            Err(error) => pause_after(&error).await,
        }
    }
}

fn admit(socket: TcpStream, process: &Arc<Process>) {
    // Nothing of it is worth refusing a client for.
    let _ = process.tcp().apply(&socket);
    let ticket = Ticket::new(process);
    process.workers.give(Socket::from(socket), Some(ticket));
}

async fn accept_unix(listener: &UnixListener, process: &Arc<Process>) {
    loop {
        process.standstill.over().await;
        match listener.accept().await {
            Ok((socket, _)) => {
                // Later there is only the console.
                let ticket = (!process.is_closing()).then(|| Ticket::new(process));
                process.workers.give(Socket::from(socket), ticket);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Out of file descriptors, most likely: trying again at once would only burn the processor.
async fn pause_after(error: &io::Error) {
    error!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host == "*" {
        return Ok(vec![
            (Ipv4Addr::UNSPECIFIED, port).into(),
            (Ipv6Addr::UNSPECIFIED, port).into(),
        ]);
    }
    let found = tokio::net::lookup_host((host, port)).await;
    let mut addresses: Vec<_> = found.map_err(|error| named(&host, &error))?.collect();
    // A name may be in the file of hosts twice.
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn named(what: &dyn std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {what}: {error}"))
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
