//! The corpus of statements against the judge: no hole, no outage.
//!
//! `corpus.tsv` holds texts and what two policies must say to them: a role that may only read,
//! and a role that may not change the schema. Rows that are more than texts are judged elsewhere.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use pgwarden::policy::classification::Classified;
use pgwarden::policy::condition::Circumstances;
use pgwarden::policy::judge::Judge;
use pgwarden::policy::kind::Kinds;
use pgwarden::policy::role::{ReadOnly, Role, RoleName};
use pgwarden::policy::rule::Rule;
use pgwarden::policy::sql::classify;
use pgwarden::policy::verdict::Verdict;

const CORPUS: &str = include_str!("corpus.tsv");

/// One line of the corpus.
struct Row<'a> {
    id: &'a str,
    protocol: &'a str,
    texts: Vec<Vec<u8>>,
    read_only: &'a str,
    no_ddl: &'a str,
    note: &'a str,
}

#[test]
fn the_corpus_has_neither_holes_nor_outages() {
    let (read_only, no_ddl) = (read_only(), no_ddl());
    let mut wrong = Vec::new();
    let mut judged = 0;
    for row in rows() {
        if !matches!(row.protocol, "simple" | "extended") || row.note.contains("[choice]") {
            continue;
        }
        judged += 1;
        let classified: Vec<Classified> = row
            .texts
            .iter()
            .map(|text| classify(text).map(Arc::new))
            .collect();
        if !server_alone(&row) {
            compare(
                &row,
                "read-only",
                row.read_only,
                is_denied(&read_only, &classified),
                &mut wrong,
            );
        }
        if !row.note.contains("[choice:noddl]") {
            compare(
                &row,
                "no ddl",
                row.no_ddl,
                is_denied(&no_ddl, &classified),
                &mut wrong,
            );
        }
    }
    assert!(judged > 300, "only {judged} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_has_its_own_number() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        assert!(seen.insert(row.id), "{}", row.id);
    }
}

/// A function of the user's that writes: only the server knows what is in it.
fn server_alone(row: &Row<'_>) -> bool {
    row.note
        .contains("the proxy cannot see it, the server denies")
}

fn compare(row: &Row<'_>, policy: &str, expected: &str, denied: bool, wrong: &mut Vec<String>) {
    let is_expected = match expected {
        "allow" => !denied,
        "deny" => denied,
        other => panic!("row {} expects {other}", row.id),
    };
    if !is_expected {
        let text = String::from_utf8_lossy(&row.texts.concat()).into_owned();
        let kind = if denied { "outage" } else { "hole" };
        wrong.push(format!("{} {kind} for {policy}: {text}", row.id));
    }
}

fn is_denied(role: &Role, texts: &[Classified]) -> bool {
    let judge = Judge {
        role,
        maintenance: &[],
        observe: false,
        at: Circumstances {
            now: SystemTime::UNIX_EPOCH,
            address: Some(IpAddr::from([127, 0, 0, 1])),
            user: "u",
            database: "acl",
        },
    };
    texts
        .iter()
        .any(|text| matches!(judge.verdict(text), Verdict::Deny(_)))
}

fn read_only() -> Role {
    let mut role = Role::free(RoleName::new("reader"));
    role.read_only = ReadOnly::Always;
    role
}

fn no_ddl() -> Role {
    let mut role = Role::free(RoleName::new("app"));
    let mut rule = Rule::new("no-schema-changes");
    rule.statements = Kinds::named("ddl").unwrap();
    role.deny.push(rule);
    role
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    CORPUS.lines().skip(1).map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (id, _category, protocol, payload) = (next(), next(), next(), next());
        let (_kinds, read_only, no_ddl, note) = (next(), next(), next(), next());
        let texts = match protocol {
            "extended" => payload.split(" |> ").map(decoded).collect(),
            _ => vec![decoded(payload)],
        };
        Row {
            id,
            protocol,
            texts,
            read_only,
            no_ddl,
            note,
        }
    })
}

/// Undoes the escapes: `\\`, `\n`, `\t`, `\r`, `\0` and `\xHH`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next().unwrap() {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'0' => 0,
            b'x' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    out
}
