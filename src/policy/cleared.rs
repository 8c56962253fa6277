//! Texts that no rule of a role has anything against, whatever the time and whoever the client.

use std::sync::Arc;

use crate::policy::classification::Classification;
use crate::policy::role::Role;

/// What was found lately: each in the place that it falls on. Not shared: each thread that judges
/// has its own.
#[derive(Debug)]
pub struct Cleared(Box<[Option<Entry>]>);

/// Held, so that nothing else can come to be where they are.
#[derive(Clone, Debug)]
struct Entry {
    text: Arc<Classification>,
    role: Arc<Role>,
    is_maintained: bool,
}

impl Default for Cleared {
    fn default() -> Self {
        Self(vec![None; PLACES].into())
    }
}

impl Cleared {
    /// Whether the text was noted for the role. `is_maintained`: whether there are maintenance
    /// windows, under which every role only reads.
    pub fn has(&self, text: &Arc<Classification>, role: &Arc<Role>, is_maintained: bool) -> bool {
        let known = self.0.get(place(text, role)).and_then(Option::as_ref);
        known.is_some_and(|known| {
            Arc::ptr_eq(&known.text, text)
                && Arc::ptr_eq(&known.role, role)
                && known.is_maintained == is_maintained
        })
    }

    /// Notes it.
    pub fn note(&mut self, text: &Arc<Classification>, role: &Arc<Role>, is_maintained: bool) {
        if let Some(known) = self.0.get_mut(place(text, role)) {
            *known = Some(Entry {
                text: text.clone(),
                role: role.clone(),
                is_maintained,
            });
        }
    }
}

fn place(text: &Arc<Classification>, role: &Arc<Role>) -> usize {
    let mixed = Arc::as_ptr(text).addr() ^ Arc::as_ptr(role).addr().rotate_left(7);
    // The lowest bits of what is allocated are alike.
    (mixed >> 4) % PLACES
}

/// A power of two. What is thrown out is judged once more.
const PLACES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::role::RoleName;
    use crate::policy::sql;

    #[test]
    fn what_was_noted_holds_for_the_same_text_role_and_maintenance_only() {
        let text = || Arc::new(sql::classify(b"select 1").unwrap());
        let role = || Arc::new(Role::free(RoleName::new("bi")));
        let (one, bi) = (text(), role());
        let mut cleared = Cleared::default();
        assert!(!cleared.has(&one, &bi, false));
        cleared.note(&one, &bi, false);
        assert!(cleared.has(&one, &bi, false));
        assert!(!cleared.has(&one, &bi, true));
        assert!(!cleared.has(&text(), &bi, false));
        assert!(!cleared.has(&one, &role(), false));
    }

    #[test]
    fn it_forgets_rather_than_grows() {
        let role = Arc::new(Role::free(RoleName::new("bi")));
        let texts: Vec<_> = (0..2 * PLACES)
            .map(|_| Arc::new(sql::classify(b"select 1").unwrap()))
            .collect();
        let mut cleared = Cleared::default();
        for text in &texts {
            cleared.note(text, &role, false);
            assert!(cleared.has(text, &role, false));
        }
        assert!(texts.iter().any(|text| !cleared.has(text, &role, false)));
    }
}
