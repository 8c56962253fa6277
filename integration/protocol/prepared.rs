//! Prepared statements that follow their clients from server to server.

use crate::pipeline::name_in_parse;
use crate::script::backend::{
    Failed, Idle, InTransaction, bind_complete, close_complete, columns, complete, error, fatal,
    no_data, no_parameters, parse_complete, ready, row, stale_plan,
};
use crate::script::frontend::{
    bind, close_statement, describe_portal, describe_statement, execute, flush, parse, query, sync,
    terminate,
};
use crate::script::{Client, Server, Stage};

pub(crate) const SQL: &str = "select 1";

#[test]
fn a_parse_of_what_the_server_has_is_answered_without_it_in_front_of_a_sync() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares(&mut client, &mut server, "a");
    let mut other = stage.client("bob");
    other.sends([parse("b", SQL), sync()]);
    server.answers(sync(), ready(Idle));
    other.receives([parse_complete(), ready(Idle)]);
}

#[test]
fn a_parse_of_what_the_server_has_is_answered_without_it_in_front_of_a_flush() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares(&mut client, &mut server, "a");
    let mut other = stage.client("bob");
    other.sends([parse("b", SQL), flush()]);
    server.receives(flush());
    other.receives(parse_complete());
    other.sends(sync());
    server.answers(sync(), ready(Idle));
    other.receives(ready(Idle));
}

