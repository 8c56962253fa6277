//! The pooler's own errors, in the words of PostgreSQL and in those of PgBouncer.
//!
//! How to use it: where the pooler itself ends or refuses something, make the error from a row of
//! this table, `PoolerError::ClientIdleTimeout.into()`, and pass it on as an [`ErrorResponse`]. It
//! then speaks as PostgreSQL does, and knows what PgBouncer would say in its place. Whoever writes
//! an error to a client calls [`ErrorResponse::in_style`] first, and nobody else needs to know the
//! style. An error of no row (one with PgBouncer's text only in one place) is made with
//! [`ErrorResponse::or_as_pgbouncer`]. What is made without either is the same in both styles:
//! refusals by access rules, limits of roles, and what servers say.

use std::fmt;
use std::str::FromStr;

use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// In whose words the pooler's own errors are: `clients.errors`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ErrorStyle {
    /// PgBouncer's messages, always with SQLSTATE 08P01 (F0000 for RELOAD), without details.
    Pgbouncer,
    /// As PostgreSQL would say it, with its SQLSTATEs, details and hints.
    #[default]
    Postgresql,
}

impl ErrorStyle {
    /// The word for it in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pgbouncer => "pgbouncer",
            Self::Postgresql => "postgresql",
        }
    }
}

impl FromStr for ErrorStyle {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Pgbouncer, Self::Postgresql]
            .into_iter()
            .find(|style| style.as_str() == name)
            .ok_or(())
    }
}

