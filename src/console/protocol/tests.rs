use super::*;
use crate::console::show::Show;
use crate::console::table::Value;
use crate::wire::body::put_cstr;
use crate::wire::error_response::Fields;

/// A client and the protocol; commands are answered at once.
struct Script(Protocol);

impl Script {
    fn new(role: Role) -> Self {
        Self(Protocol::new(role, ErrorStyle::Postgresql))
    }

    /// What the client receives for a message: tags, and what tells errors and tags apart.
    fn sends(&mut self, (tag, body): (Tag, Vec<u8>)) -> Vec<String> {
        messages(&self.raw(tag, &body))
    }

    fn raw(&mut self, tag: Tag, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match self.0.receive(tag, body, &mut out).unwrap() {
            Step::Run(run) => {
                let reply = reply(&run.command);
                self.0.executed(run, reply, &mut out);
            }
            Step::Answered => {}
            Step::Leave => out.extend_from_slice(b"bye"),
        }
        out
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the tests need no more")]
fn reply(command: &Command) -> Result<Reply> {
    match command {
        Command::Show(Show::Lists) => Ok(Reply::Table(Table {
            columns: Show::Lists.columns().unwrap(),
            rows: (0..3).map(|n| vec!["a".into(), Value::Int4(n)]).collect(),
        })),
        Command::Reload => Err(ErrorResponse::error(
            SqlState::CONFIG_FILE_ERROR,
            "RELOAD failed",
        )),
        _ => Ok(Reply::Done(None)),
    }
}

fn messages(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk() {
        let end = usize::try_from(i32::from_be_bytes([a, b, c, d])).unwrap() + 1;
        let body = &bytes[5..end];
        let text =
            || String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned();
        found.push(match tag {
            b'C' => format!("C {}", text()),
            b'E' => {
                let fields = Fields::parse(body);
                let message = String::from_utf8_lossy(fields.message.unwrap()).into_owned();
                format!("E {} {message}", fields.code.unwrap())
            }
            b'Z' => format!("Z {}", text()),
            _ => char::from(tag).to_string(),
        });
        bytes = &bytes[end..];
    }
    found
}

fn query(sql: &str) -> (Tag, Vec<u8>) {
    (Tag::Query, [sql.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, sql: &str) -> (Tag, Vec<u8>) {
    let mut body = Vec::new();
    put_cstr(&mut body, name.as_bytes());
    put_cstr(&mut body, sql.as_bytes());
    body.extend([0, 0]);
    (Tag::Parse, body)
}

fn bind(portal: &str, statement: &str, formats: &[i16]) -> (Tag, Vec<u8>) {
    let mut body = Vec::new();
    put_cstr(&mut body, portal.as_bytes());
    put_cstr(&mut body, statement.as_bytes());
    body.extend([0, 0, 0, 0]);
    body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
    body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    (Tag::Bind, body)
}

fn describe(kind: u8, name: &str) -> (Tag, Vec<u8>) {
    (Tag::Describe, [&[kind], name.as_bytes(), b"\0"].concat())
}

fn close(kind: u8, name: &str) -> (Tag, Vec<u8>) {
    (Tag::Close, describe(kind, name).1)
}

fn execute(portal: &str, rows: i32) -> (Tag, Vec<u8>) {
    (
        Tag::Execute,
        [portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat(),
    )
}

fn sync() -> (Tag, Vec<u8>) {
    (Tag::Sync, Vec::new())
}

#[test]
fn a_simple_query_is_answered_as_a_whole() {
    let mut script = Script::new(Role::Viewer);
    assert_eq!(
        script.sends(query("SHOW lists;")),
        ["T", "D", "D", "D", "C SHOW", "Z I"]
    );
    assert_eq!(script.sends(query("")), ["I", "Z I"]);
    assert_eq!(
        script.sends(query("PAUSE")),
        ["E 08P01 admin access needed", "Z I"]
    );
    assert_eq!(
        script.sends(query("DROP")),
        ["E 08P01 invalid command 'DROP', use SHOW HELP;", "Z I"]
    );
    assert_eq!(
        script.sends((Tag::Query, b"no end".to_vec())),
        ["E 08P01 invalid message format", "Z I"]
    );
    assert_eq!(
        script.sends((Tag::Query, b"\xff\0".to_vec())),
        ["E 08P01 bad arguments", "Z I"]
    );
    assert_eq!(script.raw(Tag::Terminate, &[]), b"bye");
}

#[test]
fn a_prepared_statement_can_be_described_bound_and_run_again() {
    let mut script = Script::new(Role::Viewer);
    assert_eq!(script.sends(parse("s", "SHOW lists")), ["1"]);
    assert_eq!(script.sends(describe(b'S', "s")), ["t", "T"]);
    for _ in 0..2 {
        assert_eq!(script.sends(bind("", "s", &[])), ["2"]);
        assert_eq!(script.sends(describe(b'P', "")), ["T"]);
        assert_eq!(script.sends(execute("", 0)), ["D", "D", "D", "C SHOW"]);
        assert_eq!(script.sends(sync()), ["Z I"]);
    }
    assert_eq!(script.sends(close(b'S', "s")), ["3"]);
    assert_eq!(script.sends(close(b'S', "s")), ["3"]);
    assert_eq!(
        script.sends(bind("", "s", &[])),
        ["E 26000 prepared statement \"s\" does not exist"]
    );
}

#[test]
fn statements_can_be_forgotten_in_sql() {
    let mut script = Script::new(Role::Viewer);
    for (forget, tag) in [
        ("DEALLOCATE s", "C DEALLOCATE"),
        ("DEALLOCATE ALL", "C DEALLOCATE ALL"),
        ("DISCARD ALL", "C DISCARD ALL"),
    ] {
        assert_eq!(script.sends(parse("s", "SHOW lists")), ["1"]);
        assert_eq!(script.sends(query(forget)), [tag, "Z I"]);
        assert_eq!(
            script.sends(describe(b'S', "s")),
            ["E 26000 prepared statement \"s\" does not exist"]
        );
        script.sends(sync());
    }
}

#[test]
fn a_portal_is_suspended_after_as_many_rows_as_were_asked_for() {
    let mut script = Script::new(Role::Viewer);
    script.sends(parse("", "SHOW lists"));
    script.sends(bind("p", "", &[]));
    assert_eq!(script.sends(execute("p", 2)), ["D", "D", "s"]);
    assert_eq!(script.sends(execute("p", 2)), ["D", "C SHOW"]);
    assert_eq!(script.sends(execute("p", 2)), ["C SHOW"]);
    script.sends(sync());
    assert_eq!(
        script.sends(execute("p", 0)),
        ["E 34000 portal \"p\" does not exist"]
    );
}

#[test]
fn a_result_comes_in_the_formats_that_were_asked_for() {
    let mut script = Script::new(Role::Viewer);
    script.sends(parse("", "SHOW lists"));
    script.sends(bind("", "", &[1]));
    let (tag, body) = describe(b'P', "");
    let described = script.raw(tag, &body);
    assert_eq!(described[described.len() - 2..], [0, 1], "{described:?}");
    let (tag, body) = execute("", 0);
    let row = [
        b'D', 0, 0, 0, 19, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 4, 0, 0, 0, 0,
    ];
    assert!(script.raw(tag, &body).starts_with(&row));
    assert_eq!(
        script.sends(bind("", "", &[0, 1, 0])),
        ["E 08P01 bind message has 3 result formats but query has 2 columns"]
    );
}

#[test]
fn after_an_error_everything_is_skipped_up_to_the_next_sync() {
    let mut script = Script::new(Role::Admin);
    assert_eq!(
        script.sends(parse("", "SHOW nothing")),
        ["E 08P01 invalid command 'SHOW nothing', use SHOW HELP;"]
    );
    for message in [
        bind("", "", &[]),
        execute("", 0),
        query("SHOW lists"),
        close(b'S', ""),
    ] {
        assert!(script.sends(message).is_empty());
    }
    assert_eq!(script.sends(sync()), ["Z I"]);
    script.sends(parse("", "RELOAD"));
    assert_eq!(script.sends(bind("", "", &[])), ["2"]);
    assert_eq!(script.sends(describe(b'P', "")), ["n"]);
    assert_eq!(script.sends(execute("", 0)), ["E F0000 RELOAD failed"]);
    assert!(script.sends(execute("", 0)).is_empty());
    assert_eq!(script.sends(sync()), ["Z I"]);
}

#[test]
fn rights_are_asked_for_in_the_extended_protocol_too() {
    let mut script = Script::new(Role::Viewer);
    script.sends(parse("", "SHUTDOWN"));
    script.sends(bind("", "", &[]));
    assert_eq!(
        script.sends(execute("", 0)),
        ["E 08P01 admin access needed"]
    );
}

#[test]
fn a_command_is_carried_out_once_a_portal() {
    let mut script = Script::new(Role::Admin);
    script.sends(parse("", "PAUSE"));
    script.sends(bind("", "", &[]));
    assert_eq!(script.sends(execute("", 0)), ["C PAUSE"]);
    assert_eq!(
        script.sends(execute("", 0)),
        ["E 55000 portal \"\" cannot be run"]
    );
}

#[test]
fn a_transaction_block_is_for_looking_only() {
    let mut script = Script::new(Role::Admin);
    assert_eq!(script.sends(query("BEGIN")), ["C BEGIN", "Z T"]);
    assert_eq!(script.sends(query("SHOW lists"))[4..], ["C SHOW", "Z T"]);
    assert_eq!(
        script.sends(query("PAUSE")),
        ["E 25001 PAUSE cannot run inside a transaction block", "Z E"]
    );
    assert!(script.sends(query("SHOW lists"))[0].starts_with("E 25P02 "));
    assert_eq!(script.sends(query("COMMIT")), ["C ROLLBACK", "Z I"]);
    assert_eq!(script.sends(query("PAUSE")), ["C PAUSE", "Z I"]);
}

#[test]
fn parameters_are_refused_and_names_are_bounded() {
    let mut script = Script::new(Role::Viewer);
    script.sends(parse("", "SHOW lists"));
    let body = b"\0\0\0\0\0\x01\0\0\0\x01x\0\0".to_vec();
    let refused = script.sends((Tag::Bind, body));
    assert!(
        refused[0].starts_with("E 08P01 bind message supplies 1 parameters"),
        "{refused:?}"
    );
    script.sends(sync());
    for n in 1..MAX_PREPARED {
        assert_eq!(script.sends(parse(&n.to_string(), "SHOW lists")), ["1"]);
    }
    assert_eq!(
        script.sends(parse("1", "SHOW lists")),
        ["E 42P05 prepared statement \"1\" already exists"]
    );
    script.sends(sync());
    assert_eq!(
        script.sends(parse("x", "SHOW lists")),
        ["E 54000 too many prepared statements"]
    );
}

#[test]
fn a_message_that_no_console_takes_ends_the_session() {
    let mut script = Script::new(Role::Admin);
    let refused = script
        .0
        .receive(Tag::FunctionCall, &[], &mut Vec::new())
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "FATAL 08P01: unsupported packet type for admin console: 70"
    );
    assert!(script.sends((Tag::CopyDone, Vec::new())).is_empty());
}

mod strange {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_body_is_too_strange(tag in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..40)) {
            use crate::wire::frontend::Frontend;
            use crate::wire::head::Direction;
            if let Some(tag) = Frontend::tag(tag) {
                let mut protocol = Protocol::new(Role::Viewer, ErrorStyle::Pgbouncer);
                let _ = protocol.receive(tag, &body, &mut Vec::new());
            }
        }
    }
}
