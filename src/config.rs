//! Files and environment to settings.
//!
//! One way: text, TOML or PgBouncer's INI (`source`, `ini`), and over it variables and what a
//! console has SET (`set`) are merged into one tree of values (`file`), the tree is
//! read by typed forms (`values`, `forms`) into each layer's own settings (`resolve`), and
//! everything wrong on the way is reported together (`problem`), each with its line
//! (`locate`). Nobody looks at the file again after that.

pub mod check;
pub mod convert;
pub mod problem;
pub mod settings;

mod file;
mod forms;
mod ini;
mod load;
mod locate;
mod resolve;
pub mod set;
mod source;
mod suggest;
mod values;

#[cfg(test)]
mod tests;

pub use check::check;
pub use convert::convert;
pub use ini::Row;
pub use problem::{Place, Problem, Problems};
pub use settings::Settings;
