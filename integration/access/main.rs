//! Attacks on the access rules, from outside: a real PostgreSQL, a real pgwarden, and clients
//! that want more than they may.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test as tests do"
)]

#[path = "../postgres/support/mod.rs"]
mod support;

mod audit;
mod catalogue;
mod certificates;
mod corpus;
mod fixture;
mod grants;
mod house;
mod limits;
mod play;
mod refusals;
mod reload;
mod row;
mod snapshot;
