//! What is no mistake for certain, and likely one.

use std::time::SystemTime;

use crate::policy::admission::Policy;
use crate::policy::grant::Grant;
use crate::policy::role::ReadOnly;
use crate::pool::settings::PoolsSettings;
use crate::session::settings::SessionSettings;

/// What an operator should know of settings that are in order otherwise.
pub(in super::super) fn warnings(
    policy: &Policy,
    session: &SessionSettings,
    pools: &PoolsSettings,
    has_client_ca: bool,
) -> Vec<String> {
    let now = SystemTime::now();
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(text);
    for (number, grant) in (1..).zip(&policy.grants) {
        let role = &grant.role;
        if grant.expires.is_some_and(|expires| expires <= now)
            || grant
                .window
                .as_ref()
                .is_some_and(|window| window.is_over(now))
        {
            warn(format!("grant {number} (role {role}) has expired"));
        }
        let before = policy.grants.iter().take(number - 1);
        if before.clone().any(is_for_everybody) {
            warn(format!(
                "grant {number} (role {role}) is never reached: one before it is for everybody"
            ));
        }
        if !grant.oauth.is_empty() && !session.has_oauth() {
            warn(format!(
                "grant {number} (role {role}) can never match: it wants a token, and there is no [auth.oauth]"
            ));
        }
        if grant.certificate.is_some() && !has_client_ca {
            warn(format!(
                "grant {number} (role {role}) can never match: it wants a certificate, and listen.tls has no client_ca"
            ));
        }
    }
    for role in policy.roles.values() {
        let name = &role.name;
        if !policy.grants.iter().any(|grant| grant.role == *name) {
            warn(format!("nobody is granted role {name}"));
        }
        if role.read_only != ReadOnly::Always {
            continue;
        }
        let server = |role| {
            pools
                .roles
                .get(role)
                .and_then(|servers| servers.server.as_ref())
        };
        let Some(own) = server(name) else { continue };
        for other in policy.roles.values() {
            let shares = server(&other.name).is_some_and(|server| server.user == own.user);
            if other.name != *name && shares && other.read_only == ReadOnly::Never {
                warn(format!(
                    "role {name} may only read, and its server user {} is that of role {}, which may write",
                    own.user, other.name
                ));
            }
        }
    }
    warnings
}

fn is_for_everybody(grant: &Grant) -> bool {
    *grant == Grant::new(grant.role.clone())
}
