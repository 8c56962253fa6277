//! What a server says unasked: notices, notifications, parameters, and its last words.

use crate::script::Stage;
use crate::script::backend::{Idle, complete, fatal, notice, notification, parameter, ready, row};
use crate::script::frontend::query;

const SELECT: &str = "select 1";

#[test]
fn notices_notifications_and_parameters_pass_in_the_middle_of_an_answer() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SELECT));
    let replies = || {
        [
            notice("first"),
            row("1"),
            notification("channel"),
            complete("SELECT 1"),
            parameter("TimeZone", "Europe/Paris"),
            parameter("is_superuser", "on"),
            ready(Idle),
        ]
    };
    server.answers(query(SELECT), replies());
    client.receives(replies());
}

#[test]
fn what_an_idle_server_says_is_for_nobody() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    server.sends([
        notice("somebody is there"),
        notification("channel"),
        notice("again"),
    ]);
    client.sends(query(SELECT));
    // What arrived before the server was lent is dropped. What arrives with the query may pass.
    server.answers(query(SELECT), [complete("SELECT 1"), ready(Idle)]);
    loop {
        match client.next("the answer").tag() {
            b'N' | b'A' => {}
            b'C' => break,
            other => panic!("an unexpected message {other}"),
        }
    }
    client.receives(ready(Idle));
    stage.host.saw_nobody();
}

#[test]
fn a_parameter_that_changed_while_the_server_was_idle_is_set_back_for_the_client() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    server.sends(parameter("TimeZone", "Asia/Tokyo"));
    client.sends(query(SELECT));
    let set = "SELECT pg_catalog.set_config(E'TimeZone', E'UTC', false)";
    server.answers(
        query(set),
        [
            row("UTC"),
            complete("SELECT 1"),
            parameter("TimeZone", "UTC"),
            ready(Idle),
        ],
    );
    server.answers(query(SELECT), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_server_that_ends_while_idle_is_replaced_and_nobody_notices() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    server.sends(fatal(
        "57P01",
        "terminating connection due to administrator command",
    ));
    drop(server);
    client.sends(query(SELECT));
    let mut server = stage.host.accepts();
    server.answers(query(SELECT), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_server_that_ends_in_the_middle_of_a_query_is_heard_by_its_client_and_replaced() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SELECT));
    server.answers(
        query(SELECT),
        [row("1"), fatal("57P01", "terminating connection")],
    );
    client.receives([row("1"), fatal("57P01", "terminating connection")]);
    client.is_closed();
    server.ends();
    let mut client = stage.client("bob");
    client.sends(query(SELECT));
    let mut server = stage.host.accepts();
    server.answers(query(SELECT), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}
