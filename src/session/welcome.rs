//! From a proved identity to a session: admission, parameters, and what a new client is told.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::admission::Admission;
use crate::policy::role::Role;
use crate::pool::error::CheckoutError;
use crate::pool::pools::NoPlace;
use crate::pool::replication::OwnPool;
use crate::pool::tracked::Values;
use crate::pool::{Member, Pool};
use crate::session::asked::Asked;
use crate::session::context::Context;
use crate::session::downstream::Downstream;
use crate::session::error::SessionError;
use crate::session::keys::new_key;
use crate::session::login::Proved;
use crate::session::relay::Line;
use crate::session::roster::Client;
use crate::session::serve::{Places, Session, no_server, reads_only};
use crate::session::settings::SessionSettings;
use crate::session::upstream::Upstream;
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::error_response::{ErrorResponse, Severity};
use crate::wire::parameters::Parameters;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;
use crate::wire::stream::Stream;

type Result<T> = std::result::Result<T, SessionError>;

impl Proved {
    /// Finds the client's pool and welcomes it. Not cancel safe.
    ///
    /// # Errors
    /// No such database, no place in it, or no server. `refused` then gets the connection.
    pub async fn enter(
        mut self,
        cx: &Context,
        settings: &SessionSettings,
        client: &Rc<Client>,
        refused: &mut Option<Stream>,
    ) -> Result<Session> {
        let until = self.greeted.until;
        let prepared = until.hold(self.prepare(cx, settings, client)).await;
        match prepared {
            Err(SessionError::LoginTimeout) => {
                *refused = self.into_stream().await;
                Err(PoolerError::LoginTimeoutServerDown.into())
            }
            Ok(prepared) => Ok(self.welcome(cx, client, settings, prepared)),
            Err(error) => {
                *refused = self.into_stream().await;
                Err(error)
            }
        }
    }

    async fn prepare(
        &mut self,
        cx: &Context,
        settings: &SessionSettings,
        client: &Rc<Client>,
    ) -> Result<Prepared> {
        let admission = self.admit(cx, client)?;
        let mut asked = Asked::parse(&self.greeted.parameters, settings)?;
        let role = admission.role();
        if let Some(replication) = &mut asked.replication {
            replication.client = client.id;
            client.replication.set(if replication.is_logical() {
                "logical"
            } else {
                "physical"
            });
            if asked.has_unread_options && role.has_rules() {
                return Err(PoolerError::StartupOptions.into());
            }
        }
        if asked.replication.is_some() && role.has_rules() && !role.replication {
            let text = format!(
                "permission denied: replication is not allowed for role \"{}\"",
                role.name
            );
            let error = ErrorResponse::fatal(SqlState::INSUFFICIENT_PRIVILEGE, text);
            return Err(SessionError::Refused(error.with_detail(
                "What a replication connection does cannot be judged. The role needs replication = true.",
            )));
        }
        let usage = cx.bench.usages.of(&role.name);
        let connected = match role.limits.connections {
            None => None,
            limit => Some(usage.connect(limit).ok_or_else(|| too_many_of(role))?),
        };
        self.check_settings(cx, client, &asked)?;
        if settings.application_name_add_host {
            let name = self.name_with_host(&asked);
            client.note(|who| who.application_name = cx.alike.name(&name));
            asked.settings.set("application_name", &name);
        }
        if let Some(template) = &role.application_name {
            let name = self.application_name(template, role);
            asked.settings.set("application_name", &name);
            if let Some(replication) = &mut asked.replication {
                let parameters = &mut replication.parameters;
                parameters.retain(|(name, _)| !name.eq_ignore_ascii_case("application_name"));
                parameters.push(("application_name".into(), name));
            }
        }
        let no_database = |_| PoolerError::NoSuchDatabase(self.database.to_string());
        let own_pool = asked.replication.as_ref();
        let own_pool = own_pool.map(|own| OwnPool::new(&cx.pools, own.client));
        let replication = asked.replication.clone();
        let find_pool = || {
            let found = cx
                .pools
                .pool_for(&admission, replication.as_ref(), self.secret.clone());
            found.map_err(|error| SessionError::from(no_database(error)))
        };
        let mut pool = find_pool()?;
        let place = cx
            .pools
            .client_place(pool.database(), settings.max_clients)
            .map_err(|no_place| SessionError::from(too_many(no_place)))?;
        asked.refuse_untracked(&pool.settings().track_parameters, settings)?;
        let user = self.identity.user();
        let limit = cx
            .pools
            .max_clients_of(user)
            .or(settings.max_clients_per_user);
        let of_user = cx.bench.usages.user_place(user, limit);
        let of_user = of_user.ok_or(PoolerError::MaxUserClients)?;
        pool.renew_secret(self.identity.user(), self.secret.clone());
        if let Some(keys) = &self.keys {
            pool.learn(self.identity.user(), keys.clone());
        }
        let replicates = asked.replication.is_some();
        let limit = pool.settings().query_timeout;
        let reported = within(limit, reported(&mut pool, find_pool, replicates)).await?;
        self.note_start(cx, client, &pool)?;
        Ok(Prepared {
            admission,
            pool,
            places: (place, of_user, connected, own_pool),
            reported,
            asked,
        })
    }

