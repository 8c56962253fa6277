//! From a proved identity to the role it gets, and what is written down of that.

use std::rc::Rc;
use std::time::SystemTime;

use crate::policy::admission::{Admission, NotAdmitted};
use crate::policy::classification::{Setting, Value};
use crate::policy::role::Role;
use crate::pool::Pool;
use crate::session::asked::Asked;
use crate::session::audit::{Event, EventKind};
use crate::session::context::Context;
use crate::session::error::SessionError;
use crate::session::guard::Guard;
use crate::session::login::Proved;
use crate::session::roster::Client;
use crate::wire::error_response::{ErrorResponse, Severity};
use crate::wire::sqlstate::SqlState;

type Result<T> = std::result::Result<T, SessionError>;

impl Proved {
    /// Finds the client's role; with one, it is told that it is who it says.
    pub(super) fn admit(&mut self, cx: &Context, client: &Client) -> Result<Admission> {
        let admitted = cx.bench.policy().admit(
            self.identity.clone(),
            self.greeted.origin(),
            self.database.clone(),
            SystemTime::now(),
        );
        let user = self.identity.user();
        match admitted {
            Ok(mut admission) => {
                admission.share_own_role(|own| cx.alike.free_role(own));
                client.admission.replace(Some(admission.clone()));
                self.note(cx, client, admission.role().name.as_str());
                self.accept();
                Ok(admission)
            }
            Err(error @ NotAdmitted) => {
                tracing::info!(
                    client = client.id, %user, database = %self.database,
                    address = client.address(), method = %self.identity.method(), %error,
                    "login refused"
                );
                self.note(cx, client, "");
                let who = client.who.borrow().clone();
                let policy = cx.bench.policy();
                let event = Event {
                    reason: "no grant gives a role to this client",
                    verdict: "deny",
                    sqlstate: Some(SqlState::INVALID_AUTHORIZATION),
                    ..Event::new(EventKind::SessionStart, &who, policy.generation)
                };
                // It is refused whether or not that can be written down.
                let _ = cx.bench.audit.record(&event);
                // What a wrong password is told: who may come in is nobody's business.
                Err(SessionError::Refused(ErrorResponse::fatal(
                    SqlState::INVALID_AUTHORIZATION,
                    format!("password authentication failed for user \"{user}\""),
                )))
            }
        }
    }

    /// Has the client's start-up parameters judged like a SET of its own.
    pub(super) fn check_settings(
        &self,
        cx: &Context,
        client: &Rc<Client>,
        asked: &Asked,
    ) -> Result<()> {
        let Some(mut guard) = Guard::new(&cx.bench, client) else {
            return Ok(());
        };
        for (name, value) in asked.settings.iter() {
            let setting = Setting {
                name: Some(name.to_ascii_lowercase().into()),
                value: Value::Constant(value.into()),
            };
            guard.startup_setting(setting).map_err(|mut error| {
                error.severity = Severity::Fatal;
                SessionError::Refused(*error)
            })?;
        }
        Ok(())
    }

    /// What servers see as application_name, by the template of the role.
    pub(super) fn application_name(&self, template: &str, role: &Role) -> String {
        let parameters = &self.greeted.parameters;
        let address = self.greeted.origin().address;
        let address = address.map(|address| address.to_string());
        template
            .replace("{user}", self.identity.user().as_str())
            .replace("{role}", role.name.as_str())
            .replace("{database}", self.database.as_str())
            .replace("{address}", address.as_deref().unwrap_or("unix"))
            .replace(
                "{application_name}",
                parameters.value("application_name").unwrap_or_default(),
            )
    }

    /// The client's application_name with where it comes from, as PgBouncer writes it.
    pub(super) fn name_with_host(&self, asked: &Asked) -> String {
        let name = asked.settings.value("application_name").unwrap_or("app");
        let socket = self.greeted.stream.socket();
        let host = match socket.peer_addr() {
            Some(address) => address.to_string(),
            None => {
                let pid = socket.peer_pid().unwrap_or_default();
                format!("unix({pid}):{}", socket.unix_port().unwrap_or_default())
            }
        };
        format!("{name} - {host}")
    }

    /// Writes down that a session begins.
    pub(super) fn note_start(&self, cx: &Context, client: &Client, pool: &Pool) -> Result<()> {
        client.note(|who| who.server_user = cx.alike.name(pool.user().as_str()));
        let who = client.who.borrow().clone();
        let event = Event {
            verdict: "allow",
            ..Event::new(EventKind::SessionStart, &who, cx.bench.policy().generation)
        };
        cx.bench.audit.record(&event).map_err(|_| {
            client.admission.replace(None);
            SessionError::Refused(
                ErrorResponse::fatal(
                    SqlState::CANNOT_CONNECT_NOW,
                    "the audit log cannot be written",
                )
                .with_detail("Nobody is let in until it can be, as access.audit.on_failure says."),
            )
        })
    }

    /// Shows others who has come, and in which role.
    fn note(&self, cx: &Context, client: &Client, role: &str) {
        let names = self.identity.certificate();
        let all = names.map(|names| {
            let alternatives = names.dns.iter().chain(&names.uris);
            names
                .common_name
                .iter()
                .chain(alternatives)
                .cloned()
                .collect()
        });
        let token = self.identity.token().map(|token| {
            let subject = token.claim("sub").next().unwrap_or_default();
            Box::new((token.issuer().to_owned(), subject.to_owned()))
        });
        client.note(|who| {
            who.user = cx.alike.name(self.identity.user().as_str());
            who.method = self.identity.method().as_str();
            who.certificate = all.unwrap_or_default();
            who.token = token;
            who.role = cx.alike.name(role);
            who.database = cx.alike.name(self.database.as_str());
        });
    }
}
