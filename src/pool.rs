//! Server connections: who may borrow them, and when one may be used again.

pub mod budget;
pub mod carried;
pub mod credentials;
pub mod dns;
pub mod error;
mod failures;
mod hygiene;
pub mod lease;
pub mod lines;
mod manager;
mod needs;
#[expect(
    clippy::module_inception,
    reason = "the layer is named after its main type"
)]
pub mod pool;
pub mod pools;
pub mod privileges;
mod recent;
pub mod replication;
pub mod replies;
pub mod server;
pub mod settings;
pub mod statement;
pub mod stats;
mod store;
pub mod timeouts;
pub mod tracked;
pub mod workshop;

pub use lease::{Lease, Released};
pub use pool::{Member, Pool};
pub use pools::Pools;
