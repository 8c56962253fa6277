//! What `pgwarden check CONFIG --user … 'SQL'` asks: who would get which role, and what would
//! become of a text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;

use super::super::settings::Settings;
use crate::policy::admission::Policy;
use crate::policy::condition::Circumstances;
use crate::policy::explain;
use crate::policy::grant::{CertificateMatch, Claimant, Origin};
use crate::policy::judge::Judge;
use crate::policy::pattern::Glob;
use crate::policy::role::{Role, RoleName};
use crate::policy::verdict::Verdict;
use crate::policy::window::next_time;

/// Who is supposed to ask, for what and when. Nothing of it has to be proved: it decides about
/// nothing but what is printed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Question {
    /// The user's name.
    pub user: Option<String>,
    /// From where; `None`: over a Unix socket.
    pub from: Option<IpAddr>,
    /// The user id behind a Unix socket.
    pub uid: Option<u32>,
    /// Whether over TLS.
    pub tls: bool,
    /// Which database.
    pub database: Option<String>,
    /// When, as RFC 3339 or as the next time of a week such as `Sun 03:00 UTC`; `None`: now.
    pub at: Option<String>,
    /// The common name of a verified certificate.
    pub certificate_cn: Option<String>,
    /// Its alternative names.
    pub certificate_san: Vec<String>,
    /// The claims of a verified token.
    pub claims: BTreeMap<String, Vec<String>>,
    /// The role, instead of the one that the grants give.
    pub role: Option<String>,
    /// The text; `None`: what may it do at all?
    pub sql: Option<String>,
}

/// Loads `path` and answers. The exit code is 0 if the text would run or there is none, 1 if it
/// would be refused or no grant gives a role, 2 if the question or the file is of no use.
pub fn answer(path: &Path, question: &Question) -> (u8, String) {
    let settings = match Settings::load(path) {
        Ok(settings) => settings,
        Err(problems) => return (UNUSABLE, format!("{problems}\n")),
    };
    let now = match instant(question.at.as_deref(), SystemTime::now()) {
        Ok(now) => now,
        Err(complaint) => return (UNUSABLE, format!("--at: {complaint}\n")),
    };
    let database = question.database.as_deref().unwrap_or_default();
    let databases = &settings.pools.databases;
    if !database.is_empty() && !databases.contains_key(database) {
        return (UNUSABLE, format!("--database: there is no {database:?}\n"));
    }
    let mut text = who(question, now);
    match role(&settings.session.policy, question, now, &mut text) {
        Chosen::Role(role) => {
            let code = judged(&settings, question, &role, now, &mut text);
            (code, text)
        }
        Chosen::Nobody => (REFUSED, text),
        Chosen::Unusable(complaint) => (UNUSABLE, complaint),
    }
}

/// Which role it is.
enum Chosen {
    Role(Arc<Role>),
    /// No grant gives one.
    Nobody,
    Unusable(String),
}

impl Claimant for Question {
    fn user(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }

    /// Supposed to be: what is asked is what the grants say, not how to log in.
    fn is_proved(&self) -> bool {
        true
    }

    fn has_certificate(&self, wanted: &CertificateMatch) -> bool {
        let alternative = self.certificate_san.iter().map(String::as_str);
        wanted.matches_names(self.certificate_cn.as_deref(), alternative)
    }

    /// As a token has them: `group` is one of `groups` as well.
    fn has_claim(&self, claim: &str, values: &[Glob]) -> bool {
        let also = if claim == "group" { "groups" } else { "" };
        let claimed = [claim, also].into_iter();
        let mut claimed = claimed.filter_map(|name| self.claims.get(name)).flatten();
        claimed.any(|claimed| values.iter().any(|glob| glob.matches(claimed)))
    }
}

