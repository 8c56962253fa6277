//! A client that stands still: nothing of it is under way, and nothing is read from it.

use std::cell::{Cell, RefCell};

use crate::session::carried::Carried;

/// Whether a client is to stand still, and does.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// It is to, or to tell what it is.
    call: Cell<Call>,
    standing: Cell<bool>,
    carried: RefCell<Option<Box<Carried>>>,
    /// It has told all, so that another process may have its connection.
    told: Cell<bool>,
}

/// What a client's task is called for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Call {
    /// Nothing: it goes on.
    #[default]
    None,
    /// To stand still.
    Stand,
    /// To stand still and to tell all that another process needs to go on.
    Tell,
}

impl Standstill {
    /// Whether the client is to stand still. Looked at once whenever its task is woken.
    pub(super) fn is_wanted(&self) -> bool {
        self.call.get() != Call::None
    }

    pub(super) fn want(&self, wanted: bool) {
        self.call.set(if wanted { Call::Stand } else { Call::None });
        if !wanted {
            self.standing.set(false);
            self.told.set(false);
            self.carried.replace(None);
        }
    }

    /// Asks the client to tell what another process needs.
    pub(super) fn ask(&self) {
        if self.is_wanted() {
            self.call.set(Call::Tell);
        }
    }

    /// Whether it stands still.
    pub(super) fn is_standing(&self) -> bool {
        self.standing.get()
    }

    /// Notes that it stands still; `carried` is what it tells if it was asked.
    pub(super) fn stand(&self, carried: impl FnOnce() -> Option<Carried>) {
        self.standing.set(true);
        if self.call.get() == Call::Tell {
            self.call.set(Call::Stand);
            let carried = carried();
            self.told.set(carried.is_some());
            self.carried.replace(carried.map(Box::new));
        }
    }

    /// Notes that something is under way.
    pub(super) fn moves(&self) {
        self.standing.set(false);
    }

    /// Whether another process may have its connection.
    pub(super) fn has_told(&self) -> bool {
        self.told.get()
    }

    /// What it has told.
    pub(super) fn take(&self) -> Option<Box<Carried>> {
        self.carried.take()
    }
}
