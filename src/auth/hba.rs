//! Host-based access: which client has to prove its name in which way.
//!
//! PostgreSQL's file format as PgBouncer reads it:
//! <https://www.pgbouncer.org/config.html#hba-file-format>,
//! <https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>. What neither supports, or
//! only PostgreSQL does, fails the whole file: a rule that is left out may be the one that
//! rejects.

mod address;
mod parse;
pub(in crate::auth) mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::ident::IdentMap;
use crate::auth::ldap::LdapOptions;
use crate::auth::method::Method;

pub use parse::HbaProblem;

/// The rules of a file, in their order.
#[derive(Clone, Debug, Default)]
pub struct Hba(Vec<Rule>);

/// One rule: whom it is about, and what these have to do.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The line of the file, counted from 1.
    pub line: usize,
    transport: Transport,
    databases: Vec<DatabasePattern>,
    users: Vec<UserPattern>,
    addresses: address::Addresses,
    /// How they prove their name. Never `any` or `hba`.
    pub method: Method,
    /// For `cert` and `peer`: which names of theirs may be which user.
    pub map: Option<Arc<IdentMap>>,
    /// For `ldap`: whom to ask, and how.
    pub ldap: Option<Arc<LdapOptions>>,
}

/// How a rule's clients are connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transport {
    /// By TCP, either way.
    Host,
    /// By TCP with GSSAPI encryption, which nobody is here.
    HostGssenc,
    /// By TCP, without TLS.
    HostNoSsl,
    /// By TCP, with TLS.
    HostSsl,
    /// By a Unix socket.
    Local,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum DatabasePattern {
    All,
    Name(String),
    Replication,
    SameUser,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum UserPattern {
    All,
    Name(String),
    SameUser,
}

/// A client that wants to come in.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Where it comes from; `None`: a Unix socket.
    pub address: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether it wants physical replication, which is of no database.
    pub physical_replication: bool,
    /// The database it asks for.
    pub database: &'a str,
    /// The user it claims to be.
    pub user: &'a str,
}

impl Hba {
    /// The first rule about a client. `None`: nobody has thought of it, so it is refused.
    pub fn find(&self, asker: &Asker<'_>) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.is_about(asker))
    }

    /// All rules, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }
}

impl Rule {
    fn is_about(&self, asker: &Asker<'_>) -> bool {
        let transport = match (self.transport, asker.address) {
            (Transport::Local, address) => address.is_none(),
            (Transport::HostGssenc, _) | (_, None) => false,
            (Transport::Host, Some(address)) => self.addresses.contain(address),
            (Transport::HostNoSsl, Some(address)) => !asker.tls && self.addresses.contain(address),
            (Transport::HostSsl, Some(address)) => asker.tls && self.addresses.contain(address),
        };
        transport
            && self.databases.iter().any(|pattern| match pattern {
                DatabasePattern::Replication => asker.physical_replication,
                // A physical replication connection is of no database: only its own word is
                // about it.
                _ if asker.physical_replication => false,
                DatabasePattern::All => true,
                DatabasePattern::Name(name) => name == asker.database,
                DatabasePattern::SameUser => asker.database == asker.user,
            })
            && self.users.iter().any(|pattern| match pattern {
                UserPattern::All => true,
                UserPattern::Name(name) => name == asker.user,
                UserPattern::SameUser => asker.database == asker.user,
            })
    }
}

#[cfg(test)]
mod tests;
