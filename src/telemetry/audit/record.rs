//! The fields of a record. Their names are a promise: other programs read them.

use std::borrow::Cow;

use serde::Serialize;

use crate::policy::classification::{Classification, Name};
use crate::policy::guarded::needs_permission;
use crate::policy::kind::Kinds;
use crate::policy::normalize::normalize;
use crate::session::audit::{Event, Who};
use crate::telemetry::settings::AuditSql;

/// What the first record of a file says, and the first one after something went wrong.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// How many records could not be written.
    pub(super) lost: u64,
    /// The hash of what is before it in the file and is no record.
    pub(super) torn: Option<String>,
}

impl Start {
    pub(super) fn body(&self, instance: &str) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            kind: &'a str,
            instance: &'a str,
            version: &'a str,
            #[serde(skip_serializing_if = "is_default")]
            reason: String,
            #[serde(skip_serializing_if = "is_default")]
            lost: u64,
            #[serde(skip_serializing_if = "is_default")]
            torn: Option<&'a str>,
        }
        let mut reasons = Vec::new();
        if self.torn.is_some() {
            reasons.push("what is before this line is part of a record".to_owned());
        }
        if self.lost > 0 {
            reasons.push(format!("{} records could not be written", self.lost));
        }
        json(&Body {
            kind: LOG_START,
            instance,
            version: env!("CARGO_PKG_VERSION"),
            reason: reasons.join("; "),
            lost: self.lost,
            torn: self.torn.as_deref(),
        })
    }
}

/// The fields of what the process itself did.
pub(super) fn note_body(instance: &str, kind: &str, reason: &str) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        kind: &'a str,
        instance: &'a str,
        #[serde(skip_serializing_if = "is_default")]
        reason: Cow<'a, str>,
    }
    json(&Body {
        kind,
        instance,
        reason: short(reason),
    })
}

/// The fields of an event, but for time, number and hash.
pub(super) fn event_body(event: &Event<'_>, instance: &str, sql: AuditSql) -> String {
    let text = event.sql.and_then(|text| text_of(text, sql));
    let what = What::of(event);
    let is_cut = what.is_cut || text.as_ref().is_some_and(|(_, is_cut)| *is_cut);
    json(&Body {
        id: (event.reference != 0).then(|| format!("{:016x}", event.reference)),
        kind: event.kind.as_str(),
        instance,
        session: Session::of(event),
        what,
        sql: text.map(|(text, _)| text),
        is_cut,
        outcome: Outcome::of(event),
    })
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "is_default")]
    id: Option<String>,
    kind: &'a str,
    instance: &'a str,
    #[serde(flatten)]
    session: Session<'a>,
    #[serde(flatten)]
    what: What<'a>,
    #[serde(skip_serializing_if = "is_default")]
    sql: Option<String>,
    /// Whether something was too long to be written whole.
    #[serde(rename = "cut", skip_serializing_if = "is_default")]
    is_cut: bool,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

/// Whose session it is, and how it stands.
#[derive(Serialize)]
struct Session<'a> {
    #[serde(skip_serializing_if = "is_default")]
    session: u64,
    #[serde(skip_serializing_if = "is_default")]
    client_addr: String,
    #[serde(skip_serializing_if = "is_default")]
    identity: Identity<'a>,
    #[serde(skip_serializing_if = "is_default")]
    role: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    server_user: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    database: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    application_name: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    server_pid: u32,
    #[serde(skip_serializing_if = "is_default")]
    txn_state: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    protocol: &'a str,
}

#[derive(Default, Eq, PartialEq, Serialize)]
struct Identity<'a> {
    #[serde(skip_serializing_if = "is_default")]
    user: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    method: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    certificate: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_default")]
    issuer: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    subject: Cow<'a, str>,
}

impl<'a> Session<'a> {
    fn of(event: &Event<'a>) -> Self {
        let who = event.who;
        Self {
            session: who.session,
            client_addr: who.address_text(),
            identity: Identity::of(who),
            role: short(&who.role),
            server_user: short(&who.server_user),
            database: short(&who.database),
            application_name: short(&who.application_name),
            server_pid: event.server_pid,
            txn_state: event.transaction,
            protocol: event.protocol,
        }
    }
}

