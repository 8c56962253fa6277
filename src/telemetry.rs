//! Logs, the audit log, metrics.

pub mod audit;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod settings;
