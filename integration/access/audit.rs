//! The audit log of a running pgwarden: what is in it, and what happens when it cannot be written.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::house::{House, before};
use crate::support::eventually;
use crate::support::raw::Raw;

/// The log at `file`; whoever has the role `told` is refused what cannot be recorded.
fn access(file: &str) -> String {
    format!(
        "[access.audit]\nfile = \"{file}\"\non_failure = \"deny\"\n\
         [roles.app]\nserver = {{ user = \"app_rw\", password = \"x\" }}\n\
         [[roles.app.deny]]\nname = \"no-drop\"\nstatements = [\"drop\"]\n\
         [roles.told]\nserver = {{ user = \"app_rw\", password = \"x\" }}\n\
         audit = {{ statements = true }}\n\
         [[grant]]\nrole = \"app\"\nuser = \"app\"\n[[grant]]\nrole = \"told\"\nuser = \"told\"\n"
    )
}

/// The records of a kind.
fn records(file: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == kind).collect()
}

fn verify(file: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let output = command
        .args(["audit", "verify"])
        .arg(file)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn a_session_leaves_its_start_its_refusals_and_its_end() {
    let house = House::with_access(&access("audit.log")).await;
    let file = house.pooler.dir().join("audit.log");
    let mut raw = house.login("app").await;
    raw.query("select 'public'").await.fine();
    let failure = raw
        .query("drop table secret -- 'hunter2'")
        .await
        .failure
        .unwrap();
    drop(raw);
    eventually("the end is written down", async || {
        !records(&file, "session_end").is_empty()
    })
    .await;
    for kind in ["session_start", "violation", "session_end"] {
        let all = records(&file, kind);
        assert_eq!(all.len(), 1, "{kind}: {all:?}");
        let text = all[0].to_string();
        for part in ["\"app\"", "\"app_rw\"", "\"acl\"", "127.0.0.1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let violation = records(&file, "violation").remove(0).to_string();
    let reference = failure
        .hint
        .rsplit(' ')
        .next()
        .unwrap()
        .trim_end_matches('.');
    for part in [
        "no-drop",
        "42501",
        "drop table secret",
        reference,
        "\"deny\"",
    ] {
        assert!(
            violation.to_lowercase().contains(part),
            "{part}: {violation}"
        );
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("public") && !text.contains("hunter2"));
    let (fine, said) = verify(&file);
    assert!(fine && said.contains("ok"), "{said}");
    // It is of use: what is changed is found.
    std::fs::write(&file, text.replacen("no-drop", "no-dorp", 1)).unwrap();
    assert!(!verify(&file).0);
}

#[tokio::test]
async fn nobody_is_let_in_while_the_log_cannot_be_written() {
    let house = House::with_access(&access("audit.log")).await;
    let file = house.pooler.dir().join("audit.log");
    let mut told = house.login("told").await;
    told.query("select 1").await.fine();
    let mut app = house.login("app").await;
    let port = house.fixture.postgres.port;
    house.pooler.write(&before(port, &access("/dev/full")));
    house.console("reload").await.fine();
    for user in ["app", "told"] {
        let refused = Raw::login(house.port(), user, "acl", &[])
            .await
            .unwrap_err();
        assert_eq!((&*refused.severity, &*refused.code), ("FATAL", "57P03"));
        assert_eq!(refused.message, "the audit log cannot be written");
    }
    let refused = told.query("select 2").await.failure.unwrap();
    assert_eq!(refused.code, "58030");
    // What is refused is refused for its own reason, and what is not recorded goes on.
    assert_eq!(app.query("drop table secret").await.code(), Some("42501"));
    app.query("select 1").await.fine();

    house.pooler.write(&before(port, &access("audit.log")));
    house.console("reload").await.fine();
    assert_eq!(told.query("select 3").await.fine().value(), "3");
    house.login("app").await.query("select 1").await.fine();
    let (fine, said) = verify(&file);
    assert!(fine, "{said}");
    // How much is missing is known.
    let lost: u64 = records(&file, "log_start")
        .iter()
        .filter_map(|record| record["lost"].as_u64())
        .sum();
    assert!(lost >= 4, "{lost}");
}