fn role(policy: &Policy, question: &Question, now: SystemTime, text: &mut String) -> Chosen {
    if let Some(name) = &question.role {
        return match policy.roles.get(&RoleName::new(name)) {
            Some(role) => {
                let _ = writeln!(text, "role: {name}, as asked");
                Chosen::Role(role.clone())
            }
            None => Chosen::Unusable(format!("--role: there is no [roles.{name}]\n")),
        };
    }
    if question.user.is_none() {
        return Chosen::Unusable("expected --user or --role\n".into());
    }
    if policy.grants.is_empty() {
        let _ = writeln!(text, "role: its own, without rules: there is no [[grant]]");
        return Chosen::Role(Arc::new(Role::free(RoleName::new(Claimant::user(
            question,
        )))));
    }
    let origin = Origin {
        address: question.from,
        uid: question.uid,
        tls: question.tls,
    };
    let database = question.database.as_deref().unwrap_or_default();
    for (number, grant) in (1..).zip(&policy.grants) {
        let role = &grant.role;
        let _ = match grant.objection(question, &origin, database, now) {
            Some(key) => writeln!(text, "grant {number} (role {role}): not for it, by {key}"),
            None => writeln!(text, "grant {number} (role {role}): for it"),
        };
        if grant.is_for(question, &origin, database, now) {
            break;
        }
    }
    match policy.granted(question, &origin, database, now) {
        Some((_, role)) => {
            let _ = writeln!(text, "role: {}", role.name);
            Chosen::Role(role.clone())
        }
        None => {
            text.push_str("verdict: refused at login: no grant gives a role to this client\n");
            Chosen::Nobody
        }
    }
}

fn judged(
    settings: &Settings,
    question: &Question,
    role: &Role,
    now: SystemTime,
    text: &mut String,
) -> u8 {
    let policy = &settings.session.policy;
    let database = question.database.as_deref().unwrap_or_default();
    let maintenance = policy.maintenance_of(database);
    let judge = Judge {
        role,
        maintenance: &maintenance,
        observe: policy.observe,
        at: Circumstances {
            now,
            user: question.user.as_deref().unwrap_or(role.name.as_str()),
            address: question.from,
            database,
        },
    };
    let Some(sql) = &question.sql else {
        let rules = explain::rules(&judge);
        if rules.is_empty() {
            text.push_str("no rules: everything is allowed\n");
        }
        for row in rules {
            let _ = writeln!(text, "{row}");
        }
        return 0;
    };
    let explanation = explain::of_role(&judge, sql.as_bytes(), policy.max_statement);
    let _ = write!(text, "{explanation}");
    match explanation.verdict {
        Verdict::Allow | Verdict::Observe(_) => 0,
        Verdict::Deny(_) => REFUSED,
    }
}

fn who(question: &Question, now: SystemTime) -> String {
    let mut text = String::from("client: ");
    text.push_str(question.user.as_deref().unwrap_or("anybody"));
    match (question.from, question.uid) {
        (Some(address), _) => {
            let _ = write!(text, " from {address}");
        }
        (None, Some(uid)) => {
            let _ = write!(text, " over a Unix socket (uid {uid})");
        }
        (None, None) => text.push_str(" over a Unix socket"),
    }
    if question.tls {
        text.push_str(" with TLS");
    }
    if let Some(database) = &question.database {
        let _ = write!(text, ", database {database}");
    }
    let names = question.certificate_cn.iter().map(|cn| format!("cn={cn}"));
    let alternative = question.certificate_san.iter();
    let names: Vec<_> = names
        .chain(alternative.map(|san| format!("san={san}")))
        .collect();
    if !names.is_empty() {
        let _ = write!(text, ", certificate {}", names.join(" "));
    }
    for (claim, values) in &question.claims {
        let _ = write!(text, ", {claim}={}", values.join(","));
    }
    if let Ok(now) = Timestamp::try_from(now) {
        let _ = write!(text, ", at {now:.0}");
    }
    text.push('\n');
    text
}

fn instant(text: Option<&str>, now: SystemTime) -> Result<SystemTime, String> {
    let Some(text) = text else {
        return Ok(now);
    };
    let exact = text.parse::<Timestamp>().ok();
    match exact.and_then(|instant| SystemTime::try_from(instant).ok()) {
        Some(instant) => Ok(instant),
        None => next_time(text, now).map_err(|complaint| {
            format!("{text:?}: {complaint}, or an instant such as 2026-12-01T00:00:00Z")
        }),
    }
}

const REFUSED: u8 = 1;
const UNUSABLE: u8 = 2;
