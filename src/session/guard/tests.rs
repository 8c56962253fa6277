use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::*;
use crate::auth::identity::Identity;
use crate::auth::names::{DatabaseName, UserName};
use crate::policy::admission::Policy;
use crate::policy::classification::Value;
use crate::policy::grant::{Grant, Origin};
use crate::policy::kind::Kinds;
use crate::policy::role::{ReadOnly, Role, RoleName};
use crate::policy::rule::Rule;
use crate::session::audit::{Auditor, Unwritable};
use crate::wire::backend::Tag;
use crate::wire::sqlstate::SqlState;

/// Remembers what it was to write, and fails when it is told to.
#[derive(Debug, Default)]
struct Memory {
    records: Mutex<Vec<(EventKind, &'static str, u64)>>,
    broken: Mutex<bool>,
}

impl Auditor for Memory {
    fn record(&self, event: &Event<'_>) -> Result<(), Unwritable> {
        if *self.broken.lock().unwrap() {
            return Err(Unwritable);
        }
        let record = (event.kind, event.verdict, event.reference);
        self.records.lock().unwrap().push(record);
        Ok(())
    }
}

struct Fixture {
    bench: Rc<Bench>,
    client: Rc<Client>,
    memory: Arc<Memory>,
    guard: Box<Guard>,
}

fn admitted(role: Role) -> (Policy, Admission) {
    let mut policy = Policy::default();
    policy.grants.push(Grant::new(role.name.clone()));
    policy.roles.insert(role.name.clone(), Arc::new(role));
    let identity = Identity::trusted(UserName::new("ann"));
    let database = DatabaseName::new("shop");
    let now = SystemTime::now();
    let admission = policy.admit(identity, Origin::default(), database, now);
    (policy, admission.unwrap())
}

fn guard(role: Role) -> Fixture {
    let (policy, admission) = admitted(role);
    let memory = Arc::new(Memory::default());
    let bench = Bench::new(
        Arc::new(policy),
        memory.clone(),
        Arc::default(),
        Arc::default(),
    );
    let bench = Rc::new(bench);
    let client = Client::new(1, (None, None));
    client.admission.replace(Some(admission));
    let guard = Guard::new(&bench, &client).expect("a guard");
    Fixture {
        bench,
        client,
        memory,
        guard,
    }
}

impl Fixture {
    /// What a reload does.
    fn reload(&mut self, role: Role) {
        let (mut policy, admission) = admitted(role);
        policy.generation = self.bench.policy().generation + 1;
        self.bench.reload(Arc::new(policy));
        self.client.admission.replace(Some(admission));
        let old = self.guard_out();
        self.guard = Guard::renewed(Some(old), &self.bench, &self.client).expect("a guard");
    }

    fn guard_out(&mut self) -> Box<Guard> {
        let spare = Guard::new(&self.bench, &self.client).expect("a guard");
        std::mem::replace(&mut self.guard, spare)
    }

