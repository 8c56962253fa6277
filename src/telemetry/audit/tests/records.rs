use std::time::Duration;

use serde_json::json;

use super::*;
use crate::policy::classification::{
    Classification, Name, Relation, Setting, Statement, Value as SettingValue,
};
use crate::policy::kind::Kind;
use crate::policy::rule::RuleName;
use crate::policy::verdict::Denial;
use crate::wire::sqlstate::SqlState;

fn name(schema: Option<&str>, name: &str) -> Name {
    Name {
        schema: schema.map(Into::into),
        name: name.into(),
    }
}

fn classification() -> Classification {
    let relation = Relation {
        name: name(Some("sales"), "orders"),
        kind: Kind::Delete,
        writes: true,
    };
    Classification {
        statements: Box::new([
            Statement {
                command: "DELETE",
                kinds: [Kind::Delete, Kind::Select].into_iter().collect(),
                relations: Box::new([relation.clone(), relation]),
                functions: Box::new([name(None, "now")]),
                ..Statement::default()
            },
            Statement {
                command: "SET",
                kinds: Kind::Set.into(),
                settings: Box::new([
                    setting(Some("work_mem")),
                    setting(Some("it's secret")),
                    setting(None),
                ]),
                ..Statement::default()
            },
        ]),
    }
}

fn setting(name: Option<&str>) -> Setting {
    Setting {
        name: name.map(Into::into),
        value: SettingValue::Constant("secret".into()),
    }
}

fn who() -> Who {
    Who {
        session: 7,
        address: "10.0.0.1:5000".parse().ok(),
        user: "ann".into(),
        method: "scram",
        certificate: Box::new(["ann.example".into()]),
        token: Some(Box::new(("https://issuer".into(), "ann@example".into()))),
        role: "app".into(),
        server_user: "app_pool".into(),
        database: "shop".into(),
        application_name: "psql".into(),
    }
}

fn denial() -> Denial {
    Denial {
        rule: RuleName("no-deletes".into()),
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        message: "permission denied".into(),
        statement: 1,
        statements: 2,
        command: "DELETE",
        subject: "DELETE".into(),
        position: None,
        hint: None,
    }
}

fn body(event: &Event<'_>, sql: AuditSql) -> Value {
    serde_json::from_str(&event_body(event, "host:1", sql)).unwrap()
}

#[test]
fn a_record_says_who_did_what_and_what_became_of_it() {
    let (who, what, denial) = (who(), classification(), denial());
    let event = Event {
        kind: EventKind::Violation,
        sql: Some(b"delete from sales.orders where a = 'secret'; set work_mem = 'x'"),
        classification: Some(&what),
        denial: Some(&denial),
        verdict: "deny",
        generation: 3,
        transaction: "transaction",
        duration: Some(Duration::from_millis(2)),
        rows: 5,
        bytes: 50,
        sqlstate: Some(SqlState::INSUFFICIENT_PRIVILEGE),
        ..event(&who, 0x7f3a)
    };
    assert_eq!(
        body(&event, AuditSql::Normalized),
        json!({
            "id": "0000000000007f3a",
            "kind": "violation",
            "instance": "host:1",
            "session": 7,
            "client_addr": "10.0.0.1:5000",
            "identity": {
                "user": "ann",
                "method": "scram",
                "certificate": ["ann.example"],
                "issuer": "https://issuer",
                "subject": "ann@example",
            },
            "role": "app",
            "server_user": "app_pool",
            "database": "shop",
            "application_name": "psql",
            "server_pid": 4711,
            "txn_state": "transaction",
            "protocol": "simple",
            "statement_no": 1,
            "statements": 2,
            "command": "DELETE",
            "effects": ["delete", "select", "set"],
            "relations": [
                {"schema": "sales", "name": "orders", "effect": "delete", "access": "write"},
            ],
            "functions": [{"name": "now"}],
            "settings": [
                {"name": "work_mem"},
                {"name": "(invalid)"},
                {"name": "(computed)", "guarded": true},
            ],
            "sql": "delete from sales.orders where a = ?; set work_mem = ?",
            "verdict": "deny",
            "rules": ["no-deletes"],
            "reason": "permission denied",
            "policy_generation": 3,
            "duration_us": 2000,
            "rows": 5,
            "bytes": 50,
            "sqlstate": "42501",
        })
    );
}

#[test]
fn what_does_not_apply_is_left_out() {
    let who = Who {
        user: "ann".into(),
        ..Who::default()
    };
    let event = Event {
        kind: EventKind::SessionEnd,
        protocol: "",
        sql: None,
        verdict: "",
        generation: 0,
        transaction: "",
        server_pid: 0,
        reason: "the client left",
        ..event(&who, 0)
    };
    assert_eq!(
        body(&event, AuditSql::Full),
        json!({
            "kind": "session_end",
            "instance": "host:1",
            "identity": {"user": "ann"},
            "reason": "the client left",
        })
    );
}

#[test]
fn a_line_begins_with_time_number_and_hash() {
    let folder = Folder::new();
    let line = lines(&folder.log_of(0)).remove(0);
    let time = &line[7..34];
    assert!(line.starts_with("{\"ts\":\""), "{line}");
    assert!(
        line[34..].starts_with("\",\"seq\":1,\"prev\":\"0"),
        "{line}"
    );
    assert_eq!(
        (&time[10..11], &time[19..20], &time[26..]),
        ("T", ".", "Z"),
        "{line}"
    );
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
}

#[test]
fn the_text_is_as_the_settings_want_it() {
    let who = Who::default();
    let event = Event {
        sql: Some(b"select 'a\xff'\n, 1"),
        ..event(&who, 1)
    };
    assert_eq!(body(&event, AuditSql::None)["sql"], Value::Null);
    assert_eq!(body(&event, AuditSql::Normalized)["sql"], "select ? , ?");
    assert_eq!(
        body(&event, AuditSql::Full)["sql"],
        "select 'a\u{fffd}'\n, 1"
    );
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let who = Who::default();
    for (text, sql) in [
        ("é".repeat(100_000), AuditSql::Full),
        ("é ".repeat(100_000), AuditSql::Normalized),
        (format!("a{}", "é".repeat(600_000)), AuditSql::Normalized),
    ] {
        let event = Event {
            sql: Some(text.as_bytes()),
            ..event(&who, 1)
        };
        let body = body(&event, sql);
        let written = body["sql"].as_str().unwrap();
        assert!(written.len() <= 64 * 1024 + 3, "{}", written.len());
        assert!(written.ends_with("é…") || written.ends_with("é …"));
        assert_eq!(body["cut"], true);
    }
}

#[test]
fn a_record_is_bounded_whatever_is_in_it() {
    let relations = (0..100_000).map(|n| Relation {
        name: name(None, &format!("{n}{}", "\u{1}".repeat(1000))),
        kind: Kind::Select,
        writes: false,
    });
    let what = Classification {
        statements: Box::new([Statement {
            command: "SELECT",
            kinds: Kind::Select.into(),
            relations: relations.collect(),
            ..Statement::default()
        }]),
    };
    let who = Who::default();
    let event = Event {
        classification: Some(&what),
        ..event(&who, 1)
    };
    let body = event_body(&event, "host:1", AuditSql::Full);
    assert!(body.len() < 1024 * 1024, "{}", body.len());
    assert!(body.contains("\"cut\":true"));
}
