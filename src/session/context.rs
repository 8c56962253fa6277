//! What the sessions of one worker share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::auth::names::UserName;
use crate::auth::scram::Verifier;
use crate::auth::secret::Secret;
use crate::policy::admission::Admission;
use crate::pool::Pools;
use crate::session::alike::Alike;
use crate::session::audit::{Event, EventKind};
use crate::session::bench::Bench;
use crate::session::keys::Naming;
use crate::session::roster::{Client, Roster};
use crate::session::settings::SessionSettings;
use crate::session::stats::LoginStats;
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

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
    /// Makes the salt of an unknown user the same at each try.
    pub mock_seed: [u8; 32],
    /// What its cancel keys tell.
    pub naming: Naming,
    /// What sessions judge by.
    pub bench: Rc<Bench>,
    /// Whether the user that was looked up last has a SCRAM verifier, as PostgreSQL makes them:
    /// users who are not found are asked for what others are.
    pub(super) finds_verifiers: Cell<bool>,
    settings: RefCell<Arc<SessionSettings>>,
    /// Verifiers derived from plain passwords, and the secrets they were derived from.
    verifiers: RefCell<Verifiers>,
    /// Of what many clients have alike, one copy.
    pub(super) alike: Alike,
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
        mock_seed: [u8; 32],
        settings: Arc<SessionSettings>,
        bench: Bench,
    ) -> Self {
        Self {
            worker,
            pools,
            logins,
            mock_seed,
            naming: Naming::new(worker, 1),
            bench: Rc::new(bench),
            settings: RefCell::new(settings),
            roster: Roster::default(),
            finds_verifiers: Cell::new(true),
            verifiers: RefCell::default(),
            alike: Alike::default(),
            draining: Cell::new(false),
        }
    }

    /// The same, as one worker of so many.
    #[must_use]
    pub fn among(mut self, workers: usize) -> Self {
        self.naming = Naming::new(self.worker, workers);
        self
    }

    /// The settings at the moment.
    pub fn settings(&self) -> Arc<SessionSettings> {
        self.settings.borrow().clone()
    }

    /// Has a client's timeouts be what the settings now say, of what it does at the moment too.
    pub(super) fn limit(&self, client: &Client) {
        let admission = client.admission.borrow();
        if let Some(admission) = &*admission
            && let Some(mut timeouts) = self.pools.timeouts(admission)
        {
            if client.replication.get() != "none" {
                // It streams until it is told not to.
                (timeouts.query, timeouts.transaction) = (None, None);
            }
            let settings = self.settings.borrow();
            client
                .idle_timeout
                .set(timeouts.idle.or(settings.idle_timeout));
            client.max_packet_size.set(settings.max_packet_size);
            client.progress.limit(self.alike.timeouts(timeouts));
        }
    }

    /// Replaces the settings. Clients that have logged in keep what they have, but for their
    /// rules: who would get another role now, or none, has to go.
    pub fn reload(&self, settings: Arc<SessionSettings>) {
        self.bench.reload(settings.policy.clone());
        *self.settings.borrow_mut() = settings;
        let now = self.bench.tick();
        for client in self.roster.all() {
            self.readmit(&client, now);
            self.limit(&client);
        }
    }

    /// Ends what has lasted too long. To be called about ten times a second.
    pub fn tick(&self, now: Instant) {
        self.roster.expire(now);
        if self.roster.stands_still() {
            return;
        }
        // Who holds a server that is to be closed may have to let go of it.
        let holds_obsolete = |client: &Rc<Client>| {
            let server = client.server.borrow();
            server.as_ref().is_some_and(|server| server.is_obsolete())
        };
        for client in self.roster.select(holds_obsolete) {
            client.wake();
        }
        let now = self.bench.tick();
        let ended = |client: &Rc<Client>| {
            let admission = client.admission.borrow();
            let until = admission.as_ref().and_then(Admission::until);
            until.is_some_and(|until| until <= now)
        };
        for client in self.roster.select(ended) {
            self.readmit(&client, now);
        }
    }

    /// Writes down that a session has ended.
    pub fn note_end(&self, client: &Client, reason: &str, told: Option<&ErrorResponse>) {
        let who = client.who.borrow().clone();
        let event = Event {
            reason,
            duration: client.connected.elapsed().ok(),
            sqlstate: told.map(|error| error.code),
            ..Event::new(EventKind::SessionEnd, &who, self.bench.policy().generation)
        };
        // It has ended whether or not that can be written down.
        let _ = self.bench.audit.record(&event);
    }

    /// Asks once more what a client is admitted as.
    fn readmit(&self, client: &Client, now: SystemTime) {
        let Some(old) = client.admission.borrow().clone() else {
            return;
        };
        let (identity, database) = (old.identity().clone(), old.database().clone());
        let expired = identity.token().is_some_and(|token| token.expires() <= now);
        let policy = self.bench.policy();
        match policy.admit(identity, *old.origin(), database, now) {
            Ok(new)
                if new.role().name == old.role().name
                    && new.has_granted_role() == old.has_granted_role() =>
            {
                client.admission.replace(Some(new));
                client.readmitted.guard.set(true);
                client.readmitted.pool.set(true);
            }
            Ok(_) | Err(_) => {
                let role = &old.role().name;
                let why = if expired {
                    "the client's token has expired".to_owned()
                } else {
                    format!("the grant of role \"{role}\" no longer holds for this client")
                };
                client.end(
                    ErrorResponse::fatal(
                        SqlState::ADMIN_SHUTDOWN,
                        "terminating connection because access was withdrawn",
                    )
                    .with_detail(format!("{why}.")),
                );
            }
        }
    }

    /// The SCRAM verifier for a user whose secret is a plain password, derived once, off this
    /// thread. `None` for any other secret. Cancel safe.
    pub(super) async fn verifier_of(
        &self,
        user: &UserName,
        secret: Option<Arc<Secret>>,
    ) -> Option<Arc<Verifier>> {
        let secret = secret?;
        let rounds = self.settings.borrow().scram_iterations;
        if let Some((from, verifier)) = self.verifiers.borrow().get(user)
            && Arc::ptr_eq(from, &secret)
            && verifier.iterations() == rounds
        {
            return Some(verifier.clone());
        }
        let plain = secret.clone();
        // The salt that an unknown user is shown: the same on every worker, at every try and
        // after every reload, or it would tell who is known.
        let salt = Verifier::mock(&self.mock_seed, user.as_str(), rounds)
            .salt()
            .to_vec();
        let derive = move || match &*plain {
            Secret::Plain(password) => Some(Verifier::derive(password.expose(), &salt, rounds)),
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
