//! `pgwarden convert`: a pgbouncer.ini as TOML.
//!
//! Only what differs from TOML's defaults is printed, in the order of conf/reference.toml, with
//! PgBouncer's word for it behind.

mod order;
mod print;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::problem::{Place, Problem, Problems};
use super::set::Sets;
use super::settings::Settings;
use super::source::Source;

/// A file in TOML, and what is wrong with it although it could be written.
#[derive(Debug)]
pub struct Converted {
    /// The file.
    pub toml: String,
    /// What keeps pgwarden from starting with it, such as a file that is not here.
    pub problems: Vec<Problem>,
}

/// Reads an INI and writes it as TOML.
///
/// # Errors
/// Everything that is wrong with the INI itself, at once.
pub fn convert(path: &Path) -> Result<Converted, Problems> {
    let complain = |complaint| {
        Problems::new(vec![Problem {
            place: Place::File {
                file: path.to_owned(),
                line: None,
                column: None,
            },
            key: String::new(),
            value: None,
            complaint,
        }])
    };
    let text = fs::read(path).map_err(|error| complain(format!("cannot be read: {error}")))?;
    // Without the environment: its variables stay over the new file as over the old one.
    let source = Source::read(&text, path, super::file::Variables::default())?;
    if !source.is_ini() {
        return Err(complain("expected an INI of PgBouncer, not TOML".into()));
    }
    let source = Arc::new(source);
    let (settings, problems) = Settings::read(source.clone(), Sets::default())?;
    Ok(Converted {
        toml: print::print(&source, &settings.entries),
        problems,
    })
}
