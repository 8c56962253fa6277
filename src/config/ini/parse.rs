//! The lines of a pgbouncer.ini and of what it includes: sections, keys, values.
//!
//! As PgBouncer reads them: a comment has a line of its own, a value goes on to the end of its
//! line and is not quoted, what has no line of its own goes on behind a section's bracket.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::problem::{Place, Problem};

/// Everything that a file and its includes say, in their order.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) items: Vec<Item>,
    pub(super) problems: Vec<Problem>,
}

/// One thing that a file says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Item {
    /// `key = value`, within the section.
    Key {
        section: Section,
        key: String,
        value: String,
        spot: Spot,
    },
    /// `[section]`
    Section { section: Section, spot: Spot },
}

/// The sections that there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Databases,
    Peers,
    Pgbouncer,
    Users,
}

/// A line of a file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Spot {
    pub(super) file: Arc<Path>,
    /// Counted from 1.
    pub(super) line: usize,
}

impl Parsed {
    /// Reads `text`, which stands in `file`, and the files that it includes.
    pub(super) fn read(text: &[u8], file: &Path) -> Self {
        let mut reader = Reader::default();
        reader.read(text, &Arc::from(file), 0);
        Self {
            items: reader.items,
            problems: reader.problems,
        }
    }
}

impl Section {
    fn named(name: &str) -> Option<Self> {
        match name {
            "databases" => Some(Self::Databases),
            "peers" => Some(Self::Peers),
            "pgbouncer" => Some(Self::Pgbouncer),
            "users" => Some(Self::Users),
            _ => None,
        }
    }
}

impl Spot {
    pub(super) fn place(&self) -> Place {
        Place::File {
            file: self.file.to_path_buf(),
            line: Some(self.line),
            column: None,
        }
    }

    pub(super) fn problem(
        &self,
        key: &str,
        value: Option<&str>,
        complaint: impl Into<String>,
    ) -> Problem {
        Problem {
            place: self.place(),
            key: key.to_owned(),
            value: value.map(str::to_owned),
            complaint: complaint.into(),
        }
    }
}

/// Where a key belongs that follows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Within {
    /// Before the first section.
    #[default]
    Nothing,
    Section(Section),
    /// A section that is complained of already.
    Unknown,
}

#[derive(Debug, Default)]
struct Reader {
    items: Vec<Item>,
    problems: Vec<Problem>,
    within: Within,
    /// Includes go too deep: one complaint is enough, where files include themselves.
    is_too_deep: bool,
}

impl Reader {
    fn read(&mut self, text: &[u8], file: &Arc<Path>, depth: usize) {
        for (line, bytes) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let spot = Spot {
                file: file.clone(),
                line,
            };
            // A comment may be in any encoding.
            let start = bytes.trim_ascii_start().first();
            if matches!(start, Some(b'#' | b';')) {
                continue;
            }
            match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => self.line(text, spot, depth),
                Ok(_) => self.complain(&spot, "expected no zero byte"),
                Err(_) => self.complain(&spot, "expected UTF-8"),
            }
            if self.is_too_deep {
                return;
            }
        }
    }

    fn line(&mut self, text: &str, spot: Spot, depth: usize) {
        let mut rest = text.trim();
        while let Some(section) = rest.strip_prefix('[') {
            let Some((name, behind)) = section.split_once(']') else {
                return self.complain(&spot, "expected ] behind the name of the section");
            };
            self.section(name, &spot);
            rest = behind.trim_start();
        }
        if rest.is_empty() || rest.starts_with(['#', ';']) {
            return;
        }
        let include = rest.strip_prefix("%include");
        if let Some(file) = include.filter(|rest| rest.starts_with([' ', '\t'])) {
            return self.include(Path::new(file.trim()), &spot, depth);
        }
        let Some((key, value)) = key_and_value(rest) else {
            let expected = "expected KEY = VALUE, [SECTION], %include FILE, or a comment";
            return self.complain(&spot, expected);
        };
        match self.within {
            Within::Section(section) => self.items.push(Item::Key {
                section,
                key,
                value: value.to_owned(),
                spot,
            }),
            Within::Nothing => {
                let problem = spot.problem(&key, None, "expected a section before it");
                self.problems.push(problem);
            }
            Within::Unknown => {}
        }
    }

    fn section(&mut self, name: &str, spot: &Spot) {
        self.within = match Section::named(name) {
            Some(section) => {
                let spot = spot.clone();
                self.items.push(Item::Section { section, spot });
                Within::Section(section)
            }
            None => {
                let complaint = "unknown section: expected [pgbouncer], [databases], [users] or \
                                 [peers]";
                let problem = spot.problem(&format!("[{name}]"), None, complaint);
                self.problems.push(problem);
                Within::Unknown
            }
        };
    }

    fn include(&mut self, file: &Path, spot: &Spot, depth: usize) {
        if depth >= DEEPEST {
            self.is_too_deep = true;
            let complaint = format!("includes go deeper than {DEEPEST} files");
            return self.complain(spot, &complaint);
        }
        match fs::read(file) {
            Ok(text) => self.read(&text, &Arc::from(PathBuf::from(file)), depth + 1),
            Err(error) => {
                let complaint = format!("cannot include \"{}\": {error}", file.display());
                self.complain(spot, &complaint);
            }
        }
    }

    fn complain(&mut self, spot: &Spot, complaint: &str) {
        self.problems.push(spot.problem("", None, complaint));
    }
}

