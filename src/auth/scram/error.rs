//! How a SCRAM exchange can fail.

/// Why an exchange ended without a proof. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The peer does not speak the protocol, or not the variant it must.
    #[error(transparent)]
    Protocol(#[from] Violation),
    /// The server ended the exchange with `e=`; its reason, printable ASCII only. Client side.
    #[error("the server refused the SCRAM login: {0}")]
    ServerRefused(String),
    /// The client does not know the password. Server side.
    #[error("password authentication failed")]
    WrongProof,
    /// The server does not know the password either, so it is not the one it claims to be.
    /// Client side.
    #[error("incorrect server signature")]
    WrongServerSignature,
}

/// A message, or a choice made in one, that the protocol does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The client wants to act as somebody else (`a=`).
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The client says `y` though channel binding was offered: somebody removed the offer.
    #[error(
        "SCRAM channel binding negotiation error: the client supports SCRAM channel binding \
         but thinks the server does not, however, this server does support channel binding"
    )]
    BindingDowngrade,
    /// The two ends of the exchange do not see the same certificate.
    #[error("SCRAM channel binding check failed")]
    BindingMismatch,
    /// A channel-binding type other than tls-server-end-point.
    #[error("unsupported SCRAM channel-binding type")]
    BindingType,
    /// The server offers channel binding on a connection without TLS.
    #[error("the server offered SCRAM-SHA-256-PLUS over a connection without TLS")]
    BindingWithoutTls,
    /// The iteration count is 0, no number, or above [`client::MAX_ITERATIONS`].
    ///
    /// [`client::MAX_ITERATIONS`]: super::client::MAX_ITERATIONS
    #[error("iteration count out of range in server-first-message")]
    Iterations,
    /// A message out of shape; the text says where.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// An extension that must be understood (`m=`); none is defined.
    #[error("client requires an unsupported SCRAM extension")]
    MandatoryExtension,
    /// The client chose a mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// The server offers no mechanism that can be used here.
    #[error("the server offers none of the supported SASL authentication mechanisms")]
    NoCommonMechanism,
    /// The nonce is not the one of this exchange.
    #[error("invalid SCRAM response: nonce does not match")]
    Nonce,
    /// A nonce with anything but printable ASCII.
    #[error("non-printable characters in SCRAM nonce")]
    NonceNotPrintable,
    /// The salt is empty or above [`client::MAX_SALT_LEN`].
    ///
    /// [`client::MAX_SALT_LEN`]: super::client::MAX_SALT_LEN
    #[error("salt length out of range in server-first-message")]
    SaltLength,
    /// A message above 4 KiB.
    #[error("SCRAM message is too long")]
    TooLong,
    /// A `c=` attribute that does not repeat the client's first choice.
    #[error("unexpected SCRAM channel-binding attribute in client-final-message")]
    UnexpectedBinding,
}

impl ScramError {
    /// The SQLSTATE PostgreSQL gives for it, five characters:
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Protocol(violation) => violation.sqlstate(),
            Self::ServerRefused(_) | Self::WrongProof => "28P01",
            Self::WrongServerSignature => "08P01",
        }
    }
}

impl Violation {
    fn sqlstate(&self) -> &'static str {
        match self {
            Self::AuthorizationIdentity | Self::MandatoryExtension => "0A000",
            Self::BindingDowngrade | Self::BindingMismatch => "28000",
            Self::BindingType
            | Self::BindingWithoutTls
            | Self::Iterations
            | Self::Malformed(_)
            | Self::Mechanism
            | Self::NoCommonMechanism
            | Self::Nonce
            | Self::NonceNotPrintable
            | Self::SaltLength
            | Self::TooLong
            | Self::UnexpectedBinding => "08P01",
        }
    }
}
