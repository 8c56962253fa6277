//! The command line, signals, listeners, log.
