//! One client, from its first byte to its last. Knows no file, no signal and no listener.

pub mod settings;
