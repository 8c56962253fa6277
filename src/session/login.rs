//! From a claim to a session: authentication, admission, and the welcome.

mod demand;
mod external;
mod ldap;
mod owner;
mod pam;
mod token;

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::certificate::CertificateNames;
use crate::auth::ident::IdentMap;
use crate::auth::identity::Identity;
use crate::auth::method::Method;
use crate::auth::names::{DatabaseName, UserName};
use crate::auth::scram::{Keys, ScramError, Verifier, Violation, server};
use crate::auth::secret::Secret;
use crate::auth::{jwt, md5, password};
use crate::policy::grant::Origin;
use crate::session::context::Context;
use crate::session::error::SessionError;
use crate::session::lines;
use crate::session::login::demand::Demand;
use crate::session::lookup::{self, Found};
use crate::session::roster::Client;
use crate::session::settings::SessionSettings;
use crate::session::startup::Greeted;
use crate::wire::backend::{self, authentication};
use crate::wire::body::{BodyReader, put_cstr};
use crate::wire::buffer::Inbox;
use crate::wire::error_response::ErrorResponse;
use crate::wire::frontend::{Frontend, Tag};
use crate::wire::head::{FramingError, Head};
use crate::wire::outbox::Outbox;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;
use crate::wire::stream::Stream;

type Result<T> = std::result::Result<T, SessionError>;

/// A client that has proved who it is.
#[derive(Debug)]
pub struct Proved {
    pub(super) greeted: Greeted,
    /// Who it is.
    pub identity: Identity,
    /// What it asks for.
    pub database: DatabaseName,
    /// What the users file knows of it.
    pub(super) secret: Option<Arc<Secret>>,
    /// What its SCRAM login has taught us.
    pub(super) keys: Option<Keys>,
}

impl Proved {
    /// The connection and what has been read from it and is to be written to it: for whoever
    /// serves the client otherwise than with a server.
    pub fn into_parts(self) -> (Stream, Inbox, Outbox) {
        (self.greeted.stream, self.greeted.inbox, self.greeted.outbox)
    }

    /// Tells the client that it is who it says, before anything else it is told.
    pub fn accept(&mut self) {
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::OK, &[]);
    }

    /// The connection, for an error that ends it, after the client was told that it is who it
    /// says. `None`: it is gone.
    pub async fn into_stream(self) -> Option<Stream> {
        let (mut stream, _, mut outbox) = self.into_parts();
        outbox.flush(&mut stream).await.ok()?;
        Some(stream)
    }
}

impl Greeted {
    /// Has the client prove its user name. Whoever it claims to be, known or not, it meets the
    /// same conversation. Not cancel safe.
    ///
    /// # Errors
    /// It could not, or broke the protocol. `refused` then gets the connection.
    pub async fn authenticate(
        mut self,
        cx: &Context,
        settings: &SessionSettings,
        client: &Rc<Client>,
        refused: &mut Option<Stream>,
    ) -> Result<Proved> {
        self.note(cx, client);
        let demand = match self.demand(cx, settings) {
            Ok(demand) => demand,
            Err(error) => {
                *refused = Some(self.stream);
                return Err(error);
            }
        };
        let (user, database): (UserName, DatabaseName) =
            (demand.user.clone(), cx.alike.name(self.database()).into());
        client.note(|who| who.user = cx.alike.name(user.as_str()));
        lines::login_attempt(client, self.parameters.value("replication"));
        let mut secret = settings.users.get(user.as_str()).cloned();
        let mut found = Found::NotAsked;
        if secret.is_none() && lookup::is_for(demand.method) {
            let looked = lookup::look_up(cx, settings, &database, &user);
            found = match self.until.hold(looked).await {
                Ok(found) => found,
                Err(error) => {
                    *refused = Some(self.stream);
                    return Err(error);
                }
            };
            secret = found.secret();
        }
        let certificate = self.certificate();
        if let Some(names) = &certificate
            && settings.policy.is_certificate_enough(
                user.as_str(),
                names,
                &self.origin(),
                database.as_str(),
                SystemTime::now(),
            )
        {
            let identity = Identity::by_certificate(user.clone(), names)
                .map(|identity| identity.with_certificate(names.clone()))
                .unwrap_or_else(|| Identity::beside_certificate(user.clone(), names.clone()));
            return Ok(Proved {
                greeted: self,
                identity,
                database,
                secret,
                keys: None,
            });
        }
        let until = self.until;
        let mut conversation = Conversation {
            greeted: &mut self,
            cx,
            settings,
            user: &user,
            method: demand.method,
            found,
            vouched: None,
        };
        let outcome = until.hold(conversation.run(&demand, secret.as_ref())).await;
        let secret = conversation.vouched.take().or(secret);
        match outcome {
            Ok((identity, keys)) => Ok(Proved {
                identity: match certificate {
                    Some(names) => identity.with_certificate(names),
                    None => identity,
                },
                greeted: self,
                database,
                secret,
                keys,
            }),
            Err(error) => {
                *refused = Some(self.stream);
                Err(error)
            }
        }
    }
}

