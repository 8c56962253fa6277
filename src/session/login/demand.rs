//! What a client has to do to be believed: by the settings, or by the HBA file.

use tracing::debug;

use super::Result;
use crate::auth::hba::{Asker, Rule};
use crate::auth::method::Method;
use crate::auth::names::UserName;
use crate::session::asked::replication;
use crate::session::context::Context;
use crate::session::error::SessionError;
use crate::session::settings::SessionSettings;
use crate::session::startup::Greeted;
use crate::wire::pooler_error::PoolerError;

/// How a client has to prove who it is.
pub(super) struct Demand<'a> {
    /// Never `hba`.
    pub(super) method: Method,
    /// The rule that says so.
    pub(super) rule: Option<&'a Rule>,
    /// Who the client is if it can: whom it claims to be, or the server user of its database
    /// where anybody is let in.
    pub(super) user: UserName,
}

impl Greeted {
    /// Looks up how this client has to prove its name.
    ///
    /// # Errors
    /// It need not try.
    pub(super) fn demand<'a>(
        &self,
        cx: &Context,
        settings: &'a SessionSettings,
    ) -> Result<Demand<'a>> {
        let user = self.parameters.value("user").unwrap_or_default();
        let database = self.parameters.value("database").unwrap_or_default();
        if user.is_empty() {
            return Err(PoolerError::NoUserName.into());
        }
        let claimed = UserName::from(cx.alike.name(user));
        match settings.method {
            Method::Any => {
                let user = cx.pools.server_user_of(database);
                let user = user.ok_or_else(|| {
                    tracing::error!(
                        database,
                        "the method \"any\" needs a server user of the database"
                    );
                    SessionError::from(PoolerError::ConfigError)
                })?;
                Ok(Demand {
                    method: Method::Any,
                    rule: None,
                    user,
                })
            }
            Method::Hba => {
                let rule = self.rule(settings, user, database)?;
                Ok(Demand {
                    method: rule.method,
                    rule: Some(rule),
                    user: claimed,
                })
            }
            Method::Reject => Err(PoolerError::HbaReject(self.described(user, database)).into()),
            method @ (Method::Cert
            | Method::Ldap
            | Method::Md5
            | Method::OAuth
            | Method::Pam
            | Method::Password
            | Method::Peer
            | Method::ScramSha256
            | Method::Trust) => Ok(Demand {
                method,
                rule: None,
                user: claimed,
            }),
        }
    }

    fn rule<'a>(
        &self,
        settings: &'a SessionSettings,
        user: &str,
        database: &str,
    ) -> Result<&'a Rule> {
        let origin = self.origin();
        // What is no kind of replication is refused later, in words of its own.
        let kind = self.parameters.value("replication").map(replication);
        let asker = Asker {
            address: origin.address,
            tls: origin.tls,
            physical_replication: matches!(kind, Some(Ok(Some(kind))) if !kind.is_logical()),
            database,
            user,
        };
        let rule = settings.hba.as_ref().and_then(|hba| hba.find(&asker));
        match rule {
            None => Err(PoolerError::HbaNoRule(self.described(user, database)).into()),
            Some(rule) if rule.method == Method::Reject => {
                debug!(user, database, line = rule.line, "rejected by the HBA file");
                Err(PoolerError::HbaReject(self.described(user, database)).into())
            }
            Some(rule) => {
                debug!(user, database, line = rule.line, method = %rule.method, "HBA rule found");
                Ok(rule)
            }
        }
    }

    /// The client in PostgreSQL's words of such errors.
    fn described(&self, user: &str, database: &str) -> String {
        let origin = self.origin();
        let host = origin.address.map(|address| address.to_string());
        let host = host.as_deref().unwrap_or("[local]");
        let encryption = if origin.tls {
            "SSL encryption"
        } else {
            "no encryption"
        };
        format!("host \"{host}\", user \"{user}\", database \"{database}\", {encryption}")
    }
}
