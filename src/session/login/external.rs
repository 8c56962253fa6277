//! Passwords that others judge: a directory, PAM. Each question has a thread of its own, so
//! that whoever is slow to answer, or never does, keeps nobody else waiting.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout;
use tracing::{error, warn};
use zeroize::Zeroizing;

use super::{Conversation, Result, ldap, pam};
use crate::auth::identity::Identity;
use crate::auth::ldap::LdapOptions;
use crate::auth::method::Method;
use crate::auth::password::PasswordProof;
use crate::auth::secret::{PlainPassword, Secret};
use crate::wire::pooler_error::PoolerError;

/// Why nobody could say whether a password is right.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExternalError {
    /// As many questions as there may be are waiting for an answer.
    #[error("{0} logins are waiting for an answer already, as many as there may be at once")]
    Full(usize),
    /// Nobody has said whom to ask.
    #[error("no LDAP options are set")]
    NoDirectory,
    /// There is no thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The thread came to a bad end.
    #[error("the question ended without an answer")]
    Lost,
    /// Nobody has answered.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The directory is of no use.
    #[error(transparent)]
    Ldap(#[from] ldap::LdapError),
    /// PAM is of no use.
    #[error(transparent)]
    Pam(#[from] pam::PamError),
}

impl Conversation<'_> {
    /// Asks for the password, and a directory or PAM whether it is right. An accepted password
    /// is kept: servers can be opened with it in the client's name. `options`: the directory's.
    /// Not cancel safe.
    pub(super) async fn external(
        &mut self,
        method: Method,
        options: Option<&Arc<LdapOptions>>,
    ) -> Result<Identity> {
        let password = self.password_to_be_judged().await?;
        let verdict = match (method, options) {
            (Method::Ldap, Some(options)) => {
                let (options, user) = (options.clone(), self.user.to_string());
                let password = password.clone();
                let judge = move || ldap::verify(&options, &user, &password);
                DIRECTORY.ask(judge).await
            }
            (Method::Ldap, None) => Err(ExternalError::NoDirectory),
            (_, _) => {
                let peer = self.greeted.stream.socket().peer_addr();
                let question = pam::Question {
                    user: self.user.to_string(),
                    host: peer.map(|address| address.ip().to_string()),
                    password: password.clone(),
                };
                PAM.ask(move || pam::verify(question)).await
            }
        };
        match verdict {
            Ok(true) => {
                let proof = PasswordProof::vouched_for();
                self.vouched = Some(Arc::new(Secret::Plain(PlainPassword::new(&*password))));
                return Ok(Identity::by_password(self.user.clone(), method, proof));
            }
            Ok(false) => {}
            Err(error @ (ExternalError::Full(_) | ExternalError::NoDirectory)) => {
                error!(%method, user = %self.user, %error, "login refused");
            }
            Err(error) => warn!(%method, user = %self.user, %error, "password not judged"),
        }
        let user = self.user.to_string();
        Err(if method == Method::Ldap {
            PoolerError::LdapFailed(user).into()
        } else {
            PoolerError::PamFailed(user).into()
        })
    }

    /// A directory takes an empty password for a visit without a name, and says yes: RFC 4513
    /// section 5.1.2. So nobody is asked about one: [`Self::cleartext`] refuses it.
    async fn password_to_be_judged(&mut self) -> Result<Zeroizing<String>> {
        let sent = self.cleartext().await?;
        match std::str::from_utf8(&sent) {
            Ok(text) if !text.contains('\0') => Ok(Zeroizing::new(text.to_owned())),
            Ok(_) | Err(_) => Err(self.wrong_password()),
        }
    }
}

/// Where questions of one kind are asked: so many at once, for so long.
struct Desk {
    places: Semaphore,
    most: usize,
    name: &'static str,
    limit: Duration,
}

impl Desk {
    const fn new(name: &'static str, most: usize, limit: Duration) -> Self {
        Self {
            places: Semaphore::const_new(most),
            most,
            name,
            limit,
        }
    }

    /// Asks on a thread of its own. The place is taken until there is an answer, whether or not
    /// the client is still there to hear it. Cancel safe.
    async fn ask<E>(
        &'static self,
        judge: impl FnOnce() -> std::result::Result<bool, E> + Send + 'static,
    ) -> std::result::Result<bool, ExternalError>
    where
        ExternalError: From<E>,
        E: Send + 'static,
    {
        let place = self.place().await?;
        let (answer, answered) = oneshot::channel();
        thread::Builder::new()
            .name(self.name.into())
            .spawn(move || {
                let _place = place;
                // An error: the client has left.
                let _ = answer.send(judge());
            })
            .map_err(ExternalError::Thread)?;
        match timeout(self.limit, answered).await {
            Ok(Ok(verdict)) => Ok(verdict?),
            Ok(Err(_)) => Err(ExternalError::Lost),
            Err(_) => Err(ExternalError::Timeout(self.limit)),
        }
    }

    async fn place(&'static self) -> std::result::Result<SemaphorePermit<'static>, ExternalError> {
        match timeout(self.limit, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // The places are never closed.
            Ok(Err(_)) | Err(_) => Err(ExternalError::Full(self.most)),
        }
    }
}

/// A question is a few messages; a hundred of them wait as well as one.
static DIRECTORY: Desk = Desk::new("ldap", 100, Duration::from_secs(30));
/// Modules may be slow on purpose: pam_unix takes two seconds to say no.
static PAM: Desk = Desk::new("pam", 50, Duration::from_secs(60));

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn questions_beyond_the_limit_wait_and_then_fail() {
        static DESK: Desk = Desk::new("test", 1, Duration::from_millis(50));
        let (go_on, held) = mpsc::channel::<()>();
        let first = DESK.ask(move || {
            let _ = held.recv();
            Ok::<_, ExternalError>(true)
        });
        assert!(matches!(first.await, Err(ExternalError::Timeout(_))));
        let second = DESK.ask(|| Ok::<_, ExternalError>(true)).await;
        assert!(matches!(second, Err(ExternalError::Full(1))), "{second:?}");
        drop(go_on);
        let mut third = DESK.ask(|| Ok::<_, ExternalError>(true)).await;
        while third.is_err() {
            third = DESK.ask(|| Ok::<_, ExternalError>(true)).await;
        }
    }

    #[tokio::test]
    async fn a_question_that_panics_is_a_question_without_an_answer() {
        static DESK: Desk = Desk::new("test", 1, Duration::from_secs(10));
        let lost = DESK.ask(|| -> std::result::Result<bool, ExternalError> { panic!("module") });
        assert!(matches!(lost.await, Err(ExternalError::Lost)));
        assert!(DESK.ask(|| Ok::<_, ExternalError>(true)).await.is_ok());
    }
}
