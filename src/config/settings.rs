//! Everything an operator has set, resolved and checked.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::file::{Variables, Written, is_override};
use super::problem::{Place, Problem, Problems};
use super::resolve::settings;
use super::values::Document;
use crate::console::settings::ConsoleSettings;
use crate::pool::settings::PoolsSettings;
use crate::session::settings::SessionSettings;
use crate::telemetry::settings::TelemetrySettings;

/// One whole configuration; a reload makes another and replaces this one, or does nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that serve clients. Read at start only.
    pub workers: usize,
    /// Where clients connect. Read at start only.
    pub listen: ListenSettings,
    /// Databases and their pools.
    pub pools: PoolsSettings,
    /// Clients and how they prove who they are.
    pub session: SessionSettings,
    /// Who may use the console.
    pub console: ConsoleSettings,
    /// Logs and metrics.
    pub telemetry: TelemetrySettings,
    /// Every key, for people to look at.
    pub entries: Vec<Entry>,
}

impl Settings {
    /// Reads a file and the process's environment.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let unusable = |place, complaint| {
            Problems::new(vec![Problem {
                place,
                key: String::new(),
                value: None,
                complaint,
            }])
        };
        let text = fs::read_to_string(path).map_err(|error| {
            let place = Place::File {
                file: path.to_owned(),
                line: None,
                column: None,
            };
            unusable(place, format!("cannot be read: {error}"))
        })?;
        let mut variables = Variables::new();
        for (name, value) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => {
                    variables.insert(name, value);
                }
                Err(_) if is_override(&name) => {
                    let place = Place::Environment { variable: name };
                    return Err(unusable(place, "expected a value in UTF-8".into()));
                }
                Err(_) => {} // A password that asks for it finds it missing.
            }
        }
        Self::from_text(&text, path, variables)
    }

    /// Reads a text as if it stood in `file`, which messages name and in whose folder
    /// relative paths start, and these variables.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_text(
        text: &str,
        file: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let variables: Variables = variables.into_iter().collect();
        let written = Written::read(text, file, &variables)?;
        let base = file.parent().unwrap_or(Path::new(""));
        let document = Document::new(&written, base, &variables);
        let mut settings = settings(&document.root());
        let (entries, problems) = document.finish();
        settings.entries = entries;
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Problems::new(problems))
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 1,
            listen: ListenSettings::default(),
            pools: PoolsSettings::default(),
            session: SessionSettings::default(),
            console: ConsoleSettings::default(),
            telemetry: TelemetrySettings::default(),
            entries: Vec::new(),
        }
    }
}

/// One key as it is in force, for SHOW CONFIG.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Such as `databases.shop.port`.
    pub key: String,
    /// As one would write it in the file, and `(hidden)` for a password; `None`: not set.
    pub value: Option<String>,
    /// What holds if the file says nothing; `None`: nothing does.
    pub default: Option<String>,
    /// Whether a reload changes it.
    pub is_reloadable: bool,
}

/// Where clients connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenSettings {
    /// Host names or addresses; `*` is every address. Empty: no TCP.
    pub addresses: Vec<String>,
    /// The port of all of them, and of the Unix socket's name.
    pub port: u16,
    /// The folder of the Unix socket; `None`: no Unix socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// Permissions of the Unix socket.
    pub unix_socket_mode: u32,
    /// Connections the kernel queues.
    pub backlog: u32,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            addresses: vec!["127.0.0.1".into()],
            port: 6432,
            unix_socket_dir: None,
            unix_socket_mode: 0o777,
            backlog: 1024,
        }
    }
}
