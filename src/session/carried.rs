//! Clients on their way to another process, which goes on in this one's place.

mod foreign;

use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::auth::identity::Identity;
use crate::auth::method::Method;
use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::Keys;
use crate::auth::secret::Secret;
use crate::policy::admission::{Admission, Policy};
use crate::policy::grant::Origin;
use crate::pool::carried::{CarriedServer, from_named, micros, named, pairs};
use crate::pool::server::Server;
use crate::pool::tracked::Values;
use crate::pool::workshop::raise_ids;
use crate::pool::{Lease, Member, Pool, Pools};
use crate::session::context::Context;
use crate::session::downstream::Downstream;
use crate::session::error::SessionError;
use crate::session::guard::Guard;
use crate::session::relay::Line;
use crate::session::roster::Client;
use crate::session::serve::{Places, Session, reads_only};
use crate::session::settings::SessionSettings;
use crate::session::statements::CarriedStatements;
use crate::session::upstream::Upstream;
use crate::session::welcome::{meaning, too_many, too_many_of};
use crate::wire::buffer::Inbox;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::ErrorResponse;
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;
use crate::wire::pooler_error::PoolerError;
use crate::wire::printable::Printable;
use crate::wire::socket::Socket;
use crate::wire::sqlstate::SqlState;
use crate::wire::stream::Stream;

pub use foreign::ForeignSecrets;

type Result<T> = std::result::Result<T, SessionError>;

/// A client on its way to another process, with the server it has.
#[derive(Debug, Deserialize, Serialize)]
pub struct Carried {
    /// Its connection; its number here stays with the process that has it.
    #[serde(skip)]
    pub socket: Option<OwnedFd>,
    /// The number of the descriptor in the process it comes from.
    pub fd: i32,
    /// Its address and port; empty for a Unix socket.
    #[serde(skip)]
    pub address: String,
    /// Its name.
    pub user: String,
    /// The database it asked for.
    pub database: String,
    /// Its cancel key.
    pub key: Printable,
    /// The tracked parameters it has asked for, by name.
    pub values: Vec<(String, String)>,
    /// Its server.
    pub server: Option<CarriedServer>,
    /// The SCRAM keys that its login has taught its pool.
    #[serde(skip)]
    pub scram_keys: Option<Keys>,
    /// Its plain password, where no file has it.
    #[serde(skip)]
    pub password: Option<String>,
    id: u64,
    method: String,
    /// `None`: it comes from PgBouncer, which has no roles.
    role: Option<String>,
    application_name: String,
    /// In microseconds since 1970.
    connected: u64,
    told: Vec<(String, String)>,
    initial: Vec<(String, String)>,
    extra: Vec<(String, String)>,
    unread: Printable,
    statements: CarriedStatements,
    /// What its guard knew; true: there was none.
    may_change_lexing: bool,
}

/// A client and what it has found in the process that it was carried to; its session begins
/// when a worker takes it.
#[derive(Debug)]
pub struct Arrived {
    carried: Carried,
    found: std::result::Result<(Admission, Member), ErrorResponse>,
    lease: Option<Lease>,
    had_server: bool,
}

/// What of a session is carried along with its line.
pub(super) struct Parts<'a> {
    pub(super) client: &'a Client,
    pub(super) pool: &'a Pool,
    pub(super) secret: &'a Option<Arc<Secret>>,
    pub(super) extra: &'a Parameters,
    pub(super) initial: &'a Values,
}

impl Parts<'_> {
    /// Tells all that another process needs. `None`: the client is encrypted, or its identity
    /// hangs on something that cannot be carried, or there are no descriptors left.
    pub(super) fn carry(&self, line: &Line, server: Option<&Server>) -> Option<Carried> {
        let Stream::Plain(socket) = &line.stream else {
            return None;
        };
        let admission = self.client.admission.borrow();
        let identity = admission.as_ref()?.identity();
        let tied = identity.token().is_some() || identity.certificate().is_some();
        if tied || self.client.replication.get() != "none" {
            return None;
        }
        let server = match server {
            None => None,
            Some(server) => Some(server.carry(self.pool)?),
        };
        let tracked = self.pool.tracked();
        let descriptor = socket.descriptor()?;
        Some(Carried {
            fd: descriptor.as_raw_fd(),
            socket: Some(descriptor.try_clone_to_owned().ok()?),
            address: self.client.address(),
            user: self.client.user().to_string(),
            database: self.client.database().to_string(),
            key: Printable(self.client.key_bytes()?),
            values: named(tracked, &line.values),
            server,
            scram_keys: self.pool.learned_keys(),
            password: match self.secret.as_deref() {
                Some(Secret::Plain(password)) => Some(password.expose().to_owned()),
                Some(Secret::Md5(_) | Secret::Scram(_)) | None => None,
            },
            id: self.client.id,
            method: identity.method().to_string(),
            role: Some(self.client.who.borrow().role.to_string()),
            application_name: self.client.who.borrow().application_name.to_string(),
            connected: micros(self.client.connected),
            told: named(tracked, &line.told),
            initial: named(tracked, self.initial),
            extra: pairs(self.extra),
            unread: line.inbox.unread().into(),
            statements: line.upstream.statements.carry(),
            may_change_lexing: match &line.upstream.guard {
                Some(guard) => guard.waits_for_answers(),
                None => true,
            },
        })
    }
}

