//! The prepared statements of one client: its names for what the pool's clients share.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::pool::replies::{About, Note};
use crate::pool::server::reset::Soil;
use crate::pool::statement::{CarriedStatement, Statement, Statements};
use crate::wire::printable::Printable;

/// A client's names and its unnamed statement.
#[derive(Debug, Default)]
pub(super) struct ClientStatements {
    // Boxed: most clients, idle by the thousand, have no names.
    names: Option<Box<Names>>,
    unnamed: Unnamed,
    /// How many unnamed statements there have been: with the client's number it tells a server
    /// whose unnamed statement it has.
    generation: u64,
    /// The unnamed statement has been asked for since it was prepared.
    used: bool,
    /// Bytes of the names and of the texts behind them.
    kept: usize,
    /// The statement about which the server has been asked.
    asking: Option<u64>,
    /// The statement that has turned out to return something else than the client was told.
    changed: Option<u64>,
}

type Names = HashMap<Box<[u8]>, Arc<Statement>, RandomState>;

/// What the client's unnamed statement is.
#[derive(Debug, Default)]
enum Unnamed {
    /// There is none.
    #[default]
    None,
    /// Too long to be remembered: it is on one server only.
    Lost,
    /// Kept on servers under a name of ours.
    Shared(Arc<Statement>),
    /// The body of its Parse after the name, to be repeated on another server, and what running
    /// it may leave behind.
    Text(Vec<u8>, Soil),
}

/// A client's unnamed statement, for a Bind or a Describe.
#[derive(Debug)]
pub(super) enum UnnamedRef<'a> {
    Lost {
        generation: u64,
    },
    None,
    Shared(&'a Arc<Statement>),
    Text {
        parse_rest: &'a [u8],
        soil: Soil,
        generation: u64,
    },
}

/// A client's statements on their way to another process.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CarriedStatements {
    names: Vec<(Printable, CarriedStatement)>,
    unnamed: CarriedUnnamed,
    generation: u64,
    used: bool,
    changed: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
enum CarriedUnnamed {
    Lost,
    None,
    Shared(CarriedStatement),
    Text(Printable, Soil),
}

impl CarriedStatements {
    /// Those of a client about which nothing is known, but that the server it has may have its
    /// unnamed one.
    pub(super) fn unknown() -> Self {
        Self {
            names: Vec::new(),
            unnamed: CarriedUnnamed::Lost,
            generation: Self::UNKNOWN,
            used: false,
            changed: None,
        }
    }

    /// The count of the unnamed statement that may be on the server.
    pub(super) const UNKNOWN: u64 = 1;
}

impl ClientStatements {
    pub(super) fn carry(&self) -> CarriedStatements {
        let names = self.names.iter().flat_map(|names| names.iter());
        CarriedStatements {
            names: names
                .map(|(name, statement)| ((&**name).into(), statement.carry()))
                .collect(),
            unnamed: match &self.unnamed {
                Unnamed::Lost => CarriedUnnamed::Lost,
                Unnamed::None => CarriedUnnamed::None,
                Unnamed::Shared(statement) => CarriedUnnamed::Shared(statement.carry()),
                Unnamed::Text(text, soil) => CarriedUnnamed::Text(text.as_slice().into(), *soil),
            },
            generation: self.generation,
            used: self.used,
            changed: self.changed,
        }
    }

    pub(super) fn adopt(&mut self, carried: CarriedStatements, known: &Statements) {
        for (name, statement) in &carried.names {
            self.name(&name.0, known.adopt(statement));
        }
        self.unnamed = match carried.unnamed {
            CarriedUnnamed::Lost => Unnamed::Lost,
            CarriedUnnamed::None => Unnamed::None,
            CarriedUnnamed::Shared(statement) => Unnamed::Shared(known.adopt(&statement)),
            CarriedUnnamed::Text(text, soil) => Unnamed::Text(text.0, soil),
        };
        self.generation = carried.generation;
        self.used = carried.used;
        self.changed = carried.changed;
    }

    pub(super) fn len(&self) -> usize {
        self.names.as_ref().map_or(0, |names| names.len())
    }

    pub(super) fn named(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.names.as_ref()?.get(name)
    }

    /// The text of a statement, of the unnamed one by the empty name, and its number if it is a
    /// shared one.
    pub(super) fn text(&self, name: &[u8]) -> Option<(&[u8], Option<u64>)> {
        let (parse_rest, id) = match (name, &self.unnamed) {
            ([], Unnamed::Text(parse_rest, _)) => (parse_rest.as_slice(), None),
            ([], Unnamed::Lost | Unnamed::None) => return None,
            ([], Unnamed::Shared(statement)) => (statement.parse_rest(), Some(statement.id())),
            (name, _) => {
                let statement = self.named(name)?;
                (statement.parse_rest(), Some(statement.id()))
            }
        };
        Some((parse_rest.split(|byte| *byte == 0).next()?, id))
    }

