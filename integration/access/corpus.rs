//! Every line of the corpora, by either policy: nothing happens that must not (a hole), and
//! nothing is refused that may be done (an outage).

use crate::house::House;
use crate::play::{Answers, play};
use crate::row::{Expect, Policy, Row, rows};
use crate::support::raw::Raw;

const GIVEN: &str = include_str!("corpus.tsv");
const MORE: &str = include_str!("more.tsv");

/// What a session is.
const MODE: &str = "select concat_ws(' ', current_setting('default_transaction_read_only'),
    current_setting('transaction_read_only'), current_user, session_user,
    current_setting('standard_conforming_strings'), current_setting('client_encoding'),
    current_setting('backslash_quote'), current_setting('session_replication_role'))";

#[tokio::test]
async fn a_reader_reads_everything_and_changes_nothing() {
    no_holes_no_outages(Policy::Reader).await;
}

#[tokio::test]
async fn who_may_not_change_the_schema_can_do_all_else() {
    no_holes_no_outages(Policy::NoDdl).await;
}

async fn no_holes_no_outages(policy: Policy) {
    let mut house = House::start().await;
    let all = rows(GIVEN).into_iter().chain(rows(MORE));
    let (mut wrong, mut choices, mut by_server) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    let only = std::env::var("ONLY").ok();
    for row in all {
        if only
            .as_ref()
            .is_some_and(|only| !only.split(',').any(|id| id == row.id))
        {
            continue;
        }
        count += 1;
        let (complaint, answers) = check(&mut house, policy, &row).await;
        if row.expect(policy) == Expect::Deny && complaint.is_none() && !is_ours(&answers) {
            by_server.push(row.id.clone());
        }
        let Some(complaint) = complaint else { continue };
        let line = format!("{} {complaint}: {}", row.id, row.text);
        if row.is_choice(policy) {
            choices.push(line);
        } else {
            wrong.push(line);
        }
    }
    assert!(count > 0, "a corpus");
    println!("{count} lines as {policy:?}");
    println!("refused by the server alone: {}", by_server.join(" "));
    println!("otherwise than suggested:\n{}", choices.join("\n"));
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Plays one line; what is wrong with what happened.
async fn check(house: &mut House, policy: Policy, row: &Row) -> (Option<String>, Answers) {
    let (answers, session) = play(house.port(), policy.user(), row).await;
    let own = match session {
        Some(mut raw) => own_mode(&mut raw, &answers).await,
        None => None,
    };
    // The next client gets the same server, once nothing of this one runs on it any more.
    let next = next_mode(house, policy).await;
    let changes = house.fixture.changes().await;
    if !changes.is_none() {
        house.recovers(policy.user()).await;
    }
    let mut complaint = wrong_mode(policy, own.as_deref(), next.as_deref());
    let mut say = |text: String| {
        complaint.get_or_insert(text);
    };
    match (policy, row.expect(policy)) {
        (Policy::Reader, _) | (_, Expect::Deny) if !changes.is_none() => {
            say(format!(
                "HOLE changed {:?} {:?}",
                changes.parts, changes.names
            ));
        }
        (Policy::NoDdl, Expect::Allow) if !changes.names.is_empty() => {
            say(format!("HOLE changed {:?}", changes.names));
        }
        _ => {}
    }
    let failures = answers.failures();
    match row.expect(policy) {
        Expect::Deny if failures.is_empty() => say(format!("HOLE passed [{}]", answers.shape())),
        Expect::Allow if is_ours(&answers) || answers.stuck => {
            let why = failures.iter().map(|f| format!("{} {}", f.code, f.message));
            let why = why.collect::<Vec<_>>().join("; ");
            say(format!("OUTAGE [{}] {why}", answers.shape()));
        }
        Expect::Allow if !failures.is_empty() && !row.server_fails() && !row.is_choice(policy) => {
            if let Some(text) = unlike_server(house, policy, row, &answers).await {
                say(text);
            }
        }
        Expect::Allow | Expect::Deny => {}
    }
    (complaint, answers)
}

/// Compares errors with those of PostgreSQL without us.
async fn unlike_server(
    house: &mut House,
    policy: Policy,
    row: &Row,
    answers: &Answers,
) -> Option<String> {
    let mut row = row.clone();
    if policy == Policy::Reader {
        let read_only = ("default_transaction_read_only".into(), "on".into());
        row.startup.push(read_only);
    }
    let (direct, session) = play(house.fixture.postgres.port, "app_rw", &row).await;
    drop(session);
    if !house.fixture.changes().await.is_none() {
        house.recovers(policy.user()).await;
    }
    let codes = |answers: &Answers| -> Vec<_> {
        let failures = answers.failures().into_iter();
        failures.map(|failure| failure.code).collect()
    };
    (codes(&direct) != codes(answers)).then(|| {
        let messages = answers.failures().into_iter().map(|f| f.message);
        format!(
            "OUTAGE [{}] without us [{}] {:?}",
            answers.shape(),
            direct.shape(),
            messages.collect::<Vec<_>>()
        )
    })
}

/// Whether one of the errors is a refusal of ours.
fn is_ours(answers: &Answers) -> bool {
    let failures = answers.failures();
    failures
        .iter()
        .any(|failure| failure.hint.contains("Reference "))
}

/// What the session is after all that, in its transaction if it still is in one.
async fn own_mode(raw: &mut Raw, answers: &Answers) -> Option<String> {
    if answers.status() == Some('E') {
        raw.send_query(b"rollback").await;
        raw.try_reply().await.ok()?;
    }
    raw.send_query(MODE.as_bytes()).await;
    let reply = raw.try_reply().await.ok()?;
    reply.failure.is_none().then(|| reply.value().to_owned())
}

async fn next_mode(house: &House, policy: Policy) -> Option<String> {
    let mut raw = Raw::login(house.port(), policy.user(), "acl", &[])
        .await
        .ok()?;
    raw.send_query(MODE.as_bytes()).await;
    let reply = raw.try_reply().await.ok()?;
    reply.failure.is_none().then(|| reply.value().to_owned())
}

fn wrong_mode(policy: Policy, own: Option<&str>, next: Option<&str>) -> Option<String> {
    let (mode, rest) = match policy {
        Policy::Reader => ("on on app_rw app_rw on UTF8 safe_encoding origin", ""),
        Policy::NoDdl => (
            "off off app_rw app_rw on UTF8 safe_encoding origin",
            "on UTF8",
        ),
    };
    let own_is_fine = own.is_none_or(|own| own == mode || (!rest.is_empty() && own.contains(rest)));
    if !own_is_fine {
        return Some(format!("HOLE session is {own:?}"));
    }
    (next != Some(mode)).then(|| format!("HOLE next client's session is {next:?}"))
}