    fn welcome(
        self,
        cx: &Context,
        client: &Rc<Client>,
        settings: &SessionSettings,
        prepared: Prepared,
    ) -> Session {
        let Prepared {
            admission,
            pool,
            places,
            reported,
            asked,
        } = prepared;
        let mut told = (*reported).clone();
        let mut extra = Parameters::default();
        let mut values: Values = pool.tracked().values_of(&reported);
        // A replication client's server has begun with its settings.
        let own = asked.settings.iter();
        for (name, value) in own.filter(|_| asked.replication.is_none()) {
            if pool.tracked().position(name).is_some() && reported.value(name).is_some() {
                pool.tracked().note(&mut values, name, value);
                told.set(name, value);
            } else {
                extra.set(name, value);
            }
        }
        let mut greeted = self.greeted;
        let out = greeted.outbox.buffer();
        for (name, value) in told.iter() {
            backend::put_parameter_status(out, name, value);
        }
        backend::put_backend_key_data(out, &new_key(cx, client, greeted.version));
        if let Some(text) = &settings.login_notify_message {
            let code = SqlState::SUCCESSFUL_COMPLETION;
            ErrorResponse::new(Severity::Notice, code, text).put(out);
        }
        backend::put_ready_for_query(out, TransactionStatus::Idle);
        pool.stats().of(cx.worker).client_logins.add(1);
        let context = meaning(&values, &extra, &pool);
        cx.limit(client);
        let (values, extra) = pool.share(values, extra);
        Session {
            line: Line {
                upstream: Upstream::new(client, &cx.bench, (&pool, &cx.settings()), context),
                downstream: Downstream::default(),
                told: values.clone(),
                values: values.clone(),
                stream: greeted.stream,
                inbox: greeted.inbox,
                outbox: greeted.outbox,
            },
            client: client.clone(),
            initial: values,
            extra,
            secret: self.secret,
            replication: asked.replication.map(Box::new),
            reads_only: reads_only(&admission, cx),
            linked: None,
            _places: places,
            pool,
        }
    }
}

struct Prepared {
    admission: Admission,
    pool: Member,
    places: Places,
    reported: Arc<Parameters>,
    asked: Asked,
}

pub(super) fn too_many_of(role: &Role) -> SessionError {
    let limit = role.limits.connections.unwrap_or_default();
    let text = format!("too many connections for role \"{}\"", role.name);
    SessionError::Refused(
        ErrorResponse::fatal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, text).with_detail(format!(
            "The limit \"connections\" of role \"{}\" is {limit}.",
            role.name
        )),
    )
}

pub(super) fn too_many(no_place: NoPlace) -> PoolerError {
    match no_place {
        NoPlace::Disabled(name) => PoolerError::DatabaseDisabled(name.to_string()),
        NoPlace::Database => PoolerError::MaxDatabaseClients,
        NoPlace::Process => PoolerError::MaxClients,
    }
}

/// What changes the meaning of a statement's text for this client.
pub(super) fn meaning(values: &Values, extra: &Parameters, pool: &Pool) -> Arc<str> {
    let search_path = pool
        .tracked()
        .position("search_path")
        .and_then(|at| values[at].as_deref())
        .or_else(|| extra.value("search_path"))
        .unwrap_or_default();
    let role = extra.value("role").unwrap_or_default();
    if search_path.is_empty() && role.is_empty() {
        return Arc::default();
    }
    format!("{search_path}\0{role}").into()
}

/// What the servers of a client's pool report. Cancel safe.
async fn reported(
    pool: &mut Member,
    find_pool: impl Fn() -> Result<Member>,
    replicates: bool,
) -> Result<Arc<Parameters>> {
    loop {
        match pool.welcome().await {
            // A reload has replaced the pool while this client waited for its first server.
            Err(CheckoutError::Closed) => *pool = find_pool()?,
            reported => return reported.map_err(|error| no_server(error, replicates)),
        }
    }
}

/// Who waits for a first server waits no longer than a query may, as in PgBouncer.
async fn within<T>(limit: Option<Duration>, wait: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(limit) = limit else {
        return wait.await;
    };
    let waited = tokio::time::timeout(limit, wait).await;
    waited.unwrap_or_else(|_| Err(PoolerError::QueryTimeoutWaiting.into()))
}
