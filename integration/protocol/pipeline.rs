//! Pipelines, Flush, portals, FunctionCall, and errors in the middle.

use crate::script::backend::{
    Failed, Idle, InTransaction, bind_complete, close_complete, columns, complete, empty_query,
    error, function_result, no_data, no_parameters, parse_complete, ready, row, suspended,
};
use crate::script::frontend::{
    bind, close_portal, close_statement, describe_portal, describe_statement, execute, flush,
    function_call, parse, query, sync,
};
use crate::script::{Server, Stage};

#[test]
fn a_function_call_passes_and_the_server_is_cleaned_after_it() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(function_call(1598));
    let replies = || [function_result(b"7"), ready(Idle)];
    server.answers(function_call(1598), replies());
    client.receives(replies());
    server.is_cleaned();
}

#[test]
fn an_empty_query_passes() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(""));
    server.answers(query(""), [empty_query(), ready(Idle)]);
    client.receives([empty_query(), ready(Idle)]);
}

#[test]
fn a_pipeline_of_many_syncs_stays_on_one_server_until_all_are_answered() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut server) = stage.pair();
    let mut messages = Vec::new();
    let mut replies = Vec::new();
    for _ in 0..50 {
        messages.extend([parse("", "select 1"), bind("", ""), execute("", 0), sync()]);
        replies.extend([parse_complete(), bind_complete(), row("1")]);
        replies.extend([complete("SELECT 1"), ready(Idle)]);
    }
    client.sends(messages.clone());
    server.answers(messages, replies.clone());
    client.receives(replies);
    stage.host.saw_nobody();
}

#[test]
fn a_group_behind_one_that_may_fail_does_not_trust_the_unnamed_statement() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let group = || [bind("", ""), execute("", 0), sync()];
    client.sends(parse("", "select 1"));
    client.sends([group(), group()].concat());
    server.receives(parse("", "select 1"));
    server.receives(group());
    server.receives(parse("", "select 1"));
    server.receives(group());
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            row("1"),
            complete("SELECT 1"),
            ready(Idle),
        ]
    };
    server.sends([replies(), replies()].concat());
    client.receives(replies());
    client.receives(replies()[1..].to_vec());
}

#[test]
fn a_group_behind_one_that_changes_names_waits_for_its_answer() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let first = || [bind("", "none"), sync()];
    client.sends([bind("", "none"), parse("s", "select 1"), sync()]);
    client.sends([parse("s", "select 2"), bind("", "s"), sync()]);
    server.receives(bind("", "none"));
    let skipped = name_in_parse(&server.next("the first Parse"));
    server.receives(sync());
    server.saw_nothing();
    server.sends([error("26000", ""), ready(Idle)]);
    // The name is still free.
    let name = name_in_parse(&server.next("the second Parse"));
    assert_ne!(skipped, name);
    server.answers(
        [bind("", &name), sync()],
        [parse_complete(), bind_complete(), ready(Idle)],
    );
    client.receives([error("26000", ""), ready(Idle)]);
    client.receives([parse_complete(), bind_complete(), ready(Idle)]);
    client.sends(first());
    server.answers(first(), [error("26000", ""), ready(Idle)]);
    client.receives([error("26000", ""), ready(Idle)]);
}

#[test]
fn a_client_that_hangs_up_while_its_pipeline_waits_is_noticed() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([
        parse("s", "select 1"),
        sync(),
        parse("t", "select 2"),
        sync(),
    ]);
    server.next("a Parse");
    server.receives(sync());
    client.resets();
    drop(stage.host.accepts_cancel(&server));
    server.ends();
}

#[test]
fn two_queries_sent_at_once_are_answered_one_by_one() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let queries = || [query("select 1"), query("select 2")];
    client.sends(queries());
    let one = || [complete("SELECT 1"), ready(Idle)];
    server.answers(queries(), one());
    client.receives(one());
    server.saw_nothing();
    server.sends(one());
    client.receives(one());
}

#[test]
fn a_flush_without_a_sync_keeps_the_server() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let part = || [parse("", "select 1"), describe_statement(""), flush()];
    client.sends(part());
    let replies = || [parse_complete(), no_parameters(), columns()];
    server.answers(part(), replies());
    client.receives(replies());
    // Another client has to wait as long as the pipeline is open.
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    let rest = || [bind("", ""), execute("", 0), sync()];
    client.sends(rest());
    let replies = || [bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)];
    server.answers(rest(), replies());
    client.receives(replies());
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_flush_alone_passes() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([flush(), sync()]);
    server.answers([flush(), sync()], ready(Idle));
    client.receives(ready(Idle));
}

#[test]
fn a_sync_alone_is_answered_by_the_server() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(sync());
    server.answers(sync(), ready(Idle));
    client.receives(ready(Idle));
}

