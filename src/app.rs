//! The process: listeners, workers, signals, reload, shutdown. The only place that starts what
//! lives long.

mod connection;
mod listener;
mod process;
mod run;
mod signals;
mod worker;

pub use run::{StartError, run};
