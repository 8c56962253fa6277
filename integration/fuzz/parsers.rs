//! Everything that parses without a conversation.

use pgwarden::auth::certificate::CertificateNames;
use pgwarden::auth::scram::Verifier;
use pgwarden::auth::userlist::Userlist;
use pgwarden::console::Role;
use pgwarden::console::command::Command;
use pgwarden::policy::normalize::normalize;
use pgwarden::wire::backend::Backend;
use pgwarden::wire::error_response::{Fields, Severity};
use pgwarden::wire::frontend::Frontend;
use pgwarden::wire::head::{Direction, Head};
use pgwarden::wire::startup::StartupPacket;

use crate::Target;
use crate::script::{backend, frontend};

pub(crate) fn targets() -> Vec<Box<dyn Target>> {
    let make = |name, corpus, read| Box::new(Parser { name, corpus, read }) as Box<dyn Target>;
    vec![
        make("startup", startup_corpus, startup),
        make("frontend framing", frontend_corpus, framing::<Frontend>),
        make("backend framing", backend_corpus, framing::<Backend>),
        make("error fields", error_corpus, error_fields),
        make("userlist", text_corpus, userlist),
        make("verifier", text_corpus, verifier),
        make("certificate", certificate_corpus, certificate),
        make("console", command_corpus, command),
        make("normalize", sql_corpus, normal_form),
    ]
}

/// A function that reads bytes.
struct Parser {
    name: &'static str,
    corpus: fn() -> Vec<Vec<u8>>,
    read: fn(&[u8]),
}

impl Target for Parser {
    fn name(&self) -> &'static str {
        self.name
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        (self.corpus)()
    }

    fn read(&mut self, input: &[u8]) {
        (self.read)(input);
    }
}

fn startup(input: &[u8]) {
    let Ok(Some((packet, len))) = StartupPacket::parse(input) else {
        return;
    };
    assert!(len <= input.len() && len <= StartupPacket::MAX_LEN);
    // A front of a packet is no packet, and what follows one is not looked at.
    assert_eq!(StartupPacket::parse(&input[..len - 1]), Ok(None));
    assert_eq!(StartupPacket::parse(&input[..len]), Ok(Some((packet, len))));
}

fn framing<D: Direction>(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some(head)) = Head::<D>::parse(rest) {
        assert_eq!(head.message_len(), head.body_len() + Head::<D>::LEN);
        let Some(next) = rest.get(head.message_len()..) else {
            break;
        };
        rest = next;
    }
}

fn error_fields(input: &[u8]) {
    let fields = Fields::parse(input);
    let mut bytes = Vec::new();
    fields.to_response(Severity::Error).put(&mut bytes);
    let head = Head::<Backend>::parse(&bytes).expect("our own error is a message");
    assert_eq!(head.map(|head| head.message_len()), Some(bytes.len()));
    assert!(Fields::parse(&bytes[5..]).code.is_some());
}

