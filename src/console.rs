//! The administrator's database: SHOW, PAUSE, RELOAD and the like.

pub mod settings;
