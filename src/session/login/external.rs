//! Passwords that somebody else is asked about: an LDAP directory, PAM.

use super::{Conversation, Result};
use crate::auth::identity::Identity;
use crate::auth::method::Method;
use crate::wire::pooler_error::PoolerError;

impl Conversation<'_> {
    /// The login by `ldap` or `pam`; `options`: those of the HBA rule, if there is one.
    pub(super) async fn external(
        &mut self,
        method: Method,
        options: Option<&str>,
    ) -> Result<Identity> {
        let _ = options;
        let user = self.user.to_string();
        Err(match method {
            Method::Pam => PoolerError::PamFailed(user),
            _ => PoolerError::LdapFailed(user),
        }
        .into())
    }
}
