//! Prepared statements that clients of a pool share.
//!
//! A client's statement is known by its text, its parameter types and what changes their
//! meaning; servers know it by a name of ours, which is never used for another text.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::wire::printable::Printable;

/// A prepared statement, independent of any client and any server.
#[derive(Debug)]
pub struct Statement {
    id: u64,
    server_name: Box<[u8]>,
    content: Content,
    leaves_state: bool,
    shape: OnceLock<u64>,
}

impl Statement {
    /// A number that no other statement of this process has had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What servers call it.
    pub fn server_name(&self) -> &[u8] {
        &self.server_name
    }

    /// The body of its Parse after the name: text, NUL, parameter types.
    pub fn parse_rest(&self) -> &[u8] {
        &self.content.parse_rest
    }

    /// A digest of what it returns, as clients were told; `None`: nobody has asked.
    pub fn shape(&self) -> Option<u64> {
        self.shape.get().copied()
    }

    /// Notes what it returns; false if clients were told something else.
    pub fn has_shape(&self, shape: u64) -> bool {
        *self.shape.get_or_init(|| shape) == shape
    }

    /// Whether running it may leave something behind on the server that must be cleaned.
    pub fn leaves_state(&self) -> bool {
        self.leaves_state
    }
}

/// A statement on its way to another process, where servers go on to know it by its number.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CarriedStatement {
    /// Its number.
    pub id: u64,
    context: String,
    parse_rest: Printable,
    leaves_state: bool,
    shape: Option<u64>,
}

impl Statement {
    /// What another process needs to know of it.
    pub fn carry(&self) -> CarriedStatement {
        CarriedStatement {
            id: self.id,
            context: self.content.context.to_string(),
            parse_rest: self.parse_rest().into(),
            leaves_state: self.leaves_state,
            shape: self.shape(),
        }
    }
}

/// All statements that clients of one pool have prepared and not closed.
#[derive(Debug, Default)]
pub struct Statements {
    known: Mutex<HashMap<Content, Weak<Statement>, RandomState>>,
}

impl Statements {
    /// The statement of this content, which is new if no client has it.
    ///
    /// `context` is what changes the meaning of the text: search_path, role.
    pub fn intern(&self, parse_rest: &[u8], context: &str, leaves_state: bool) -> Arc<Statement> {
        let content = Content {
            context: context.into(),
            parse_rest: parse_rest.into(),
        };
        // A panic while the lock was held leaves a map that is at worst short of an entry.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = known.get(&content).and_then(Weak::upgrade) {
            return statement;
        }
        if known.len() >= SWEEP_FROM && known.len() == known.capacity() {
            known.retain(|_, statement| statement.strong_count() > 0);
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let statement = Arc::new(Statement {
            id,
            server_name: server_name(id),
            content: content.clone(),
            leaves_state,
            shape: OnceLock::new(),
        });
        known.insert(content, Arc::downgrade(&statement));
        statement
    }

