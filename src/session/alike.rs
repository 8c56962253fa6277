//! Of what many clients of a worker have alike, one copy.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::policy::role::Role;
use crate::pool::timeouts::Timeouts;

/// What was shared lately. Most clients are of few users and databases, and it costs each of them
/// a pointer to have the same.
#[derive(Debug, Default)]
pub(super) struct Alike {
    names: RefCell<Vec<Arc<str>>>,
    role: RefCell<Option<Arc<Role>>>,
    timeouts: RefCell<Rc<Timeouts>>,
}

impl Alike {
    /// A name in the copy that others have, if it was asked for lately.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        let mut names = self.names.borrow_mut();
        if let Some(known) = names.iter().find(|known| ***known == *name) {
            return known.clone();
        }
        if names.len() == MOST_NAMES {
            names.remove(0);
        }
        let own: Arc<str> = name.into();
        names.push(own.clone());
        own
    }

    /// A role without rules, which its name says all about, in the copy that was shared last if
    /// that has the same name.
    pub(super) fn free_role(&self, own: &Arc<Role>) -> Arc<Role> {
        let mut last = self.role.borrow_mut();
        match &*last {
            Some(last) if last.name == own.name => last.clone(),
            Some(_) | None => last.insert(own.clone()).clone(),
        }
    }

    /// Timeouts in the copy that was shared last, if they are equal.
    pub(super) fn timeouts(&self, own: Timeouts) -> Rc<Timeouts> {
        let mut last = self.timeouts.borrow_mut();
        if **last != own {
            *last = Rc::new(own);
        }
        last.clone()
    }
}

/// It takes no longer to look at so many than to make a copy.
const MOST_NAMES: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::role::RoleName;

    #[test]
    fn equal_names_are_one_as_long_as_few_others_come_between() {
        let alike = Alike::default();
        let first = alike.name("shop");
        assert_eq!(&*alike.name("bench"), "bench");
        assert!(Arc::ptr_eq(&first, &alike.name("shop")));
        for other in 0..MOST_NAMES {
            alike.name(&other.to_string());
        }
        assert!(!Arc::ptr_eq(&first, &alike.name("shop")));
        assert_eq!(alike.names.borrow().len(), MOST_NAMES);
    }

    #[test]
    fn only_a_role_of_the_same_name_is_shared() {
        let alike = Alike::default();
        let role = |name| Arc::new(Role::free(RoleName::new(name)));
        let first = alike.free_role(&role("ann"));
        assert!(Arc::ptr_eq(&first, &alike.free_role(&role("ann"))));
        assert_eq!(alike.free_role(&role("bob")).name.as_str(), "bob");
    }

    #[test]
    fn only_equal_timeouts_are_shared() {
        let alike = Alike::default();
        let of = |query| Timeouts {
            query,
            ..Timeouts::default()
        };
        let second = Some(Duration::from_secs(1));
        let first = alike.timeouts(of(second));
        assert!(Rc::ptr_eq(&first, &alike.timeouts(of(second))));
        assert_eq!(*alike.timeouts(of(None)), of(None));
    }
}
