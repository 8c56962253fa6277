//! The model test: what clients hear through pgwarden is what a PostgreSQL of their own would
//! have said, and the servers behind it never see two clients in one transaction or a statement
//! that they do not have.
//!
//! `MODEL_SEQUENCES` sets how many sequences are run, `MODEL_SEED` the first one's seed.

mod client;
mod generator;
mod host;
mod oracle;
mod random;
mod run;

use std::env;

use run::Run;

#[test]
fn every_client_hears_what_a_server_of_its_own_would_have_said() {
    let first = number("MODEL_SEED").unwrap_or(1);
    let sequences = number("MODEL_SEQUENCES").unwrap_or(400);
    for seed in first..first + sequences.div_ceil(Run::SEQUENCES) {
        Run::new(seed).play();
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().expect("the variable is a number"))
}
