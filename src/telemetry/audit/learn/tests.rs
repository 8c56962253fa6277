use std::fs;
use std::time::SystemTime;

use tempfile::TempDir;
use toml::{Table, Value};

use super::*;
use crate::policy::classification::{Classification, Name, Relation, Statement};
use crate::policy::condition::Circumstances;
use crate::policy::judge::Judge;
use crate::policy::kind::{Kind, Kinds};
use crate::policy::pattern::{Glob, TablePattern};
use crate::policy::role::{Role, RoleName};
use crate::policy::rule::{Access, Rule};
use crate::policy::verdict::Verdict;
use crate::session::audit::{Auditor, Event, EventKind, Who};
use crate::telemetry::audit::AuditLog;
use crate::telemetry::settings::AuditSettings;

struct Log {
    folder: TempDir,
    log: AuditLog,
}

impl Log {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = AuditSettings {
            file: Some(folder.path().join("audit.jsonl")),
            ..AuditSettings::default()
        };
        let log = AuditLog::open(&settings).unwrap();
        Self { folder, log }
    }

    fn record(&self, role: &str, kind: EventKind, verdict: &'static str, what: &Statement) {
        let who = Who {
            role: role.into(),
            ..Who::default()
        };
        let classification = Classification {
            statements: Box::new([what.clone()]),
        };
        let event = Event {
            kind,
            reference: 1,
            who: &who,
            protocol: "simple",
            sql: None,
            classification: Some(&classification),
            denial: None,
            verdict,
            generation: 1,
            transaction: "idle",
            server_pid: 0,
            duration: None,
            rows: 0,
            bytes: 0,
            sqlstate: None,
            reason: "",
        };
        self.log.record(&event).unwrap();
    }

    fn ran(&self, role: &str, what: &Statement) {
        self.record(role, EventKind::Statement, "allow", what);
    }

    fn learn(&self, role: Option<&str>) -> (u8, String) {
        learn(&[self.folder.path().join("audit.jsonl")], role)
    }

    /// The rules as a role that only they let anything through for.
    fn role(&self, name: &str) -> Role {
        let (code, text) = self.learn(None);
        assert_eq!(code, 0, "{text}");
        role(&text, name)
    }
}

fn role(text: &str, name: &str) -> Role {
    let parsed: Table = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    let table = parsed["roles"][name].as_table().unwrap();
    assert_eq!(table["default"].as_str(), Some("deny"));
    let mut role = Role::free(RoleName::new(name));
    role.default_deny = true;
    for entry in table
        .get("allow")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let texts = |key: &str| -> Vec<String> {
            let list = entry.get(key).and_then(Value::as_array);
            let texts = list.into_iter().flatten();
            texts
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let mut rule = Rule::new(entry["name"].as_str().unwrap());
        for kind in texts("statements") {
            rule.statements = rule.statements.or(Kinds::named(&kind).unwrap());
        }
        let tables = texts("tables");
        rule.tables = tables
            .iter()
            .map(|t| TablePattern::parse(t).unwrap())
            .collect();
        rule.settings = texts("settings").iter().map(|t| Glob::new(t)).collect();
        rule.access = entry.get("access").map(|access| {
            assert_eq!(access.as_str(), Some("read"));
            Access::Read
        });
        role.allow.push(rule);
    }
    role
}

fn allows(role: &Role, what: &Statement) -> bool {
    let judge = Judge {
        role,
        maintenance: &[],
        observe: false,
        at: Circumstances {
            now: SystemTime::UNIX_EPOCH,
            user: "ann",
            address: None,
            database: "shop",
        },
    };
    let classification = Classification {
        statements: Box::new([what.clone()]),
    };
    judge.verdict(&Ok(classification.into())) == Verdict::Allow
}

fn statement(kinds: &[Kind], relations: &[(Option<&str>, &str, Kind)]) -> Statement {
    let relations = relations.iter().map(|(schema, name, kind)| Relation {
        name: Name {
            schema: schema.map(Into::into),
            name: (*name).into(),
        },
        kind: *kind,
        writes: *kind != Kind::Select,
    });
    Statement {
        command: "X",
        kinds: kinds.iter().copied().collect(),
        relations: relations.collect(),
        ..Statement::default()
    }
}

fn select(name: &str) -> Statement {
    statement(&[Kind::Select], &[(None, name, Kind::Select)])
}

fn update(name: &str) -> Statement {
    statement(&[Kind::Update], &[(Some("sales"), name, Kind::Update)])
}

