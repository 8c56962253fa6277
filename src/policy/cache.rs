//! Texts that have been classified, so that the next one like it costs a look-up.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::mem::size_of;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::policy::classification::{
    Classification, Classified, Name, Relation, Setting, Statement, Unclassifiable, Value,
};
use crate::policy::numbers;
use crate::policy::sql;

/// The classifications of the texts met last, by the whole text, or by all but its numbers. Not shared: each thread that
/// judges has its own.
///
/// Two generations share the room. A text that is found in the older one moves to the younger;
/// when the younger has used its half, it becomes the older, and what was there is forgotten. So
/// what is asked for stays, and no single call has to clear up.
#[derive(Debug)]
pub struct Cache {
    young: Generation,
    old: Generation,
    /// Of each generation, in bytes.
    room: usize,
    /// Digests of texts that were met once, each in the place that it falls on. Who sends ever
    /// new texts would else fill the room with what nobody asks for again.
    newcomers: Box<[u64]>,
    /// The digest has a key of this process: who sends texts cannot make them collide. Should
    /// two do, the text is compared, and one of them is not kept.
    hasher: RandomState,
    /// Room to write a text in.
    masked: Vec<u8>,
}

#[derive(Debug, Default)]
struct Generation {
    /// By the digests of the texts.
    texts: HashMap<u64, Entry, foldhash::fast::RandomState>,
    bytes: usize,
}

/// A text and what is known of it.
type Entry = (Box<[u8]>, Classified);

/// A longer text is not kept: what it costs to parse is little beside what it costs to run.
const KEPT_LEN: usize = 64 * 1024;

/// Texts that are remembered after having been met once.
const NEWCOMERS: usize = 4096;

/// What a table needs for an entry besides what the entry points to.
const ENTRY: usize = 2 * size_of::<(u64, Entry)>() + size_of::<Classification>();

impl Cache {
    /// An empty cache of at most about so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            room: max_bytes / 2,
            newcomers: vec![0; NEWCOMERS].into(),
            hasher: RandomState::default(),
            masked: Vec::new(),
        }
    }

    /// Classifies a text; one of more than `limit` bytes is refused unseen.
    ///
    /// What is not kept is parsed here and now, which for deeply nested texts needs a stack of
    /// some megabytes.
    pub fn classify(&mut self, text: &[u8], limit: usize) -> Classified {
        if text.len() > limit {
            let len = text.len();
            return Err(Unclassifiable::TooLong { len, limit });
        }
        let mut masked = std::mem::take(&mut self.masked);
        let classified = if text.len() <= KEPT_LEN && numbers::mask(text, &mut masked) {
            self.by_mask(text, &masked)
        } else {
            let digest = self.hasher.hash_one(text);
            let known = self.find(digest, text);
            known.unwrap_or_else(|| self.learn(digest, text, sql::classify(text).map(Arc::new)))
        };
        self.masked = masked;
        classified
    }

    /// Classifies a text with numbers: what differs from it in them alone is the same where they
    /// are indifferent.
    fn by_mask(&mut self, text: &[u8], masked: &[u8]) -> Classified {
        let is_indifferent = |classified: &Classified| {
            let classification = classified.as_ref();
            classification.is_ok_and(|known| numbers::are_indifferent(known))
        };
        let of_all = self.hasher.hash_one(masked);
        // What was met as it is may be written like the mask of another.
        if let Some(known) = self.find(of_all, masked)
            && is_indifferent(&known)
        {
            return known;
        }
        let digest = self.hasher.hash_one(text);
        if let Some(known) = self.find(digest, text) {
            return known;
        }
        let classified = sql::classify(text).map(Arc::new);
        if is_indifferent(&classified) {
            self.learn(of_all, masked, classified)
        } else {
            self.learn(digest, text, classified)
        }
    }

    /// What is known of a text.
    fn find(&mut self, digest: u64, text: &[u8]) -> Option<Classified> {
        if let Some((known, classified)) = self.young.texts.get(&digest)
            && **known == *text
        {
            return Some(classified.clone());
        }
        if *self.old.texts.get(&digest)?.0 != *text {
            return None;
        }
        let (text, classified) = self.old.texts.remove(&digest)?;
        let size = size_of_entry(&text, &classified);
        self.old.bytes = self.old.bytes.saturating_sub(size);
        self.keep(digest, text, classified.clone());
        Some(classified)
    }

    /// Keeps what has been found out of a text, unless it is too long or new.
    fn learn(&mut self, digest: u64, text: &[u8], classified: Classified) -> Classified {
        if text.len() <= KEPT_LEN && !self.is_newcomer(digest) {
            self.keep(digest, text.into(), classified.clone());
        }
        classified
    }

    /// Whether a text is met for the first time; it is not the next time, unless many others
    /// have come between.
    fn is_newcomer(&mut self, digest: u64) -> bool {
        let place = usize::try_from(digest % NEWCOMERS as u64).unwrap_or_default();
        self.newcomers
            .get_mut(place)
            .is_some_and(|known| std::mem::replace(known, digest) != digest)
    }

    /// How many bytes the texts and what is known of them take, about.
    pub fn bytes(&self) -> usize {
        self.young.bytes.saturating_add(self.old.bytes)
    }

    fn keep(&mut self, digest: u64, text: Box<[u8]>, classified: Classified) {
        let size = size_of_entry(&text, &classified);
        if size > self.room {
            return;
        }
        if self.young.bytes.saturating_add(size) > self.room {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes = self.young.bytes.saturating_add(size);
        if let Some((text, classified)) = self.young.texts.insert(digest, (text, classified)) {
            let size = size_of_entry(&text, &classified);
            self.young.bytes = self.young.bytes.saturating_sub(size);
        }
    }
}

