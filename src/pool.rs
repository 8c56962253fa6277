//! Server connections: who may borrow them, and when one may be used again.

pub mod replies;
pub mod statement;
