//! Which names stand for a WITH query where.

use std::collections::HashMap;

/// The WITH clauses met so far.
#[derive(Default)]
pub(super) struct Scopes<'a>(Vec<Clause<'a>>);

/// Which names are in force at some place of the tree.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    /// The innermost clause by its number from 1; 0: none.
    clause: usize,
    /// How many of its names, from the first.
    names: usize,
}

struct Clause<'a> {
    names: HashMap<&'a str, usize>,
    around: Scope,
}

impl<'a> Scopes<'a> {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// A clause inside `around` whose queries have these names. What is given back has none of
    /// them in force: see [`Scope::with_names`].
    pub(super) fn open(
        &mut self,
        around: Scope,
        names: impl Iterator<Item = Option<&'a str>>,
    ) -> Scope {
        let mut clause = Clause {
            names: HashMap::default(),
            around,
        };
        for (index, name) in names.enumerate() {
            clause
                .names
                .entry(name.unwrap_or_default())
                .or_insert(index);
        }
        self.0.push(clause);
        Scope {
            clause: self.0.len(),
            names: 0,
        }
    }

    /// Whether an unqualified name stands for a WITH query in this scope.
    pub(super) fn contains(&self, mut scope: Scope, name: &str) -> bool {
        while let Some(clause) = scope.clause.checked_sub(1).and_then(|at| self.0.get(at)) {
            if clause.names.get(name).is_some_and(|at| *at < scope.names) {
                return true;
            }
            scope = clause.around;
        }
        false
    }
}

impl Scope {
    /// The same with the first so many names in force.
    pub(super) fn with_names(self, names: usize) -> Self {
        Self { names, ..self }
    }
}
