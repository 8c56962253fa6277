//! Servers that break, and servers that break the protocol.

use crate::script::backend::{Idle, authenticated, complete, fatal, parse_complete, ready, row};
use crate::script::frontend::{parse, query, startup, sync};
use crate::script::{Client, Setup, Stage};

const SELECT: &str = "select 1";

#[test]
fn a_server_lost_in_the_middle_of_a_query_is_told_to_the_client() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SELECT));
    server.answers(query(SELECT), row("1"));
    drop(server);
    client.receives([
        row("1"),
        fatal("08006", "server closed the connection unexpectedly"),
    ]);
    client.is_closed();
    serves_another(&stage);
}

#[test]
fn a_server_lost_in_the_middle_of_a_message_is_told_to_the_client() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SELECT));
    server.receives(query(SELECT));
    let whole = row("a long value").bytes;
    server.sends_bytes(&whole[..whole.len() - 3]);
    drop(server);
    // The row cannot be taken back; the client sees that it has no end.
    client.ends();
    serves_another(&stage);
}

#[test]
fn a_server_that_sends_garbage_is_closed_and_nobody_else_is_affected() {
    for garbage in [
        &b"!\0\0\0\x04"[..],    // no such message
        b"Z\xff\xff\xff\xffI",  // a negative length
        b"C\0\0\0\x03",         // a length that does not count itself
        b"Z\0\0\0\x05X",        // no such status
        b"1\0\0\0\x04",         // the answer to what nobody asked
        b"R\0\0\0\x08\0\0\0\0", // a login that is long over
        b"K\0\0\0\x0c\0\0\0\0\0\0\0\0",
    ] {
        let stage = Stage::with_pool("size = 2");
        let (mut client, mut server) = stage.pair();
        let mut bystander = stage.client("bob");
        client.sends(query(SELECT));
        server.receives(query(SELECT));
        bystander.sends(query("select 2"));
        let mut other = stage.host.accepts();
        server.sends_bytes(garbage);
        client.receives(fatal("08P01", "the server broke the protocol"));
        client.is_closed();
        other.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
        bystander.receives([complete("SELECT 1"), ready(Idle)]);
    }
}

#[test]
fn a_second_ready_for_query_that_nobody_asked_for_costs_the_server_its_place() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SELECT));
    server.receives(query(SELECT));
    server.sends([complete("SELECT 1"), ready(Idle), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    let mut second = stage.host.accepts();
    second.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_so_and_costs_no_place() {
    for garbage in [&b"!\0\0\0\x04"[..], b"Q\xff\xff\xff\xff", b"S\0\0\0\x03"] {
        let stage = Stage::with_pool("size = 1");
        let (mut client, _server) = stage.pair();
        client.sends_bytes(garbage);
        client.receives(fatal("08P01", "invalid"));
        client.is_closed();
        let mut other = stage.client("bob");
        other.sends(query(SELECT));
        // The server was never lent, or was closed because of what came before.
        drop(other);
    }
}

#[test]
fn garbage_behind_a_query_does_not_reach_the_server_and_ends_the_client() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends_bytes(&[&query(SELECT).bytes[..], b"!\0\0\0\x04"].concat());
    client.receives(fatal("08P01", "0x21"));
    client.is_closed();
    drop(stage.host.accepts_cancel(&server));
    server.ends();
    serves_another(&stage);
}

#[test]
fn a_failed_server_login_is_told_and_not_repeated_before_server_login_retry() {
    let stage = Stage::with_pool("server_login_retry = \"1h\"");
    let mut client = stage.enters("alice");
    let mut server = stage.host.accepts_startup();
    server.sends(fatal("53300", "sorry, too many clients already"));
    drop(server);
    client.receives([
        authenticated(),
        fatal("53300", "sorry, too many clients already"),
    ]);
    client.is_closed();
    let mut client = stage.enters("alice");
    client.receives([
        authenticated(),
        fatal("53300", "server login has been failing, cached error"),
    ]);
    client.is_closed();
    stage.host.saw_nobody();
}

#[test]
fn a_failed_server_login_is_repeated_after_server_login_retry() {
    let stage = Stage::with_pool("server_login_retry = \"0s\"");
    let mut client = stage.enters("alice");
    let mut server = stage.host.accepts_startup();
    server.sends(fatal("57P03", "the database system is starting up"));
    drop(server);
    // It may be up soon, which is worth waiting for.
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn a_server_that_breaks_off_the_login_is_told_to_the_client_without_its_address() {
    for last in [
        &b"!\0\0\0\x04"[..],
        b"R\xff\xff\xff\xff",
        b"R\0\0\0\x08\0\0\0\x63",
    ] {
        let stage = Stage::with_pool("");
        let mut client = stage.enters("alice");
        let mut server = stage.host.accepts_startup();
        server.sends_bytes(last);
        drop(server);
        client.receives(authenticated());
        let error = client.next_error();
        assert!(fatal("08006", "").is_like(&error), "{error:?}");
        assert!(!String::from_utf8_lossy(error.body()).contains("127.0.0.1"));
        client.is_closed();
    }
}

#[test]
fn a_server_that_does_not_answer_the_login_is_given_up_for_the_next() {
    let pool = "server_connect_timeout = \"100ms\"\nserver_login_retry = \"0s\"";
    let stage = Stage::with_pool(pool);
    let mut client = stage.enters("alice");
    let _silent = stage.host.accepts_startup();
    drop(stage.host.accepts_startup());
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn a_server_that_asks_for_a_cleartext_password_without_tls_does_not_get_it() {
    let setup = Setup::default().database("server = { user = \"pool\", password = \"secret\" }");
    let stage = Stage::new(&setup);
    let mut client = stage.enters("alice");
    let mut server = stage.host.accepts_startup();
    server.sends_bytes(b"R\0\0\0\x08\0\0\0\x03");
    client.receives([
        authenticated(),
        fatal("08006", "login at the server failed"),
    ]);
    server.ends();
}

#[test]
fn an_answer_cut_at_any_byte_arrives_whole() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let replies = || {
        [
            parse_complete(),
            row("1"),
            complete("SELECT 1"),
            ready(Idle),
        ]
    };
    let bytes: Vec<u8> = replies().into_iter().flat_map(|m| m.bytes).collect();
    for cut in 1..bytes.len() {
        let messages = || {
            [
                parse("", SELECT),
                crate::script::frontend::execute("", 0),
                sync(),
            ]
        };
        client.sends(messages());
        server.receives(messages());
        server.sends_bytes(&bytes[..cut]);
        server.sends_bytes(&bytes[cut..]);
        client.receives(replies());
    }
}

#[test]
fn a_question_cut_at_any_byte_arrives_whole() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let bytes = [query("select 1").bytes, startup("x", "y").bytes].concat();
    let bytes = &bytes[..query("select 1").bytes.len()];
    for cut in 1..bytes.len() {
        client.sends_bytes(&bytes[..cut]);
        client.sends_bytes(&bytes[cut..]);
        server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
        client.receives([complete("SELECT 1"), ready(Idle)]);
    }
}

/// A next client gets a new server.
fn serves_another(stage: &Stage) -> Client {
    let mut client = stage.client("next");
    client.sends(query("select 2"));
    let mut server = stage.host.accepts();
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    client
}
