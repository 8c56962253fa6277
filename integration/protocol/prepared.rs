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
use crate::script::{Client, Message, Server, Stage};

const SQL: &str = "select 1";

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
fn an_unnamed_statement_is_prepared_again_on_another_server() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut first) = stage.pair();
    prepares_unnamed(&mut client, &mut first, "select 7");
    let _holder = holds(&stage, &mut first);
    client.sends([bind("", ""), execute("", 0), sync()]);
    let mut second = stage.host.accepts();
    second.receives([parse("", "select 7"), bind("", ""), execute("", 0), sync()]);
    second.sends([
        parse_complete(),
        bind_complete(),
        row("7"),
        complete("SELECT 1"),
        ready(Idle),
    ]);
    client.receives([bind_complete(), row("7"), complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn the_unnamed_statement_of_another_client_is_never_used() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares_unnamed(&mut client, &mut server, "select 'alice'");
    let mut other = stage.client("bob");
    other.sends([bind("", ""), execute("", 0), sync()]);
    server.receives([close_statement(""), bind("", ""), execute("", 0), sync()]);
    server.sends([
        close_complete(),
        error("26000", "does not exist"),
        ready(Idle),
    ]);
    other.receives([error("26000", "does not exist"), ready(Idle)]);
    // Hers is still hers.
    client.sends([bind("", ""), sync()]);
    server.answers(
        [parse("", "select 'alice'"), bind("", ""), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn the_unnamed_statement_of_another_client_is_not_used_after_an_error_of_hers_either() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let messages = || {
        [
            parse("", "select 1/0"),
            bind("", ""),
            execute("", 0),
            sync(),
        ]
    };
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            error("22012", ""),
            ready(Idle),
        ]
    };
    client.sends(messages());
    server.answers(messages(), replies());
    client.receives(replies());
    let mut other = stage.client("bob");
    other.sends([bind("", ""), execute("", 0), sync()]);
    server.receives([close_statement(""), bind("", ""), execute("", 0), sync()]);
    server.sends([
        close_complete(),
        error("26000", "does not exist"),
        ready(Idle),
    ]);
    other.receives([error("26000", "does not exist"), ready(Idle)]);
}

// PostgreSQL would still have the one before; which it was is not remembered here.
#[test]
fn a_skipped_unnamed_parse_is_never_run() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares_unnamed(&mut client, &mut server, "select 'old'");
    let messages = || [bind("", "none"), parse("", "select 'new'"), sync()];
    client.sends(messages());
    server.answers(messages(), [error("26000", ""), ready(Idle)]);
    client.receives([error("26000", ""), ready(Idle)]);
    client.sends([bind("", ""), execute("", 0), sync()]);
    server.receives([close_statement(""), bind("", ""), execute("", 0), sync()]);
    server.sends([close_complete(), error("26000", ""), ready(Idle)]);
    client.receives([error("26000", ""), ready(Idle)]);
}

#[test]
fn an_unnamed_statement_survives_a_failure_to_bind_it() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares_unnamed(&mut client, &mut server, "select 7");
    client.sends([bind("", ""), sync()]);
    server.answers([bind("", ""), sync()], [error("22P02", ""), ready(Idle)]);
    client.receives([error("22P02", ""), ready(Idle)]);
    client.sends([bind("", ""), sync()]);
    server.answers(
        [parse("", "select 7"), bind("", ""), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn a_query_of_the_poolers_own_takes_the_unnamed_statement_from_the_server() {
    let stage = Stage::with_pool(
        "size = 1\nserver_check_query = \"SELECT 'check'\"\nserver_check_delay = \"0s\"",
    );
    let (mut client, mut server) = stage.pair();
    client.sends([parse("", "select 7"), sync()]);
    server.answers(query("SELECT 'check'"), [complete("SELECT 1"), ready(Idle)]);
    server.answers(
        [parse("", "select 7"), sync()],
        [parse_complete(), ready(Idle)],
    );
    client.receives([parse_complete(), ready(Idle)]);
    client.sends([bind("", ""), sync()]);
    server.answers(query("SELECT 'check'"), [complete("SELECT 1"), ready(Idle)]);
    server.answers(
        [parse("", "select 7"), bind("", ""), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([bind_complete(), ready(Idle)]);
}

#[test]
fn a_simple_query_takes_the_unnamed_statement() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    prepares_unnamed(&mut client, &mut server, "select 7");
    client.sends(query("select 1"));
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    client.sends([bind("", ""), sync()]);
    server.answers([bind("", ""), sync()], [error("26000", ""), ready(Idle)]);
    client.receives([error("26000", ""), ready(Idle)]);
}

#[test]
fn prepare_unnamed_keeps_unnamed_statements_on_the_server() {
    let stage = Stage::with_pool("size = 1\nprepare_unnamed = true");
    let (mut client, mut server) = stage.pair();
    client.sends([parse("", SQL), bind("", ""), sync()]);
    let name = name_in_parse(&server.next("a Parse"));
    assert!(!name.is_empty());
    server.answers(
        [bind("", &name), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([parse_complete(), bind_complete(), ready(Idle)]);
    let mut other = stage.client("bob");
    other.sends([parse("", SQL), bind("", ""), sync()]);
    server.answers([bind("", &name), sync()], [bind_complete(), ready(Idle)]);
    other.receives([parse_complete(), bind_complete(), ready(Idle)]);
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
    second.receives(parse("", "."));
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

fn prepares_unnamed(client: &mut Client, server: &mut Server, sql: &str) {
    let messages: [Message; 2] = [parse("", sql), sync()];
    client.sends(messages.clone());
    server.answers(messages, [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
}

/// Another client that begins a transaction on this server.
fn holds(stage: &Stage, server: &mut Server) -> Client {
    let mut holder = stage.client("holder");
    holder.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    holder.receives([complete("BEGIN"), ready(InTransaction)]);
    holder
}

#[test]
fn a_large_unnamed_statement_waits_for_its_bind_between_exchanges() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let sql = format!("select '{}'", "x".repeat(100_000));
    prepares_unnamed(&mut client, &mut server, &sql);
    let messages = [bind("", ""), execute("", 0), sync()];
    client.sends(messages.clone());
    server.answers(
        messages,
        [bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)],
    );
    client.receives([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn an_unnamed_statement_too_long_to_be_remembered_is_bound_where_it_is() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let sql = format!("select '{}'", "x".repeat(6 * 1024 * 1024));
    let messages = [parse("", &sql), bind("", ""), execute("", 0), sync()];
    let sender = std::thread::spawn(move || {
        client.sends(messages);
        client
    });
    server.answers(
        [parse("", &sql), bind("", ""), execute("", 0), sync()],
        [
            parse_complete(),
            bind_complete(),
            row("1"),
            complete("SELECT 1"),
            ready(Idle),
        ],
    );
    let mut client = sender.join().expect("the client has sent its statement");
    client.receives([
        parse_complete(),
        bind_complete(),
        row("1"),
        complete("SELECT 1"),
        ready(Idle),
    ]);
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
        bytes.resize(5_000, 0);
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
