//! What a pool logs in to its server with.

use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::names::UserName;
use crate::auth::scram::Keys;
use crate::auth::secret::Secret;

/// The server's user and what proves to be it.
#[derive(Debug)]
pub struct Credentials {
    user: UserName,
    secret: Mutex<Option<Arc<Secret>>>,
    learned: Mutex<Learned>,
}

/// Keys that spare a derivation, or stand for a password that nobody here knows.
#[derive(Debug, Default)]
struct Learned {
    /// From the login of a client whose user is the server's user too.
    from_client: Option<Keys>,
    /// Derived from the password for this salt and iteration count.
    derived: Option<(Vec<u8>, u32, Keys)>,
}

impl Credentials {
    /// Credentials of this user; without a secret, the keys must be learned from clients.
    pub fn new(user: UserName, secret: Option<Arc<Secret>>) -> Self {
        Self {
            user,
            secret: Mutex::new(secret),
            learned: Mutex::default(),
        }
    }

    /// The server's user.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// The password or md5 hash.
    pub fn secret(&self) -> Option<Arc<Secret>> {
        let secret = self.secret.lock();
        secret.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over the secret that the users file has now; true if it is another.
    pub fn renew(&self, secret: Option<Arc<Secret>>) -> bool {
        let mut old = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match (&*old, &secret) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old.is_same(new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            *old = secret;
            self.learned().derived = None;
        }
        !same
    }

    /// Keeps the keys that a client proved to have: the server, if it holds the same verifier,
    /// takes them in place of the password.
    pub fn learn(&self, keys: Keys) {
        self.learned().from_client = Some(keys);
    }

    /// The keys a client's login has left here.
    pub fn client_keys(&self) -> Option<Keys> {
        self.learned().from_client.clone()
    }

    /// The keys for a salt and an iteration count, if they were derived before.
    pub fn derived(&self, salt: &[u8], iterations: u32) -> Option<Keys> {
        match &self.learned().derived {
            Some((s, i, keys)) if s == salt && *i == iterations => Some(keys.clone()),
            Some(_) | None => None,
        }
    }

    /// Keeps derived keys for the next login.
    pub fn keep_derived(&self, salt: &[u8], iterations: u32, keys: Keys) {
        self.learned().derived = Some((salt.to_vec(), iterations, keys));
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
