//! What stands behind the names of prepared statements, where nobody else remembers it: in
//! session mode, and of PREPARE in SQL.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::policy::classification::Classification;

/// A name may stand for more than one statement: which of two Parses the server has skipped is
/// not always known. Then all of them are judged.
type Known = Vec<Meaning>;

/// What a statement does, and its text where that is to be written down.
type Meaning = (Arc<Classification>, Option<Rc<[u8]>>);

/// The names of one client.
#[derive(Debug, Default)]
pub(super) struct Names {
    protocol: HashMap<Box<[u8]>, Known, RandomState>,
    sql: HashMap<Box<str>, Known, RandomState>,
    /// There were too many: nothing is known for certain any more.
    overflown: bool,
}

impl Names {
    /// Notes a Parse; `certain`: the server will not skip it.
    pub(super) fn parsed(
        &mut self,
        name: &[u8],
        (what, sql): (Arc<Classification>, Option<&[u8]>),
        certain: bool,
    ) {
        if self.protocol.len() >= MOST_NAMES && !self.protocol.contains_key(name) {
            self.overflown = true;
            return;
        }
        let known = self.protocol.entry(name.into()).or_default();
        // The unnamed statement is replaced; a name that is taken is refused by the server.
        if certain && name.is_empty() {
            known.clear();
        }
        self.overflown |= !add(known, (what, sql.map(Into::into)));
    }

    /// Notes a Close.
    pub(super) fn closed(&mut self, name: &[u8]) {
        self.protocol.remove(name);
    }

    /// Notes a PREPARE in SQL.
    pub(super) fn prepared(&mut self, name: &str, what: Meaning) {
        if self.sql.len() >= MOST_NAMES && !self.sql.contains_key(name) {
            self.overflown = true;
            return;
        }
        let known = self.sql.entry(name.into()).or_default();
        self.overflown |= !add(known, what);
    }

    /// What a name of the protocol's may stand for; `None`: nothing is known of it.
    pub(super) fn of_protocol(&self, name: &[u8]) -> Option<Known> {
        self.protocol.get(name).filter(|_| !self.overflown).cloned()
    }

    /// What a name of PREPARE's may stand for.
    pub(super) fn of_sql(&self, name: &str) -> Option<Known> {
        self.sql.get(name).filter(|_| !self.overflown).cloned()
    }
}

fn add(known: &mut Known, what: Meaning) -> bool {
    if !known.iter().any(|old| Arc::ptr_eq(&old.0, &what.0)) {
        known.push(what);
    }
    known.len() <= MOST_MEANINGS
}

const MOST_NAMES: usize = 10_000;
const MOST_MEANINGS: usize = 8;
