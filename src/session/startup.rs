//! The first packets of a connection: TLS, cancel requests, who the client is.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::auth::certificate;
use crate::session::deadline::Deadline;
use crate::session::error::SessionError;
use crate::session::settings::SessionSettings;
use crate::wire::buffer::Inbox;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::ErrorResponse;
use crate::wire::outbox::Outbox;
use crate::wire::parameters::Parameters;
use crate::wire::pooler_error::PoolerError;
use crate::wire::socket::Socket;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::{ProtocolVersion, StartupPacket};
use crate::wire::stream::Stream;
use crate::wire::tls::{ALPN, TlsMode};

type Result<T> = std::result::Result<T, SessionError>;

/// What a connection turned out to be.
#[derive(Debug)]
pub enum Hello {
    /// It asks to cancel a query and expects no answer, but the end of the connection.
    Cancel(CancelKey, Stream),
    /// A client that wants to log in.
    Startup(Greeted),
}

/// A client that has said who it is and has not proved it.
#[derive(Debug)]
pub struct Greeted {
    pub(super) stream: Stream,
    /// Its address and port; `None` for a Unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    /// When the login must have ended.
    pub(super) until: Deadline,
    pub(super) version: ProtocolVersion,
    pub(super) parameters: Parameters,
    /// What SCRAM binds to: our certificate's digest.
    pub(super) binding: Option<Vec<u8>>,
}

/// Reads up to the StartupMessage, with TLS where the client asks for it. Not cancel safe.
///
/// `address` is the client's, on a TCP socket. On an error, `refused` gets the connection if the
/// client can still be told.
///
/// # Errors
/// The client broke the protocol or is not let in without TLS.
pub async fn negotiate(
    (socket, address): (Socket, Option<SocketAddr>),
    settings: &SessionSettings,
    until: Deadline,
    refused: &mut Option<Stream>,
) -> Result<Hello> {
    let direct =
        settings.tls.is_some() && until.hold(first_byte(&socket)).await? == Some(TLS_HANDSHAKE);
    let mut opening = Opening {
        stream: Stream::Plain(socket),
        address,
        inbox: Inbox::default(),
        settings,
        until,
        asked_tls: false,
        asked_gss: false,
    };
    if direct {
        opening = until.hold(opening.accept_tls(true)).await?;
    }
    loop {
        match until.hold(opening.next()).await {
            Ok(Step::Again) => {}
            Ok(Step::BeginTls) => opening = until.hold(opening.accept_tls(false)).await?,
            Ok(Step::Startup(packet)) => return opening.finish(packet, refused),
            Err(error) => {
                *refused = Some(opening.stream);
                return Err(error);
            }
        }
    }
}

struct Opening<'a> {
    stream: Stream,
    address: Option<SocketAddr>,
    inbox: Inbox,
    settings: &'a SessionSettings,
    until: Deadline,
    asked_tls: bool,
    asked_gss: bool,
}

/// What a packet of the start-up phase leads to.
enum Step {
    Again,
    BeginTls,
    Startup(StartupPacket),
}

