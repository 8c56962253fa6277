//! User name maps: which names of the operating system or of certificates may log in as whom.
//! <https://www.postgresql.org/docs/current/auth-username-maps.html>, without its regular
//! expressions, groups and includes: <https://www.pgbouncer.org/config.html#ident-map-file-format>

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::hba::tokens::{Line, Token, Unclosed};

/// The maps of a file, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Idents(HashMap<String, Arc<IdentMap>>);

/// One map: pairs of an outer name and whom it may be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentMap(Vec<(String, Target)>);

/// Whom an outer name may be.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Target {
    Anybody,
    User(String),
}

/// A line of a map file that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct IdentProblem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: &'static str,
}

impl Idents {
    /// Reads a whole file: lines of `map-name system-name user`, where `all` is any user.
    ///
    /// # Errors
    /// Every line that cannot be used. PgBouncer leaves them out, and nobody notices.
    pub fn parse(text: &str) -> Result<Self, Vec<IdentProblem>> {
        let mut maps: HashMap<String, IdentMap> = HashMap::new();
        let mut problems = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            match entry(text) {
                Ok(None) => {}
                Ok(Some((map, system, target))) => {
                    maps.entry(map).or_default().0.push((system, target));
                }
                Err(fault) => problems.push(IdentProblem { line, fault }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let shared = maps.into_iter().map(|(name, map)| (name, Arc::new(map)));
        Ok(Self(shared.collect()))
    }

    /// The map of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<IdentMap>> {
        self.0.get(name)
    }
}

impl IdentMap {
    /// Whether somebody the operating system or a certificate calls `system` may be `user`.
    pub fn permits(&self, system: &str, user: &str) -> bool {
        self.0.iter().any(|(name, target)| {
            name == system
                && match target {
                    Target::Anybody => true,
                    Target::User(name) => name == user,
                }
        })
    }
}

fn entry(text: &str) -> Result<Option<(String, String, Target)>, &'static str> {
    let mut line = Line::new(text);
    let mut next = |missing: &'static str| match line.word() {
        Ok(Some(Ok(token))) => Ok(token),
        Ok(Some(Err(()))) => Err("expected a single name, not a list"),
        Ok(None) => Err(missing),
        Err(Unclosed) => Err("a double quote is not closed on its line"),
    };
    let map = match next("") {
        Err("") => return Ok(None),
        other => plain(other?)?,
    };
    if map.quoted || map.text.starts_with('@') {
        return Err("expected the name of the map without quotes");
    }
    let system = plain(next(
        "expected the system's name behind the name of the map",
    )?)?;
    if !system.quoted && system.text.starts_with('/') {
        return Err("regular expressions are not supported; a name that begins so goes in quotes");
    }
    let user = plain(next("expected a user behind the system's name")?)?;
    let target = if user.is("all") {
        Target::Anybody
    } else if !user.quoted && user.text.starts_with(['+', '/']) {
        return Err("groups and regular expressions are not supported");
    } else {
        Target::User(user.text)
    };
    match line.field() {
        Ok(None) => Ok(Some((map.text, system.text, target))),
        Ok(Some(_)) | Err(Unclosed) => Err("expected the end of the line behind the user"),
    }
}

fn plain(token: Token) -> Result<Token, &'static str> {
    if token.text.is_empty() {
        return Err("a name is empty");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_map_tells_who_may_be_whom() {
        let text = "# comment\nm alice app\nm \"bob smith\" \"all\" # quoted\n\nother root all\n";
        let idents = Idents::parse(text).unwrap();
        let map = idents.get("m").unwrap();
        assert!(map.permits("alice", "app"));
        assert!(!map.permits("alice", "alice"));
        assert!(!map.permits("app", "app"));
        assert!(map.permits("bob smith", "all"));
        assert!(!map.permits("bob smith", "app"));
        let other = idents.get("other").unwrap();
        assert!(other.permits("root", "anybody"));
        assert!(!other.permits("rooty", "anybody"));
        assert_eq!(idents.get("third"), None);
    }

    #[test]
    fn every_broken_line_fails_the_file_with_its_number() {
        let text = "m alice\nm\nm a b c\n\"m\" a b\nm \"a b\nok a b\nm /^a b\nm a +b\nm a,b c\nm \"\" b\n@f a b";
        let problems = Idents::parse(text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
        assert_eq!(
            problems[0].to_string(),
            "line 1: expected a user behind the system's name"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[\"# ma+/@\n\\PC]*") {
            let _ = Idents::parse(&text);
        }
    }
}
