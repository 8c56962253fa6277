//! Logs and metrics.

pub mod settings;
