//! From a proved identity to a session: admission, parameters, and what a new client is told.

use std::rc::Rc;
use std::sync::Arc;

use crate::policy::admission::Admission;
use crate::policy::role::Role;
use crate::pool::error::CheckoutError;
use crate::pool::pools::{ClientPlace, NoPlace};
use crate::pool::tracked::Values;
use crate::pool::{Member, Pool};
use crate::session::context::Context;
use crate::session::downstream::Downstream;
use crate::session::error::SessionError;
use crate::session::login::Proved;
use crate::session::relay::Line;
use crate::session::roster::Client;
use crate::session::serve::{Session, reads_only};
use crate::session::settings::SessionSettings;
use crate::session::upstream::Upstream;
use crate::session::usage::Connected;
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::ErrorResponse;
use crate::wire::parameters::Parameters;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::ProtocolVersion;
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
        match self.prepare(cx, settings, client).await {
            Ok(prepared) => Ok(self.welcome(cx, client, prepared)),
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
        if let Some(kind) = &asked.replication {
            client.replication.set(if kind == "database" {
                "logical"
            } else {
                "physical"
            });
        }
        let role = admission.role();
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
        if let Some(template) = &role.application_name {
            asked
                .settings
                .set("application_name", &self.application_name(template, role));
        }
        let no_database = |_| {
            let text = format!("database \"{}\" does not exist", self.database);
            SessionError::Refused(ErrorResponse::fatal(SqlState::INVALID_CATALOG_NAME, text))
        };
        let replication = asked.replication.as_deref();
        let find_pool = || {
            let found = cx
                .pools
                .pool_for(&admission, replication, self.secret.clone());
            found.map_err(no_database)
        };
        let mut pool = find_pool()?;
        let place = cx
            .pools
            .client_place(pool.database(), settings.max_clients)
            .map_err(|no_place| SessionError::Refused(too_many(&no_place)))?;
        pool.renew_secret(self.identity.user(), self.secret.clone());
        if let Some(keys) = &self.keys {
            pool.learn(self.identity.user(), keys.clone());
        }
        let reported = loop {
            match pool.welcome().await {
                // A reload has replaced the pool while this client waited for its first server.
                Err(CheckoutError::Closed) => pool = find_pool()?,
                reported => break reported?,
            }
        };
        self.note_start(cx, client, &admission, &pool)?;
        Ok(Prepared {
            admission,
            pool,
            places: (place, connected),
            reported,
            asked,
        })
    }

    fn welcome(self, cx: &Context, client: &Rc<Client>, prepared: Prepared) -> Session {
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
        for (name, value) in asked.settings.iter() {
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
        backend::put_ready_for_query(out, TransactionStatus::Idle);
        pool.stats().of(cx.worker).client_logins.add(1);
        let context = meaning(&values, &extra, &pool);
        Session {
            line: Line {
                upstream: Upstream::new(client, &cx.bench, &pool, context),
                downstream: Downstream::default(),
                told: values.clone(),
                values: values.clone(),
                stream: greeted.stream,
                inbox: greeted.inbox,
                outbox: greeted.outbox,
            },
            client: client.clone(),
            initial: values,
            extra: Arc::new(extra),
            secret: self.secret,
            replication: asked.replication,
            reads_only: reads_only(&admission, cx),
            _places: places,
            pool,
        }
    }
}

struct Prepared {
    admission: Admission,
    pool: Member,
    places: (ClientPlace, Option<Connected>),
    reported: Arc<Parameters>,
    asked: Asked,
}

/// What a start-up packet asks for, besides user and database.
pub(super) struct Asked {
    pub(super) settings: Parameters,
    replication: Option<String>,
}

impl Asked {
    fn parse(parameters: &Parameters, settings: &SessionSettings) -> Result<Self> {
        let mut asked = Self {
            settings: Parameters::default(),
            replication: None,
        };
        let ignored = |name: &str| {
            settings
                .ignore_startup_parameters
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        for (name, value) in parameters.iter() {
            match name {
                "user" | "database" => {}
                "replication" => asked.replication = replication(value)?,
                name if ignored(name) => {}
                "options" => {
                    for (name, value) in options(value)? {
                        if !ignored(&name) {
                            asked.setting(&name, &value)?;
                        }
                    }
                }
                name => asked.setting(name, value)?,
            }
        }
        Ok(asked)
    }

    fn setting(&mut self, name: &str, value: &str) -> Result<()> {
        let mut bytes = name.bytes();
        let legal = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"_$.".contains(&b));
        if !legal {
            let text = format!("unrecognized configuration parameter \"{name}\"");
            return Err(SessionError::Refused(ErrorResponse::fatal(
                SqlState::UNDEFINED_OBJECT,
                text,
            )));
        }
        self.settings.set(name, value);
        Ok(())
    }
}

