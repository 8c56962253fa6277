//! What is gathered about one statement.

use std::collections::HashSet;
use std::hash::Hash;

use crate::policy::classification::{Name, Relation, Setting, Statement};
use crate::policy::kind::{Kind, Kinds};

/// What a statement does, as it is found.
#[derive(Default)]
pub(super) struct Facts<'a> {
    pub(super) kinds: Kinds,
    pub(super) relations: Vec<Touched<'a>>,
    pub(super) functions: Vec<Named<'a>>,
    pub(super) settings: Vec<Setting>,
    pub(super) whole_table: Kinds,
    pub(super) prepares: Option<Box<str>>,
    pub(super) executes: Option<Box<str>>,
}

/// A name that is still in the parser's memory.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Named<'a> {
    pub(super) schema: Option<&'a str>,
    pub(super) name: &'a str,
}

/// A relation and what is done to it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Touched<'a> {
    pub(super) name: Named<'a>,
    pub(super) kind: Kind,
    pub(super) writes: bool,
}

impl<'a> Named<'a> {
    /// The last two of a name's parts; more before them are a database's.
    pub(super) fn of_parts(parts: impl Iterator<Item = &'a str>) -> Self {
        parts.fold(Self::default(), |before, part| Self {
            schema: Some(before.name).filter(|name| !name.is_empty()),
            name: part,
        })
    }
}

impl Facts<'_> {
    /// All of it, each thing once.
    pub(super) fn into_statement(self) -> Statement {
        let relations = distinct(self.relations)
            .into_iter()
            .map(|touched| Relation {
                name: touched.name.into(),
                kind: touched.kind,
                writes: touched.writes,
            });
        let functions = distinct(self.functions).into_iter().map(Name::from);
        Statement {
            command: "",
            position: 0,
            kinds: self.kinds,
            relations: relations.collect(),
            functions: functions.collect(),
            settings: self.settings.into(),
            whole_table: self.whole_table,
            prepares: self.prepares,
            executes: self.executes,
        }
    }
}

impl From<Named<'_>> for Name {
    fn from(named: Named<'_>) -> Self {
        Self {
            schema: named.schema.map(Into::into),
            name: named.name.into(),
        }
    }
}

/// The first of each equal ones. A set is worth its while only for many.
fn distinct<T: Copy + Eq + Hash>(mut found: Vec<T>) -> Vec<T> {
    const FEW: usize = 16;
    if found.len() > FEW {
        let mut seen = HashSet::new();
        found.retain(|one| seen.insert(*one));
    } else {
        let mut kept = 0;
        for at in 0..found.len() {
            let (before, rest) = found.split_at_mut(at);
            if let (Some(one), Some(before)) = (rest.first(), before.get(..kept))
                && !before.contains(one)
            {
                found.swap(kept, at);
                kept += 1;
            }
        }
        found.truncate(kept);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_kept_once_and_in_order() {
        for times in [1, 10] {
            let many = [3, 1, 3, 2, 1].repeat(times);
            assert_eq!(distinct(many), [3, 1, 2]);
        }
    }
}
