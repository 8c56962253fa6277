//! What the sessions of one worker judge by.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::SystemTime;

use crate::policy::admission::{Admission, Policy};
use crate::policy::cache::Cache;
use crate::policy::classification::Classified;
use crate::policy::cleared::Cleared;
use crate::policy::judge::Judge;
use crate::policy::verdict::Verdict;
use crate::session::audit::{Auditor, NoAudit};
use crate::session::denials::Denials;
use crate::session::usage::Usages;

/// What the sessions of one worker judge by.
#[derive(Debug)]
pub struct Bench {
    cache: RefCell<Cache>,
    cleared: RefCell<Cleared>,
    policy: RefCell<Arc<Policy>>,
    /// The time at the last tick of the worker: exact enough for windows.
    now: Cell<SystemTime>,
    ticks: Cell<u64>,
    /// Who writes down what happens.
    pub audit: Arc<dyn Auditor>,
    /// The latest refusals.
    pub denials: Arc<Denials>,
    /// What roles use up.
    pub usages: Arc<Usages>,
}

/// No rules, and nobody who writes anything down.
impl Default for Bench {
    fn default() -> Self {
        let audit = Arc::new(NoAudit);
        Self::new(Arc::default(), audit, Arc::default(), Arc::default())
    }
}

impl Bench {
    /// A bench that judges by this policy.
    pub fn new(
        policy: Arc<Policy>,
        audit: Arc<dyn Auditor>,
        denials: Arc<Denials>,
        usages: Arc<Usages>,
    ) -> Self {
        Self {
            cache: RefCell::new(Cache::new(CACHE_BYTES)),
            cleared: RefCell::default(),
            policy: RefCell::new(policy),
            now: Cell::new(SystemTime::now()),
            ticks: Cell::new(0),
            audit,
            denials,
            usages,
        }
    }

    /// The policy at the moment.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }

    /// The time, to a tenth of a second.
    pub fn now(&self) -> SystemTime {
        self.now.get()
    }

    /// Counts how often the time has been looked at: as long as it is the same, so is the time.
    pub(super) fn ticks(&self) -> u64 {
        self.ticks.get()
    }

    pub(super) fn tick(&self) -> SystemTime {
        self.now.set(SystemTime::now());
        self.ticks.set(self.ticks.get() + 1);
        self.now.get()
    }

    pub(super) fn reload(&self, policy: Arc<Policy>) {
        *self.policy.borrow_mut() = policy;
        // The roles of before are held there.
        self.cleared.take();
    }

    pub(super) fn classify(&self, text: &[u8], limit: usize) -> Classified {
        self.cache.borrow_mut().classify(text, limit)
    }

    /// What the judge says of a text for a client of this admission.
    pub(super) fn verdict(
        &self,
        judge: &Judge<'_>,
        admission: &Admission,
        classified: &Classified,
    ) -> Verdict {
        let (role, is_maintained) = (admission.role(), !admission.maintenance().is_empty());
        let Ok(text) = classified else {
            return judge.verdict(classified);
        };
        if self.cleared.borrow().has(text, role, is_maintained) {
            return Verdict::Allow;
        }
        let verdict = judge.verdict(classified);
        // Only what is kept elsewhere too will be met again.
        if matches!(verdict, Verdict::Allow)
            && Arc::strong_count(text) > 1
            && judge.has_nothing_against(text)
        {
            self.cleared.borrow_mut().note(text, role, is_maintained);
        }
        verdict
    }
}

/// Texts that a worker remembers, in bytes.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