#[test]
fn an_inserted_reply_comes_in_its_turn() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    let mut other = stage.client("bob");
    other.sends([
        parse("", "select 2"),
        bind("", ""),
        execute("", 0),
        parse("b", SQL),
        bind("", "b"),
        execute("", 0),
        sync(),
    ]);
    server.receives([
        parse("", "select 2"),
        bind("", ""),
        execute("", 0),
        bind("", &name),
        execute("", 0),
        sync(),
    ]);
    other.saw_nothing();
    server.sends([parse_complete(), bind_complete(), row("2")]);
    other.receives([parse_complete(), bind_complete(), row("2")]);
    other.saw_nothing();
    server.sends(complete("SELECT 1"));
    // Its turn has come, whatever the server says next.
    other.receives([complete("SELECT 1"), parse_complete()]);
    server.sends([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
    other.receives([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn an_inserted_reply_comes_behind_a_message_that_arrives_in_two_parts() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares(&mut client, &mut server, "a");
    let mut other = stage.client("bob");
    let part = || [parse("", "select 2"), bind("", ""), describe_portal("")];
    other.sends(part());
    other.sends([parse("b", SQL), sync()]);
    server.receives(part());
    server.receives(sync());
    let (head, tail) = (&columns().bytes[..7], &columns().bytes[7..]);
    server.sends([parse_complete(), bind_complete()]);
    server.sends_bytes(head);
    other.receives([parse_complete(), bind_complete()]);
    assert_eq!(other.next_bytes(7, "the front of a message"), head);
    server.sends_bytes(&[tail, &ready(Idle).bytes].concat());
    assert_eq!(other.next_bytes(tail.len(), "the rest of it"), tail);
    other.receives([parse_complete(), ready(Idle)]);
}

#[test]
fn an_inserted_reply_never_comes_within_a_message() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares(&mut client, &mut server, "a");
    let mut other = stage.client("bob");
    let part = || {
        [
            parse("", "select 2"),
            bind("", ""),
            describe_portal(""),
            flush(),
        ]
    };
    other.sends(part());
    server.receives(part());
    let (head, tail) = (&columns().bytes[..7], &columns().bytes[7..]);
    server.sends([parse_complete(), bind_complete()]);
    server.sends_bytes(head);
    other.receives([parse_complete(), bind_complete()]);
    assert_eq!(other.next_bytes(7, "the front of a message"), head);
    other.sends([parse("b", SQL), flush()]);
    server.receives(flush());
    other.saw_nothing();
    server.sends_bytes(tail);
    assert_eq!(other.next_bytes(tail.len(), "the rest of it"), tail);
    other.receives(parse_complete());
}

#[test]
fn a_statement_is_prepared_silently_on_another_server() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut first) = stage.pair();
    let name = prepares(&mut client, &mut first, "a");
    let mut holder = holds(&stage, &mut first);
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let mut second = stage.host.accepts();
    second.receives([parse(&name, SQL), bind("", &name), execute("", 0), sync()]);
    second.sends([
        parse_complete(),
        bind_complete(),
        row("1"),
        complete("SELECT 1"),
        ready(Idle),
    ]);
    client.receives([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
    holder.sends(query("commit"));
    first.answers(query("commit"), [complete("COMMIT"), ready(Idle)]);
    holder.receives([complete("COMMIT"), ready(Idle)]);
}

#[test]
fn a_failure_to_prepare_again_is_the_answer_to_what_the_client_asked() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut first) = stage.pair();
    let name = prepares(&mut client, &mut first, "a");
    let _holder = holds(&stage, &mut first);
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let mut second = stage.host.accepts();
    second.receives([parse(&name, SQL), bind("", &name), execute("", 0), sync()]);
    second.sends([error("42P01", "table is gone"), ready(Idle)]);
    client.receives([error("42P01", "table is gone"), ready(Idle)]);
    // It is tried anew, since the server does not have it.
    client.sends([bind("", "a"), sync()]);
    second.answers(
        [parse(&name, SQL), bind("", &name), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn a_close_is_answered_once_and_in_order_and_the_server_keeps_the_statement() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    client.sends([bind("", "a"), close_statement("a"), execute("", 0), sync()]);
    server.answers(
        [bind("", &name), execute("", 0), sync()],
        [bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)],
    );
    client.receives([
        bind_complete(),
        close_complete(),
        row("1"),
        complete("SELECT 1"),
        ready(Idle),
    ]);
    client.sends([close_statement("a"), sync()]);
    // Nobody's any more: the server answers, as it does for any name.
    server.answers(
        [close_statement("a"), sync()],
        [close_complete(), ready(Idle)],
    );
    client.receives([close_complete(), ready(Idle)]);
}

#[test]
fn a_name_that_the_client_has_already_is_refused_by_the_server() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    client.sends([parse("a", "select 2"), sync()]);
    server.answers(
        [parse(&name, "select 2"), sync()],
        [error("42P05", "already exists"), ready(Idle)],
    );
    client.receives([error("42P05", "already exists"), ready(Idle)]);
    // It still means what it meant.
    client.sends([bind("", "a"), sync()]);
    server.answers([bind("", &name), sync()], [bind_complete(), ready(Idle)]);
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn the_least_used_statement_makes_room_silently() {
    let stage = Stage::with_pool("size = 1\nmax_prepared_statements = 2");
    let (mut client, mut server) = stage.pair();
    let mut names = Vec::new();
    for sql in ["select 1", "select 2"] {
        client.sends([parse(sql, sql), sync()]);
        names.push(name_in_parse(&server.next("a Parse")));
        server.answers(sync(), [parse_complete(), ready(Idle)]);
        client.receives([parse_complete(), ready(Idle)]);
    }
    client.sends([parse("c", "select 3"), bind("", "c"), sync()]);
    let third = name_in_parse(&server.next("the third Parse"));
    server.answers(
        [close_statement(&names[0]), bind("", &third), sync()],
        [
            parse_complete(),
            close_complete(),
            bind_complete(),
            ready(Idle),
        ],
    );
    client.receives([parse_complete(), bind_complete(), ready(Idle)]);
    // What made room is prepared again when it is needed, in the place of another.
    client.sends([bind("", "select 1"), sync()]);
    server.answers(
        [
            parse(&names[0], "select 1"),
            close_statement(&names[1]),
            bind("", &names[0]),
            sync(),
        ],
        [
            parse_complete(),
            close_complete(),
            bind_complete(),
            ready(Idle),
        ],
    );
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn discard_all_and_deallocate_all_take_all_names() {
    for sql in ["DISCARD ALL", "DEALLOCATE ALL"] {
        let stage = Stage::with_pool("size = 1");
        let (mut client, mut server) = stage.pair();
        let name = prepares(&mut client, &mut server, "a");
        let mut other = stage.client("bob");
        other.sends([parse("b", SQL), sync()]);
        server.answers(sync(), ready(Idle));
        other.receives([parse_complete(), ready(Idle)]);

        client.sends(query(sql));
        server.answers(query(sql), [complete(sql), ready(Idle)]);
        client.receives([complete(sql), ready(Idle)]);
        client.sends([bind("", "a"), sync()]);
        server.answers([bind("", "a"), sync()], [error("26000", ""), ready(Idle)]);
        client.receives([error("26000", ""), ready(Idle)]);
        // The other client's name still works: the server is told the statement anew.
        other.sends([bind("", "b"), sync()]);
        server.answers(
            [parse(&name, SQL), bind("", &name), sync()],
            [parse_complete(), bind_complete(), ready(Idle)],
        );
        other.receives([bind_complete(), ready(Idle)]);
    }
}

#[test]
fn what_follows_discard_all_in_a_pipeline_waits_for_its_answer() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    client.sends([query("DISCARD ALL"), parse("a", SQL), bind("", "a"), sync()]);
    server.receives(query("DISCARD ALL"));
    server.saw_nothing();
    server.sends([complete("DISCARD ALL"), ready(Idle)]);
    let again = name_in_parse(&server.next("a Parse"));
    server.answers(
        [bind("", &again), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([complete("DISCARD ALL"), ready(Idle)]);
    client.receives([parse_complete(), bind_complete(), ready(Idle)]);
    assert_ne!(again, name, "nobody had the statement any more");
}

#[test]
fn sql_deallocate_takes_a_name_of_the_protocol() {
    for sql in ["DEALLOCATE a", "deallocate prepare \"a\" ;"] {
        let stage = Stage::with_pool("size = 1");
        let (mut client, mut server) = stage.pair();
        prepares(&mut client, &mut server, "a");
        client.sends(query(sql));
        client.receives([complete("DEALLOCATE"), ready(Idle)]);
        client.sends([bind("", "a"), sync()]);
        server.answers([bind("", "a"), sync()], [error("26000", ""), ready(Idle)]);
        client.receives([error("26000", ""), ready(Idle)]);
    }
}

#[test]
fn sql_deallocate_in_a_failed_transaction_takes_nothing() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    client.sends([query("begin"), query("bad")]);
    server.receives([query("begin"), query("bad")]);
    server.sends([
        complete("BEGIN"),
        ready(InTransaction),
        error("42601", ""),
        ready(Failed),
    ]);
    client.receives([
        complete("BEGIN"),
        ready(InTransaction),
        error("42601", ""),
        ready(Failed),
    ]);
    client.sends(query("deallocate a"));
    client.receives([error("25P02", "aborted"), ready(Failed)]);
    client.sends(query("rollback"));
    server.answers(query("rollback"), [complete("ROLLBACK"), ready(Idle)]);
    client.receives([complete("ROLLBACK"), ready(Idle)]);
    client.sends([bind("", "a"), sync()]);
    server.answers([bind("", &name), sync()], [bind_complete(), ready(Idle)]);
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn a_plan_whose_result_type_has_changed_heals_by_itself() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    client.sends([bind("", "a"), execute("", 0), sync()]);
    server.answers(
        [bind("", &name), execute("", 0), sync()],
        [stale_plan(), ready(Idle)],
    );
    client.receives([error("0A000", "cached plan"), ready(Idle)]);
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let renewed = name_in_parse(&server.next("a Parse"));
    assert_ne!(name, renewed, "the old one has another result");
    server.answers(
        [bind("", &renewed), execute("", 0), sync()],
        [
            parse_complete(),
            bind_complete(),
            row("1"),
            complete("SELECT 1"),
            ready(Idle),
        ],
    );
    client.receives([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_statement_that_returns_the_same_on_another_server_is_run_there() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut first, name) = described(&stage);
    let _holder = holds(&stage, &mut first);
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let mut second = stage.host.accepts();
    second.answers(
        [parse(&name, SQL), describe_statement(&name), flush()],
        [parse_complete(), no_parameters(), columns()],
    );
    second.answers(
        [bind("", &name), execute("", 0), sync()],
        [bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)],
    );
    client.receives([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_statement_that_returns_something_else_on_another_server_is_refused_and_heals() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut first, name) = described(&stage);
    let _holder = holds(&stage, &mut first);
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let mut second = stage.host.accepts();
    second.answers(
        [parse(&name, SQL), describe_statement(&name), flush()],
        [parse_complete(), no_parameters(), no_data()],
    );
    // Not run, and the transaction is in the state that an error of the server's leaves.
    second.receives(parse("", "VALUES (1), (1, 2) -- refused by pgwarden"));
    second.answers(
        [bind("", &name), execute("", 0), sync()],
        [error("42601", "syntax error"), ready(Idle)],
    );
    // With the routine by which drivers know it.
    client.receives([stale_plan(), ready(Idle)]);
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let renewed = name_in_parse(&second.next("a Parse"));
    assert_ne!(name, renewed);
    second.answers(
        [bind("", &renewed), execute("", 0), sync()],
        [
            parse_complete(),
            bind_complete(),
            complete("INSERT 0 1"),
            ready(Idle),
        ],
    );
    client.receives([bind_complete(), complete("INSERT 0 1"), ready(Idle)]);
}

#[test]
fn another_text_is_another_statement_even_under_the_same_name() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let first = prepares(&mut client, &mut server, "a");
    let mut other = stage.client("bob");
    other.sends([parse("a", "select 2"), sync()]);
    let second = name_in_parse(&server.next("a Parse"));
    assert_ne!(first, second);
    server.answers(sync(), [parse_complete(), ready(Idle)]);
    other.receives([parse_complete(), ready(Idle)]);
    other.sends(terminate());
    client.sends([bind("", "a"), sync()]);
    server.answers([bind("", &first), sync()], [bind_complete(), ready(Idle)]);
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn a_close_that_claims_to_be_longer_than_any_name_ends_its_client_and_costs_no_slot() {
    for tag in [b'C', b'D'] {
        let stage = Stage::with_pool("size = 1");
        let (mut client, mut server) = stage.pair();
        prepares(&mut client, &mut server, "s");
        let mut bytes = vec![tag];
        bytes.extend(1_000_000_i32.to_be_bytes());
        bytes.extend(b"Ss\0");
        bytes.resize(40_000, 0);
        client.sends_bytes(&bytes);
        client.receives(fatal("08P01", "malformed message body"));
        let mut other = stage.client("bob");
        other.sends(query("select 1"));
        drop(server);
        let mut server = stage.host.accepts();
        server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
        other.receives([complete("SELECT 1"), ready(Idle)]);
    }
}

/// A client that has prepared and described `SQL`, and the server it did that on.
fn described(stage: &Stage) -> (Client, Server, String) {
    let (mut client, mut server) = stage.pair();
    let name = prepares(&mut client, &mut server, "a");
    client.sends([describe_statement("a"), sync()]);
    server.answers(
        [describe_statement(&name), sync()],
        [no_parameters(), columns(), ready(Idle)],
    );
    client.receives([no_parameters(), columns(), ready(Idle)]);
    (client, server, name)
}

/// The client prepares `SQL`; returns what the server calls it.
fn prepares(client: &mut Client, server: &mut Server, name: &str) -> String {
    client.sends([parse(name, SQL), sync()]);
    let on_server = name_in_parse(&server.next("a Parse"));
    server.answers(sync(), [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
    on_server
}

/// Another client that begins a transaction on this server.
pub(crate) fn holds(stage: &Stage, server: &mut Server) -> Client {
    let mut holder = stage.client("holder");
    holder.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    holder.receives([complete("BEGIN"), ready(InTransaction)]);
    holder
}
