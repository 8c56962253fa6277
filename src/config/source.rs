//! What the files say, before variables and the console have their word: a tree of values, and
//! where each of them stands.

use std::fmt;
use std::path::{Path, PathBuf};

use ::config::{Config, ConfigError, File, FileFormat, Map, Value};

use super::file::Variables;
use super::ini::{self, Tree, is_ini};
use super::locate::{KeyPath, Lines, dotted, is_bare};
use super::problem::{Place, Problem, Problems};

/// What was read at start or at the last reload; kept so that SET changes what it names and
/// nothing that has changed in the files since.
#[derive(Default)]
pub struct Source {
    pub(super) tree: Map<String, Value>,
    pub(super) file: PathBuf,
    /// Where relative paths start.
    pub(super) base: PathBuf,
    pub(super) variables: Variables,
    /// What is allowed and yet hardly meant.
    pub(super) warnings: Vec<Problem>,
    /// What is set without effect.
    pub(super) notes: Vec<Problem>,
    places: Places,
}

/// Where values stand.
enum Places {
    Ini(std::collections::BTreeMap<KeyPath, ini::Origin>),
    Toml(Lines),
}

impl Source {
    /// Reads `text`, which stands in `file`: TOML, or PgBouncer's INI.
    ///
    /// # Errors
    /// What keeps it from being a tree.
    pub(super) fn read(text: &[u8], file: &Path, variables: Variables) -> Result<Self, Problems> {
        if is_ini(file, text) {
            return Self::ini(text, file, variables);
        }
        match std::str::from_utf8(text) {
            Ok(text) => Self::toml(text, file, variables),
            Err(error) => Err(Problems::new(vec![Problem {
                place: in_file(file, None),
                key: String::new(),
                value: None,
                complaint: format!("expected UTF-8: {error}"),
            }])),
        }
    }

    fn ini(text: &[u8], file: &Path, variables: Variables) -> Result<Self, Problems> {
        let tree = Tree::read(text, file);
        if !tree.problems.is_empty() {
            return Err(Problems::new(tree.problems));
        }
        Ok(Self {
            tree: tree.values,
            file: file.to_owned(),
            // As with PgBouncer; written out, so that a reload finds the same after a chdir.
            base: std::env::current_dir().unwrap_or_default(),
            variables,
            warnings: tree.warnings,
            notes: tree.notes,
            places: Places::Ini(tree.origins),
        })
    }

    fn toml(text: &str, file: &Path, variables: Variables) -> Result<Self, Problems> {
        let lines = Lines::of(text).map_err(|errors| {
            let problems = errors.into_iter().map(|error| Problem {
                place: Place::File {
                    file: file.to_owned(),
                    line: Some(error.line),
                    column: Some(error.column),
                },
                key: String::new(),
                value: None,
                complaint: error.message,
            });
            Problems::new(problems.collect())
        })?;
        let problems = unreadable(&lines, file);
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        let tree = parse(text).map_err(|error| {
            Problems::new(vec![Problem {
                place: in_file(file, None),
                key: String::new(),
                value: None,
                complaint: error.to_string(),
            }])
        })?;
        Ok(Self {
            tree,
            file: file.to_owned(),
            base: file.parent().unwrap_or(Path::new("")).to_owned(),
            variables,
            warnings: Vec::new(),
            notes: Vec::new(),
            places: Places::Toml(lines),
        })
    }

    /// Where the value of a key stands; for a missing key, where one would look for it.
    pub(super) fn place(&self, path: &[String]) -> Place {
        match &self.places {
            Places::Toml(lines) => in_file(&self.file, lines.near(path)),
            Places::Ini(origins) => {
                let lens = (1..=path.len()).rev();
                let near = lens.filter_map(|len| origins.get(&path[..len])).next();
                near.map_or(in_file(&self.file, None), ini::Origin::place)
            }
        }
    }

    /// A problem with the value of a key, in the words of the file.
    pub(super) fn problem(
        &self,
        path: &[String],
        value: Option<String>,
        complaint: String,
    ) -> Problem {
        let (key, value) = match &self.places {
            Places::Toml(_) => (dotted(path), value),
            Places::Ini(origins) => match (origins.get(path), ini::name(path)) {
                (Some(origin), _) => (
                    origin.key.clone(),
                    value
                        .map(|_| origin.value.clone())
                        .filter(|text| !text.is_empty()),
                ),
                (None, Some(name)) => (name.to_owned(), value),
                (None, None) => (dotted(path), value),
            },
        };
        Problem {
            place: self.place(path),
            key,
            value,
            complaint,
        }
    }

    /// Where and how the INI has the value of a key, if there is an INI and it has.
    pub(super) fn origin(&self, path: &[String]) -> Option<&ini::Origin> {
        match &self.places {
            Places::Ini(origins) => origins.get(path),
            Places::Toml(_) => None,
        }
    }

    /// Whether the file is an INI.
    pub fn is_ini(&self) -> bool {
        matches!(self.places, Places::Ini(_))
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::Toml(Lines::default())
    }
}

/// Values may be passwords.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

fn in_file(file: &Path, line: Option<usize>) -> Place {
    Place::File {
        file: file.to_owned(),
        line,
        column: None,
    }
}

/// What the `config` crate would refuse without a line, or take for something else.
fn unreadable(lines: &Lines, file: &Path) -> Vec<Problem> {
    let problem = |path: &[String], complaint: &str| Problem {
        place: in_file(file, lines.near(path)),
        key: dotted(path),
        value: None,
        complaint: complaint.into(),
    };
    let too_large = lines.too_large.iter();
    let too_large = too_large.map(|path| problem(path, "the number is too large"));
    // `"pool.size" = 1` is one key in TOML and would be two for the crate.
    let not_bare = lines.top().filter(|key| !is_bare(key));
    let not_bare = not_bare.map(|key| problem(std::slice::from_ref(key), "unknown key"));
    too_large.chain(not_bare).collect()
}

fn parse(text: &str) -> Result<Map<String, Value>, ConfigError> {
    let file = File::from_str(text, FileFormat::Toml);
    let tree = Config::builder().add_source(file).build()?.cache;
    tree.into_table()
}