/// `database`, or one of PostgreSQL's ways to write a boolean, which may be cut short.
/// <https://www.postgresql.org/docs/current/protocol-replication.html>
fn replication(value: &str) -> Result<Option<String>> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str| !value.is_empty() && word.starts_with(&value);
    match value.as_str() {
        "database" => Ok(Some("database".into())),
        "on" | "1" => Ok(Some("true".into())),
        "off" | "of" | "0" => Ok(None),
        _ if begins("true") || begins("yes") => Ok(Some("true".into())),
        _ if begins("false") || begins("no") => Ok(None),
        _ => Err(SessionError::Refused(ErrorResponse::fatal(
            SqlState::PROTOCOL_VIOLATION,
            "invalid value for parameter \"replication\"",
        ))),
    }
}

/// The settings in `options`: `-c name=value`, `-cname=value` or `--name=value`, apart by blanks;
/// a backslash takes the next character as it is.
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>
fn options(text: &str) -> Result<Vec<(String, String)>> {
    let mut words = Vec::new();
    let mut word = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_with(String::new).extend(chars.next()),
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-c" => words.next(),
            other => other
                .strip_prefix("--")
                .or_else(|| other.strip_prefix("-c"))
                .map(Into::into),
        };
        let (name, value) = setting
            .as_deref()
            .and_then(|setting| setting.split_once('='))
            .ok_or_else(unsupported_options)?;
        // In the long form PostgreSQL takes a dash for an underscore.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn unsupported_options() -> SessionError {
    SessionError::Refused(ErrorResponse::fatal(
        SqlState::PROTOCOL_VIOLATION,
        "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
    ))
}

fn too_many_of(role: &Role) -> SessionError {
    let limit = role.limits.connections.unwrap_or_default();
    let text = format!("too many connections for role \"{}\"", role.name);
    SessionError::Refused(
        ErrorResponse::fatal(SqlState::CONFIGURATION_LIMIT_EXCEEDED, text).with_detail(format!(
            "The limit \"connections\" of role \"{}\" is {limit}.",
            role.name
        )),
    )
}

fn too_many(no_place: &NoPlace) -> ErrorResponse {
    let code = match no_place {
        NoPlace::Disabled(_) => SqlState::CANNOT_CONNECT_NOW,
        NoPlace::Database | NoPlace::Process => SqlState::TOO_MANY_CONNECTIONS,
    };
    ErrorResponse::fatal(code, no_place.to_string())
}

/// What changes the meaning of a statement's text for this client.
fn meaning(values: &Values, extra: &Parameters, pool: &Pool) -> Arc<str> {
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

/// A key that no other client of the process has, noted in the worker's roster: its process id
/// tells the worker.
pub fn new_key(cx: &Context, client: &Client, version: ProtocolVersion) -> CancelKey {
    let secret_len = if version >= ProtocolVersion::V3_2 {
        LONG_SECRET
    } else {
        SHORT_SECRET
    };
    loop {
        let mut random = [0; 4 + LONG_SECRET];
        getrandom::fill(&mut random).expect("the operating system has random numbers");
        let (pid, secret) = random.split_at(4);
        let pid = u32::from_be_bytes([pid[0] & 0x7f, pid[1], pid[2], pid[3]]);
        let pid = pid - pid % WORKERS + u32::try_from(cx.worker).unwrap_or_default() % WORKERS;
        let key = CancelKey::new(pid, &secret[..secret_len]);
        if pid != 0 && cx.roster.set_key(client, key.clone()) {
            return key;
        }
    }
}

/// The worker that gave out a cancel key.
pub fn worker_of(key: &CancelKey) -> usize {
    usize::try_from(key.pid() % WORKERS).unwrap_or_default()
}

/// Most workers there can be.
pub const WORKERS: u32 = 64;
/// What protocol 3.0 has room for, in bytes.
const SHORT_SECRET: usize = 4;
/// As long as PostgreSQL 18's own, in bytes.
const LONG_SECRET: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_postgresql_reads_them() {
        let read = options(r"-c a=1 -cb=2 --c-d=x\ y  -c e=\\").unwrap();
        let expected = [("a", "1"), ("b", "2"), ("c_d", "x y"), ("e", r"\")];
        let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        assert_eq!(read, expected);
        for wrong in ["-c", "-c a", "-x 1", "a=1", "--a"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_with_an_odd_name_is_refused() {
        let parse = |name| {
            Asked::parse(
                &[(name, "1")].into_iter().collect(),
                &SessionSettings::default(),
            )
        };
        assert!(parse("search_path").is_ok());
        assert!(parse("my.setting").is_ok());
        for odd in ["a'b", "1a", "a b", ""] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }
}
