//! The bytes of PostgreSQL's frontend/backend protocol, version 3.
//!
//! Knows every message by name and no policy, pool or setting.
//! <https://www.postgresql.org/docs/current/protocol.html>

pub mod backend;
pub mod body;
pub mod buffer;
pub mod cancel_key;
pub mod error_response;
pub mod frontend;
pub mod head;
pub mod outbox;
pub mod parameters;
pub mod pooler_error;
pub mod printable;
pub mod socket;
pub mod sqlstate;
pub mod startup;
pub mod stream;
pub mod tcp;
pub mod tls;

pub use backend::TransactionStatus;
pub use cancel_key::CancelKey;
pub use error_response::{ErrorResponse, Severity};
pub use head::{FramingError, Head};
pub use parameters::Parameters;
pub use pooler_error::{ErrorStyle, PoolerError};
pub use sqlstate::SqlState;
pub use stream::Stream;
