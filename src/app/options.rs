//! What the command line asks of the process, besides its file.

use crate::telemetry::logs::Spoken;

/// What the command line asks of the process, besides its file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// To run in the background.
    pub background: Background,
    /// What it says of the log.
    pub log: Spoken,
    /// To become this user of the operating system; before the settings'.
    pub user: Option<String>,
    /// To take over from the process that serves the Unix socket, if there is one.
    pub reboot: bool,
}

/// Whether the process leaves the terminal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Background {
    /// It stays.
    #[default]
    No,
    /// It starts another that leaves, and ends when that one serves.
    Start,
    /// It is that other one.
    Detached,
}