impl Carried {
    /// The number that it had in the process it comes from, and keeps.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Finds the client's role, its pool, and in that a place for its server. To be called before
    /// anybody else uses the pools.
    pub fn arrive(mut self, settings: &SessionSettings, pools: &Pools) -> Arrived {
        raise_ids(self.id);
        let found = self.find(&settings.policy, settings, pools);
        let server = self.server.take();
        let had_server = server.is_some();
        let lease = match (&found, server) {
            (Ok((_, pool)), Some(server)) => pool.adopt(server),
            (Ok(_) | Err(_), _) => None,
        };
        Arrived {
            carried: self,
            found,
            lease,
            had_server,
        }
    }

    fn find(
        &self,
        policy: &Policy,
        settings: &SessionSettings,
        pools: &Pools,
    ) -> std::result::Result<(Admission, Member), ErrorResponse> {
        let withdrawn = || {
            ErrorResponse::fatal(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection because access was withdrawn",
            )
        };
        let origin = self.origin().ok_or_else(withdrawn)?;
        let method: Method = self.method.parse().map_err(|_| withdrawn())?;
        let identity = Identity::carried(UserName::new(&self.user), method);
        let database = DatabaseName::new(&self.database);
        let admission = policy
            .admit(identity, origin, database, SystemTime::now())
            .map_err(|_| withdrawn())?;
        let role = admission.role().name.as_str();
        if self.role.as_deref().is_some_and(|had| had != role) {
            return Err(withdrawn());
        }
        let is_foreign = self.role.is_none();
        if is_foreign && self.server.is_some() && admission.role().has_rules() {
            // Its server has not been made for the role, and nobody has judged what it runs.
            return Err(restarted());
        }
        let pool = pools
            .pool_for(&admission, None, self.secret(settings))
            .map_err(|_| {
                let text = format!("database \"{}\" does not exist", self.database);
                ErrorResponse::fatal(SqlState::INVALID_CATALOG_NAME, text)
            })?;
        if let Some(keys) = &self.scram_keys {
            pool.learn(&UserName::new(&self.user), keys.clone());
        }
        Ok((admission, pool))
    }

    /// What the users file has, or what was carried along.
    fn secret(&self, settings: &SessionSettings) -> Option<Arc<Secret>> {
        let known = settings.users.get(&self.user).cloned();
        known.or_else(|| Some(Arc::new(Secret::parse(self.password.as_deref()?).ok()?)))
    }

    fn origin(&self) -> Option<Origin> {
        let socket = socket2::SockRef::from(self.socket.as_ref()?);
        let peer = socket.peer_addr().ok()?;
        let uid = peer
            .is_unix()
            .then(|| rustix::net::sockopt::socket_peercred(&*socket).ok())
            .flatten()
            .map(|peer| peer.uid.as_raw());
        Some(Origin {
            address: peer.as_socket().map(|address| address.ip()),
            uid,
            tls: false,
        })
    }
}

impl Arrived {
    /// Its cancel key, which says which worker is to have it.
    pub fn key(&self) -> Option<CancelKey> {
        CancelKey::parse(&self.carried.key.0).ok()
    }

    /// Its client, for the roster.
    ///
    /// # Errors
    /// It is gone.
    pub fn client(&mut self) -> std::io::Result<(Rc<Client>, Socket)> {
        let gone = || std::io::Error::from(std::io::ErrorKind::NotConnected);
        let socket = self.carried.socket.take().ok_or_else(gone)?;
        let socket = Socket::from_descriptor(socket)?;
        let addresses = (socket.peer_addr(), socket.local_addr());
        let since = std::time::Duration::from_micros(self.carried.connected);
        let connected = SystemTime::UNIX_EPOCH + since;
        let client = Client::since(self.carried.id, addresses, connected);
        client.fd.set(socket.number());
        client.note(|who| {
            who.user = self.carried.user.as_str().into();
            who.database = self.carried.database.as_str().into();
        });
        Ok((client, socket))
    }

