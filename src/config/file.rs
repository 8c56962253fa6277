//! Reads the file and lays the environment over it, as one tree of values.

use std::collections::BTreeMap;
use std::path::Path;

use ::config::{Config, ConfigError, Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::locate::{KeyPath, Lines, dotted, is_bare};
use super::problem::{Place, Problem, Problems};

/// The process's environment, or a test's.
pub(super) type Variables = BTreeMap<String, String>;

/// Values as written, and where each of them stands.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) tree: Map<String, Value>,
    file: &'a Path,
    lines: Lines,
    overrides: BTreeMap<KeyPath, String>,
}

impl<'a> Written<'a> {
    /// Merges `text` and the variables that begin with `PGWARDEN__`.
    ///
    /// # Errors
    /// What keeps the two from being one tree: bad syntax, variables that contradict each other.
    pub(super) fn read(
        text: &str,
        file: &'a Path,
        variables: &Variables,
    ) -> Result<Self, Problems> {
        let lines = Lines::of(text).map_err(|errors| {
            Problems::new(
                errors
                    .into_iter()
                    .map(|error| Problem {
                        place: Place::File {
                            file: file.to_owned(),
                            line: Some(error.line),
                            column: Some(error.column),
                        },
                        key: String::new(),
                        value: None,
                        complaint: error.message,
                    })
                    .collect(),
            )
        })?;
        let mut written = Self {
            tree: Map::new(),
            file,
            lines,
            overrides: BTreeMap::new(),
        };
        let mut problems = written.unreadable();
        if problems.is_empty() {
            match written.merge(text, variables) {
                Ok(found) => problems.extend(found),
                Err(error) => problems.push(written.about_file(error.to_string())),
            }
        }
        if problems.is_empty() {
            Ok(written)
        } else {
            Err(Problems::new(problems))
        }
    }

    /// Where the value of a key comes from; for a missing key, where one would look for it.
    pub(super) fn place(&self, path: &[String]) -> Place {
        match self.overrides.get(path) {
            Some(variable) => Place::Environment {
                variable: variable.clone(),
            },
            None => Place::File {
                file: self.file.to_owned(),
                line: self.lines.near(path),
                column: None,
            },
        }
    }

    /// Whether the value of a key comes from a variable, and so is always a string.
    pub(super) fn is_from_environment(&self, path: &[String]) -> bool {
        self.overrides.contains_key(path)
    }

    /// Whether a variable sets something within the table at `path`.
    pub(super) fn has_override_below(&self, path: &[String]) -> bool {
        let mut below = self.overrides.keys().filter(|key| key.len() > path.len());
        below.any(|key| key.starts_with(path))
    }

    /// What the `config` crate would refuse without a line, or take for something else.
    fn unreadable(&self) -> Vec<Problem> {
        let too_large = self.lines.too_large.iter().map(|path| Problem {
            place: self.place(path),
            key: dotted(path),
            value: None,
            complaint: "the number is too large".into(),
        });
        // `"pool.size" = 1` is one key in TOML and would be two for the crate.
        let not_bare = self
            .lines
            .top()
            .filter(|key| !is_bare(key))
            .map(|key| Problem {
                place: self.place(std::slice::from_ref(key)),
                key: dotted(std::slice::from_ref(key)),
                value: None,
                complaint: "unknown key".into(),
            });
        too_large.chain(not_bare).collect()
    }

    fn merge(&mut self, text: &str, variables: &Variables) -> Result<Vec<Problem>, ConfigError> {
        let file = File::from_str(text, FileFormat::Toml);
        let tree = Config::builder().add_source(file.clone()).build()?.cache;
        let (overrides, problems) = Overrides::new(&tree, variables)?;
        let merged = Config::builder()
            .add_source(file)
            .add_source(overrides.clone())
            .build()?;
        self.tree = merged.cache.into_table()?;
        self.overrides = overrides
            .0
            .into_iter()
            .map(|(path, (variable, _))| (path, variable))
            .collect();
        Ok(problems)
    }

    fn about_file(&self, complaint: String) -> Problem {
        Problem {
            place: self.place(&[]),
            key: String::new(),
            value: None,
            complaint,
        }
    }
}

/// The variables by the key each of them sets.
#[derive(Clone, Debug)]
struct Overrides(BTreeMap<KeyPath, (String, Value)>);

impl Overrides {
    fn new(file: &Value, variables: &Variables) -> Result<(Self, Vec<Problem>), ConfigError> {
        let mut overrides: BTreeMap<KeyPath, (String, Value)> = BTreeMap::new();
        let mut problems = Vec::new();
        for (variable, value) in variables.iter().filter(|(name, _)| is_override(name)) {
            let source = Map::from_iter([(variable.clone(), value.clone())]);
            let environment = Environment::with_prefix(PREFIX)
                .separator(SEPARATOR)
                .source(Some(source));
            for (key, value) in environment.collect()? {
                match as_in_file(&key, file) {
                    Err(complaint) => problems.push(about_variable(variable, complaint)),
                    Ok(path) => {
                        let clash = overrides
                            .iter()
                            .find(|(other, _)| path.starts_with(other) || other.starts_with(&path));
                        if let Some((_, (other, _))) = clash {
                            let complaint = format!("contradicts {other}");
                            problems.push(about_variable(variable, complaint));
                        }
                        overrides.insert(path, (variable.clone(), value));
                    }
                }
            }
        }
        Ok((Self(overrides), problems))
    }
}

impl Source for Overrides {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut root = Map::new();
        for (path, (_, value)) in &self.0 {
            insert(&mut root, path, value.clone());
        }
        Ok(root)
    }
}

fn insert(table: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let child = table
                .entry(key.clone())
                .or_insert_with(|| Value::from(Map::<String, Value>::new()));
            if let ValueKind::Table(child) = &mut child.kind {
                insert(child, rest, value);
            }
        }
    }
}

/// Whether a variable is meant for us. Kubernetes sets `PGWARDEN_PORT` and the like for a
/// service called pgwarden: one underscore is not enough.
pub(super) fn is_override(variable: &str) -> bool {
    let prefix = format!("{PREFIX}{SEPARATOR}").to_lowercase();
    variable.to_lowercase().starts_with(&prefix)
}

/// Variables are read in lower case, names of databases are not: a name that differs
/// only in case is the one in the file.
fn as_in_file(key: &str, file: &Value) -> Result<KeyPath, String> {
    let mut path = KeyPath::new();
    let mut here = Some(file);
    for segment in key.split('.') {
        let table = here.and_then(|value| {
            if let ValueKind::Table(table) = &value.kind {
                Some(table)
            } else {
                None
            }
        });
        let mut alike: Vec<&String> = table
            .into_iter()
            .flat_map(|table| table.keys())
            .filter(|name| name.to_lowercase() == segment)
            .collect();
        if alike.iter().any(|name| *name == segment) {
            alike.retain(|name| *name == segment);
        }
        let name = match alike[..] {
            [] => segment.to_owned(),
            [name] => name.clone(),
            [..] => return Err("could mean several entries that differ in case".into()),
        };
        here = table.and_then(|table| table.get(&name));
        path.push(name);
    }
    Ok(path)
}

fn about_variable(variable: &str, complaint: String) -> Problem {
    Problem {
        place: Place::Environment {
            variable: variable.to_owned(),
        },
        key: String::new(),
        value: None,
        complaint,
    }
}

const PREFIX: &str = "PGWARDEN";
const SEPARATOR: &str = "__";