/// The key without its quotes, and the value up to the end of the line.
fn key_and_value(line: &str) -> Option<(String, &str)> {
    let (key, rest) = if let Some(quoted) = line.strip_prefix('\'') {
        let (key, rest) = quoted.split_once('\'')?;
        (key.to_owned(), rest)
    } else if let Some(quoted) = line.strip_prefix('"') {
        in_double_quotes(quoted)?
    } else {
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '*'));
        let (key, rest) = line.split_at(line.find(is_end)?);
        (key.to_owned(), rest)
    };
    let value = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    (!key.is_empty()).then_some((key, value.trim()))
}

/// PgBouncer's manual has names in SQL's quotes, its parser has not: here they work.
fn in_double_quotes(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => return Some((name, behind)),
        }
    }
}

/// As with PgBouncer.
const DEEPEST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed {
        Parsed::read(text.as_bytes(), Path::new("a.ini"))
    }

    /// `SECTION.KEY=VALUE` with lines.
    fn keys(parsed: &Parsed) -> Vec<String> {
        let keys = parsed.items.iter().filter_map(|item| match item {
            Item::Key {
                section,
                key,
                value,
                spot,
            } => Some(format!("{}:{section:?}.{key}={value}", spot.line)),
            Item::Section { .. } => None,
        });
        keys.collect()
    }

    fn problems(parsed: &Parsed) -> Vec<String> {
        parsed.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_value_goes_on_to_the_end_of_its_line() {
        let parsed = read(
            "; comment\n  # another\n\n[pgbouncer]\n\tpool_mode=session  \r\n  \
             auth_query = select 1 ; no comment\nlogfile =\n[databases] a.b-c_* = host=x\n",
        );
        assert_eq!(
            keys(&parsed),
            [
                "5:Pgbouncer.pool_mode=session",
                "6:Pgbouncer.auth_query=select 1 ; no comment",
                "7:Pgbouncer.logfile=",
                "8:Databases.a.b-c_*=host=x",
            ]
        );
        assert!(parsed.problems.is_empty(), "{parsed:?}");
    }

    #[test]
    fn odd_names_stand_in_quotes() {
        let parsed = read("[databases]\n'my db' = host=a\n\"say \"\"x\"\"\" =\n* = port=1\n");
        assert_eq!(
            keys(&parsed),
            [
                "2:Databases.my db=host=a",
                "3:Databases.say \"x\"=",
                "4:Databases.*=port=1"
            ]
        );
    }

    #[test]
    fn all_that_is_no_line_is_complained_of_at_once() {
        let parsed = read(
            "early = 1\n[pgbouncer\n[colours]\nred = 1\n[users]\nno value\n= 1\n'x = 1\n\
             a b = 1\n%includex = 1\n",
        );
        assert_eq!(
            problems(&parsed),
            [
                "a.ini:1: early: expected a section before it",
                "a.ini:2: expected ] behind the name of the section",
                "a.ini:3: [colours]: unknown section: expected [pgbouncer], [databases], \
                 [users] or [peers]",
                "a.ini:6: expected KEY = VALUE, [SECTION], %include FILE, or a comment",
                "a.ini:7: expected KEY = VALUE, [SECTION], %include FILE, or a comment",
                "a.ini:8: expected KEY = VALUE, [SECTION], %include FILE, or a comment",
                "a.ini:9: expected KEY = VALUE, [SECTION], %include FILE, or a comment",
                "a.ini:10: expected KEY = VALUE, [SECTION], %include FILE, or a comment",
            ]
        );
        assert!(keys(&parsed).is_empty());
    }

    #[test]
    fn only_comments_may_be_in_another_encoding() {
        let text = b"# gr\xfc\xdfe\n[users]\ngr\xfc = \n b = 1\0\n";
        let parsed = Parsed::read(text, Path::new("a.ini"));
        assert_eq!(
            problems(&parsed),
            ["a.ini:3: expected UTF-8", "a.ini:4: expected no zero byte"]
        );
    }

    #[test]
    fn an_included_file_goes_on_where_the_line_stands_and_leaves_its_section() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner.ini");
        fs::write(&inner, "pool_mode = session\n[users]\n").unwrap();
        let text = format!(
            "[pgbouncer]\n%include {} \nbob = pool_size=1",
            inner.display()
        );
        let parsed = read(&text);
        assert_eq!(
            keys(&parsed),
            ["1:Pgbouncer.pool_mode=session", "3:Users.bob=pool_size=1"]
        );
        let Item::Key { spot, .. } = &parsed.items[1] else {
            panic!("{parsed:?}");
        };
        assert_eq!(*spot.file, *inner);
    }

    #[test]
    fn a_file_that_includes_itself_is_complained_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("self.ini");
        let text = format!("%include {0}\n%include {0}\n", file.display());
        fs::write(&file, &text).unwrap();
        let parsed = Parsed::read(text.as_bytes(), &file);
        assert_eq!(parsed.problems.len(), 1, "{parsed:?}");
        let missing = read("%include none.ini\n");
        assert!(problems(&missing)[0].starts_with("a.ini:1: cannot include \"none.ini\": No such"));
    }
}
