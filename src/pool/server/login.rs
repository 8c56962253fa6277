//! Logging in to a server, which may be hostile: every length, nonce and count is bounded.

use std::future::poll_fn;
use std::io;

use tracing::warn;

use crate::auth::certificate;
use crate::auth::md5::{self, Md5Hash};
use crate::auth::scram::{Keys, client};
use crate::auth::secret::Secret;
use crate::pool::credentials::Credentials;
use crate::pool::error::ConnectError;
use crate::wire::backend::{Backend, Tag, authentication};
use crate::wire::body::BodyReader;
use crate::wire::buffer::Inbox;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::{Fields, Severity};
use crate::wire::frontend;
use crate::wire::head::{FramingError, Head};
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;
use crate::wire::startup::{self, ProtocolVersion};
use crate::wire::stream::Stream;

/// What a login brings.
#[derive(Debug)]
pub struct LoggedIn {
    /// The connection, ready for a query.
    pub stream: Stream,
    /// All parameters the server reported.
    pub parameters: Parameters,
    /// The key to cancel its queries with.
    pub key: Option<CancelKey>,
}

/// What a login is made with.
#[derive(Debug)]
pub struct LogIn<'a> {
    /// The user, and what proves to be it.
    pub credentials: &'a Credentials,
    /// The start-up packet, without the user.
    pub parameters: &'a [(&'a str, &'a str)],
    /// Sent before anything else is.
    pub connect_query: Option<&'a str>,
    /// Whether the password may be sent as it is over TCP without TLS.
    pub allow_cleartext: bool,
}

/// Sends the start-up packet and answers what the server asks. Not cancel safe.
///
/// # Errors
/// The server refuses, asks what cannot be answered, or breaks the protocol.
pub async fn log_in(stream: Stream, asks: &LogIn<'_>) -> Result<LoggedIn, ConnectError> {
    let mut conversation = Conversation {
        stream,
        inbox: Inbox::default(),
        outbox: Outbox::default(),
        heard: 0,
    };
    // 3.2 gives longer cancel keys; a server that does not know it answers with what it knows.
    startup::put_startup_message(
        conversation.outbox.buffer(),
        ProtocolVersion::V3_2,
        [("user", asks.credentials.user().as_str())]
            .into_iter()
            .chain(asks.parameters.iter().copied()),
    );
    conversation.authenticate(asks).await?;
    let (mut parameters, key) = conversation.welcome().await?;
    if let Some(query) = asks.connect_query {
        conversation.run(query, &mut parameters).await?;
    }
    Ok(LoggedIn {
        stream: conversation.stream,
        parameters,
        key,
    })
}

struct Conversation {
    stream: Stream,
    inbox: Inbox,
    outbox: Outbox,
    heard: usize,
}

/// One message of a login, held whole: it is small.
struct Message {
    tag: Tag,
    body: Vec<u8>,
}

impl Conversation {
    async fn authenticate(&mut self, asks: &LogIn<'_>) -> Result<(), ConnectError> {
        let credentials = asks.credentials;
        loop {
            let body = self.authentication().await?;
            let mut body = BodyReader::new(&body);
            match body.int32()? {
                authentication::OK => return Ok(()),
                authentication::CLEARTEXT_PASSWORD => self.send_cleartext(asks)?,
                authentication::MD5_PASSWORD => {
                    let salt = body.bytes(4)?.try_into().map_err(|_| FramingError::Body)?;
                    self.send_md5(credentials, salt)?;
                }
                authentication::SASL => {
                    let mut mechanisms = Vec::new();
                    while let Ok(name) = body.cstr() {
                        if !name.is_empty() {
                            mechanisms.push(std::str::from_utf8(name).unwrap_or_default());
                        }
                    }
                    self.scram(credentials, &mechanisms).await?;
                }
                _ => return Err(ConnectError::Protocol("an unknown authentication request")),
            }
        }
    }

