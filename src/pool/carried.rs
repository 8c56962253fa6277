//! Servers on their way to another process, which goes on in this one's place.

mod foreign;

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::pool::lease::Lease;
use crate::pool::pool::Pool;
use crate::pool::replies::{CarriedReplies, Replies};
use crate::pool::server::connect::Place;
use crate::pool::server::info::ServerInfo;
use crate::pool::server::line::ServerLine;
use crate::pool::server::reset::Soil;
use crate::pool::server::{Server, Unnamed};
use crate::pool::settings::{DatabaseSettings, PoolMode};
use crate::pool::statement::{CarriedStatement, OnServer};
use crate::pool::tracked::{Tracked, Values};
use crate::pool::workshop::raise_ids;
use crate::wire::buffer::Inbox;
use crate::wire::cancel_key::CancelKey;
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;
use crate::wire::printable::Printable;
use crate::wire::socket::Socket;
use crate::wire::stream::Stream;

pub use foreign::Foreign;

/// A server on its way to another process.
#[derive(Debug, Deserialize, Serialize)]
pub struct CarriedServer {
    /// Its connection; its number here stays with the process that has it.
    #[serde(skip)]
    pub socket: Option<OwnedFd>,
    /// The number of the descriptor in the process it comes from.
    pub fd: i32,
    /// Its address and port; empty for a Unix socket.
    #[serde(skip)]
    pub address: String,
    /// What clients call its database.
    pub database: String,
    /// The server's user.
    pub user: String,
    /// The key to cancel its queries with.
    pub key: Option<Printable>,
    /// The tracked parameters it reports, by name.
    pub values: Vec<(String, String)>,
    /// What its pool tells new clients.
    pub welcome: Vec<(String, String)>,
    id: u64,
    host: String,
    /// In microseconds since 1970.
    connected: u64,
    applied: Vec<(String, String)>,
    statements: Vec<CarriedStatement>,
    unnamed: Unnamed,
    soil: Soil,
    /// `None`: not known. It comes from PgBouncer.
    replies: Option<CarriedReplies>,
    /// In milliseconds from now. `None`: never.
    expires: Option<u64>,
    /// In milliseconds, as `age`.
    idle: u64,
    age: u64,
    /// It was outdated already, or these settings have changed since: it is used no more.
    made_for: Option<String>,
}

impl Server {
    /// Whether nothing is under way that another process could not go on with.
    pub fn is_portable(&self) -> bool {
        self.replies.is_portable()
            && self.inbox.unread().is_empty()
            && self.outbox.is_empty()
            && !self.info.is_being_canceled()
    }

    /// Tells all that another process needs. `None`: something is under way, or is encrypted,
    /// or there are no descriptors left.
    pub fn carry(&self, pool: &Pool) -> Option<CarriedServer> {
        let Stream::Plain(socket) = &self.stream else {
            return None;
        };
        if !self.is_portable() {
            return None;
        }
        let descriptor = socket.descriptor()?;
        let now = Instant::now();
        let workshop = pool.workshop();
        Some(CarriedServer {
            fd: descriptor.as_raw_fd(),
            socket: Some(descriptor.try_clone_to_owned().ok()?),
            address: self.info.addresses.0.clone(),
            database: pool.database_name().to_string(),
            user: pool.user().to_string(),
            key: self.info.key().map(|key| {
                let mut bytes = Vec::new();
                key.put(&mut bytes);
                Printable(bytes)
            }),
            values: named(&self.tracked, &self.values),
            welcome: workshop.welcome().map(|w| pairs(&w)).unwrap_or_default(),
            id: self.info.id,
            host: self.info.place.host.clone(),
            connected: micros(self.info.connected),
            applied: pairs(&self.applied),
            statements: self.statements.all().iter().map(|s| s.carry()).collect(),
            unnamed: self.unnamed,
            soil: self.soil,
            replies: Some(self.replies.carry()?),
            expires: self
                .expires
                .map(|at| millis(at.saturating_duration_since(now))),
            age: millis(now.saturating_duration_since(self.born)),
            idle: millis(now.saturating_duration_since(self.used)),
            made_for: (!self.info.is_obsolete()).then(|| made_for(pool.database())),
        })
    }
}

