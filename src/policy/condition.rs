//! Under which circumstances a rule holds.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::policy::pattern::Glob;
use crate::policy::window::Window;

/// What is not in a statement's text and may decide all the same.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// When it is.
    pub now: SystemTime,
    /// Who asks.
    pub user: &'a str,
    /// From where; `None`: over a Unix socket.
    pub address: Option<IpAddr>,
    /// Which database is asked for.
    pub database: &'a str,
}

/// All of what is given must hold; of a list, one element.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// It is within this window.
    pub window: Option<Window>,
    /// The client's address is in one of these networks.
    pub from: Vec<IpNet>,
    /// The user's name.
    pub user: Vec<Glob>,
    /// The database's name.
    pub database: Vec<Glob>,
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, at: &Circumstances<'_>) -> bool {
        let one_of =
            |globs: &[Glob], text| globs.is_empty() || globs.iter().any(|g| g.matches(text));
        self.window
            .as_ref()
            .is_none_or(|window| window.contains(at.now))
            && is_from(&self.from, at.address)
            && one_of(&self.user, at.user)
            && one_of(&self.database, at.database)
    }

    /// Whether it changes with time.
    pub fn is_timed(&self) -> bool {
        self.window.is_some()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(name: &str, values: &[T]) -> Option<String> {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            (!values.is_empty()).then(|| format!("{name} {}", values.join(", ")))
        }
        let window = self.window.as_ref().map(ToString::to_string);
        let parts = [
            window,
            list("from", &self.from),
            list("user", &self.user),
            list("database", &self.database),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// Whether an address is in one of the networks; without any, every address is. An IPv4
/// address that arrives on an IPv6 socket is an IPv4 address.
pub fn is_from(networks: &[IpNet], address: Option<IpAddr>) -> bool {
    networks.is_empty()
        || address.is_some_and(|address| {
            let address = address.to_canonical();
            networks.iter().any(|network| network.contains(&address))
        })
}
