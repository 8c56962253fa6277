//! The process: listeners, workers, signals, reload, shutdown. The only place that starts what
//! lives long.

mod account;
mod connection;
pub mod daemon;
mod handover;
mod listener;
pub mod options;
mod peers;
mod pidfile;
mod place;
mod process;
mod readers;
mod run;
mod signals;
mod standstill;
mod systemd;
mod takeover;
mod ticket;
mod worker;
mod workers;

pub use run::{StartError, run};
