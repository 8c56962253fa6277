//! `[[grant]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::forms::{Flag, Text};
use super::super::super::suggest::closest;
use super::super::super::values::Table;
use super::forms::{GLOB, GLOBS, INSTANT, NETWORKS, UIDS, WINDOW};
use crate::policy::grant::{CertificateMatch, Grant};
use crate::policy::role::{Role, RoleName};

pub(super) fn grant(table: &Table<'_>, roles: &BTreeMap<RoleName, Arc<Role>>) -> Option<Grant> {
    let role = table.maybe("role", &Text);
    if role.is_none() && !table.has("role") {
        table.complain_of_table("role is missing: expected the name of a role");
    }
    let role = RoleName::new(role.unwrap_or_default());
    if table.has("role") && !roles.contains_key(&role) {
        let names = roles.keys().map(RoleName::as_str);
        let complaint = match closest(role.as_str(), names) {
            Some(meant) => format!("there is no such role; did you mean \"{meant}\"?"),
            None => "there is no such role: expected the name of one of [roles]".into(),
        };
        table.complain("role", complaint);
    }
    let certificate = table.has("certificate").then(|| {
        let own = table.table("certificate");
        let wanted = CertificateMatch {
            cn: own.maybe("cn", &GLOB),
            san: own.maybe("san", &GLOB),
        };
        if own.is_empty() {
            own.complain_of_table("expected cn or san");
        }
        wanted
    });
    Some(Grant {
        role,
        user: table.or("user", &GLOBS, Vec::new()),
        database: table.or("database", &GLOBS, Vec::new()),
        from: table.or("from", &NETWORKS, Vec::new()),
        certificate,
        oauth: table.each_value("oauth", &GLOBS),
        uid: table.or("uid", &UIDS, Vec::new()),
        tls: table.maybe("tls", &Flag),
        window: table.maybe("window", &WINDOW),
        expires: table.maybe("expires", &INSTANT).map(|instant| instant.1),
    })
}
