//! The administrator's database: SHOW, PAUSE, RELOAD and the like.

pub mod control;
pub mod settings;