impl Pool {
    /// Its idle servers, for another process.
    pub fn carry_idle(&self) -> Vec<CarriedServer> {
        let mut carried = Vec::new();
        for store in self.stores() {
            drop(store.retain(|server| {
                carried.extend(server.carry(self));
                true
            }));
        }
        carried
    }

    /// Takes a server that another process had, lent.
    ///
    /// `None`: there is no room for it, or it is no more.
    pub fn adopt(&self, carried: CarriedServer) -> Option<Lease> {
        let workshop = self.workshop();
        if workshop.welcome().is_none() && !carried.welcome.is_empty() {
            let welcome = carried.welcome.iter().map(|(n, v)| (&**n, &**v));
            workshop.greet_with(Arc::new(welcome.collect()));
        }
        let mut server = self.revive(carried)?;
        for store in self.stores() {
            match store.admit(server) {
                Ok(held) => return Some(Lease::new(held)),
                Err(turned_away) => server = turned_away,
            }
        }
        None
    }

    fn revive(&self, carried: CarriedServer) -> Option<Box<Server>> {
        let workshop = self.workshop();
        let stream = Stream::Plain(Socket::from_descriptor(carried.socket?).ok()?);
        raise_ids(carried.id);
        let key = carried.key.and_then(|key| CancelKey::parse(&key.0).ok());
        let seen = (stream.socket(), stream.tls());
        let connected = SystemTime::UNIX_EPOCH + Duration::from_micros(carried.connected);
        let place = Place::carried(&workshop.target, carried.host, stream.socket());
        let made = (seen, carried.id, workshop.registry.epoch());
        let info = ServerInfo::register_since(connected, &workshop.registry, place, key, made);
        // Nobody else gets what comes from PgBouncer anyway, and its client is not sent away.
        let is_known = carried.replies.is_some();
        if is_known && carried.made_for.as_deref() != Some(&*made_for(self.database())) {
            info.make_obsolete();
        }
        let mut statements = OnServer::default();
        for statement in &carried.statements {
            statements.add(self.statements().adopt(statement));
        }
        let whose = (self.database_name().as_str(), self.user().as_str());
        let line = ServerLine::open(&info, whose, stream.socket().peer_name());
        let now = Instant::now();
        let ago = |ms| now.checked_sub(Duration::from_millis(ms)).unwrap_or(now);
        Some(Box::new(Server {
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            replies: match carried.replies {
                Some(replies) => Replies::adopt(replies, self.statements()),
                // In session mode it need not be in a transaction, and nothing hangs on that.
                None => Replies::unknown(self.settings().mode != PoolMode::Session),
            },
            statements,
            unnamed: carried.unnamed,
            soil: carried.soil,
            values: from_named(self.tracked(), &carried.values),
            applied: Arc::new(carried.applied.iter().map(|(n, v)| (&**n, &**v)).collect()),
            info,
            tracked: workshop.tracked.clone(),
            expires: carried.expires.map(|ms| now + Duration::from_millis(ms)),
            born: ago(carried.age),
            used: ago(carried.idle),
            _places: workshop.places_at_once(),
            line,
            stream,
        }))
    }
}

/// The names and values of tracked parameters.
pub fn named(tracked: &Tracked, values: &Values) -> Vec<(String, String)> {
    let named = |(at, value): (usize, &Option<Box<str>>)| {
        Some((tracked.name(at).to_owned(), value.as_deref()?.to_owned()))
    };
    values.iter().enumerate().filter_map(named).collect()
}

/// The other way round.
pub fn from_named(tracked: &Tracked, named: &[(String, String)]) -> Values {
    let parameters: Parameters = named
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    tracked.values_of(&parameters)
}

/// All names and values.
pub fn pairs(parameters: &Parameters) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    parameters.iter().map(owned).collect()
}

/// Microseconds since 1970.
pub fn micros(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}

/// What a server must have been made for to be used again. Two versions may write it differently:
/// the servers are then replaced as they come back.
fn made_for(database: &DatabaseSettings) -> String {
    format!(
        "{:?} {} {:?} {:?} {:?}",
        database.hosts,
        database.dbname,
        database.startup_parameters,
        database.connect_query,
        database.tls.fingerprint
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