impl Greeted {
    /// Shows others who wants to log in.
    fn note(&self, cx: &Context, client: &Client) {
        let tls = self.stream.tls().unwrap_or_default();
        client.tls.replace(tls.into_boxed_str());
        let value = |name| self.parameters.value(name).unwrap_or_default();
        client.note(|who| {
            who.user = cx.alike.name(value("user"));
            who.database = cx.alike.name(self.database());
            who.application_name = cx.alike.name(value("application_name"));
        });
    }

    /// Where the client comes from.
    pub(super) fn origin(&self) -> Origin {
        let socket = self.stream.socket();
        Origin {
            address: self.address.map(|address| address.ip()),
            uid: socket.peer_uid(),
            tls: self.stream.is_tls(),
        }
    }

    /// The names in the client's certificate, which TLS has verified.
    fn certificate(&self) -> Option<Arc<CertificateNames>> {
        let der = self.stream.peer_certificate()?;
        CertificateNames::parse(der).ok().map(Arc::new)
    }
}

struct Conversation<'a> {
    greeted: &'a mut Greeted,
    cx: &'a Context,
    settings: &'a SessionSettings,
    user: &'a UserName,
    method: Method,
    /// What a server knows of a user whom no file lists.
    found: Found,
    /// The password, if somebody else has judged it.
    vouched: Option<Arc<Secret>>,
}

