//! Of what many clients have alike, one copy.

use std::sync::{Arc, Mutex, PoisonError};

/// The copy that was shared last. Most clients of a pool begin with the same settings, and it
/// costs each of them a pointer to have the same.
#[derive(Debug)]
pub(super) struct Recent<T: ?Sized>(Mutex<Option<Arc<T>>>);

impl<T: ?Sized> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: ?Sized + PartialEq> Recent<T> {
    /// The copy that was shared last, if it is equal; else this one, which others get then.
    pub(super) fn share(&self, own: Arc<T>) -> Arc<T> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*recent {
            Some(shared) if *shared == own => shared.clone(),
            Some(_) | None => {
                *recent = Some(own.clone());
                own
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_others_are_not() {
        let recent = Recent::default();
        let first = recent.share(Arc::new(1));
        let second = recent.share(Arc::new(1));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*recent.share(Arc::new(2)), 2);
        assert_eq!(*recent.share(Arc::new(1)), 1);
    }
}
