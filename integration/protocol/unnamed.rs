//! Unnamed prepared statements: always the client's own, on whichever server.

use crate::pipeline::name_in_parse;
use crate::prepared::{SQL, holds};
use crate::script::backend::{
    Idle, bind_complete, close_complete, complete, error, parse_complete, ready, row,
};
use crate::script::frontend::{bind, close_statement, execute, parse, query, sync};
use crate::script::{Client, Message, Server, Stage};

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

fn prepares_unnamed(client: &mut Client, server: &mut Server, sql: &str) {
    let messages: [Message; 2] = [parse("", sql), sync()];
    client.sends(messages.clone());
    server.answers(messages, [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
}
