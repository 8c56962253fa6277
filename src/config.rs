//! Files and environment to settings.

pub mod settings;