    fn query(&mut self, sql: &str) -> Result<(), ErrorResponse> {
        let ruling = self.guard.query(Text::Whole(sql.as_bytes()), ASKED);
        ruling.map_err(|error| *error)
    }
}

fn free() -> Role {
    Role::free(RoleName::new("app"))
}

fn without(kinds: &str) -> Role {
    let mut rule = Rule::new("no");
    rule.statements = Kinds::named(kinds).unwrap();
    let mut role = free();
    role.deny.push(rule);
    role
}

const ASKED: Asked = Asked {
    protocol: "simple",
    status: TransactionStatus::Idle,
    runs: true,
};

#[test]
fn who_has_neither_rules_nor_limits_has_no_guard() {
    let (policy, admission) = admitted(free());
    let bench = Bench::new(
        Arc::new(policy),
        Arc::new(crate::session::audit::NoAudit),
        Arc::default(),
        Arc::default(),
    );
    let client = Client::new(1, (None, None));
    client.admission.replace(Some(admission));
    assert!(Guard::new(&Rc::new(bench), &client).is_none());
}

#[test]
fn a_refusal_says_which_statement_and_where_and_can_be_found_again() {
    let mut fixture = guard(without("ddl"));
    let error = fixture.query("select 'ä'; drop table t").unwrap_err();
    assert_eq!(error.code, SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(error.position, Some(13), "in characters, from 1");
    assert_eq!(
        error.detail.as_deref(),
        Some("Statement 2 of 2 (DROP TABLE) matched rule \"no\".")
    );
    let denied = &fixture.bench.denials.latest()[0];
    let reference = format!("Reference {:016x}.", denied.reference);
    assert_eq!(error.hint, Some(reference));
    let records = fixture.memory.records.lock().unwrap();
    assert_eq!(*records, [(EventKind::Violation, "deny", denied.reference)]);
}

#[test]
fn what_is_observed_passes_and_is_written_down() {
    let mut role = without("ddl");
    role.observe = true;
    let mut fixture = guard(role);
    fixture.query("drop table t").unwrap();
    assert!(fixture.bench.denials.latest()[0].observed);
    let records = fixture.memory.records.lock().unwrap();
    assert_eq!(
        (records[0].0, records[0].1),
        (EventKind::Violation, "would_deny")
    );
}

#[test]
fn a_statement_that_is_to_be_audited_does_not_run_without_a_record() {
    let mut role = free();
    role.audit.statements = true;
    let mut fixture = guard(role);
    fixture.query("select 1").unwrap();
    assert_eq!(fixture.memory.records.lock().unwrap().len(), 1);
    // Prepared is not run yet.
    let prepared = Asked {
        runs: false,
        ..ASKED
    };
    let text = Text::Whole(b"select 1");
    fixture.guard.parse(b"s", text, true, prepared).unwrap();
    assert_eq!(fixture.memory.records.lock().unwrap().len(), 1);
    for _ in 0..2 {
        fixture.guard.bind_name(b"s", ASKED).unwrap();
    }
    assert_eq!(fixture.memory.records.lock().unwrap().len(), 3);
    *fixture.memory.broken.lock().unwrap() = true;
    let error = fixture.query("select 1").unwrap_err();
    assert_eq!(error.code, SqlState::IO_ERROR);
}

#[test]
fn what_was_prepared_before_a_reload_is_judged_when_it_is_bound() {
    let mut fixture = guard(without("dcl"));
    let drop_it = Text::Whole(b"drop table t");
    fixture.guard.parse(b"s", drop_it, true, ASKED).unwrap();
    assert!(!fixture.guard.rejudges());
    fixture.reload(without("ddl"));
    assert!(fixture.guard.rejudges());
    let error = fixture.guard.bind_name(b"s", ASKED).unwrap_err();
    assert_eq!(error.code, SqlState::INSUFFICIENT_PRIVILEGE);
    assert!(fixture.guard.bind_name(b"unheard_of", ASKED).is_ok());
}

#[test]
fn a_name_may_stand_for_each_of_the_statements_that_it_was_given_to() {
    let mut fixture = guard(without("dcl"));
    let mut parse = |name: &[u8], sql: &str, certain| {
        let text = Text::Whole(sql.as_bytes());
        fixture.guard.parse(name, text, certain, ASKED).unwrap();
    };
    // The server may have skipped the second one.
    parse(b"s", "drop table t", true);
    parse(b"s", "select 1", false);
    // These were all answered: only the last counts.
    parse(b"", "drop table t", true);
    parse(b"", "select 1", true);
    fixture.reload(without("ddl"));
    assert!(fixture.guard.bind_name(b"s", ASKED).is_err());
    assert!(fixture.guard.bind_name(b"", ASKED).is_ok());
}

#[test]
fn execute_runs_what_prepare_was_given_by_the_rules_of_now() {
    let mut fixture = guard(without("dcl"));
    fixture
        .query("prepare p as insert into t values (1)")
        .unwrap();
    fixture.query("execute p").unwrap();
    fixture.reload(without("write"));
    assert!(fixture.query("execute p").is_err());
    assert!(fixture.query("execute q").is_ok(), "the server says 26000");
}

#[test]
fn what_no_guard_has_seen_is_not_run_once_there_are_rules() {
    let mut audited = free();
    audited.audit.statements = true;
    let mut fixture = guard(audited);
    fixture.reload(without("ddl"));
    let error = fixture.guard.bind_name(b"s", ASKED).unwrap_err();
    assert_eq!(error.code, SqlState::FEATURE_NOT_SUPPORTED);
}

#[test]
fn a_start_up_packet_cannot_undo_what_a_reader_is_held_to() {
    let mut role = free();
    role.read_only = ReadOnly::Always;
    let mut fixture = guard(role);
    let mut ask = |name: &str, value: &str| {
        let setting = Setting {
            name: Some(name.into()),
            value: Value::Constant(value.into()),
        };
        fixture.guard.startup_setting(setting).is_ok()
    };
    for (name, value) in [
        ("default_transaction_read_only", "off"),
        ("client_encoding", "SJIS"),
        ("standard_conforming_strings", "off"),
        ("role", "other"),
    ] {
        assert!(!ask(name, value), "{name}");
    }
    for (name, value) in [
        ("client_encoding", "utf-8"),
        ("datestyle", "ISO"),
        ("search_path", "a"),
    ] {
        assert!(ask(name, value), "{name}");
    }
}

#[test]
fn a_session_that_leaves_read_only_mode_is_a_breach() {
    let mut role = free();
    role.read_only = ReadOnly::Always;
    let fixture = guard(role);
    assert!(
        fixture
            .guard
            .watch("default_transaction_read_only", "on")
            .is_none()
    );
    assert!(fixture.guard.watch("TimeZone", "UTC").is_none());
    let error = fixture
        .guard
        .watch("default_transaction_read_only", "off")
        .unwrap();
    assert_eq!(error.code, SqlState::READ_ONLY_SQL_TRANSACTION);
    let records = fixture.memory.records.lock().unwrap();
    assert_eq!(records[0].0, EventKind::Breach);
}

#[test]
fn under_maintenance_leaving_read_only_mode_is_a_breach_too() {
    use crate::policy::window::Window;

    let (mut policy, before) = admitted(free());
    policy
        .maintenance
        .push(Window::parse("Mon-Sun UTC").unwrap());
    let identity = before.identity().clone();
    let database = before.database().clone();
    let now = SystemTime::now();
    let admission = policy.admit(identity, Origin::default(), database, now);
    let memory = Arc::new(Memory::default());
    let (denials, usages) = (Arc::default(), Arc::default());
    let bench = Rc::new(Bench::new(Arc::new(policy), memory, denials, usages));
    let client = Client::new(1, (None, None));
    client.admission.replace(Some(admission.unwrap()));
    let guard = Guard::new(&bench, &client).expect("a guard");
    assert!(
        guard
            .watch("default_transaction_read_only", "off")
            .is_some()
    );
}

#[test]
fn a_function_call_is_refused_where_there_are_rules() {
    let mut fixture = guard(without("ddl"));
    let error = fixture
        .guard
        .function_call(TransactionStatus::Idle)
        .unwrap_err();
    assert_eq!(error.code, SqlState::FEATURE_NOT_SUPPORTED);
    let mut role = without("ddl");
    let mut allow = Rule::new("calls");
    allow.statements = Kind::FunctionCall.into();
    role.allow.push(allow);
    let mut fixture = guard(role);
    assert!(fixture.guard.function_call(TransactionStatus::Idle).is_ok());
}

#[test]
fn limits_are_kept_and_named() {
    let mut role = free();
    role.limits.concurrent = Some(1);
    role.limits.rows = Some(2);
    let mut first = guard(role);
    let mut second = Guard::new(&first.bench, &first.client).unwrap();
    first.query("select 1").unwrap();
    let error = second.start().unwrap_err();
    assert_eq!(error.code, SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert!(error.detail.unwrap().contains("\"concurrent\""));
    first.guard.restraint.done(&first.client);
    assert!(second.start().is_ok());

    assert!(!first.guard.count_row(10) && !first.guard.count_row(10));
    assert!(first.guard.count_row(10), "the server is told to stop");
    assert!(!first.guard.count_row(10), "once");
    let mut fate = |tag| first.guard.restraint.fate(tag, &first.client);
    assert!(matches!(fate(Tag::DataRow), Fate::Drop));
    assert!(matches!(fate(Tag::ErrorResponse), Fate::Replace(_)));
    assert!(matches!(fate(Tag::BindComplete), Fate::Drop));
    assert!(matches!(fate(Tag::ReadyForQuery), Fate::Pass));
    assert!(matches!(fate(Tag::DataRow), Fate::Pass));
}

#[test]
fn a_statement_has_until_its_deadline() {
    let mut role = free();
    role.limits.time = Some(Duration::from_secs(5));
    let mut fixture = guard(role);
    fixture.query("select 1").unwrap();
    assert!(fixture.client.deadline.get().is_some());
    fixture.guard.restraint.done(&fixture.client);
    assert_eq!(fixture.client.deadline.get(), None);
}