impl fmt::Display for ErrorStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An error of the pooler's own that ends a client's connection: one row, two texts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PoolerError {
    /// The database on which auth_query runs is disabled.
    AuthDatabaseDisabled(String),
    /// A certificate is missing or names somebody else. The user.
    CertificateFailed(String),
    /// The client was silent for too long.
    ClientIdleTimeout,
    /// The settings contradict each other: the log says how.
    ConfigError,
    /// The database is disabled.
    DatabaseDisabled(String),
    /// KILL, or a reload took the database away.
    DatabaseRemoved,
    /// The password sent has no characters.
    EmptyPassword,
    /// KILL_CLIENT.
    ForcedDisconnect,
    /// No rule of the HBA file matches. The rest of the sentence after "no HBA rule for".
    HbaNoRule(String),
    /// A rule of the HBA file says `reject`. The rest of the sentence after "rejects".
    HbaReject(String),
    /// In a transaction without doing anything for too long.
    IdleTransactionTimeout,
    /// The directory does not know the user or the password. The user.
    LdapFailed(String),
    /// The login took too long.
    LoginTimeout,
    /// The login took too long since no server can be reached.
    LoginTimeoutServerDown,
    /// As many clients as there may be.
    MaxClients,
    /// As many clients of this database as there may be.
    MaxDatabaseClients,
    /// As many clients of this user as there may be.
    MaxUserClients,
    /// Nobody has heard of the database.
    NoSuchDatabase(String),
    /// The start-up packet names no user.
    NoUserName,
    /// The protocol before PostgreSQL 7.4: its major and minor number.
    OldProtocol(i32, i32),
    /// PAM refuses the user. The user.
    PamFailed(String),
    /// A wrong password, of anybody. The user.
    PasswordFailed(String),
    /// The Unix socket's peer runs as somebody else. The user.
    PeerFailed(String),
    /// A simple query where these are off.
    PqexecDisallowed,
    /// A statement's name is taken.
    PreparedExists(String),
    /// No statement has the name.
    PreparedMissing(String),
    /// The query ran for too long.
    QueryTimeout,
    /// The query waited for too long, by query_timeout.
    QueryTimeoutWaiting,
    /// The query waited for too long, by query_wait_timeout.
    QueryWaitTimeout,
    /// A wrong proof in SCRAM. The user.
    SaslFailed(String),
    /// A mechanism that was not offered.
    SaslMechanism,
    /// The connection of the server broke.
    ServerCrashed,
    /// Nobody can log in at the server at the moment: what it last said.
    ServerLoginFailing(SqlState, String),
    /// The pooler is going.
    ShuttingDown,
    /// `options` with a setting nobody knows.
    StartupOption(String),
    /// `options` out of shape.
    StartupOptions,
    /// A start-up parameter nobody knows.
    StartupParameter(String),
    /// A connection must be encrypted.
    TlsRequired,
    /// The transaction lasted for too long.
    TransactionTimeout,
    /// A transaction block where each statement may meet another server.
    TransactionBlock,
    /// `trust` does not go as far as users nobody knows. The user.
    TrustFailed(String),
    /// More bytes behind an SSLRequest or GSSENCRequest; which.
    UnencryptedData(&'static str),
}

impl PoolerError {
    fn code(&self) -> SqlState {
        match self {
            Self::CertificateFailed(_)
            | Self::HbaNoRule(_)
            | Self::HbaReject(_)
            | Self::LdapFailed(_)
            | Self::NoUserName
            | Self::PamFailed(_)
            | Self::PeerFailed(_)
            | Self::TlsRequired
            | Self::TrustFailed(_) => SqlState::INVALID_AUTHORIZATION,
            Self::EmptyPassword | Self::PasswordFailed(_) | Self::SaslFailed(_) => {
                SqlState::INVALID_PASSWORD
            }
            Self::NoSuchDatabase(_) => SqlState::INVALID_CATALOG_NAME,
            Self::MaxClients | Self::MaxDatabaseClients | Self::MaxUserClients => {
                SqlState::TOO_MANY_CONNECTIONS
            }
            Self::AuthDatabaseDisabled(_) | Self::DatabaseDisabled(_) => {
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            Self::DatabaseRemoved | Self::ForcedDisconnect => SqlState::ADMIN_SHUTDOWN,
            Self::ShuttingDown => SqlState::CANNOT_CONNECT_NOW,
            Self::ServerCrashed => SqlState::CONNECTION_FAILURE,
            Self::ServerLoginFailing(code, _) => *code,
            Self::IdleTransactionTimeout => SqlState::IDLE_IN_TRANSACTION_TIMEOUT,
            Self::TransactionTimeout => SqlState::TRANSACTION_TIMEOUT,
            Self::QueryTimeout => SqlState::QUERY_CANCELED,
            Self::OldProtocol(..) | Self::PqexecDisallowed => SqlState::FEATURE_NOT_SUPPORTED,
            Self::PreparedExists(_) => SqlState::DUPLICATE_PREPARED_STATEMENT,
            Self::PreparedMissing(_) => SqlState::INVALID_SQL_STATEMENT_NAME,
            Self::StartupOption(_) | Self::StartupParameter(_) => SqlState::UNDEFINED_OBJECT,
            Self::ConfigError => SqlState::INTERNAL_ERROR,
            // PostgreSQL has no such limits, or says the same.
            Self::ClientIdleTimeout
            | Self::LoginTimeout
            | Self::LoginTimeoutServerDown
            | Self::QueryTimeoutWaiting
            | Self::QueryWaitTimeout
            | Self::SaslMechanism
            | Self::StartupOptions
            | Self::TransactionBlock
            | Self::UnencryptedData(_) => SqlState::PROTOCOL_VIOLATION,
        }
    }

    /// The message in PostgreSQL's words; where it has none, ours.
    fn message(&self) -> String {
        match self {
            Self::CertificateFailed(user) => {
                format!("certificate authentication failed for user \"{user}\"")
            }
            Self::DatabaseDisabled(name) => {
                format!("database \"{name}\" is not currently accepting connections")
            }
            Self::ForcedDisconnect => "terminating connection due to administrator command".into(),
            Self::HbaNoRule(whom) => format!("no HBA rule for {whom}"),
            Self::HbaReject(whom) => format!("an HBA rule rejects {whom}"),
            Self::IdleTransactionTimeout => {
                "terminating connection due to idle-in-transaction timeout".into()
            }
            Self::LdapFailed(user) => format!("LDAP authentication failed for user \"{user}\""),
            Self::MaxClients => "no more connections allowed (clients.max)".into(),
            Self::MaxDatabaseClients => {
                "no more connections allowed (max_clients of the database)".into()
            }
            Self::MaxUserClients => "no more connections allowed (max_clients of the user)".into(),
            Self::NoSuchDatabase(name) => format!("database \"{name}\" does not exist"),
            Self::NoUserName => "no PostgreSQL user name specified in startup packet".into(),
            Self::OldProtocol(major, minor) => {
                format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")
            }
            Self::PamFailed(user) => format!("PAM authentication failed for user \"{user}\""),
            Self::PasswordFailed(user) | Self::SaslFailed(user) => {
                format!("password authentication failed for user \"{user}\"")
            }
            Self::PeerFailed(user) => format!("Peer authentication failed for user \"{user}\""),
            Self::PqexecDisallowed => "simple queries are not allowed".into(),
            Self::PreparedExists(name) => format!("prepared statement \"{name}\" already exists"),
            Self::PreparedMissing(name) => format!("prepared statement \"{name}\" does not exist"),
            Self::QueryTimeout => "canceling statement due to query_timeout".into(),
            Self::ServerCrashed => "server closed the connection unexpectedly".into(),
            Self::ShuttingDown => "the pooler is shutting down".into(),
            Self::StartupOption(name) | Self::StartupParameter(name) => {
                format!("unrecognized configuration parameter \"{name}\"")
            }
            Self::TransactionTimeout => "terminating connection due to transaction timeout".into(),
            Self::TrustFailed(user) => format!("trust authentication failed for user \"{user}\""),
            // The same in both.
            Self::AuthDatabaseDisabled(_)
            | Self::ClientIdleTimeout
            | Self::ConfigError
            | Self::DatabaseRemoved
            | Self::EmptyPassword
            | Self::LoginTimeout
            | Self::LoginTimeoutServerDown
            | Self::QueryTimeoutWaiting
            | Self::QueryWaitTimeout
            | Self::SaslMechanism
            | Self::ServerLoginFailing(..)
            | Self::StartupOptions
            | Self::TlsRequired
            | Self::TransactionBlock
            | Self::UnencryptedData(_) => self.as_pgbouncer(),
        }
    }

    /// The message in PgBouncer's words, before it is cut.
    fn as_pgbouncer(&self) -> String {
        let text = match self {
            Self::AuthDatabaseDisabled(name) => {
                return format!("authentication database \"{name}\" is disabled");
            }
            Self::DatabaseDisabled(name) => return format!("database \"{name}\" is disabled"),
            Self::NoSuchDatabase(name) => return format!("no such database: {name}"),
            Self::ServerLoginFailing(_, text) => {
                return format!(
                    "server login has been failing, cached error: {text} (server_login_retry)"
                );
            }
            Self::StartupOption(name) => {
                return format!("unsupported startup parameter in options: {name}");
            }
            Self::StartupParameter(name) => {
                return format!("unsupported startup parameter: {name}");
            }
            Self::UnencryptedData(what) => {
                return format!("received unencrypted data after {what} request");
            }
            Self::CertificateFailed(_) => "certificate authentication failed",
            Self::ClientIdleTimeout => "client_idle_timeout",
            Self::ConfigError => "bouncer config error",
            Self::DatabaseRemoved => "database removed",
            Self::EmptyPassword => "empty password returned by client",
            Self::ForcedDisconnect => "admin forced disconnect",
            Self::HbaNoRule(_) => "no authentication method is found",
            Self::HbaReject(_) => "login rejected",
            Self::IdleTransactionTimeout => "idle transaction timeout",
            Self::LdapFailed(_) => "LDAP authentication failed",
            Self::LoginTimeout => "client_login_timeout",
            Self::LoginTimeoutServerDown => "client_login_timeout (server down)",
            Self::MaxClients => "no more connections allowed (max_client_conn)",
            Self::MaxDatabaseClients => "client connections exceeded (max_db_client_connections)",
            Self::MaxUserClients => "client connections exceeded (max_user_client_connections)",
            Self::NoUserName => "no username supplied",
            Self::OldProtocol(..) => "old V2 protocol not supported",
            Self::PamFailed(_) => "PAM authentication failed",
            Self::PasswordFailed(_) => "password authentication failed",
            Self::PeerFailed(_) => "unix socket login rejected",
            Self::PqexecDisallowed => "PQexec disallowed",
            Self::PreparedExists(_) => "prepared statement name is already in use",
            Self::PreparedMissing(_) => "prepared statement did not exist",
            Self::QueryTimeout => "query timeout",
            Self::QueryTimeoutWaiting => "query_timeout",
            Self::QueryWaitTimeout => "query_wait_timeout",
            Self::SaslFailed(_) => "SASL authentication failed",
            Self::SaslMechanism => "client selected an invalid SASL authentication mechanism",
            Self::ServerCrashed => "server conn crashed?",
            Self::ShuttingDown => "pooler is shutting down",
            Self::StartupOptions => {
                "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed"
            }
            Self::TlsRequired => "SSL required",
            Self::TransactionTimeout => "transaction timeout",
            Self::TransactionBlock => "transaction blocks not allowed in statement pooling mode",
            Self::TrustFailed(_) => "\"trust\" authentication failed",
        };
        text.into()
    }
}

impl From<PoolerError> for ErrorResponse {
    fn from(error: PoolerError) -> Self {
        let response = Self::fatal(error.code(), error.message());
        let response = response.or_as_pgbouncer(error.as_pgbouncer());
        if error == PoolerError::TlsRequired {
            return response.with_hint("Connect with sslmode=require or stricter.");
        }
        response
    }
}

impl ErrorResponse {
    /// The error as it is to be written to a client of this style.
    #[must_use]
    pub fn in_style(self, style: ErrorStyle) -> Self {
        match (style, &self.as_pgbouncer) {
            (ErrorStyle::Pgbouncer, Some(text)) => {
                let code = if self.code == SqlState::CONFIG_FILE_ERROR {
                    self.code
                } else {
                    SqlState::PROTOCOL_VIOLATION
                };
                Self {
                    bare: true,
                    ..Self::new(self.severity, code, cut(text))
                }
            }
            (ErrorStyle::Pgbouncer | ErrorStyle::Postgresql, _) => self,
        }
    }
}

/// PgBouncer writes messages into a buffer of 128 bytes.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE)]
}

/// In bytes.
const MAX_MESSAGE: usize = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: PoolerError, style: ErrorStyle) -> String {
        ErrorResponse::from(error).in_style(style).to_string()
    }

    #[test]
    fn an_error_has_a_text_in_each_style() {
        let wrong = PoolerError::PasswordFailed("alice".into());
        assert_eq!(
            said(wrong.clone(), ErrorStyle::Pgbouncer),
            "FATAL 08P01: password authentication failed"
        );
        assert_eq!(
            said(wrong, ErrorStyle::Postgresql),
            "FATAL 28P01: password authentication failed for user \"alice\""
        );
    }

    #[test]
    fn what_has_no_text_of_pgbouncers_is_the_same_in_both_styles() {
        let error = ErrorResponse::error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied");
        let error = error.with_detail("A rule says so.");
        assert_eq!(error.clone().in_style(ErrorStyle::Pgbouncer), error);
    }

    #[test]
    fn pgbouncer_sends_three_fields_and_no_more() {
        let error = ErrorResponse::from(PoolerError::TlsRequired);
        let mut bytes = Vec::new();
        error.in_style(ErrorStyle::Pgbouncer).put(&mut bytes);
        assert_eq!(&bytes[5..], b"SFATAL\0C08P01\0MSSL required\0\0");
    }

    #[test]
    fn a_long_message_is_cut_where_pgbouncer_cuts_it() {
        let error = PoolerError::NoSuchDatabase("ä".repeat(200));
        let error = ErrorResponse::from(error).in_style(ErrorStyle::Pgbouncer);
        // 18 bytes and 54 letters of 2: one more would be half a letter.
        assert_eq!(error.message.len(), 126);
    }

    #[test]
    fn a_failed_reload_keeps_its_code() {
        let error = ErrorResponse::error(SqlState::CONFIG_FILE_ERROR, "many problems")
            .or_as_pgbouncer("RELOAD failed, see logs for additional details");
        assert_eq!(
            error.in_style(ErrorStyle::Pgbouncer).to_string(),
            "ERROR F0000: RELOAD failed, see logs for additional details"
        );
    }
}
