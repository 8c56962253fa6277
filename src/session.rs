//! One client, from its first byte to its last. Knows no file, no signal and no listener.

mod admit;
mod asked;
pub mod audit;
pub mod bench;
pub mod cancel;
pub mod context;
pub mod deadline;
pub mod denials;
mod downstream;
mod edit;
pub mod error;
mod guard;
pub mod jwks;
pub mod lines;
pub mod login;
mod lookup;
pub mod progress;
mod relay;
pub mod roster;
pub mod serve;
pub mod settings;
pub mod startup;
mod statements;
pub mod stats;
mod upstream;
pub mod usage;
pub mod welcome;
