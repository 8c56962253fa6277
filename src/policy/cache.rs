//! Texts and what they do, each worked out once.

use std::sync::Arc;

use crate::policy::classification::{Classified, Unclassifiable};
use crate::policy::sql::classify;

/// A bounded memory of classified texts.
#[derive(Debug)]
pub struct Cache {
    _max_bytes: usize,
}

impl Cache {
    /// An empty cache of at most so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            _max_bytes: max_bytes,
        }
    }

    /// What a text does; one longer than `limit` bytes is not looked at.
    pub fn classify(&mut self, text: &[u8], limit: usize) -> Classified {
        if text.len() > limit {
            let len = text.len();
            return Err(Unclassifiable::TooLong { len, limit });
        }
        classify(text).map(Arc::new)
    }
}
