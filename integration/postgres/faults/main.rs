//! What must not break when something else does: servers and clients that vanish, crowds,
//! reloads, shutdowns, limits. Against a real PostgreSQL, which every test has for itself.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test as tests do"
)]

#[path = "../support/mod.rs"]
mod support;

mod clients_lost;
mod crowds;
mod limits;
mod load;
mod operation;
mod server_login;
mod servers_lost;
