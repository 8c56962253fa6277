//! Why there is no server for a client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::scram::ScramError;
use crate::wire::error_response::ErrorResponse;
use crate::wire::head::FramingError;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;

/// Why a server connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket cannot be connected, or broke.
    #[error("cannot connect to the server: {0}")]
    Io(#[from] io::Error),
    /// The host name has no address.
    #[error("cannot look up the server's host name: {0}")]
    Dns(#[source] io::Error),
    /// It took too long.
    #[error("server did not answer within server_connect_timeout ({0:?})")]
    Timeout(Duration),
    /// The server's certificate does not hold, or there is no TLS that both sides speak.
    #[error("TLS handshake with the server failed: {0}")]
    Tls(#[source] io::Error),
    /// TLS is asked for and the server has none.
    #[error("server refused TLS, which the mode of server_tls demands")]
    TlsRefused,
    /// The server's certificate is for another name, or the name is none.
    #[error("host \"{0}\" cannot be checked against a certificate")]
    TlsName(String),
    /// What came is not the protocol.
    #[error("server broke the protocol: {0}")]
    Framing(#[from] FramingError),
    /// A message that has no place in a login.
    #[error("server broke the protocol: {0}")]
    Protocol(&'static str),
    /// The server's own refusal.
    #[error("server refused the login: {0}")]
    Refused(ErrorResponse),
    /// The SCRAM conversation failed.
    #[error("SCRAM login at the server failed: {0}")]
    Scram(#[from] ScramError),
    /// The server wants what is not known.
    #[error("server asks for {0}, for which user \"{1}\" has no usable secret")]
    NoSecret(&'static str, String),
    /// A cleartext password is not sent over TCP without TLS unless the settings say so.
    #[error(
        "server asks for a cleartext password over a connection without TLS, and \
         server_tls.allow_cleartext is off"
    )]
    Cleartext,
    /// A limit of connections is reached and nothing could be evicted: wait and try again.
    #[error("a server became free in the meantime")]
    Retry,
    /// The last try failed less than server_login_retry ago.
    #[error("server login has been failing: {0}")]
    Cached(Arc<ConnectError>),
}

impl ConnectError {
    /// Whether it may be over soon, and who waits had better go on waiting: a server that cannot
    /// be reached, or is only just starting.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Dns(_) | Self::Io(_) | Self::Timeout(_) | Self::Retry => true,
            Self::Refused(error) => error.code == SqlState::CANNOT_CONNECT_NOW,
            Self::Cached(error) => error.may_pass(),
            Self::Cleartext
            | Self::Framing(_)
            | Self::NoSecret(..)
            | Self::Protocol(_)
            | Self::Scram(_)
            | Self::TlsName(_)
            | Self::Tls(_)
            | Self::TlsRefused => false,
        }
    }

    /// Whether the server has no database of the name it was asked for.
    pub fn is_without_database(&self) -> bool {
        let first = if let Self::Cached(first) = self {
            first.as_ref()
        } else {
            self
        };
        matches!(first, Self::Refused(error) if error.code == SqlState::INVALID_CATALOG_NAME)
    }

    /// What it is in a line of the log, in PgBouncer's words where it has some.
    pub fn reason(&self) -> String {
        match self {
            Self::Cached(error) => error.reason(),
            Self::Cleartext
            | Self::Framing(_)
            | Self::NoSecret(..)
            | Self::Protocol(_)
            | Self::Retry
            | Self::Scram(_)
            | Self::Tls(_)
            | Self::TlsName(_) => self.to_string(),
            Self::Dns(_) => "server DNS lookup failed".into(),
            Self::Io(_) => "connect failed".into(),
            Self::Refused(error) => error.message.clone(),
            Self::Timeout(_) => "connect timeout".into(),
            Self::TlsRefused => "server refused SSL".into(),
        }
    }

    /// What a client is told: no addresses, the server's own words where there are some.
    pub fn to_client(&self) -> ErrorResponse {
        match self {
            // The server's own words, in every style.
            Self::Refused(error) => ErrorResponse::fatal(error.code, error.message.clone()),
            Self::Cached(error) => {
                let first = error.to_client();
                PoolerError::ServerLoginFailing(first.code, first.message).into()
            }
            Self::Timeout(_) => failed("connect timeout"),
            Self::Dns(_) | Self::Io(_) => failed("connect failed"),
            Self::NoSecret(..) => failed("server login failed: wrong password type"),
            Self::TlsRefused => failed("server refused SSL"),
            Self::Tls(_)
            | Self::TlsName(_)
            | Self::Framing(_)
            | Self::Protocol(_)
            | Self::Scram(_)
            | Self::Cleartext
            | Self::Retry => failed("login at the server failed, see the pooler's log"),
        }
    }
}

/// The same in both styles, but for the SQLSTATE.
fn failed(message: &'static str) -> ErrorResponse {
    ErrorResponse::fatal(SqlState::CONNECTION_FAILURE, message).or_as_pgbouncer(message)
}

/// Why a client gets no server.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// It waited too long.
    #[error("no server connection became free within query_wait_timeout ({0:?})")]
    QueryWaitTimeout(Duration),
    /// None could be opened.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The pool was replaced by a reload or removed: ask for it anew.
    #[error("the pool is gone")]
    Closed,
}

impl CheckoutError {
    /// What a client is told.
    pub fn to_client(&self) -> ErrorResponse {
        match self {
            Self::QueryWaitTimeout(_) => PoolerError::QueryWaitTimeout.into(),
            Self::Connect(error) => error.to_client(),
            Self::Closed => PoolerError::DatabaseRemoved.into(),
        }
    }
}
