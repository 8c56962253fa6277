//! Every key that a pgbouncer.ini can have, and what it is here.

mod entries;
mod settings;

use super::forms::Form;

pub(super) use entries::{DATABASE, EntryKey, PEER, USER};
pub(super) use settings::SETTINGS;

/// A key of `[pgbouncer]`.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// PgBouncer's, as its SHOW CONFIG prints it; `None`: nothing, and a second `[pgbouncer]`
    /// leaves what the first one said.
    pub(super) default: Option<&'static str>,
    /// Whether a reload or SET changes it.
    pub(super) is_reloadable: bool,
    pub(super) form: Form,
    /// The path of the key in TOML, with dots.
    pub(super) toml: &'static str,
    pub(super) effect: Effect,
}

/// What setting a key does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// The same as with PgBouncer, and how it is better.
    Better(&'static str),
    /// Nothing; why.
    None(&'static str),
    /// The same as with PgBouncer.
    Works,
}

impl Key {
    /// The key of this name, in any case, as PgBouncer has it.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|key| key.name == name)
    }

    /// The key that is `path` in TOML.
    pub(super) fn at(path: &[String]) -> Option<&'static Self> {
        SETTINGS.iter().find(|key| key.path().eq(path.iter()))
    }

    /// The keys from the root of the TOML file.
    pub(super) fn path(&self) -> impl Iterator<Item = &'static str> {
        self.toml.split('.')
    }

    /// Whether it is the path of the file, which no file holds.
    pub(super) fn is_file(&self) -> bool {
        self.toml.is_empty()
    }
}

/// A key that a reload changes.
const fn reloadable(
    name: &'static str,
    default: Option<&'static str>,
    form: Form,
    toml: &'static str,
) -> Key {
    Key {
        name,
        default,
        is_reloadable: true,
        form,
        toml,
        effect: Effect::Works,
    }
}

/// A key that is read at start only.
const fn fixed(
    name: &'static str,
    default: Option<&'static str>,
    form: Form,
    toml: &'static str,
) -> Key {
    Key {
        is_reloadable: false,
        ..reloadable(name, default, form, toml)
    }
}

impl Key {
    const fn better(self, how: &'static str) -> Self {
        Self {
            effect: Effect::Better(how),
            ..self
        }
    }

    const fn without_effect(self, why: &'static str) -> Self {
        Self {
            effect: Effect::None(why),
            ..self
        }
    }
}
