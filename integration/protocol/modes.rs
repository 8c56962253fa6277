//! Session and statement pooling.

use crate::script::Stage;
use crate::script::backend::{
    Idle, InTransaction, bind_complete, complete, fatal, parse_complete, ready,
};
use crate::script::frontend::{bind, parse, query, sync, terminate};

#[test]
fn in_session_mode_a_client_keeps_its_server_and_its_names() {
    let stage = Stage::with_pool("mode = \"session\"\nsize = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([parse("mine", "select 1"), sync()]);
    server.answers(
        [parse("mine", "select 1"), sync()],
        [parse_complete(), ready(Idle)],
    );
    client.receives([parse_complete(), ready(Idle)]);
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    client.sends([bind("", "mine"), sync()]);
    server.answers([bind("", "mine"), sync()], [bind_complete(), ready(Idle)]);
    client.receives([bind_complete(), ready(Idle)]);
    // The server goes on when its client has left, and not before it is cleaned.
    client.sends(terminate());
    client.is_closed();
    server.answers(query("DISCARD ALL"), [complete("DISCARD ALL"), ready(Idle)]);
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn in_statement_mode_a_server_goes_back_after_each_statement() {
    let stage = Stage::with_pool("mode = \"statement\"\nsize = 1");
    let (mut client, mut server) = stage.pair();
    let mut other = stage.client("bob");
    for _ in 0..3 {
        client.sends(query("select 1"));
        server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
        client.receives([complete("SELECT 1"), ready(Idle)]);
        other.sends(query("select 2"));
        server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
        other.receives([complete("SELECT 1"), ready(Idle)]);
    }
}

#[test]
fn in_statement_mode_a_transaction_is_refused() {
    let stage = Stage::with_pool("mode = \"statement\"\nsize = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    client.receives([complete("BEGIN"), ready(InTransaction)]);
    client.receives(fatal(
        "08P01",
        "transaction blocks not allowed in statement pooling mode",
    ));
    client.is_closed();
    server.ends();
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    let mut server = stage.host.accepts();
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}