    /// Goes on with the session. `refused` gets the connection on an error.
    ///
    /// # Errors
    /// What the client is told: it would not be let in any more, or its transaction is lost.
    pub fn go_on(
        self,
        cx: &Context,
        client: &Rc<Client>,
        socket: Socket,
        refused: &mut Option<Stream>,
    ) -> Result<Session> {
        let stream = Stream::from(socket);
        let Self {
            carried,
            found,
            lease,
            had_server,
        } = self;
        let held = found.map_err(SessionError::Refused).and_then(|found| {
            if had_server && lease.is_none() {
                return Err(SessionError::Refused(restarted()));
            }
            let places = hold(cx, &found.0, &found.1)?;
            Ok((found.0, found.1, places))
        });
        match held {
            Ok(held) => Ok(carried.session(cx, client, stream, lease, held)),
            Err(error) => {
                *refused = Some(stream);
                Err(error)
            }
        }
    }
}

impl Carried {
    fn session(
        self,
        cx: &Context,
        client: &Rc<Client>,
        stream: Stream,
        lease: Option<Lease>,
        (admission, pool, places): (Admission, Member, Places),
    ) -> Session {
        let secret = self.secret(&cx.settings());
        let carried = self;
        client.note(|who| {
            who.user = cx.alike.name(&carried.user);
            who.method = admission.identity().method().as_str();
            who.role = cx.alike.name(admission.role().name.as_str());
            who.server_user = cx.alike.name(pool.user().as_str());
            who.database = cx.alike.name(&carried.database);
            who.application_name = cx.alike.name(&carried.application_name);
        });
        client.admission.replace(Some(admission.clone()));
        cx.limit(client);
        if let Ok(key) = CancelKey::parse(&carried.key.0) {
            cx.roster.set_key(client, key);
        }
        let tracked = pool.tracked();
        let values = from_named(tracked, &carried.values);
        let extra: Parameters = carried.extra.iter().map(|(n, v)| (&**n, &**v)).collect();
        let context = meaning(&values, &extra, &pool);
        let mut upstream = Upstream::new(client, &cx.bench, (&pool, &cx.settings()), context);
        upstream
            .statements
            .adopt(carried.statements, pool.statements());
        client.prepared.set(upstream.statements.len());
        if upstream.guard.is_some() {
            // Of what it has run and prepared nothing is known here.
            upstream.guard = Guard::renewed(None, &cx.bench, client);
        }
        if let Some(guard) = &mut upstream.guard {
            guard.knows_little(carried.may_change_lexing);
        }
        let mut inbox = Inbox::default();
        inbox.put(&carried.unread.0);
        let linked = lease.map(|mut lease| {
            lease.server().info.lend(client.id, Instant::now());
            Box::new(lease)
        });
        Session {
            line: Line {
                upstream,
                downstream: Downstream::default(),
                told: from_named(tracked, &carried.told),
                values,
                stream,
                inbox,
                outbox: Outbox::default(),
            },
            client: client.clone(),
            initial: from_named(tracked, &carried.initial),
            extra: Arc::new(extra),
            secret,
            replication: None,
            reads_only: reads_only(&admission, cx),
            linked,
            _places: places,
            pool,
        }
    }
}

fn restarted() -> ErrorResponse {
    let text = "terminating connection because the pooler was restarted";
    ErrorResponse::fatal(SqlState::ADMIN_SHUTDOWN, text)
}

/// A place among the clients of the process, of the database and of the role.
fn hold(cx: &Context, admission: &Admission, pool: &Pool) -> Result<Places> {
    let role = admission.role();
    let connected = match role.limits.connections {
        None => None,
        limit => {
            let usage = cx.bench.usages.of(&role.name);
            Some(usage.connect(limit).ok_or_else(|| too_many_of(role))?)
        }
    };
    let place = cx
        .pools
        .client_place(pool.database(), cx.settings().max_clients)
        .map_err(|no_place| SessionError::from(too_many(no_place)))?;
    let user = admission.identity().user();
    let own = cx.pools.max_clients_of(user);
    let limit = own.or(cx.settings().max_clients_per_user);
    let of_user = cx.bench.usages.user_place(user, limit);
    let of_user = of_user.ok_or(PoolerError::MaxUserClients)?;
    Ok((place, of_user, connected, None))
}