impl Conversation<'_> {
    async fn run(
        &mut self,
        demand: &Demand<'_>,
        secret: Option<&Arc<Secret>>,
    ) -> Result<(Identity, Option<Keys>)> {
        let map = demand.rule.and_then(|rule| rule.map.as_deref());
        let oauth = self.settings.oauth.as_deref();
        match (demand.method, secret.map(AsRef::as_ref)) {
            (Method::Any, _) => Ok((Identity::trusted(self.user.clone()), None)),
            // Both have been dealt with.
            (Method::Hba | Method::Reject, _) => Err(self.failed("authentication failed")),
            (method @ (Method::Ldap | Method::Pam), _) => {
                let options = match demand.rule {
                    Some(rule) => rule.ldap.clone(),
                    None => self.settings.ldap_options.clone(),
                };
                Ok((self.external(method, options.as_ref()).await?, None))
            }
            (Method::Peer, _) => Ok((self.peer(map).await?, None)),
            (Method::Cert, _) => Ok((self.certificate(map)?, None)),
            (Method::OAuth, _) => match oauth {
                Some(oauth) => Ok((self.oauth(oauth).await?, None)),
                None => Err(self.failed("OAuth bearer authentication failed")),
            },
            (Method::Trust, _) => Ok((self.trust()?, None)),
            (Method::Password, _) => Ok((self.password(secret).await?, None)),
            (Method::Md5 | Method::ScramSha256, None) if let Some(oauth) = oauth => {
                Ok((self.oauth(oauth).await?, None))
            }
            // As in PostgreSQL, md5 means SCRAM for who has a SCRAM secret.
            (Method::Md5, Some(Secret::Scram(_))) | (Method::ScramSha256, _) => {
                self.scram(secret).await
            }
            // An unknown user is asked what most known ones are.
            (Method::Md5, None)
                if self.settings.users.has_verifiers()
                    || (self.found.is_asked() && self.cx.finds_verifiers.get()) =>
            {
                self.scram(None).await
            }
            (Method::Md5, Some(Secret::Md5(_) | Secret::Plain(_)) | None) => {
                Ok((self.md5(secret).await?, None))
            }
        }
    }

    /// Whether a user can be meant who has nothing to prove by a secret of ours.
    fn is_known(&self) -> bool {
        match self.found {
            Found::NotAsked => self.settings.users.admits(self.user.as_str()),
            Found::Nobody => false,
            Found::User(_) => true,
        }
    }

    fn trust(&self) -> Result<Identity> {
        if !self.is_known() {
            return Err(PoolerError::TrustFailed(self.user.to_string()).into());
        }
        Ok(Identity::trusted(self.user.clone()))
    }

    fn certificate(&self, map: Option<&IdentMap>) -> Result<Identity> {
        self.greeted
            .certificate()
            .and_then(|names| Identity::by_mapped_certificate(self.user.clone(), &names, map))
            .filter(|_| self.is_known())
            .ok_or_else(|| PoolerError::CertificateFailed(self.user.to_string()).into())
    }

    /// What is sent as it is must not be heard by others.
    fn refuse_eavesdroppers(&self, what: &str) -> Result<()> {
        let stream = &self.greeted.stream;
        if stream.is_tls() || stream.socket().is_unix() || self.settings.allow_cleartext {
            return Ok(());
        }
        let error = ErrorResponse::fatal(
            SqlState::INVALID_AUTHORIZATION,
            format!("{what} is only accepted over TLS or a Unix socket"),
        );
        Err(SessionError::Refused(
            error
                .with_hint("Connect with sslmode=require.")
                .or_as_pgbouncer("SSL required"),
        ))
    }

    /// Asks for a password as it is; without the zero byte behind it.
    async fn cleartext(&mut self) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        self.refuse_eavesdroppers("a cleartext password")?;
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::CLEARTEXT_PASSWORD, &[]);
        let mut sent = zeroize::Zeroizing::new(self.password_message().await?);
        if sent.last() == Some(&0) {
            sent.pop();
        }
        if sent.is_empty() {
            return Err(PoolerError::EmptyPassword.into());
        }
        Ok(sent)
    }

    async fn password(&mut self, secret: Option<&Arc<Secret>>) -> Result<Identity> {
        let sent = self.cleartext().await?;
        if let Some(oauth) = self.settings.oauth.as_deref()
            && jwt::looks_like_one(&sent)
        {
            let accepted = self.judge(oauth, &sent).await;
            return accepted.ok_or_else(|| self.wrong_password());
        }
        // Every password takes the time of a derivation to be checked, whoever's it is.
        let mock = Secret::Scram(self.mock());
        let secret = secret.cloned();
        let user = self.user.to_string();
        let verify = move || {
            let password = sent.as_slice();
            let slow = matches!(secret.as_deref(), Some(Secret::Scram(_)));
            if !slow {
                let _ = std::hint::black_box(password::verify_password(&mock, &user, password));
            }
            password::verify_password(secret.as_deref()?, &user, password)
        };
        // Deriving keys takes milliseconds, which other clients of this worker need not wait.
        match tokio::task::spawn_blocking(verify).await {
            Ok(Some(proof)) => Ok(Identity::by_password(
                self.user.clone(),
                Method::Password,
                proof,
            )),
            Ok(None) | Err(_) => Err(self.wrong_password()),
        }
    }

    async fn md5(&mut self, secret: Option<&Arc<Secret>>) -> Result<Identity> {
        let mut salt = [0; 4];
        getrandom::fill(&mut salt).map_err(|_| self.wrong_password())?;
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::MD5_PASSWORD, &salt);
        let sent = self.password_message().await?;
        let response = sent.strip_suffix(b"\0").unwrap_or(&sent);
        if response.is_empty() {
            return Err(PoolerError::EmptyPassword.into());
        }
        secret
            .and_then(|secret| md5::secret_answers_md5(secret, self.user.as_str(), salt, response))
            .map(|proof| Identity::by_password(self.user.clone(), Method::Md5, proof))
            .ok_or_else(|| self.wrong_password())
    }

    async fn scram(&mut self, secret: Option<&Arc<Secret>>) -> Result<(Identity, Option<Keys>)> {
        let verifier = match secret.map(AsRef::as_ref) {
            Some(Secret::Scram(verifier)) => Arc::new(verifier.clone()),
            Some(Secret::Plain(_)) => {
                let secret = secret.cloned();
                self.cx
                    .verifier_of(self.user, secret)
                    .await
                    .ok_or_else(|| self.wrong_password())?
            }
            // An md5 hash cannot be used; nobody learns that from outside.
            Some(Secret::Md5(_)) | None => Arc::new(self.mock()),
        };
        let binding = match self.greeted.binding.take() {
            Some(data) => server::Binding::Offered(data),
            None => server::Binding::None,
        };
        let exchange = server::ExpectClientFirst::new(verifier, binding);
        let mut offered = Vec::new();
        for mechanism in exchange.mechanisms() {
            put_cstr(&mut offered, mechanism.as_bytes());
        }
        offered.push(0);
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::SASL, &offered);

        let message = self.password_message().await?;
        let (mechanism, response) = sasl_initial(&message).map_err(SessionError::ClientFraming)?;
        let (exchange, server_first) = exchange
            .client_first(mechanism, response, server::nonce())
            .map_err(|error| self.scram_failed(&error))?;
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(out, authentication::SASL_CONTINUE, server_first.as_bytes());

        let message = self.password_message().await?;
        let proven = exchange
            .client_final(&message)
            .map_err(|error| self.scram_failed(&error))?;
        let out = self.greeted.outbox.buffer();
        backend::put_authentication(
            out,
            authentication::SASL_FINAL,
            proven.server_final.as_bytes(),
        );
        let identity = Identity::by_scram(self.user.clone(), &proven);
        Ok((identity, Some(proven.keys)))
    }

    /// The body of a PasswordMessage or a SASL response, with its bounds.
    async fn password_message(&mut self) -> Result<Vec<u8>> {
        let Greeted {
            stream,
            inbox,
            outbox,
            ..
        } = &mut *self.greeted;
        outbox
            .flush(stream)
            .await
            .map_err(SessionError::ClientLost)?;
        loop {
            let unread = inbox.unread();
            if let Some(head) =
                Head::<Frontend>::parse(unread).map_err(SessionError::ClientFraming)?
            {
                let (len, limit) = (head.body_len(), MAX_PASSWORD_MESSAGE);
                let refused = if head.tag() != Tag::Password {
                    Some(FramingError::Tag(head.tag() as u8))
                } else {
                    (len > limit).then_some(FramingError::TooLong { len, limit })
                };
                if let Some(error) = refused {
                    return Err(SessionError::ClientFraming(error));
                }
                if let Some(body) = unread.get(Head::<Frontend>::LEN..head.message_len()) {
                    let body = body.to_vec();
                    inbox.consume(head.message_len());
                    return Ok(body);
                }
            }
            let read = poll_fn(|cx| inbox.poll_fill(stream, 0, cx)).await;
            if read.map_err(SessionError::ClientLost)? == 0 {
                return Err(SessionError::ClientLost(
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
        }
    }

    fn scram_failed(&self, error: &ScramError) -> SessionError {
        match error {
            // Who is asked for SCRAM by md5 may be anybody: known with such a secret, or unknown.
            ScramError::WrongProof if self.method == Method::Md5 => self.wrong_password(),
            ScramError::WrongProof => PoolerError::SaslFailed(self.user.to_string()).into(),
            ScramError::Protocol(Violation::Mechanism) => PoolerError::SaslMechanism.into(),
            ScramError::Protocol(_)
            | ScramError::ServerRefused(_)
            | ScramError::WrongServerSignature => {
                let code = SqlState::parse(error.sqlstate().as_bytes());
                let code = code.unwrap_or(SqlState::PROTOCOL_VIOLATION);
                SessionError::Refused(
                    ErrorResponse::fatal(code, error.to_string())
                        .or_as_pgbouncer("SASL authentication failed"),
                )
            }
        }
    }

    fn wrong_password(&self) -> SessionError {
        PoolerError::PasswordFailed(self.user.to_string()).into()
    }

    fn failed(&self, what: &'static str) -> SessionError {
        let error = ErrorResponse::fatal(
            SqlState::INVALID_AUTHORIZATION,
            format!("{what} for user \"{}\"", self.user),
        );
        SessionError::Refused(error.or_as_pgbouncer(what))
    }

    /// What is asked of users that nobody knows, as of those whose password is in the file.
    fn mock(&self) -> Verifier {
        let (seed, rounds) = (&self.cx.mock_seed, self.settings.scram_iterations);
        Verifier::mock(seed, self.user.as_str(), rounds)
    }
}

/// The parts of a SASLInitialResponse.
fn sasl_initial(body: &[u8]) -> std::result::Result<(&str, &[u8]), FramingError> {
    let mut body = BodyReader::new(body);
    let mechanism = std::str::from_utf8(body.cstr()?).map_err(|_| FramingError::Body)?;
    let len = usize::try_from(body.int32()?).map_err(|_| FramingError::Body)?;
    let response = body.bytes(len)?;
    if body.rest().is_empty() {
        Ok((mechanism, response))
    } else {
        Err(FramingError::Body)
    }
}

/// A token of an identity provider may be long; nothing else is.
const MAX_PASSWORD_MESSAGE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sasl_initial_response_of_wrong_lengths_is_refused() {
        assert!(sasl_initial(b"SCRAM-SHA-256\0\0\0\0\x03abc").is_ok());
        for body in [
            &b"SCRAM-SHA-256\0\0\0\0\x04abc"[..],
            b"SCRAM-SHA-256\0\0\0\0\x02abc",
            b"SCRAM-SHA-256\0\xff\xff\xff\xff",
            b"SCRAM-SHA-256",
            b"",
        ] {
            assert!(sasl_initial(body).is_err());
        }
    }
}
