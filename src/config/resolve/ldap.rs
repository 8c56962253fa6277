//! `auth.ldap_options`: one text, in PostgreSQL's words.

use super::super::forms::{Form, Given};
use crate::auth::ldap::LdapOptions;

/// Whom to ask and how. Hidden as a whole, for `ldapbindpasswd` may be in it.
pub(super) struct Options;

impl Form for Options {
    type Value = LdapOptions;

    const IS_SECRET: bool = true;

    fn expected(&self) -> String {
        "options such as \"ldapserver=HOST ldapprefix=uid= ldapsuffix=,dc=example\"".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<LdapOptions, String> {
        let text = given.text().ok_or_else(|| self.complaint())?;
        text.parse()
            .map_err(|error: crate::auth::ldap::LdapOptionsError| error.to_string())
    }

    fn write(&self, _: &LdapOptions) -> String {
        "(hidden)".into()
    }
}