impl<'a> Identity<'a> {
    fn of(who: &'a Who) -> Self {
        let (issuer, subject) = match who.token.as_deref() {
            Some((issuer, subject)) => (short(issuer), short(subject)),
            None => Default::default(),
        };
        let names = who.certificate.iter().take(MAX_LIST);
        Self {
            user: short(&who.user),
            method: who.method,
            certificate: names.map(|name| short(name)).collect(),
            issuer,
            subject,
        }
    }
}

/// What the text does.
#[derive(Default, Serialize)]
struct What<'a> {
    #[serde(skip_serializing_if = "is_default")]
    statement_no: usize,
    #[serde(skip_serializing_if = "is_default")]
    statements: usize,
    #[serde(skip_serializing_if = "is_default")]
    command: String,
    #[serde(skip_serializing_if = "is_default")]
    effects: Vec<&'static str>,
    #[serde(skip_serializing_if = "is_default")]
    relations: Vec<RelationField<'a>>,
    #[serde(skip_serializing_if = "is_default")]
    functions: Vec<NameField<'a>>,
    #[serde(skip_serializing_if = "is_default")]
    settings: Vec<SettingField<'a>>,
    #[serde(skip)]
    is_cut: bool,
}

#[derive(Eq, PartialEq, Serialize)]
struct NameField<'a> {
    #[serde(skip_serializing_if = "is_default")]
    schema: Option<Cow<'a, str>>,
    name: Cow<'a, str>,
}

#[derive(Eq, PartialEq, Serialize)]
struct RelationField<'a> {
    #[serde(flatten)]
    name: NameField<'a>,
    effect: &'static str,
    access: &'static str,
}

#[derive(Eq, PartialEq, Serialize)]
struct SettingField<'a> {
    name: &'a str,
    /// Whether "set" alone does not allow it.
    #[serde(rename = "guarded", skip_serializing_if = "is_default")]
    is_guarded: bool,
}

impl<'a> What<'a> {
    fn of(event: &Event<'a>) -> Self {
        let mut what = match event.classification {
            Some(classification) => Self::of_all(classification),
            None => Self::default(),
        };
        if let Some(denial) = event.denial {
            what.statement_no = denial.statement;
            what.statements = denial.statements;
            if !denial.command.is_empty() {
                what.command = denial.command.to_owned();
            }
        }
        what
    }

    fn of_all(classification: &'a Classification) -> Self {
        let all = &classification.statements;
        let kinds = all.iter().map(|statement| statement.kinds);
        let mut what = Self {
            statements: all.len(),
            effects: kinds
                .fold(Kinds::NONE, Kinds::or)
                .iter()
                .map(|kind| kind.as_str())
                .collect(),
            ..Self::default()
        };
        let mut commands = Vec::new();
        for statement in all {
            let is_cut = &mut what.is_cut;
            add(&mut commands, is_cut, statement.command);
            for relation in &statement.relations {
                let field = RelationField {
                    name: NameField::of(&relation.name),
                    effect: relation.kind.as_str(),
                    access: if relation.writes { "write" } else { "read" },
                };
                add_new(&mut what.relations, is_cut, field);
            }
            for name in &statement.functions {
                add_new(&mut what.functions, is_cut, NameField::of(name));
            }
            for setting in &statement.settings {
                let field = SettingField {
                    name: match setting.name.as_deref() {
                        None => "(computed)",
                        Some(name) if is_setting_name(name) => name,
                        // A literal of the text, of which PostgreSQL will make nothing.
                        Some(_) => "(invalid)",
                    },
                    is_guarded: needs_permission(setting),
                };
                add_new(&mut what.settings, is_cut, field);
            }
        }
        what.command = commands.join("; ");
        what
    }
}

impl<'a> NameField<'a> {
    fn of(name: &'a Name) -> Self {
        Self {
            schema: name.schema.as_deref().map(|name| shorter(name, MAX_NAME)),
            name: shorter(&name.name, MAX_NAME),
        }
    }
}

