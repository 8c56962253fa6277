//! `[[grant]]`: who gets which role.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::forms::{Count, Flag, GLOB, INSTANT, List, NETWORK, Text};
use super::super::super::suggest::closest;
use super::super::super::values::Table;
use super::conditions::window;
use crate::policy::grant::{CertificateMatch, Grant};
use crate::policy::pattern::Glob;
use crate::policy::role::{Role, RoleName};

pub(super) type Roles = BTreeMap<RoleName, Arc<Role>>;

pub(super) fn grants(root: &Table<'_>, roles: &Roles) -> Vec<Grant> {
    let tables = root.list("grant");
    tables.iter().map(|table| grant(table, roles)).collect()
}

fn grant(table: &Table<'_>, roles: &Roles) -> Grant {
    let uid = table.maybe("uid", &List(Count(0..=MOST_UID)));
    let uid = uid.unwrap_or_default().into_iter();
    Grant {
        role: role(table, roles),
        user: table.maybe("user", &List(GLOB)).unwrap_or_default(),
        database: table.maybe("database", &List(GLOB)).unwrap_or_default(),
        from: table.maybe("from", &List(NETWORK)).unwrap_or_default(),
        certificate: certificate(table),
        oauth: oauth(table),
        uid: uid.filter_map(|uid| uid.try_into().ok()).collect(),
        tls: table.maybe("tls", &Flag),
        window: window(table),
        expires: table.maybe("expires", &INSTANT).map(|instant| instant.0),
    }
}

/// The name of a role that there is.
pub(super) fn role(table: &Table<'_>, roles: &Roles) -> RoleName {
    let name = table.maybe("role", &Text);
    match &name {
        None if !table.has("role") => {
            table.complain_of_table("role is missing: expected the name of a [roles.NAME]");
        }
        None => {}
        Some(name) if roles.contains_key(&RoleName::new(name)) => {}
        Some(name) => {
            let known = roles.keys().map(RoleName::as_str);
            let complaint = match closest(name, known) {
                Some(meant) => format!("unknown role; did you mean {meant:?}?"),
                None => format!("unknown role: expected a [roles.{name}]"),
            };
            table.complain("role", complaint);
        }
    }
    RoleName::new(name.unwrap_or_default())
}

fn certificate(grant: &Table<'_>) -> Option<CertificateMatch> {
    let is_there = grant.has("certificate");
    let table = grant.table("certificate");
    let wanted = CertificateMatch {
        cn: table.maybe("cn", &GLOB),
        san: table.maybe("san", &GLOB),
    };
    if is_there && table.is_empty() {
        table.complain_of_table("expected { cn = \"…\" } or { san = \"…\" }");
    }
    is_there.then_some(wanted)
}

/// The claims and the values that will do for each.
fn oauth(grant: &Table<'_>) -> BTreeMap<String, Vec<Glob>> {
    let is_there = grant.has("oauth");
    let table = grant.table("oauth");
    if is_there && table.is_empty() {
        table.complain_of_table("expected a claim such as { group = \"dba\" }");
    }
    let claims = table.keys().map(|claim| {
        (
            claim.clone(),
            table.maybe(claim, &List(GLOB)).unwrap_or_default(),
        )
    });
    claims.collect()
}

/// PostgreSQL's and Linux's: -1 stands for nobody.
const MOST_UID: usize = 4_294_967_294;
