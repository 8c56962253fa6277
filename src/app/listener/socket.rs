//! Sockets that listen: made, or taken over.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::app::account;
use crate::config::settings::ListenSettings;

/// The address of a Unix socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::app) enum UnixAddress {
    /// A name that the kernel keeps, without its leading zero; no file, and no permissions.
    Abstract(String),
    /// A file.
    File(PathBuf),
}

impl UnixAddress {
    /// Where the settings want it; libpq finds it by folder and port.
    pub(in crate::app) fn of(settings: &ListenSettings) -> Option<Self> {
        let name = format!(".s.PGSQL.{}", settings.port);
        let dir = settings.unix_socket_dir.as_ref()?;
        Some(match dir.to_str().and_then(|dir| dir.strip_prefix('@')) {
            Some(dir) => Self::Abstract(format!("{dir}/{name}")),
            None => Self::File(dir.join(name)),
        })
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Abstract(_) => None,
            Self::File(path) => Some(path.clone()),
        }
    }

    /// Whether somebody answers there.
    pub(super) fn is_served(&self) -> bool {
        self.connect().is_ok()
    }

    /// Connects to who serves it.
    ///
    /// # Errors
    /// Nobody does, or not us.
    pub(in crate::app) fn connect(&self) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.connect(&self.raw()?)?;
        Ok(OwnedFd::from(socket).into())
    }

    fn raw(&self) -> io::Result<SockAddr> {
        match self {
            Self::Abstract(name) => SockAddr::unix(format!("\0{name}")),
            Self::File(path) => SockAddr::unix(path),
        }
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Binds a TCP address.
pub(super) fn bind_tcp(address: SocketAddr, settings: &ListenSettings) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if settings.so_reuseport {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Connections inherit it: a buffer that shrinks later drops what a client has been told to send.
    if let Some(bytes) = settings.tcp.socket_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog(settings))?;
    TcpListener::from_std(socket.into())
}

/// Binds a Unix socket. The file of a process that has died is removed.
pub(super) fn bind_unix(
    address: &UnixAddress,
    settings: &ListenSettings,
) -> io::Result<UnixListener> {
    if address.is_served() {
        return Err(in_use());
    }
    if let UnixAddress::File(path) = address {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.raw()?)?;
    if let UnixAddress::File(path) = address {
        permit(path, settings)?;
    }
    // From here on clients can connect.
    socket.listen(backlog(settings))?;
    UnixListener::from_std(socket.into())
}

/// What is said where another process serves the Unix socket, in PgBouncer's words.
pub(super) fn in_use() -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrInUse,
        "unix socket is in use, cannot continue",
    )
}

fn permit(path: &Path, settings: &ListenSettings) -> io::Result<()> {
    if let Some(group) = &settings.unix_socket_group {
        chown(path, None, Some(account::group(group)?))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(settings.unix_socket_mode))
}

fn backlog(settings: &ListenSettings) -> i32 {
    i32::try_from(settings.backlog).unwrap_or(i32::MAX)
}

/// A socket that somebody else has bound.
#[derive(Debug)]
pub(super) enum Adopted {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Takes over a socket that somebody else has bound and listens on.
///
/// # Errors
/// It is no stream, or does not listen.
pub(super) fn adopt(socket: OwnedFd) -> io::Result<Adopted> {
    let socket = Socket::from(socket);
    let wrong = |what| {
        let message = format!("socket activation: expected a stream socket that listens, {what}");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    if socket.r#type()? != Type::STREAM {
        return Err(wrong("this is none of streams"));
    }
    if !socket.is_listener()? {
        return Err(wrong("this one does not"));
    }
    socket.set_nonblocking(true)?;
    match socket.domain()? {
        Domain::IPV4 | Domain::IPV6 => Ok(Adopted::Tcp(TcpListener::from_std(socket.into())?)),
        Domain::UNIX => Ok(Adopted::Unix(UnixListener::from_std(socket.into())?)),
        _ => Err(wrong("this is neither TCP's nor Unix's")),
    }
}

/// The name of a Unix socket, for people.
pub(super) fn name(listener: &UnixListener) -> String {
    let Ok(address) = listener.local_addr() else {
        return String::new();
    };
    if let Some(path) = address.as_pathname() {
        return path.display().to_string();
    }
    let name = address.as_abstract_name().unwrap_or_default();
    let name = std::ffi::OsStr::from_bytes(name);
    format!("@{}", name.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn settings(dir: &Path) -> ListenSettings {
        ListenSettings {
            unix_socket_dir: Some(dir.to_owned()),
            ..ListenSettings::default()
        }
    }

    #[tokio::test]
    async fn a_socket_has_the_mode_and_the_group_of_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        let own = fs::metadata(dir.path()).unwrap().gid();
        let own = nix::unistd::Group::from_gid(own.into()).unwrap().unwrap();
        let settings = ListenSettings {
            unix_socket_mode: 0o640,
            unix_socket_group: Some(own.name),
            ..settings(dir.path())
        };
        let address = UnixAddress::of(&settings).unwrap();
        let _listener = bind_unix(&address, &settings).unwrap();
        let about = fs::metadata(address.file().unwrap()).unwrap();
        assert_eq!(about.mode() & 0o777, 0o640);
        assert_eq!(about.gid(), own.gid.as_raw());
        let settings = ListenSettings {
            unix_socket_group: Some("no-group-of-this-name".into()),
            ..settings
        };
        let error = permit(&address.file().unwrap(), &settings).unwrap_err();
        assert!(
            error.to_string().contains("could not find group"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_socket_that_is_served_is_left_alone_and_a_dead_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("@pgwarden-test-{}", std::process::id());
        for dir in [dir.path(), Path::new(&name)] {
            let settings = settings(dir);
            let address = UnixAddress::of(&settings).unwrap();
            assert!(!address.is_served());
            let listener = bind_unix(&address, &settings).unwrap();
            assert!(address.is_served());
            let error = bind_unix(&address, &settings).unwrap_err();
            assert_eq!(error.to_string(), "unix socket is in use, cannot continue");
            drop(listener); // the file stays
            drop(bind_unix(&address, &settings).unwrap());
        }
    }

    #[tokio::test]
    async fn a_port_is_shared_only_if_both_want_to() {
        let own = ListenSettings::default();
        let shared = ListenSettings {
            so_reuseport: true,
            ..ListenSettings::default()
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let first = bind_tcp(any, &shared).unwrap();
        let address = first.local_addr().unwrap();
        bind_tcp(address, &own).unwrap_err();
        let _second = bind_tcp(address, &shared).unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_does_not_listen_is_not_taken_over() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let connected = std::net::TcpStream::connect(address).unwrap();
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        adopt(connected.into()).unwrap_err();
        adopt(datagrams.into()).unwrap_err();
        let Adopted::Tcp(listener) = adopt(listening.into()).unwrap() else {
            panic!("a TCP socket is none");
        };
        assert_eq!(listener.local_addr().unwrap(), address);
    }
}