    /// The statement that another process knew by a number, which is not given out again.
    pub fn adopt(&self, carried: &CarriedStatement) -> Arc<Statement> {
        NEXT_ID.fetch_max(carried.id.saturating_add(1), Ordering::Relaxed);
        let content = Content {
            context: carried.context.as_str().into(),
            parse_rest: carried.parse_rest.0.as_slice().into(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.get(&content).and_then(Weak::upgrade);
        if let Some(statement) = same.filter(|statement| statement.id == carried.id) {
            return statement;
        }
        let shape = OnceLock::new();
        if let Some(told) = carried.shape {
            let _ = shape.set(told);
        }
        let statement = Arc::new(Statement {
            id: carried.id,
            server_name: server_name(carried.id),
            content: content.clone(),
            leaves_state: carried.leaves_state,
            shape,
        });
        // The newest of a text is the one that is not outdated.
        let newest = known.get(&content).and_then(Weak::upgrade);
        if newest.is_none_or(|newest| newest.id < carried.id) {
            known.insert(content, Arc::downgrade(&statement));
        }
        statement
    }

    /// Forgets which statements are known: what clients prepare from now on is prepared anew on
    /// every server, because what a text returns has changed.
    pub fn renew(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The same statement under a name that no server has.
    pub fn renewed(&self, old: &Statement) -> Arc<Statement> {
        self.intern(
            &old.content.parse_rest,
            &old.content.context,
            old.leaves_state,
        )
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The statements that one server has, the least recently used of which makes room.
#[derive(Debug, Default)]
pub struct OnServer {
    used: HashMap<u64, (u64, Arc<Statement>), RandomState>,
    clock: u64,
}

impl OnServer {
    /// Whether the server has it; marks it as used now.
    pub fn touch(&mut self, statement: &Statement) -> bool {
        self.clock += 1;
        match self.used.get_mut(&statement.id) {
            Some((used, _)) => {
                *used = self.clock;
                true
            }
            None => false,
        }
    }

    /// Notes that the server has it.
    pub fn add(&mut self, statement: Arc<Statement>) {
        self.clock += 1;
        self.used.insert(statement.id, (self.clock, statement));
    }

    /// Notes that the server does not have it.
    pub fn remove(&mut self, statement: &Statement) {
        self.used.remove(&statement.id);
    }

    /// Takes out the one that has not been used for the longest, if more than `limit` are kept.
    pub fn evict(&mut self, limit: usize) -> Option<Arc<Statement>> {
        if self.used.len() <= limit {
            return None;
        }
        let (&oldest, _) = self.used.iter().min_by_key(|(_, (used, _))| *used)?;
        self.used.remove(&oldest).map(|(_, statement)| statement)
    }

    /// Notes that the server has none.
    pub fn clear(&mut self) {
        self.used.clear();
    }

    /// All of them, the least recently used first.
    pub fn all(&self) -> Vec<Arc<Statement>> {
        let mut all: Vec<_> = self.used.values().collect();
        all.sort_by_key(|(used, _)| *used);
        all.into_iter()
            .map(|(_, statement)| statement.clone())
            .collect()
    }

    /// How many the server has.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether the server has none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }
}

fn server_name(id: u64) -> Box<[u8]> {
    format!("{SERVER_NAME_PREFIX}{id}").into_bytes().into()
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Content {
    context: Arc<str>,
    parse_rest: Arc<[u8]>,
}

/// How the names begin that servers know statements by.
pub const SERVER_NAME_PREFIX: &str = "pgwarden_";

/// One count for the process, so that a name can never mean two texts, whatever is reloaded.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// Below this many the table is not searched for statements that nobody has any more.
const SWEEP_FROM: usize = 448;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_one_statement_and_another_is_not() {
        let statements = Statements::default();
        let one = statements.intern(b"select 1\0\0\0", "", false);
        assert_eq!(
            one.id(),
            statements.intern(b"select 1\0\0\0", "", false).id()
        );
        assert_ne!(
            one.id(),
            statements.intern(b"select 2\0\0\0", "", false).id()
        );
        assert_ne!(
            one.id(),
            statements.intern(b"select 1\0\0\0", "tenant_b", false).id()
        );
    }

    #[test]
    fn a_name_is_never_given_to_another_text() {
        let statements = Statements::default();
        let gone = statements
            .intern(b"select 1\0\0\0", "", false)
            .server_name()
            .to_vec();
        let next = statements.intern(b"select 2\0\0\0", "", false);
        assert_ne!(gone, next.server_name());
        let again = statements.intern(b"select 1\0\0\0", "", false);
        assert_ne!(
            gone,
            again.server_name(),
            "a server may still have the old one"
        );
    }

    #[test]
    fn a_statement_of_another_process_keeps_its_number_and_nobody_else_gets_it() {
        let statements = Statements::default();
        let number = statements.intern(b"select 0\0\0\0", "", false).id() + 1000;
        let carried = CarriedStatement {
            id: number,
            context: String::new(),
            parse_rest: b"select 1\0\0\0".as_slice().into(),
            leaves_state: true,
            shape: Some(7),
        };
        let adopted = statements.adopt(&carried);
        assert_eq!(
            adopted.server_name(),
            format!("pgwarden_{number}").as_bytes()
        );
        assert!(adopted.leaves_state() && adopted.shape() == Some(7));
        let same = statements.intern(b"select 1\0\0\0", "", true);
        assert!(Arc::ptr_eq(&adopted, &same));
        assert!(Arc::ptr_eq(&adopted, &statements.adopt(&adopted.carry())));
        let next = statements.intern(b"select 2\0\0\0", "", false);
        assert!(next.id() > number);
    }

    #[test]
    fn statements_that_nobody_has_are_forgotten() {
        let statements = Statements::default();
        for n in 0..10_000 {
            statements.intern(format!("select {n}\0\0\0").as_bytes(), "", false);
        }
        assert!(statements.len() < 2_000, "{}", statements.len());
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let statements = Statements::default();
        let [a, b, c] =
            [b"a\0\0\0", b"b\0\0\0", b"c\0\0\0"].map(|t| statements.intern(t, "", false));
        let mut server = OnServer::default();
        for statement in [&a, &b, &c] {
            server.add(statement.clone());
        }
        assert!(server.touch(&a));
        assert_eq!(server.evict(2).unwrap().id(), b.id());
        assert!(server.evict(2).is_none());
        assert!(!server.touch(&b));
    }
}