/// About how much memory an entry takes, in bytes.
fn size_of_entry(text: &[u8], classified: &Classified) -> usize {
    let known = match classified {
        Ok(classification) => classification
            .statements
            .iter()
            .map(size_of_statement)
            .sum(),
        Err(Unclassifiable::Syntax(words) | Unclassifiable::Unknown(words)) => words.len(),
        Err(Unclassifiable::Costly | Unclassifiable::Encoding | Unclassifiable::TooLong { .. }) => {
            0
        }
    };
    ENTRY.saturating_add(text.len()).saturating_add(known)
}

fn size_of_statement(statement: &Statement) -> usize {
    let name = |name: &Name| name.name.len() + name.schema.as_ref().map_or(0, |s| s.len());
    let relations = statement.relations.iter();
    let relations: usize = relations
        .map(|r| size_of::<Relation>() + name(&r.name))
        .sum();
    let functions = statement.functions.iter();
    let functions: usize = functions.map(|f| size_of::<Name>() + name(f)).sum();
    let settings = statement.settings.iter().map(|setting| {
        let value = match &setting.value {
            Value::Constant(text) => text.len(),
            Value::Computed | Value::Default => 0,
        };
        size_of::<Setting>() + setting.name.as_ref().map_or(0, |n| n.len()) + value
    });
    let names = [&statement.prepares, &statement.executes];
    let names: usize = names.into_iter().flatten().map(|name| name.len()).sum();
    size_of::<Statement>() + relations + functions + settings.sum::<usize>() + names
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn is_same(a: &Classified, b: &Classified) -> bool {
        Arc::ptr_eq(a.as_ref().unwrap(), b.as_ref().unwrap())
    }

    #[test]
    fn the_same_text_is_parsed_once() {
        let mut cache = Cache::new(1 << 20);
        // Met once, it is not kept yet.
        assert!(cache.classify(b"select 1", LIMIT).is_ok());
        assert_eq!(cache.bytes(), 0);
        let first = cache.classify(b"select 1", LIMIT);
        assert!(is_same(&first, &cache.classify(b"select 1", LIMIT)));
        assert!(!is_same(&first, &cache.classify(b"select a", LIMIT)));
    }

    #[test]
    fn what_reads_is_parsed_once_whatever_its_numbers() {
        let mut cache = Cache::new(1 << 20);
        assert!(
            cache
                .classify(b"select a from t where b = 17", LIMIT)
                .is_ok()
        );
        let first = cache.classify(b"select a from t where b = 23", LIMIT);
        let next = cache.classify(b"select a from t where b = 42", LIMIT);
        assert!(is_same(&first, &next));
        let other = cache.classify(b"select a from u where b = 42", LIMIT);
        assert!(!is_same(&first, &other));
    }

    #[test]
    fn a_number_that_decides_is_looked_at() {
        let mut cache = Cache::new(1 << 20);
        let all = |classified: &Classified| classified.as_ref().unwrap().statements[0].whole_table;
        for _ in 0..3 {
            // The second is written like the mask of the first.
            let some = cache.classify(b"delete from t where a = 2", LIMIT);
            let other = cache.classify(b"delete from t where a = 1", LIMIT);
            assert_eq!(all(&some), all(&other));
            let every = cache.classify(b"delete from t where 1 = 1", LIMIT);
            assert_ne!(all(&some), all(&every));
            let none = cache.classify(b"delete from t where 2 = 1", LIMIT);
            assert!(!is_same(&every, &none));
        }
    }

    #[test]
    fn a_refusal_is_kept_too() {
        let mut cache = Cache::new(1 << 20);
        let refused = cache.classify(b"selec", LIMIT);
        assert_eq!(cache.classify(b"selec", LIMIT), refused);
        assert!(matches!(refused, Err(Unclassifiable::Syntax(_))));
        assert_eq!(cache.classify(b"selec", LIMIT), refused);
        assert!(cache.bytes() > 0);
    }

    #[test]
    fn a_text_over_the_limit_is_not_looked_at() {
        let mut cache = Cache::new(1 << 20);
        let (len, limit) = (8, 7);
        let refused = Err(Unclassifiable::TooLong { len, limit });
        assert_eq!(cache.classify(b"select 1", limit), refused);
        assert_eq!(cache.bytes(), 0);
        assert!(cache.classify(b"select 1", 8).is_ok());
    }

    #[test]
    fn a_long_text_is_classified_and_not_kept() {
        let mut cache = Cache::new(1 << 20);
        let text = format!("select '{}'", "x".repeat(KEPT_LEN));
        assert!(cache.classify(text.as_bytes(), LIMIT).is_ok());
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn it_stays_within_its_room_and_keeps_what_is_asked_for() {
        let room = 64 * 1024;
        let mut cache = Cache::new(room);
        assert!(cache.classify(b"select 'wanted'", LIMIT).is_ok());
        let wanted = cache.classify(b"select 'wanted'", LIMIT);
        for number in 0..5_000 {
            let text = format!("select a{number} from t where a = {number}");
            for _ in 0..2 {
                assert!(cache.classify(text.as_bytes(), LIMIT).is_ok());
            }
            assert!(cache.bytes() <= room, "{}", cache.bytes());
            assert!(is_same(&wanted, &cache.classify(b"select 'wanted'", LIMIT)));
        }
        let counted = cache.young.texts.values().chain(cache.old.texts.values());
        let counted: usize = counted.map(|(text, c)| size_of_entry(text, c)).sum();
        assert_eq!(cache.bytes(), counted);
        let known: Vec<_> = cache
            .young
            .texts
            .keys()
            .chain(cache.old.texts.keys())
            .collect();
        assert!(known.len() > 20 && known.len() < 1_000, "{}", known.len());
    }

    #[test]
    fn a_cache_without_room_classifies_all_the_same() {
        let mut cache = Cache::new(0);
        assert!(cache.classify(b"select 1", LIMIT).is_ok());
        assert_eq!(cache.bytes(), 0);
    }
}
