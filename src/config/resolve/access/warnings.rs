//! What is allowed and yet hardly meant.

use std::time::SystemTime;

use super::super::super::values::Table;
use crate::auth::names::UserName;
use crate::policy::admission::Policy;
use crate::policy::grant::Grant;
use crate::policy::pattern::Glob;
use crate::policy::role::{ReadOnly, RoleName};
use crate::pool::settings::{DatabaseSettings, PoolsSettings};
use crate::session::settings::SessionSettings;

pub(super) fn warn(
    root: &Table<'_>,
    policy: &Policy,
    pools: &PoolsSettings,
    session: &SessionSettings,
) {
    let now = SystemTime::now();
    let no_authority = !root.table("listen").table("tls").has("client_ca");
    for (at, (table, grant)) in root.list("grant").iter().zip(&policy.grants).enumerate() {
        if grant.expires.is_some_and(|expires| expires <= now) {
            table.warn("expires", "the grant has expired");
        }
        let window = grant.window.as_ref();
        if window.is_some_and(|window| window.is_over(now)) {
            table.warn("window", "the window is over and does not come again");
        }
        let earlier = policy.grants.iter().take(at);
        if let Some(taker) = earlier
            .clone()
            .position(|earlier| takes_all_of(earlier, grant))
        {
            let number = taker + 1;
            table.warn(
                "role",
                format!("the grant is never used: grant {number} takes everybody that it is for"),
            );
        }
        if session.oauth.is_none() && !grant.oauth.is_empty() {
            table.warn("oauth", "nobody has such a claim without [auth.oauth]");
        }
        if no_authority && grant.certificate.is_some() {
            let warning = "nobody has such a certificate without client_ca in [listen.tls]";
            table.warn("certificate", warning);
        }
    }
    for role in root.named("roles") {
        let name = RoleName::new(role.name());
        if policy.grants.iter().all(|grant| grant.role != name) && !policy.grants.is_empty() {
            root.table("roles")
                .warn(role.name(), "no grant gives this role");
        }
        let granted = policy.roles.get(&name);
        if role.has("search_path") && granted.is_some_and(|role| !role.has_table_rules()) {
            role.warn("search_path", "has no effect without rules about tables");
        }
        if let Some((user, other)) = shares_with_writer(&name, policy, pools) {
            let warning = format!(
                "only reads, but as the server's user \"{user}\", as whom role \"{other}\" \
                 writes: a user that may only read would be a second lock"
            );
            root.table("roles").warn(role.name(), warning);
        }
    }
}

/// Whether whoever `later` is for, at any time, is taken by `earlier`. May say no though it is so.
fn takes_all_of(earlier: &Grant, later: &Grant) -> bool {
    let names = |earlier: &[Glob], later: &[Glob]| {
        earlier.is_empty()
            || (!later.is_empty() && later.iter().all(|name| is_among(name, earlier)))
    };
    let networks = earlier.from.is_empty()
        || (!later.from.is_empty()
            && later.from.iter().all(|inner| {
                let mut outer = earlier.from.iter();
                outer.any(|outer| outer.contains(inner))
            }));
    let users = earlier.uid.is_empty()
        || (!later.uid.is_empty() && later.uid.iter().all(|uid| earlier.uid.contains(uid)));
    names(&earlier.user, &later.user)
        && names(&earlier.database, &later.database)
        && networks
        && users
        // A grant for a certificate is also for who has proved nothing else.
        && earlier.certificate == later.certificate
        && earlier
            .oauth
            .iter()
            .all(|(claim, values)| later.oauth.get(claim) == Some(values))
        && earlier.tls.is_none_or(|tls| later.tls == Some(tls))
        && (earlier.window.is_none() || earlier.window == later.window)
        && earlier
            .expires
            .is_none_or(|expires| later.expires.is_some_and(|later| later <= expires))
}

/// Whether every name that a glob stands for is one of those that `globs` stand for.
fn is_among(name: &Glob, globs: &[Glob]) -> bool {
    let is_plain = !name.as_str().contains('*');
    globs.iter().any(|glob| {
        glob == name || glob.as_str() == "*" || (is_plain && glob.matches(name.as_str()))
    })
}

/// The server's user of a role that only reads, and a role that writes as the same.
fn shares_with_writer<'a>(
    reader: &RoleName,
    policy: &'a Policy,
    pools: &PoolsSettings,
) -> Option<(UserName, &'a RoleName)> {
    let reads = |name: &RoleName| {
        let role = policy.roles.get(name);
        role.is_some_and(|role| role.read_only == ReadOnly::Always)
    };
    let user_of = |name: &RoleName, database: &DatabaseSettings| {
        let role = pools.roles.get(name).and_then(|role| role.server.as_ref());
        let server = role.or(database.server.as_ref());
        server.map(|server| server.user.clone())
    };
    if !reads(reader) {
        return None;
    }
    pools.databases.values().find_map(|database| {
        let user = user_of(reader, database)?;
        let mut writers = policy.roles.keys().filter(|other| !reads(other));
        let writer = writers.find(|other| user_of(other, database).as_ref() == Some(&user))?;
        Some((user, writer))
    })
}
