//! From a file and the environment to settings, or to everything that is wrong with them.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::file::{Variables, Written, is_override};
use super::problem::{Place, Problem, Problems};
use super::resolve::settings;
use super::set::Sets;
use super::settings::Settings;
use super::source::Source;
use super::values::Document;

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
        let text = fs::read(path).map_err(|error| {
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
        Self::from_bytes(&text, path, variables)
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
        Self::from_bytes(text.as_bytes(), file, variables.into_iter().collect())
    }

    fn from_bytes(text: &[u8], file: &Path, variables: Variables) -> Result<Self, Problems> {
        let source = Source::read(text, file, variables)?;
        Self::resolve(Arc::new(source), Sets::default())
    }

    /// Reads what the files say with what was SET over it.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(super) fn resolve(source: Arc<Source>, sets: Sets) -> Result<Self, Problems> {
        let (settings, problems) = Self::read(source, sets)?;
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Problems::new(problems))
        }
    }

    /// The same with what is wrong beside it, and defaults in its place.
    ///
    /// # Errors
    /// What keeps the values from being one tree.
    pub(super) fn read(source: Arc<Source>, sets: Sets) -> Result<(Self, Vec<Problem>), Problems> {
        let written = Written::over(&source, &sets)?;
        let document = Document::new(&written, &source.base, &source.variables);
        let mut settings = settings(&document.root());
        let finished = document.finish();
        settings.entries = finished.entries;
        let warnings = [&source.warnings[..], &finished.warnings].concat();
        settings.warnings = Problems::new(warnings).into();
        settings.notes.clone_from(&source.notes);
        drop(written);
        settings.source = source;
        settings.sets = sets;
        Ok((settings, finished.problems))
    }
}