fn command(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Command::parse(&text) {
        // Whatever it is, its right is known: a viewer gets no further than SHOW.
        Ok(command) => {
            let admin = command.required_role() == Role::Admin;
            assert_eq!(Role::Viewer.permits(&command).is_err(), admin);
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
}

fn command_corpus() -> Vec<Vec<u8>> {
    [
        "show pools",
        "SHOW CLIENTS;",
        "select 1",
        "pause \"shop\"",
        "kill_client 7",
        "shutdown wait_for_clients",
        "set pool_mode = 'session'",
        "show time zone",
        "deallocate prepare a",
        "/* hello */ reload -- all",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn normal_form(input: &[u8]) {
    let normal = normalize(&String::from_utf8_lossy(input));
    // Outside quoted identifiers no string is left, and no comment.
    let outside: Vec<_> = normal.split('"').step_by(2).collect();
    let outside = outside.join(" ");
    assert!(!outside.contains('\''), "{normal}");
    assert!(
        !outside.contains("--") && !outside.contains("/*"),
        "{normal}"
    );
}

fn sql_corpus() -> Vec<Vec<u8>> {
    [
        "select 'a''b', E'c\\'d', U&'\\0061' uescape '!', B'01', x'1F' from t",
        "select E'a'\n -- b\n 'c\\'d' where e = 1.5e-3 and f = $1",
        "select $$a'b$$, $x$ $$ $y$ $x$, \"q\"\"r\", U&\"s'\"",
        "/* a /* b */ 'c' */ insert into t values (1, 'a'), (-2, N'b') -- d'",
        "select array[1, 2, 3], a$1$b, 0x1F, .5, 1_000 where x in ('é', 'ü')",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn userlist(input: &[u8]) {
    // Problems are what most inputs are.
    if let Ok(users) = Userlist::parse(&String::from_utf8_lossy(input)) {
        assert!(users.users().all(|user| !user.as_str().is_empty()));
    }
}

fn verifier(input: &[u8]) {
    if let Ok(verifier) = String::from_utf8_lossy(input).parse::<Verifier>() {
        assert!(verifier.to_string().parse::<Verifier>().is_ok());
    }
}

fn certificate(input: &[u8]) {
    // Either is fine, as long as it comes to an end.
    drop(CertificateNames::parse(input));
    drop(pgwarden::auth::certificate::end_point_binding(input));
}

fn startup_corpus() -> Vec<Vec<u8>> {
    let key = pgwarden::wire::cancel_key::CancelKey::new(7, &[1; 32]);
    [
        frontend::startup("alice", "shop"),
        frontend::startup_with(
            (3 << 16) | 9,
            &[
                ("user", "é"),
                ("options", r"-c a=b\ c --d-e=f"),
                ("_pq_.x", "1"),
            ],
        ),
        frontend::startup_with(2 << 16, &[("user", "x")]),
        frontend::ssl_request(),
        frontend::gss_request(),
        frontend::cancel_request(&key),
    ]
    .map(|message| message.bytes)
    .into()
}

/// One message of every kind a client sends.
pub(crate) fn frontend_corpus() -> Vec<Vec<u8>> {
    use frontend as f;
    [
        f::query("select 1"),
        f::query("deallocate prepare \"a\""),
        f::parse("a", "select 1"),
        f::parse("", "select $1"),
        f::bind("p", "a"),
        f::bind("", ""),
        f::describe_statement("a"),
        f::describe_portal("p"),
        f::execute("p", 1),
        f::close_statement("a"),
        f::close_portal("p"),
        f::flush(),
        f::sync(),
        f::function_call(1),
        f::copy_data(b"1\n"),
        f::copy_done(),
        f::copy_fail("no"),
        f::password(b"secret\0"),
        f::terminate(),
    ]
    .map(|message| message.bytes)
    .into()
}

/// One message of every kind a server sends.
pub(crate) fn backend_corpus() -> Vec<Vec<u8>> {
    use backend as b;
    [
        b::complete("SELECT 1"),
        b::complete("DISCARD ALL"),
        b::ready(b::Idle),
        b::ready(b::InTransaction),
        b::parse_complete(),
        b::bind_complete(),
        b::close_complete(),
        b::no_data(),
        b::columns(),
        b::row("1"),
        b::suspended(),
        b::copy_in(),
        b::copy_out(),
        b::copy_both(),
        b::copy_data(b"1\n"),
        b::copy_done(),
        b::function_result(b"1"),
        b::parameter("TimeZone", "UTC"),
        b::notification("c"),
        b::notice("n"),
        b::error("42601", "no"),
        b::fatal("57P01", "bye"),
        b::stale_plan(),
        b::authenticated(),
    ]
    .map(|message| message.bytes)
    .into()
}

fn error_corpus() -> Vec<Vec<u8>> {
    [
        backend::error("42601", "no"),
        backend::stale_plan(),
        backend::notice("n"),
    ]
    .map(|message| message.body().to_vec())
    .into()
}

fn text_corpus() -> Vec<Vec<u8>> {
    [
        "\"alice\" \"secret\"\n; comment\n\"b\"\"ob\" \"md5d51c9a7e9353746a6020f9602d452929\"\n",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn certificate_corpus() -> Vec<Vec<u8>> {
    let names = vec!["alice".to_owned(), "db.example.com".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    vec![made.cert.der().to_vec()]
}