#[test]
fn a_suspended_portal_goes_on_where_it_stopped() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let first = || {
        [
            parse("", "select 1"),
            bind("p", ""),
            describe_portal("p"),
            execute("p", 1),
            flush(),
        ]
    };
    client.sends(first());
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            columns(),
            row("1"),
            suspended(),
        ]
    };
    server.answers(first(), replies());
    client.receives(replies());
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    for _ in 0..3 {
        client.sends([execute("p", 1), flush()]);
        server.answers([execute("p", 1), flush()], [row("2"), suspended()]);
        client.receives([row("2"), suspended()]);
    }
    let last = || [execute("p", 0), close_portal("p"), sync()];
    client.sends(last());
    let replies = || [complete("SELECT 4"), close_complete(), ready(Idle)];
    server.answers(last(), replies());
    client.receives(replies());
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_portal_suspended_in_a_transaction_survives_a_sync() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    client.receives([complete("BEGIN"), ready(InTransaction)]);
    let first = || {
        [
            parse("", "select 1"),
            bind("p", ""),
            execute("p", 1),
            sync(),
        ]
    };
    client.sends(first());
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            row("1"),
            suspended(),
            ready(InTransaction),
        ]
    };
    server.answers(first(), replies());
    client.receives(replies());
    client.sends([execute("p", 1), sync()]);
    server.answers(
        [execute("p", 1), sync()],
        [row("2"), suspended(), ready(InTransaction)],
    );
    client.receives([row("2"), suspended(), ready(InTransaction)]);
}

#[test]
fn after_an_error_the_client_hears_nothing_of_the_pipeline_up_to_the_sync() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let messages = || {
        [
            parse("", "select 1/0"),
            bind("", ""),
            execute("", 0),
            bind("", ""),
            execute("", 0),
            sync(),
            parse("", "select 2"),
            sync(),
        ]
    };
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            error("22012", "division by zero"),
            ready(Idle),
            parse_complete(),
            ready(Idle),
        ]
    };
    client.sends(messages());
    server.answers(messages(), replies());
    client.receives(replies());
    used_by_another(&stage, &mut server);
}

#[test]
fn a_parse_skipped_after_an_error_is_undone() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([
        parse("bad", "selekt"),
        parse("s", "select 1"),
        bind("", "s"),
        execute("", 0),
        sync(),
    ]);
    let bad = server.next("the first Parse");
    assert_eq!(bad.tag(), b'P');
    for what in [
        "the skipped Parse",
        "the skipped Bind",
        "the skipped Execute",
    ] {
        server.next(what);
    }
    server.answers(sync(), [error("42601", "syntax error"), ready(Idle)]);
    client.receives([error("42601", "syntax error"), ready(Idle)]);
    // The name means nothing to anybody.
    client.sends([bind("", "s"), sync()]);
    server.answers(
        [bind("", "s"), sync()],
        [error("26000", "does not exist"), ready(Idle)],
    );
    client.receives([error("26000", "does not exist"), ready(Idle)]);
    // And it is free.
    client.sends([parse("s", "select 1"), sync()]);
    assert_eq!(server.next("a Parse").tag(), b'P');
    server.answers(sync(), [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
}

#[test]
fn a_close_skipped_after_an_error_is_undone() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([parse("s", "select 1"), sync()]);
    let prepared = server.next("a Parse");
    server.answers(sync(), [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
    client.sends([bind("nowhere", "none"), close_statement("s"), sync()]);
    server.receives([bind("nowhere", "none"), sync()]);
    server.sends([error("26000", ""), ready(Idle)]);
    client.receives([error("26000", ""), ready(Idle)]);
    client.sends([bind("", "s"), execute("", 0), sync()]);
    let name = name_in_parse(&prepared);
    server.answers(
        [bind("", &name), execute("", 0), sync()],
        [bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)],
    );
    client.receives([bind_complete(), row("1"), complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn what_follows_an_error_the_client_has_heard_of_is_skipped_as_well() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([parse("", "selekt"), flush()]);
    server.answers(
        [parse("", "selekt"), flush()],
        error("42601", "syntax error"),
    );
    client.receives(error("42601", "syntax error"));
    client.sends([
        query("select 1"),
        parse("s", "select 1"),
        close_statement("s"),
        sync(),
    ]);
    // What the server is sent up to the Sync does not matter: it skips it.
    while server.next("the Sync").tag() != b'S' {}
    server.sends(ready(Idle));
    client.receives(ready(Idle));
    client.sends([bind("", "s"), sync()]);
    server.answers(
        [bind("", "s"), sync()],
        [error("26000", "does not exist"), ready(Idle)],
    );
    client.receives([error("26000", "does not exist"), ready(Idle)]);
}

#[test]
fn a_failed_transaction_keeps_its_server_until_it_is_rolled_back() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    client.receives([complete("BEGIN"), ready(InTransaction)]);
    client.sends(query("bad"));
    server.answers(query("bad"), [error("42601", ""), ready(Failed)]);
    client.receives([error("42601", ""), ready(Failed)]);
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    client.sends(query("rollback"));
    server.answers(query("rollback"), [complete("ROLLBACK"), ready(Idle)]);
    client.receives([complete("ROLLBACK"), ready(Idle)]);
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn describing_a_statement_without_rows_is_answered_no_data() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let messages = || [parse("", "insert"), describe_statement(""), sync()];
    client.sends(messages());
    let replies = || [parse_complete(), no_parameters(), no_data(), ready(Idle)];
    server.answers(messages(), replies());
    client.receives(replies());
}

fn used_by_another(stage: &Stage, server: &mut Server) {
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

/// The statement's name in a Parse.
pub(crate) fn name_in_parse(parse: &crate::script::Message) -> String {
    assert_eq!(parse.tag(), b'P', "{parse:?}");
    let name = parse.body().split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