    /// What follows the authentication, up to the first ReadyForQuery.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what else it is, it has no place here"
    )]
    async fn welcome(&mut self) -> Result<(Parameters, Option<CancelKey>), ConnectError> {
        let mut parameters = Parameters::default();
        let mut key = None;
        loop {
            let message = self.next().await?;
            match message.tag {
                Tag::ParameterStatus => note(&mut parameters, &message.body)?,
                Tag::BackendKeyData => key = Some(CancelKey::parse(&message.body)?),
                Tag::NoticeResponse | Tag::NegotiateProtocolVersion => {}
                Tag::ReadyForQuery if self.inbox.unread().is_empty() => {
                    return Ok((parameters, key));
                }
                _ => {
                    return Err(ConnectError::Protocol(
                        "a message that has no place in a login",
                    ));
                }
            }
        }
    }

    /// Runs the operator's connect_query, whose results nobody looks at and whose failure is
    /// nobody's but the operator's.
    async fn run(&mut self, sql: &str, parameters: &mut Parameters) -> Result<(), ConnectError> {
        frontend::put_query(self.outbox.buffer(), sql);
        loop {
            self.heard = 0; // its rows may be many
            let message = self.message().await?;
            match message.tag {
                Tag::ParameterStatus => note(parameters, &message.body)?,
                Tag::ErrorResponse => {
                    let error = Fields::parse(&message.body).to_response(Severity::Error);
                    warn!(%error, "connect_query failed");
                }
                Tag::ReadyForQuery if message.body.first() == Some(&b'I') => return Ok(()),
                Tag::ReadyForQuery => {
                    return Err(ConnectError::Protocol(
                        "connect_query has left a transaction open",
                    ));
                }
                Tag::CopyInResponse => {
                    frontend::put_copy_fail(self.outbox.buffer(), "connect_query has no data");
                }
                Tag::CommandComplete
                | Tag::CopyData
                | Tag::CopyDone
                | Tag::CopyOutResponse
                | Tag::DataRow
                | Tag::EmptyQueryResponse
                | Tag::NoticeResponse
                | Tag::NotificationResponse
                | Tag::RowDescription => {}
                Tag::Authentication
                | Tag::BackendKeyData
                | Tag::BindComplete
                | Tag::CloseComplete
                | Tag::CopyBothResponse
                | Tag::FunctionCallResponse
                | Tag::NegotiateProtocolVersion
                | Tag::NoData
                | Tag::ParameterDescription
                | Tag::ParseComplete
                | Tag::PortalSuspended => {
                    return Err(ConnectError::Protocol(
                        "a message that has no place in the answer to a query",
                    ));
                }
            }
        }
    }

    async fn scram(
        &mut self,
        credentials: &Credentials,
        mechanisms: &[&str],
    ) -> Result<(), ConnectError> {
        let binding = match self.stream.peer_certificate() {
            Some(der) => client::Binding::Tls(certificate::end_point_binding(der)),
            None if self.stream.is_tls() => client::Binding::Tls(None),
            None => client::Binding::NoTls,
        };
        let (mechanism, exchange, first) = client::start(mechanisms, binding)?;
        frontend::put_sasl_initial(self.outbox.buffer(), mechanism, first.as_bytes());
        let body = self.sasl(authentication::SASL_CONTINUE).await?;
        let challenge = exchange.server_first(&body)?;
        let keys = scram_keys(credentials, challenge.salt(), challenge.iterations()).await?;
        let (exchange, last) = challenge.answer(&keys);
        frontend::put_sasl_response(self.outbox.buffer(), last.as_bytes());
        let body = self.sasl(authentication::SASL_FINAL).await?;
        // Only then has the server proved to know the password too.
        Ok(exchange.server_final(&body)?)
    }

    fn send_cleartext(&mut self, asks: &LogIn<'_>) -> Result<(), ConnectError> {
        let is_private = self.stream.is_tls() || self.stream.socket().is_unix();
        if !is_private && !asks.allow_cleartext {
            return Err(ConnectError::Cleartext);
        }
        let credentials = asks.credentials;
        match credentials.secret().as_deref() {
            Some(Secret::Plain(password)) => {
                frontend::put_password(self.outbox.buffer(), password.expose().as_bytes());
                Ok(())
            }
            // PgBouncer sends the hash or the verifier instead, which is the password of nobody.
            Some(Secret::Md5(_) | Secret::Scram(_)) | None => {
                Err(no_secret("a cleartext password", credentials))
            }
        }
    }

    fn send_md5(&mut self, credentials: &Credentials, salt: [u8; 4]) -> Result<(), ConnectError> {
        let response = match credentials.secret().as_deref() {
            Some(Secret::Plain(password)) => {
                let user = credentials.user().as_str();
                md5::challenge_response(&Md5Hash::new(user, password.expose().as_bytes()), salt)
            }
            Some(Secret::Md5(hash)) => md5::challenge_response(hash, salt),
            Some(Secret::Scram(_)) | None => {
                return Err(no_secret("an md5 password", credentials));
            }
        };
        frontend::put_password(self.outbox.buffer(), response.as_bytes());
        Ok(())
    }

    /// The data of an Authentication message of this code.
    async fn sasl(&mut self, code: i32) -> Result<Vec<u8>, ConnectError> {
        let body = self.authentication().await?;
        let mut body = BodyReader::new(&body);
        if body.int32()? != code {
            return Err(ConnectError::Protocol(
                "an unexpected step of the SASL exchange",
            ));
        }
        Ok(body.rest().to_vec())
    }

    /// The body of the next Authentication message.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what else it is, it has no place here"
    )]
    async fn authentication(&mut self) -> Result<Vec<u8>, ConnectError> {
        loop {
            let message = self.next().await?;
            match message.tag {
                Tag::Authentication => return Ok(message.body),
                Tag::NoticeResponse | Tag::NegotiateProtocolVersion => {}
                _ => {
                    return Err(ConnectError::Protocol(
                        "a message that has no place in a login",
                    ));
                }
            }
        }
    }

    /// The next message, unless it is the server's refusal.
    async fn next(&mut self) -> Result<Message, ConnectError> {
        let message = self.message().await?;
        if message.tag == Tag::ErrorResponse {
            let error = Fields::parse(&message.body).to_response(Severity::Fatal);
            return Err(ConnectError::Refused(error));
        }
        Ok(message)
    }

    async fn message(&mut self) -> Result<Message, ConnectError> {
        self.outbox.flush(&mut self.stream).await?;
        self.heard += 1;
        if self.heard > MAX_MESSAGES {
            return Err(ConnectError::Protocol("a login without end"));
        }
        loop {
            let unread = self.inbox.unread();
            if let Some(head) = Head::<Backend>::parse(unread)? {
                if head.body_len() > MAX_BODY {
                    let (len, limit) = (head.body_len(), MAX_BODY);
                    return Err(FramingError::TooLong { len, limit }.into());
                }
                if let Some(body) = unread.get(Head::<Backend>::LEN..head.message_len()) {
                    let message = Message {
                        tag: head.tag(),
                        body: body.to_vec(),
                    };
                    self.inbox.consume(head.message_len());
                    return Ok(message);
                }
            }
            let Self { inbox, stream, .. } = self;
            if poll_fn(|cx| inbox.poll_fill(stream, 0, cx)).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// Notes what a ParameterStatus says.
fn note(parameters: &mut Parameters, body: &[u8]) -> Result<(), FramingError> {
    let mut body = BodyReader::new(body);
    let (name, value) = (body.cstr()?, body.cstr()?);
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| FramingError::Body);
    parameters.set(text(name)?, text(value)?);
    Ok(())
}

/// The keys for a server's salt: learned from a client, derived before, or derived now, off
/// the worker's thread.
async fn scram_keys(
    credentials: &Credentials,
    salt: &[u8],
    iterations: u32,
) -> Result<Keys, ConnectError> {
    match credentials.secret() {
        Some(secret) => {
            if let Some(keys) = credentials.derived(salt, iterations) {
                return Ok(keys);
            }
            if let Secret::Plain(_) = &*secret {
                let salt_copy = salt.to_vec();
                let derive = move || match &*secret {
                    Secret::Plain(password) => Some(Keys::derive(
                        password.expose().as_bytes(),
                        &salt_copy,
                        iterations,
                    )),
                    Secret::Md5(_) | Secret::Scram(_) => None,
                };
                let keys = tokio::task::spawn_blocking(derive)
                    .await
                    .map_err(|_| ConnectError::Protocol("the derivation of the keys broke off"))?;
                if let Some(keys) = keys {
                    credentials.keep_derived(salt, iterations, keys.clone());
                    return Ok(keys);
                }
            }
            credentials
                .client_keys()
                .ok_or_else(|| no_secret("SCRAM", credentials))
        }
        None => credentials
            .client_keys()
            .ok_or_else(|| no_secret("SCRAM", credentials)),
    }
}

fn no_secret(asked: &'static str, credentials: &Credentials) -> ConnectError {
    ConnectError::NoSecret(asked, credentials.user().to_string())
}

/// An ErrorResponse with all its fields is the longest message of a login.
const MAX_BODY: usize = 64 * 1024;
/// Twenty parameters and some notices are usual.
const MAX_MESSAGES: usize = 1000;
