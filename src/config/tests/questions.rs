//! What `pgwarden check` answers.

use std::collections::BTreeMap;

use super::super::check::check;
use super::super::check::question::{Question, answer};
use super::{SHOP, Setup};

const ACCESS: &str = r#"
[roles.reader]
read_only = true
[roles.app]
[[roles.app.deny]]
name = "no-ddl"
statements = "ddl"
except = { window = "Sun 02:00-04:00 UTC" }
hint = "wait for Sunday"
[[roles.app.deny]]
name = "no-delete"
statements = "delete"
when = { from = "10.0.0.0/8", database = "shop" }
[databases.ledger]
maintenance = { read_only = { window = "2026-12-01 22:00/23:30 UTC" } }
[[grant]]
role = "reader"
user = "bi_*"
from = "10.2.0.0/16"
[[grant]]
role = "app"
certificate = { san = "spiffe://prod/*" }
[[grant]]
role = "app"
oauth = { group = "dba" }
tls = true
"#;

/// The exit code and the text of an answer.
fn ask(question: Question) -> (u8, String) {
    let setup = Setup::new();
    setup.write("pgwarden.toml", &format!("{ACCESS}{SHOP}"));
    answer(&setup.path("pgwarden.toml"), &question)
}

fn as_role(role: &str, sql: &str) -> Question {
    Question {
        role: Some(role.into()),
        sql: Some(sql.into()),
        at: Some("2026-11-24T12:00:00Z".into()),
        ..Question::default()
    }
}

fn bi() -> Question {
    Question {
        user: Some("bi_anna".into()),
        from: Some("10.2.3.4".parse().unwrap()),
        database: Some("shop".into()),
        sql: Some("select 1".into()),
        ..Question::default()
    }
}

#[test]
fn the_grant_the_role_and_the_verdict_are_told() {
    let at = Some("2026-11-24T12:00:00Z".to_owned());
    let (code, text) = ask(Question { at, ..bi() });
    assert_eq!(code, 0, "{text}");
    let start = "client: bi_anna from 10.2.3.4, database shop, at 2026-11-24T12:00:00Z\n\
                 grant 1 (role reader): for it\nrole: reader\nstatement 1: SELECT\n";
    assert!(text.starts_with(start), "{text}");
    assert!(text.ends_with("verdict: allow\n"), "{text}");
    let sql = Some("delete from t".to_owned());
    let (code, text) = ask(Question { sql, ..bi() });
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("verdict: deny by rule read_only: 25006"),
        "{text}"
    );
}

#[test]
fn who_gets_no_role_is_told_why_grant_by_grant() {
    let from = Some("10.3.0.1".parse().unwrap());
    let (code, text) = ask(Question { from, ..bi() });
    assert_eq!(code, 1);
    for line in [
        "grant 1 (role reader): not for it, by from\n",
        "grant 2 (role app): not for it, by certificate\n",
        "grant 3 (role app): not for it, by oauth\n",
        "verdict: refused at login",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_certificate_and_claims_can_be_supposed() {
    let (_, text) = ask(Question {
        user: Some("x".into()),
        certificate_san: vec!["spiffe://prod/shop".into()],
        ..Question::default()
    });
    assert!(
        text.contains("grant 2 (role app): for it\nrole: app\n"),
        "{text}"
    );
    let claims = BTreeMap::from([("groups".to_owned(), vec!["dba".to_owned()])]);
    let with_token = Question {
        user: Some("x".into()),
        claims,
        ..Question::default()
    };
    let (code, text) = ask(with_token.clone());
    assert_eq!(code, 1);
    assert!(
        text.contains("grant 3 (role app): not for it, by tls\n"),
        "{text}"
    );
    let (code, text) = ask(Question {
        tls: true,
        ..with_token
    });
    assert_eq!(code, 0);
    assert!(text.contains("grant 3 (role app): for it\n"), "{text}");
}

#[test]
fn the_time_decides_about_windows() {
    let ddl = as_role("app", "drop table t");
    let (code, text) = ask(ddl.clone());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("(hint: wait for Sunday)"), "{text}");
    let at = Some("Sun 03:00 UTC".to_owned());
    let (code, text) = ask(Question { at, ..ddl });
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("rule no-ddl               not in force"),
        "{text}"
    );
    let insert = as_role("app", "insert into t values (1)");
    let at = Some("2026-12-01T22:30:00Z".to_owned());
    let database = Some("ledger".to_owned());
    let (code, text) = ask(Question {
        at,
        database,
        ..insert
    });
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("deny by rule maintenance"), "{text}");
}

#[test]
fn the_address_and_the_database_decide_about_rules() {
    let delete = as_role("app", "delete from t where a = 1");
    assert_eq!(ask(delete.clone()).0, 0);
    let from = Some("10.1.1.1".parse().unwrap());
    let database = Some("shop".to_owned());
    assert_eq!(
        ask(Question {
            from,
            database,
            ..delete
        })
        .0,
        1
    );
}

#[test]
fn without_a_text_the_rules_are_spelled_out() {
    let (code, text) = ask(Question { sql: None, ..bi() });
    assert_eq!(code, 0);
    assert!(
        text.contains("rule read_only            refuses         "),
        "{text}"
    );
    assert!(
        text.contains("insert") && text.contains("@signal"),
        "{text}"
    );
    let setup = Setup::new();
    setup.write("pgwarden.toml", SHOP);
    let (code, text) = answer(
        &setup.path("pgwarden.toml"),
        &Question { sql: None, ..bi() },
    );
    assert_eq!(code, 0);
    assert!(
        text.ends_with("without rules: there is no [[grant]]\nno rules: everything is allowed\n")
    );
}

#[test]
fn a_question_of_no_use_has_an_exit_code_of_its_own() {
    for (question, complaint) in [
        (as_role("ap", "select 1"), "--role: there is no [roles.ap]"),
        (
            Question {
                tls: true,
                ..Question::default()
            },
            "expected --user or --role",
        ),
        (
            Question {
                at: Some("Sunday".into()),
                ..bi()
            },
            "--at: \"Sunday\": expected",
        ),
        (
            Question {
                database: Some("x".into()),
                ..bi()
            },
            "--database: there is no \"x\"",
        ),
    ] {
        let (code, text) = ask(question);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(complaint), "{text}");
    }
    let none = Setup::new();
    assert_eq!(answer(&none.path("none.toml"), &bi()).0, 2);
}

#[test]
fn warnings_are_printed_before_the_summary() {
    let setup = Setup::new();
    setup.write("pgwarden.toml", &format!("{ACCESS}{SHOP}"));
    let (code, text) = check(&setup.path("pgwarden.toml"));
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("warning: "), "{text}");
    assert!(
        text.contains("grant[2].certificate: nobody has such"),
        "{text}"
    );
    let summary = "2 databases, 1 user, 2 roles, 3 grants, 0 tests, listening on";
    assert!(text.contains(summary), "{text}");
}
