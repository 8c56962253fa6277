//! What one client does must not reach another: clients that share servers.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test as tests do"
)]

#[path = "../support/mod.rs"]
mod support;

mod following;
mod leftovers;
mod statements;
mod walk;
