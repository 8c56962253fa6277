//! Lays variables and the console's SETs over what the files say.

use std::collections::BTreeMap;

use ::config::{ConfigError, Environment, Map, Source as _, Value, ValueKind};

use super::locate::KeyPath;
use super::problem::{Place, Problem, Problems};
use super::set::Sets;
use super::source::Source;

/// The process's environment, or a test's.
pub(super) type Variables = BTreeMap<String, String>;

/// Values as they are to be read, and where each of them comes from.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) tree: Map<String, Value>,
    source: &'a Source,
    overrides: BTreeMap<KeyPath, Override>,
}

/// What stands over the file.
#[derive(Debug)]
struct Override {
    place: Place,
    /// Always a string, so that one in a number's place is no mistake.
    is_text: bool,
}

impl<'a> Written<'a> {
    /// Merges the files, the variables that begin with `PGWARDEN__`, and what was SET.
    ///
    /// # Errors
    /// What keeps them from being one tree, such as variables that contradict each other.
    pub(super) fn over(source: &'a Source, sets: &Sets) -> Result<Self, Problems> {
        let mut written = Self {
            tree: source.tree.clone(),
            source,
            overrides: BTreeMap::new(),
        };
        let mut problems = match Overrides::new(&source.tree, &source.variables) {
            Ok((overrides, problems)) => {
                for (path, (variable, value)) in overrides.0 {
                    insert(&mut written.tree, &path, value);
                    let place = Place::Environment { variable };
                    let is_text = true;
                    written.overrides.insert(path, Override { place, is_text });
                }
                problems
            }
            Err(error) => vec![source.problem(&[], None, error.to_string())],
        };
        problems.extend(written.set(sets));
        if problems.is_empty() {
            Ok(written)
        } else {
            Err(Problems::new(problems))
        }
    }

    fn set(&mut self, sets: &Sets) -> Vec<Problem> {
        let mut problems = Vec::new();
        for set in sets.iter() {
            let place = Place::Set {
                key: set.key.to_owned(),
            };
            match set.value {
                Ok(Some(value)) => insert(&mut self.tree, &set.path, value),
                Ok(None) => remove(&mut self.tree, &set.path),
                Err(complaint) => problems.push(Problem {
                    place: place.clone(),
                    key: String::new(),
                    value: Some(set.text.to_owned()),
                    complaint,
                }),
            }
            let is_text = set.is_text;
            self.overrides.insert(set.path, Override { place, is_text });
        }
        problems
    }

    /// Whether the value of a key is always a string, as that of a variable is.
    pub(super) fn is_from_environment(&self, path: &[String]) -> bool {
        self.overrides.get(path).is_some_and(|over| over.is_text)
    }

    /// Whether a variable sets something within the table at `path`.
    pub(super) fn has_override_below(&self, path: &[String]) -> bool {
        let mut below = self.overrides.keys().filter(|key| key.len() > path.len());
        below.any(|key| key.starts_with(path))
    }

    /// A problem with the value of a key, in the words of what it comes from.
    pub(super) fn problem(
        &self,
        path: &[String],
        value: Option<String>,
        complaint: String,
    ) -> Problem {
        let problem = self.source.problem(path, value.clone(), complaint);
        match self.overrides.get(path) {
            Some(over) => Problem {
                place: over.place.clone(),
                value,
                ..problem
            },
            None => problem,
        }
    }
}

/// The variables by the key each of them sets.
#[derive(Clone, Debug)]
struct Overrides(BTreeMap<KeyPath, (String, Value)>);

impl Overrides {
    fn new(
        file: &Map<String, Value>,
        variables: &Variables,
    ) -> Result<(Self, Vec<Problem>), ConfigError> {
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

/// Puts a value in its place; what stands in the way of a table on the way there goes.
pub(super) fn insert(table: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let empty = || Value::from(Map::<String, Value>::new());
            let child = table.entry(key.clone()).or_insert_with(empty);
            if !matches!(child.kind, ValueKind::Table(_)) {
                *child = empty();
            }
            if let ValueKind::Table(child) = &mut child.kind {
                insert(child, rest, value);
            }
        }
    }
}

fn remove(table: &mut Map<String, Value>, path: &[String]) {
    match path {
        [] => {}
        [key] => {
            table.shift_remove(key);
        }
        [key, rest @ ..] => {
            if let Some(ValueKind::Table(child)) = table.get_mut(key).map(|child| &mut child.kind) {
                remove(child, rest);
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
fn as_in_file(key: &str, file: &Map<String, Value>) -> Result<KeyPath, String> {
    let mut path = KeyPath::new();
    let mut here = Some(file);
    for segment in key.split('.') {
        let mut alike: Vec<&String> = here
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
        here = here
            .and_then(|table| table.get(&name))
            .and_then(|value| match &value.kind {
                ValueKind::Table(table) => Some(table),
                ValueKind::Array(_)
                | ValueKind::Boolean(_)
                | ValueKind::Float(_)
                | ValueKind::I64(_)
                | ValueKind::I128(_)
                | ValueKind::Nil
                | ValueKind::String(_)
                | ValueKind::U64(_)
                | ValueKind::U128(_) => None,
            });
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