#[test]
fn what_was_seen_is_let_through_and_nothing_else() {
    let log = Log::new();
    let insert = statement(
        &[Kind::Insert, Kind::Select],
        &[
            (Some("sales"), "orders", Kind::Insert),
            (None, "carts", Kind::Select),
        ],
    );
    let seen = [
        select("users"),
        insert,
        update("orders"),
        statement(&[Kind::Begin], &[]),
        statement(&[Kind::Create], &[]),
    ];
    for what in &seen {
        log.ran("app", what);
    }
    let role = log.role("app");
    for what in &seen {
        assert!(allows(&role, what), "{what:?}");
    }
    for what in [
        select("orders"),
        update("users"),
        statement(&[Kind::Delete], &[(Some("sales"), "orders", Kind::Delete)]),
        statement(&[Kind::Commit], &[]),
        statement(&[Kind::Create], &[(None, "users", Kind::Create)]),
    ] {
        assert!(!allows(&role, &what), "{what:?}");
    }
}

#[test]
fn kinds_that_touch_the_same_tables_are_one_rule() {
    let log = Log::new();
    for _ in 0..2 {
        log.ran("app", &update("b"));
        log.ran("app", &update("a"));
    }
    for table in ["a", "b"] {
        let what = statement(&[Kind::Delete], &[(Some("sales"), table, Kind::Delete)]);
        log.ran("app", &what);
    }
    let (_, text) = log.learn(None);
    let rules: String = text
        .lines()
        .skip_while(|line| !line.starts_with('['))
        .map(|line| line.split(" # ").next().unwrap().trim().to_owned() + "\n")
        .collect();
    assert_eq!(
        rules,
        "[roles.app]\ndefault = \"deny\"\n\n\
         [[roles.app.allow]]\nname = \"learned-1\"\n\
         statements = [\n\"delete\",\n\"update\",\n]\n\
         tables = [\n\"sales.a\",\n\"sales.b\",\n]\n"
    );
    assert!(text.contains("\"update\", # 4 times since 2"), "{text}");
    assert!(text.contains("\"sales.a\", # 3 times since 2"), "{text}");
    assert_eq!(log.learn(None).1, text);
}

#[test]
fn rules_about_no_table_name_none_unless_they_would_allow_all() {
    let log = Log::new();
    log.ran("app", &statement(&[Kind::Begin], &[]));
    let (_, text) = log.learn(None);
    assert!(!text.contains("tables"), "{text}");
    log.ran("app", &select("pg_class"));
    let (_, text) = log.learn(None);
    assert!(text.contains("tables = [\"pg_catalog.*\"]"), "{text}");
    assert!(!text.contains("pg_class"), "{text}");
    assert_eq!(text.matches("[[roles.app.allow]]").count(), 2, "{text}");
    let role = log.role("app");
    assert!(allows(&role, &select("pg_class")));
    assert!(!allows(&role, &select("users")));
}

#[test]
fn what_was_refused_is_not_learned() {
    let log = Log::new();
    log.record("app", EventKind::Violation, "deny", &update("a"));
    assert_eq!(log.learn(None).0, 1);
    log.record("app", EventKind::Violation, "would_deny", &update("a"));
    log.record("app", EventKind::Statement, "would_deny", &update("a"));
    assert!(allows(&log.role("app"), &update("a")));
    // The two are one.
    assert!(log.learn(None).1.contains("\"update\", # 1 time since"));
}

#[test]
fn one_role_can_be_asked_for() {
    let log = Log::new();
    log.ran("app", &select("a"));
    log.ran("bi", &select("b"));
    let (code, text) = log.learn(Some("bi"));
    assert_eq!(code, 0);
    assert!(
        text.contains("[roles.bi]") && !text.contains("app"),
        "{text}"
    );
    assert_eq!(log.learn(Some("none")).0, 1);
    assert_eq!(log.learn(None).1.matches("default =").count(), 2);
}

#[test]
fn names_cannot_leave_their_quotes() {
    let log = Log::new();
    let nasty = "a\"]\nx = '''\u{7f}\\";
    log.ran(nasty, &select(nasty));
    log.ran(nasty, &select("with.dot"));
    let role = log.role(nasty);
    assert!(allows(&role, &select(nasty)));
    assert!(allows(&role, &select("with.dot")));
    let (_, text) = log.learn(None);
    let told = text.lines().find(|line| line.contains("with*dot")).unwrap();
    assert!(
        told.ends_with("; stands for more than what was seen"),
        "{told}"
    );
}

#[test]
fn what_is_no_record_is_counted() {
    let log = Log::new();
    log.ran("app", &select("a"));
    let path = log.folder.path().join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"torn\n")).unwrap();
    let (code, text) = log.learn(None);
    assert_eq!(code, 0);
    assert!(text.starts_with("# 1 lines are no records.\n"), "{text}");
}

#[test]
fn what_was_not_judged_is_said_to_be_missing() {
    let log = Log::new();
    log.ran("app", &statement(&[], &[]));
    let (_, text) = log.learn(None);
    assert!(text.contains("# 1 were not judged"), "{text}");
}