/// What became of it.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(skip_serializing_if = "is_default")]
    verdict: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    rules: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_default")]
    reason: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_default")]
    policy_generation: u64,
    #[serde(skip_serializing_if = "is_default")]
    duration_us: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    rows: u64,
    #[serde(skip_serializing_if = "is_default")]
    bytes: u64,
    #[serde(skip_serializing_if = "is_default")]
    sqlstate: Option<String>,
}

impl<'a> Outcome<'a> {
    fn of(event: &Event<'a>) -> Self {
        let denial = event.denial;
        let said = denial.map_or("", |denial| &denial.message);
        let took = event.duration.map(|took| took.as_micros());
        Self {
            verdict: event.verdict,
            rules: denial.map(|denial| &*denial.rule.0).into_iter().collect(),
            reason: short(if event.reason.is_empty() {
                said
            } else {
                event.reason
            }),
            policy_generation: event.generation,
            duration_us: took.map(|took| u64::try_from(took).unwrap_or(u64::MAX)),
            rows: event.rows,
            bytes: event.bytes,
            sqlstate: event.sqlstate.map(|code| code.to_string()),
        }
    }
}

/// The text as the settings want it, and whether it is cut.
fn text_of(text: &[u8], sql: AuditSql) -> Option<(String, bool)> {
    let (read, is_cut) = match sql {
        AuditSql::None => return None,
        AuditSql::Full => (first(text, MAX_SQL), text.len() > MAX_SQL),
        AuditSql::Normalized => (first(text, MAX_NORMALIZED), text.len() > MAX_NORMALIZED),
    };
    let read = String::from_utf8_lossy(read);
    let read = match sql {
        AuditSql::None | AuditSql::Full => read,
        AuditSql::Normalized => normalize(&read).into(),
    };
    let is_cut = is_cut || read.len() > MAX_SQL;
    let mut read = read[..read.floor_char_boundary(MAX_SQL)].to_owned();
    if is_cut {
        read.push('…');
    }
    Some((read, is_cut))
}

/// The first bytes of a text, without a part of a character at the end.
fn first(text: &[u8], len: usize) -> &[u8] {
    let mut len = len.min(text.len());
    while len < text.len() && len > 0 && text[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    &text[..len]
}

fn short(text: &str) -> Cow<'_, str> {
    shorter(text, MAX_TEXT)
}

fn shorter(text: &str, len: usize) -> Cow<'_, str> {
    if text.len() <= len {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(len)]).into()
}

fn add_new<T: PartialEq>(list: &mut Vec<T>, is_cut: &mut bool, item: T) {
    if list.len() >= MAX_LIST || !list.contains(&item) {
        add(list, is_cut, item);
    }
}

fn add<T>(list: &mut Vec<T>, is_cut: &mut bool, item: T) {
    if list.len() < MAX_LIST {
        list.push(item);
    } else {
        *is_cut = true;
    }
}

/// Letters, digits, `_`, `$` and dots.
fn is_setting_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.".contains(&byte);
    name.len() <= MAX_SETTING && name.bytes().all(|byte| is_part(byte) || !byte.is_ascii())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn json(body: &impl Serialize) -> String {
    // Nothing in a body can fail: no maps with keys that are not text, no errors of its own.
    serde_json::to_string(body).unwrap_or_else(|_| r#"{"kind":"unknown"}"#.to_owned())
}

/// The kind of the first record of a file.
pub(super) const LOG_START: &str = "log_start";
/// Bytes of SQL in a record.
const MAX_SQL: usize = 64 * 1024;
/// Bytes of a text that are normalized.
const MAX_NORMALIZED: usize = 1024 * 1024;
/// Bytes of a relation's, a function's or a schema's name; PostgreSQL cuts them at 63.
const MAX_NAME: usize = 256;
/// Bytes of any other text in a record.
const MAX_TEXT: usize = 1024;
/// Bytes of a run-time parameter's name; PostgreSQL cuts them at 63.
const MAX_SETTING: usize = 127;
/// Elements of a list in a record.
const MAX_LIST: usize = 256;
