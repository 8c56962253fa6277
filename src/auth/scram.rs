//! SCRAM-SHA-256, towards clients and towards servers.
//!
//! RFC 5802 (SCRAM), RFC 7677 (SHA-256), RFC 5929 (tls-server-end-point), and what
//! PostgreSQL makes of them: <https://www.postgresql.org/docs/current/sasl-authentication.html>
//!
//! Both sides are chains of types, so messages out of order do not compile.

pub mod client;
pub mod error;
pub mod keys;
mod message;
pub mod server;
pub mod verifier;

pub use error::{ScramError, Violation};
pub use keys::Keys;
pub use verifier::Verifier;

/// The mechanism without channel binding, RFC 7677.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// The mechanism with channel binding, RFC 7677.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The only channel-binding type PostgreSQL knows, RFC 5929 section 4.
const BINDING_TYPE: &str = "tls-server-end-point";

/// A fresh nonce of 144 random bits as base64, 24 characters, like PostgreSQL's.
fn nonce() -> String {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

#[cfg(test)]
mod tests;