impl Opening<'_> {
    async fn next(&mut self) -> Result<Step> {
        let packet = self.packet().await?;
        match packet {
            StartupPacket::SslRequest if !self.asked_tls => {
                self.asked_tls = true;
                self.nothing_may_follow("SSL")?;
                let possible = self.settings.tls.is_some() && !self.stream.socket().is_unix();
                self.answer(if possible { b'S' } else { b'N' }).await?;
                Ok(if possible {
                    Step::BeginTls
                } else {
                    Step::Again
                })
            }
            StartupPacket::GssEncRequest if !self.asked_gss => {
                self.asked_gss = true;
                self.nothing_may_follow("GSSAPI encryption")?;
                self.answer(b'N').await?;
                Ok(Step::Again)
            }
            StartupPacket::SslRequest | StartupPacket::GssEncRequest => {
                Err(refuse("encryption was requested twice"))
            }
            StartupPacket::CancelRequest(_) | StartupPacket::StartupMessage { .. } => {
                Ok(Step::Startup(packet))
            }
        }
    }

    fn finish(self, packet: StartupPacket, refused: &mut Option<Stream>) -> Result<Hello> {
        let (version, mut parameters, options) = match packet {
            StartupPacket::CancelRequest(key) => return Ok(Hello::Cancel(key, self.stream)),
            StartupPacket::StartupMessage {
                version,
                parameters,
                protocol_options,
            } => (version, parameters, protocol_options),
            StartupPacket::SslRequest | StartupPacket::GssEncRequest => {
                return Err(refuse("encryption was requested twice"));
            }
        };
        if version.major() != 3 {
            *refused = Some(self.stream);
            let (major, minor) = (version.major(), version.as_wire() & 0xffff);
            return Err(PoolerError::OldProtocol(major, minor).into());
        }
        let mode = self
            .settings
            .tls
            .as_ref()
            .map_or(TlsMode::Disable, |tls| tls.mode);
        let open = !self.stream.is_tls() && !self.stream.socket().is_unix();
        if open && mode >= TlsMode::Require {
            *refused = Some(self.stream);
            return Err(PoolerError::TlsRequired.into());
        }
        let mut outbox = Outbox::default();
        let spoken = version.spoken();
        if spoken != version || !options.is_empty() {
            crate::wire::backend::put_negotiate_protocol_version(
                outbox.buffer(),
                spoken.as_wire(),
                &options,
            );
        }
        if parameters.value("database").is_none_or(str::is_empty)
            && let Some(user) = parameters.value("user").map(str::to_owned)
        {
            parameters.set("database", &user);
        }
        let binding = match (&self.stream, &self.settings.tls) {
            (Stream::TlsFromClient(_), Some(tls)) => {
                certificate::end_point_binding(&tls.certificate)
            }
            _ => None,
        };
        Ok(Hello::Startup(Greeted {
            stream: self.stream,
            address: self.address,
            inbox: self.inbox,
            outbox,
            until: self.until,
            version: spoken,
            parameters,
            binding,
        }))
    }

    async fn packet(&mut self) -> Result<StartupPacket> {
        loop {
            let parsed =
                StartupPacket::parse(self.inbox.unread()).map_err(SessionError::ClientFraming)?;
            if let Some((packet, len)) = parsed {
                self.inbox.consume(len);
                return Ok(packet);
            }
            let Self { inbox, stream, .. } = self;
            let read = poll_fn(|cx| inbox.poll_fill(stream, 0, cx)).await;
            if read.map_err(SessionError::ClientLost)? == 0 {
                return Err(SessionError::ClientLost(
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
        }
    }

    /// What arrives before the handshake could be taken as if it had come inside it
    /// (CVE-2021-23222 and its kin).
    fn nothing_may_follow(&self, what: &'static str) -> Result<()> {
        if self.inbox.unread().is_empty() {
            return Ok(());
        }
        Err(PoolerError::UnencryptedData(what).into())
    }

    async fn answer(&mut self, byte: u8) -> Result<()> {
        self.stream
            .write_all(&[byte])
            .await
            .map_err(SessionError::ClientLost)
    }

    async fn accept_tls(mut self, direct: bool) -> Result<Self> {
        let (Some(tls), Stream::Plain(socket)) = (&self.settings.tls, self.stream) else {
            return Err(refuse("encryption was requested twice"));
        };
        let stream = TlsAcceptor::from(Arc::clone(&tls.config))
            .accept(socket)
            .await
            .map_err(SessionError::ClientLost)?;
        if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(refuse("direct TLS needs the ALPN protocol \"postgresql\""));
        }
        self.asked_tls = true;
        self.stream = Stream::TlsFromClient(Box::new(stream));
        Ok(self)
    }
}

async fn first_byte(socket: &Socket) -> Result<Option<u8>> {
    socket.peek().await.map_err(SessionError::ClientLost)
}

fn refuse(message: &'static str) -> SessionError {
    let error = ErrorResponse::fatal(SqlState::PROTOCOL_VIOLATION, message);
    SessionError::Refused(error.or_as_pgbouncer(message))
}

/// The first byte of a TLS ClientHello, and of no start-up packet of less than 16 MiB.
const TLS_HANDSHAKE: u8 = 0x16;
