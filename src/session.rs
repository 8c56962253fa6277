//! One client, from its first byte to its last. Knows no file, no signal and no listener.

pub mod audit;
pub mod context;
mod downstream;
mod edit;
pub mod error;
pub mod jwks;
pub mod login;
mod relay;
pub mod roster;
pub mod serve;
pub mod settings;
pub mod startup;
mod statements;
pub mod stats;
mod upstream;
pub mod welcome;
