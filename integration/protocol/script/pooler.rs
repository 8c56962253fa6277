//! The process under test.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::{Client, DEADLINE, Peer, Setup, Wire};

/// A running pgwarden; killed when dropped.
#[derive(Debug)]
pub(crate) struct Pooler {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Pooler {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(setup: &Setup, server_port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::start_in(folder, setup, server_port)
    }

    /// The same with files that the caller has put in the folder.
    pub(crate) fn start_in(folder: TempDir, setup: &Setup, server_port: u16) -> Self {
        let address = SocketAddr::from((own_address(), PORT));
        let path = folder.path().join("pgwarden.toml");
        let text = setup.text(
            &folder.path().display().to_string(),
            &address.ip().to_string(),
            server_port,
        );
        fs::write(&path, &text).expect("the folder takes a file");
        if let Some(users) = setup.users_file() {
            fs::write(folder.path().join("userlist.txt"), users).expect("the folder takes a file");
        }
        let notify = folder.path().join("notify");
        let ready = UnixDatagram::bind(&notify).expect("the folder takes a socket");
        ready
            .set_read_timeout(Some(DEADLINE))
            .expect("ten seconds are a timeout");
        let mut process = Command::new(env!("CARGO_BIN_EXE_pgwarden"))
            .arg(&path)
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let mut state = [0; 64];
        if let Err(error) = ready.recv(&mut state) {
            let _ = process.kill();
            let mut complaint = String::new();
            if let Some(stderr) = &mut process.stderr {
                let _ = stderr.read_to_string(&mut complaint);
            }
            panic!("waited in vain for READY=1 ({error}): {complaint}\n{text}");
        }
        // What it says from now on is not read: a full pipe must not stop it.
        drop(process.stderr.take());
        Self {
            process,
            address,
            folder,
        }
    }

    /// A client that has connected and said nothing.
    pub(crate) fn connects(&self) -> Client {
        Client::new(Peer::new("client", Wire::Tcp(self.socket())))
    }

    /// The same over the Unix socket.
    pub(crate) fn connects_by_unix(&self) -> Client {
        let path = self.folder.path().join(format!(".s.PGSQL.{PORT}"));
        let socket = UnixStream::connect(&path).expect("the Unix socket accepts");
        Client::new(Peer::new("client", Wire::Unix(socket)))
    }

    /// A bare connection.
    pub(crate) fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("pgwarden accepts");
        socket.set_nodelay(true).expect("TCP has this option");
        socket
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = Path::new("/proc")
            .join(self.process.id().to_string())
            .join("status");
        let status = fs::read_to_string(status).expect("pgwarden is running");
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.trim().parse::<u64>().ok());
        kib.expect("Linux tells a process's memory") * 1024
    }

    /// Whether it is still running.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let alive = self.is_alive();
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            assert!(alive, "pgwarden has ended by itself");
        }
    }
}

/// A loopback address of one's own, so that tests need not look for a free port.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = [number / 250 % 250, number % 250].map(|part| part.to_le_bytes()[0]);
    let [_, _, _, process] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 100 + process % 100, 1 + high, 1 + low)
}

const PORT: u16 = 6432;
