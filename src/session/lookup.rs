//! Looks users up on a server whom no file lists:
//! <https://www.pgbouncer.org/config.html#auth_query>
//!
//! At each login anew, so that a password that was changed there counts at once.

use std::sync::Arc;
use std::time::Instant;

use tracing::{error, warn};
use zeroize::Zeroizing;

use crate::auth::method::Method;
use crate::auth::names::{DatabaseName, UserName};
use crate::auth::secret::{Secret, SecretError};
use crate::pool::error::CheckoutError;
use crate::pool::lease::Released;
use crate::pool::pools::NoSuchDatabase;
use crate::pool::server::RunError;
use crate::pool::server::lookup::{LookupError, UserRow};
use crate::pool::settings::lookup::Lookup;
use crate::session::context::Context;
use crate::session::error::SessionError;
use crate::session::settings::SessionSettings;
use crate::wire::pooler_error::PoolerError;

/// What a lookup finds.
#[derive(Debug)]
pub(super) enum Found {
    /// Nobody is asked about users of this database.
    NotAsked,
    /// No such user. The client then meets the conversation of any unknown user, so that it
    /// does not learn which names there are: PgBouncer says `no such user`.
    Nobody,
    /// The user, with its secret. `None`: it has none, and no password will do.
    User(Option<Arc<Secret>>),
}

impl Found {
    /// The user's secret.
    pub(super) fn secret(&self) -> Option<Arc<Secret>> {
        match self {
            Self::User(secret) => secret.clone(),
            Self::NotAsked | Self::Nobody => None,
        }
    }

    /// Whether a server was asked.
    pub(super) fn is_asked(&self) -> bool {
        !matches!(self, Self::NotAsked)
    }
}

/// Whether a login by this method needs what a lookup finds: a secret to check what the client
/// sends, or one to open servers with in its name.
pub(super) fn is_for(method: Method) -> bool {
    match method {
        Method::Cert
        | Method::Hba
        | Method::Md5
        | Method::Password
        | Method::Peer
        | Method::ScramSha256
        | Method::Trust => true,
        // The server user is another one, or the password comes from elsewhere, or nobody
        // gets in.
        Method::Any | Method::Ldap | Method::OAuth | Method::Pam | Method::Reject => false,
    }
}

/// Looks for a user of a database. Not cancel safe: the server in use is then closed.
///
/// # Errors
/// Nobody could be asked, or what came is of no use. The log says why; the client does not
/// learn it.
pub(super) async fn look_up(
    cx: &Context,
    settings: &SessionSettings,
    database: &DatabaseName,
    user: &UserName,
) -> Result<Found, SessionError> {
    let own = cx.pools.lookup_of(database);
    let is_database = own.is_some();
    let lookup = own.unwrap_or_default().or(&settings.lookup);
    let Some(asker) = &lookup.user else {
        return Ok(Found::NotAsked);
    };
    // Of a database that does not exist nobody is a user.
    if lookup.database.is_none() && !is_database {
        return Ok(Found::Nobody);
    }
    let place = lookup.database.as_ref().unwrap_or(database);
    if cx.pools.is_disabled(place) {
        return Err(PoolerError::AuthDatabaseDisabled(place.to_string()).into());
    }
    // Where the client says in which database, it may say anything.
    let _trial = match lookup.database {
        Some(_) => None,
        None => cx.pools.trial(place).await,
    };
    let question = Question {
        cx,
        lookup: &lookup,
        asker,
        secret: settings.users.get(asker.as_str()).cloned(),
        place,
    };
    let answer = question.ask(user).await.and_then(|row| match row {
        Some(row) => secret_of(row, user),
        None => Ok(Found::Nobody),
    });
    if let Ok(Found::User(Some(secret))) = &answer {
        let is_verifier = matches!(**secret, Secret::Scram(_));
        cx.finds_verifiers.set(is_verifier);
    }
    answer.map_err(|why| {
        error!(%user, lookup.user = %asker, lookup.database = %place, error = %why, "cannot look up a user");
        why.to_client(place == database)
    })
}