    /// How much the client has us remember, in bytes.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    pub(super) fn name(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.kept = self.kept.saturating_add(weight(name, &statement));
        self.names
            .get_or_insert_default()
            .insert(name.into(), statement);
    }

    pub(super) fn forget(&mut self, name: &[u8]) -> Option<Arc<Statement>> {
        let statement = self.names.as_mut()?.remove(name)?;
        self.kept = self.kept.saturating_sub(weight(name, &statement));
        Some(statement)
    }

    pub(super) fn forget_all(&mut self) {
        self.names = None;
        self.kept = 0;
        self.forget_unnamed();
    }

    pub(super) fn unnamed(&mut self) -> UnnamedRef<'_> {
        self.used = true;
        match &self.unnamed {
            Unnamed::Lost => UnnamedRef::Lost {
                generation: self.generation,
            },
            Unnamed::None => UnnamedRef::None,
            Unnamed::Shared(statement) => UnnamedRef::Shared(statement),
            Unnamed::Text(parse_rest, soil) => UnnamedRef::Text {
                parse_rest,
                soil: *soil,
                generation: self.generation,
            },
        }
    }

    /// Remembers an unnamed statement's text; returns its generation.
    pub(super) fn keep_unnamed(&mut self, parse_rest: &[u8], soil: Soil) -> u64 {
        self.generation += 1;
        self.used = false;
        match &mut self.unnamed {
            // The buffer of the one before is used again.
            Unnamed::Text(text, old_soil) => {
                text.clear();
                text.extend_from_slice(parse_rest);
                *old_soil = soil;
            }
            Unnamed::Lost | Unnamed::None | Unnamed::Shared(_) => {
                self.unnamed = Unnamed::Text(parse_rest.to_vec(), soil);
            }
        }
        self.generation
    }

    /// Counts an unnamed statement that is too long to be remembered; returns its generation.
    pub(super) fn skip_unnamed(&mut self) -> u64 {
        self.generation += 1;
        self.unnamed = Unnamed::Lost;
        self.generation
    }

    pub(super) fn share_unnamed(&mut self, statement: Arc<Statement>) {
        self.generation += 1;
        self.unnamed = Unnamed::Shared(statement);
    }

    pub(super) fn forget_unnamed(&mut self) {
        self.unnamed = Unnamed::None;
    }

    /// Whether the server has been asked about a statement.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    pub(super) fn ask(&mut self, statement: &Statement) {
        self.asking = Some(statement.id());
    }

    /// Notes the answer about the statement in question.
    pub(super) fn answered(&mut self, same: bool) {
        let asked = self.asking.take();
        if !same {
            self.changed = asked;
        }
    }

    pub(super) fn has_changed(&self, statement: &Statement) -> bool {
        self.changed == Some(statement.id())
    }

    /// Gives every name a statement that no server has, since some return what the client was
    /// not told.
    pub(super) fn renew(&mut self, known: &Statements) {
        self.changed = None;
        for statement in self.names.iter_mut().flat_map(|names| names.values_mut()) {
            *statement = known.renewed(statement);
        }
        if let Unnamed::Shared(statement) = &mut self.unnamed {
            *statement = known.renewed(statement);
        }
    }

    /// Frees what an idle client should not hold: a large text that has been used. Drivers may
    /// wait between Parse and Bind, but use an unnamed statement only once.
    pub(super) fn shrink(&mut self) {
        let large = matches!(&self.unnamed, Unnamed::Text(text, _) if text.len() > MAX_IDLE_TEXT);
        if large && self.used {
            self.forget_unnamed();
        }
    }

    /// Undoes what a skipped message did.
    pub(super) fn undo(&mut self, note: Note) {
        match note.about {
            About::Closed(name) => self.name(&name, note.statement),
            About::Named(name) | About::NamedOnly(name) if name.is_empty() => {
                self.forget_unnamed();
            }
            About::Named(name) | About::NamedOnly(name) => {
                if self
                    .named(&name)
                    .is_some_and(|known| known.id() == note.statement.id())
                {
                    self.forget(&name);
                }
            }
            About::Asked => self.asking = None,
            About::Described | About::Evicted | About::Injected => {}
        }
    }
}

/// What a name costs, roughly, in bytes.
fn weight(name: &[u8], statement: &Statement) -> usize {
    name.len() + statement.parse_rest().len() + NAME_OVERHEAD
}

/// Of the maps and allocations behind a name, in bytes.
const NAME_OVERHEAD: usize = 256;
/// An unnamed statement of more bytes than this is forgotten when its client falls idle.
const MAX_IDLE_TEXT: usize = 16 * 1024;
