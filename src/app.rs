//! The process: listeners, workers, signals, reload, shutdown. The only place that starts what
//! lives long.

mod connection;
mod handover;
mod listener;
mod peers;
mod place;
mod process;
mod readers;
mod run;
mod signals;
mod standstill;
mod takeover;
mod worker;
mod workers;

pub use run::{StartError, run};
