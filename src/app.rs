//! The process: listeners, workers, signals, reload, shutdown. The only place that starts what
//! lives long.

mod connection;
mod listener;
mod peers;
mod place;
mod process;
mod readers;
mod run;
mod signals;
mod standstill;
mod worker;
mod workers;

pub use run::{StartError, run};
