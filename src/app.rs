//! The process: listeners, workers, signals, reload, shutdown. The only place that starts what
//! lives long.

mod account;
mod connection;
pub mod daemon;
mod listener;
pub mod options;
mod pidfile;
mod place;
mod process;
mod readers;
mod run;
mod signals;
mod systemd;
mod worker;
mod workers;

pub use run::{StartError, run};
