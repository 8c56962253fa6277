//! How a session ends badly, and what the client is told.

use std::io;

use crate::pool::error::CheckoutError;
use crate::pool::replies::Unexpected;
use crate::wire::error_response::ErrorResponse;
use crate::wire::head::FramingError;
use crate::wire::pooler_error::PoolerError;
use crate::wire::sqlstate::SqlState;

/// Why a session ended. Variants are divided by who misbehaved.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The client's connection broke. Nobody is left to tell.
    #[error("client connection lost: {0}")]
    ClientLost(#[source] io::Error),
    /// The client sent what is not the protocol.
    #[error("client broke the protocol: {0}")]
    ClientFraming(#[source] FramingError),
    /// The client did what is refused; what it is told.
    #[error("{0}")]
    Refused(ErrorResponse),
    /// The client did not log in in time.
    #[error("client did not log in within login_timeout")]
    LoginTimeout,
    /// There is no server for the client.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The server's connection broke.
    #[error("server connection lost: {0}")]
    ServerLost(#[source] io::Error),
    /// The server sent what is not the protocol.
    #[error("server broke the protocol: {0}")]
    ServerFraming(#[source] FramingError),
    /// The server answered what nobody asked.
    #[error(transparent)]
    ServerUnexpected(#[from] Unexpected),
    /// The server refused the client's parameters.
    #[error("the server refused a parameter of the client's: {0}")]
    Parameters(ErrorResponse),
    /// The server has said its last word, which the client has heard.
    #[error("the server ended the session")]
    ServerEnded,
}

impl From<PoolerError> for SessionError {
    fn from(error: PoolerError) -> Self {
        Self::Refused(error.into())
    }
}

impl SessionError {
    /// What the client is told; `None`: nobody is left to tell, or has been told already.
    pub fn to_client(&self) -> Option<ErrorResponse> {
        match self {
            Self::ClientLost(_) | Self::ServerEnded => None,
            Self::ClientFraming(error) => Some(ErrorResponse::fatal(
                SqlState::PROTOCOL_VIOLATION,
                error.to_string(),
            )),
            Self::Refused(error) => Some(error.clone()),
            Self::LoginTimeout => Some(PoolerError::LoginTimeout.into()),
            Self::Checkout(error) => Some(error.to_client()),
            Self::Parameters(error) => Some(
                ErrorResponse::fatal(error.code, error.message.clone())
                    .or_as_pgbouncer("invalid server parameter"),
            ),
            Self::ServerLost(_) => Some(PoolerError::ServerCrashed.into()),
            Self::ServerFraming(_) | Self::ServerUnexpected(_) => Some(
                ErrorResponse::fatal(
                    SqlState::PROTOCOL_VIOLATION,
                    "the server broke the protocol, see the pooler's log",
                )
                .or_as_pgbouncer("bad packet"),
            ),
        }
    }

    /// Whether an operator should look at it.
    pub fn is_alarming(&self) -> bool {
        match self {
            Self::ServerFraming(_) | Self::ServerUnexpected(_) | Self::ServerLost(_) => true,
            Self::Checkout(_)
            | Self::ClientFraming(_)
            | Self::ClientLost(_)
            | Self::LoginTimeout
            | Self::Parameters(_)
            | Self::Refused(_)
            | Self::ServerEnded => false,
        }
    }
}
