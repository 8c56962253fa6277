//! What the sessions of one worker share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::names::UserName;
use crate::auth::scram::Verifier;
use crate::auth::secret::Secret;
use crate::pool::Pools;
use crate::session::audit::Auditor;
use crate::session::denials::Denials;
use crate::session::roster::Roster;
use crate::session::settings::SessionSettings;
use crate::session::stats::LoginStats;

/// What the sessions of one worker share. One a worker; nothing in it crosses a thread.
#[derive(Debug)]
pub struct Context {
    /// The worker's number, from 0.
    pub worker: usize,
    /// The pools of the process.
    pub pools: Arc<Pools>,
    /// The clients of this worker.
    pub roster: Roster,
    /// Outcomes of logins and errors sent, for the whole process.
    pub logins: Arc<LoginStats>,
    /// What was refused, for the whole process.
    pub denials: Arc<Denials>,
    /// Writes the audit log.
    pub audit: Arc<dyn Auditor>,
    /// Makes the salt of an unknown user the same at each try.
    pub mock_seed: [u8; 32],
    settings: RefCell<Arc<SessionSettings>>,
    /// Verifiers derived from plain passwords, and the secrets they were derived from.
    verifiers: RefCell<Verifiers>,
    /// No new clients; old ones leave when they fall idle.
    draining: Cell<bool>,
}

type Verifiers = HashMap<UserName, (Arc<Secret>, Arc<Verifier>)>;

impl Context {
    /// The context of a worker that has no clients yet.
    pub fn new(
        worker: usize,
        pools: Arc<Pools>,
        logins: Arc<LoginStats>,
        denials: Arc<Denials>,
        audit: Arc<dyn Auditor>,
        mock_seed: [u8; 32],
        settings: Arc<SessionSettings>,
    ) -> Self {
        Self {
            worker,
            pools,
            logins,
            denials,
            audit,
            mock_seed,
            settings: RefCell::new(settings),
            roster: Roster::default(),
            verifiers: RefCell::default(),
            draining: Cell::new(false),
        }
    }

    /// The settings at the moment.
    pub fn settings(&self) -> Arc<SessionSettings> {
        self.settings.borrow().clone()
    }

    /// How long a client may be silent at the moment.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.settings.borrow().idle_timeout
    }

    /// Replaces the settings; clients that have logged in keep what they have.
    pub fn reload(&self, settings: Arc<SessionSettings>) {
        *self.settings.borrow_mut() = settings;
    }

    /// The SCRAM verifier for a user whose secret is a plain password, derived once, off this
    /// thread. `None` for any other secret. Cancel safe.
    pub(super) async fn verifier_of(
        &self,
        user: &UserName,
        secret: Option<Arc<Secret>>,
    ) -> Option<Arc<Verifier>> {
        let secret = secret?;
        if let Some((from, verifier)) = self.verifiers.borrow().get(user)
            && Arc::ptr_eq(from, &secret)
        {
            return Some(verifier.clone());
        }
        let plain = secret.clone();
        // The salt that an unknown user is shown: the same on every worker, at every try and
        // after every reload, or it would tell who is known.
        let salt = Verifier::mock(&self.mock_seed, user.as_str())
            .salt()
            .to_vec();
        let derive = move || match &*plain {
            Secret::Plain(password) => Some(Verifier::derive(
                password.expose(),
                &salt,
                Verifier::DEFAULT_ITERATIONS,
            )),
            Secret::Md5(_) | Secret::Scram(_) => None,
        };
        let verifier = Arc::new(tokio::task::spawn_blocking(derive).await.ok()??);
        self.verifiers
            .borrow_mut()
            .insert(user.clone(), (secret, verifier.clone()));
        Some(verifier)
    }

    /// Whether clients are being sent away.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Sends clients away as they fall idle.
    pub fn drain(&self) {
        self.draining.set(true);
        self.roster.wake_all();
    }
}
