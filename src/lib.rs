//! A PostgreSQL connection pooler with access control.
//!
//! One layer a module, each using only those above it in this list:
//!
//! * [`wire`]: the bytes of PostgreSQL's protocol. No policy, no pool, no settings.
//! * [`auth`]: who the client is. Conversations without I/O, secrets, identities.
//! * [`policy`]: what an identity may do.
//! * [`pool`]: server connections, who may borrow them and when they may be reused.
//! * [`session`]: one client from its first byte to its last.
//! * [`console`]: the administrator's SHOW and PAUSE.
//! * [`telemetry`]: logs and metrics.
//! * [`config`]: files and environment to settings.

pub mod auth;
pub mod console;
pub mod policy;
pub mod pool;
pub mod session;
pub mod telemetry;
pub mod wire;
