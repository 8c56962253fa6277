//! Logins by the owner of the process at the other end of a Unix socket.

use nix::unistd::{Uid, User};

use super::{Conversation, Proved, Result};
use crate::auth::ident::IdentMap;
use crate::auth::identity::Identity;
use crate::auth::names::{DatabaseName, UserName};
use crate::session::context::Context;
use crate::session::roster::Client;
use crate::session::startup::Greeted;
use crate::wire::pooler_error::PoolerError;

impl Greeted {
    /// Whether this is who may use the console without a password, as in PgBouncer: the pooler's
    /// own operating system user, over the Unix socket, by the name of `pgbouncer`.
    pub fn is_operator(&self) -> bool {
        self.parameters.value("user") == Some(OPERATOR)
            && self.stream.socket().peer_uid() == Some(rustix::process::getuid().as_raw())
    }

    /// The database that is asked for.
    pub fn database(&self) -> &str {
        self.parameters.value("database").unwrap_or_default()
    }

    /// Believes the client without any proof: an operator, or whoever asks for the console where
    /// the method is `any`.
    pub fn trust(self, cx: &Context, client: &Client) -> Proved {
        self.note(cx, client);
        let database = DatabaseName::new(self.database());
        let user = UserName::new(self.parameters.value("user").unwrap_or_default());
        Proved {
            greeted: self,
            identity: Identity::trusted(user),
            database,
            secret: None,
            keys: None,
        }
    }
}

impl Conversation<'_> {
    pub(super) async fn peer(&self, map: Option<&IdentMap>) -> Result<Identity> {
        let refused = || PoolerError::PeerFailed(self.user.to_string());
        let uid = self.greeted.stream.socket().peer_uid();
        let uid = uid.ok_or_else(refused)?;
        // The name may come from a directory in the network.
        let found = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid)));
        let owner = found.await.ok().and_then(|found| found.ok().flatten());
        let owner = owner.ok_or_else(refused)?;
        Identity::by_peer(self.user.clone(), &owner.name, map)
            .filter(|_| self.is_known())
            .ok_or_else(|| refused().into())
    }
}

/// Whom PgBouncer's console knows without a list.
const OPERATOR: &str = "pgbouncer";