/// Why a lookup fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("authentication database \"{0}\" is not configured")]
    NoDatabase(DatabaseName),
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("the query returns a secret that cannot be used: {0}")]
    Secret(#[from] SecretError),
}

impl Failure {
    /// What the client is told: that the database it asked for (`is_its_own`) does not exist on
    /// the server; of anything else only the log tells.
    fn to_client(&self, is_its_own: bool) -> SessionError {
        match self {
            Self::Checkout(CheckoutError::Connect(error))
                if is_its_own && error.is_without_database() =>
            {
                SessionError::Refused(error.to_client())
            }
            Self::Checkout(_) | Self::Lookup(_) | Self::NoDatabase(_) | Self::Secret(_) => {
                PoolerError::ConfigError.into()
            }
        }
    }
}

struct Question<'a> {
    cx: &'a Context,
    lookup: &'a Lookup,
    asker: &'a UserName,
    secret: Option<Arc<Secret>>,
    place: &'a DatabaseName,
}

impl Question<'_> {
    async fn ask(&self, user: &UserName) -> Result<Option<UserRow>, Failure> {
        let (query, asking) = self.lookup.question();
        let mut lease = loop {
            let pool = self
                .cx
                .pools
                .lookup_pool(self.place, self.asker, self.secret.clone(), asking)
                .map_err(|NoSuchDatabase(name)| Failure::NoDatabase(name))?;
            match pool.checkout().await {
                Ok(lease) => break lease,
                Err(CheckoutError::Closed) => {} // a reload has just replaced it
                Err(error) => return Err(error.into()),
            }
        };
        let answer = lease.server().look_up(query, user.as_str()).await;
        let is_settled = !matches!(
            answer,
            Err(LookupError::Run(RunError::Io(_) | RunError::Framing(_)))
        );
        if is_settled && let Released::Unready(cleaning) = lease.release(Instant::now()) {
            tokio::task::spawn_local(cleaning.run(self.cx.worker));
        }
        Ok(answer?)
    }
}

fn secret_of((name, secret): UserRow, user: &UserName) -> Result<Found, Failure> {
    if name.as_deref() != Some(user.as_str()) {
        // PgBouncer would take the client for whom the row is about.
        warn!(%user, row = name, "a user's lookup finds somebody else");
        return Ok(Found::Nobody);
    }
    let secret = secret.filter(|secret: &Zeroizing<String>| !secret.is_empty());
    let secret = secret.map(|secret| Secret::parse(&secret)).transpose()?;
    Ok(Found::User(secret.map(Arc::new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: Option<&str>, secret: Option<&str>) -> Result<Found, Failure> {
        let secret = secret.map(|secret| Zeroizing::new(secret.to_owned()));
        secret_of((name.map(Into::into), secret), &UserName::new("bob"))
    }

    #[test]
    fn a_row_of_the_user_has_its_secret() {
        let bob = found(Some("bob"), Some("hunter2")).unwrap();
        assert!(matches!(bob, Found::User(Some(_))), "{bob:?}");
        assert!(!format!("{bob:?}").contains("hunter2"));
    }

    #[test]
    fn no_secret_and_an_empty_one_are_none_at_all() {
        for secret in [None, Some("")] {
            let bob = found(Some("bob"), secret).unwrap();
            assert!(matches!(bob, Found::User(None)), "{bob:?}");
        }
    }

    #[test]
    fn a_row_of_somebody_else_is_no_row() {
        for name in [None, Some("alice"), Some("BOB"), Some("bob ")] {
            let other = found(name, Some("hunter2")).unwrap();
            assert!(matches!(other, Found::Nobody), "{other:?}");
        }
    }

    #[test]
    fn a_broken_verifier_is_not_taken_for_a_password() {
        let broken = found(Some("bob"), Some("SCRAM-SHA-256$x"));
        assert!(matches!(broken, Err(Failure::Secret(_))), "{broken:?}");
    }
}
