//! Server connections: who may borrow them, and when one may be used again.

pub mod replies;
pub mod settings;
pub mod statement;
pub mod stats;
