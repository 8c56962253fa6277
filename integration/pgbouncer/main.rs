//! What users of PgBouncer count on: its files, its command line, its console, its behaviour
//! and its log lines. Against a real PostgreSQL, and real tools where there are any.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test as tests do"
)]

#[path = "../postgres/support/mod.rs"]
mod support;

mod console;
mod extauth;
mod handover;
mod ini;
mod life;
mod login;
mod pool;
mod session;
