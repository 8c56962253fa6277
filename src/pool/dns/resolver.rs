//! Asking name servers, where the settings name a resolv.conf of their own, or zones are watched.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::message::{self, Fault, Kind, Records};

/// Whom to ask, and how. <https://man7.org/linux/man-pages/man5/resolv.conf.5.html>
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with fewer dots is looked for in `search` first.
    ndots: usize,
    attempts: u32,
    timeout: Duration,
}

impl Resolver {
    /// Reads a resolv.conf, off the worker's thread.
    pub(super) async fn read(path: PathBuf) -> io::Result<Self> {
        let read = move || fs::read_to_string(path);
        let text = tokio::task::spawn_blocking(read).await??;
        Ok(Self::parse(&text))
    }

    /// The addresses of a host: those of `/etc/hosts`, or those that a name server knows.
    pub(super) async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let name = host.to_owned();
        let listed = move || listed(Path::new(HOSTS), &name);
        let listed = tokio::task::spawn_blocking(listed).await?;
        if !listed.is_empty() {
            return Ok(listed);
        }
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for name in self.candidates(host) {
            let (four, six) = tokio::join!(self.ask(&name, Kind::A), self.ask(&name, Kind::Aaaa));
            let found: Vec<_> = [&four, &six]
                .into_iter()
                .flatten()
                .flat_map(|records| records.addresses.clone())
                .collect();
            if !found.is_empty() {
                return Ok(found);
            }
            if let Err(error) = four.and(six) {
                failure = error;
            }
        }
        Err(failure)
    }

    /// The serial number of a zone.
    pub(super) async fn serial(&self, zone: &str) -> io::Result<Option<u32>> {
        Ok(self.ask(zone, Kind::Soa).await?.serial)
    }

    async fn ask(&self, name: &str, kind: Kind) -> io::Result<Records> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "no name server is known");
        for _ in 0..self.attempts {
            for server in &self.servers {
                let asked = tokio::time::timeout(self.timeout, exchange(*server, name, kind));
                match asked.await {
                    Ok(Ok(Ok(records))) => return Ok(records),
                    Ok(Ok(Err(Fault::NoSuchName))) => {
                        return Err(io::Error::new(io::ErrorKind::NotFound, Fault::NoSuchName));
                    }
                    Ok(Ok(Err(fault))) => failure = io::Error::other(fault),
                    Ok(Err(error)) => failure = error,
                    Err(_) => failure = io::ErrorKind::TimedOut.into(),
                }
            }
        }
        Err(failure)
    }

    /// The names to look for, best first.
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{host}.{domain}"));
        if host.matches('.').count() >= self.ndots {
            std::iter::once(host.to_owned()).chain(searched).collect()
        } else {
            searched.chain(std::iter::once(host.to_owned())).collect()
        }
    }

    fn parse(text: &str) -> Self {
        let mut resolver = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            attempts: 2,
            timeout: Duration::from_secs(5),
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => resolver.servers.extend(words.next().and_then(server)),
                Some("domain" | "search") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|option| resolver.set(option)),
                Some(_) | None => {} // comments, and what only the system's resolver knows
            }
        }
        resolver
    }

    fn set(&mut self, option: &str) {
        let Some((name, value)) = option.split_once(':') else {
            return;
        };
        let Ok(value) = value.parse::<u32>() else {
            return;
        };
        match name {
            "attempts" => self.attempts = value.clamp(1, MOST_ATTEMPTS),
            "ndots" => self.ndots = usize::try_from(value).unwrap_or(usize::MAX),
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, MOST_SECONDS).into()),
            _ => {}
        }
    }
}

/// One question and its answer. What comes from elsewhere is not heard, what answers another
/// question is passed over: the question's number and our port are hard to guess.
async fn exchange(
    server: SocketAddr,
    name: &str,
    kind: Kind,
) -> io::Result<Result<Records, Fault>> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let question =
        message::question(u16::from_be_bytes(id), name, kind).ok_or(io::ErrorKind::InvalidInput)?;
    let here: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((here, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut answer = [0; MAX_ANSWER];
    loop {
        let len = socket.recv(&mut answer).await?;
        match message::answer(&answer[..len], &question) {
            Err(Fault::Other) => {}
            answered => return Ok(answered),
        }
    }
}

/// The addresses of a host in a file like `/etc/hosts`.
fn listed(path: &Path, host: &str) -> Vec<IpAddr> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(address)
    };
    text.lines().filter_map(line).collect()
}

/// The address of a name server, which may have a port of its own.
fn server(text: &str) -> Option<SocketAddr> {
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    address.or_else(|_| text.parse()).ok()
}

const HOSTS: &str = "/etc/hosts";
const PORT: u16 = 53;
/// The most that fits without an extension of the protocol that we do not ask for.
const MAX_ANSWER: usize = 512;
const MOST_ATTEMPTS: u32 = 5;
const MOST_SECONDS: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read() {
        let resolver = Resolver::parse(
            "# ours\nsearch a.example b.example\nnameserver 10.0.0.1\nnameserver fe80::1\n\
             nameserver 127.0.0.1:5353\nnameserver nonsense\noptions ndots:2 timeout:3 rotate\n",
        );
        let servers = ["10.0.0.1:53", "[fe80::1]:53", "127.0.0.1:5353"];
        assert_eq!(resolver.servers, servers.map(|s| s.parse().unwrap()));
        assert_eq!((resolver.ndots, resolver.attempts), (2, 2));
        assert_eq!(resolver.timeout, Duration::from_secs(3));
        assert_eq!(
            resolver.candidates("db"),
            ["db.a.example", "db.b.example", "db"]
        );
        assert_eq!(resolver.candidates("a.b.c")[0], "a.b.c");
        assert_eq!(resolver.candidates("db."), ["db."]);
    }

    #[test]
    fn a_hosts_file_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "10.0.0.1 db db.example # DB2\n10.0.0.2\tother\n::1 DB\nx db\n";
        fs::write(file.path(), text).unwrap();
        let found: [IpAddr; 2] = [[10, 0, 0, 1].into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!(listed(file.path(), "db"), found);
        assert!(listed(file.path(), "db2").is_empty());
    }
}
