//! What a client leaves on a server is cleaned before the next client gets it.

use crate::script::backend::{
    Idle, InTransaction, bind_complete, complete, error, parse_complete, ready,
};
use crate::script::frontend::{bind, execute, parse, query, sync};
use crate::script::server::CLEANING;
use crate::script::{Client, Server, Stage};

#[test]
fn what_leaves_something_behind_is_cleaned() {
    for (sql, tag) in [
        ("set work_mem = '1MB'", "SET"),
        ("set role other", "SET"),
        ("reset all", "RESET"),
        ("listen news", "LISTEN"),
        ("select pg_advisory_lock(1)", "SELECT 1"),
        ("select PG_TRY_ADVISORY_LOCK(1)", "SELECT 1"),
        ("create temp table t ()", "CREATE TABLE"),
        ("select 1 into temporary t", "SELECT 1"),
        ("select set_config('role', 'other', false)", "SELECT 1"),
        ("call p()", "CALL"),
        ("call p()", "CALL"),
    ] {
        let stage = Stage::with_pool("size = 1");
        let (mut client, mut server) = stage.pair();
        runs(&mut client, &mut server, sql, tag);
        // On the pooler's time: nobody has asked for the server yet.
        server.is_cleaned();
        next_is_served(&stage, &mut server);
    }
}

#[test]
fn a_cursor_with_hold_is_cleaned_after_its_transaction() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let messages = [
        query("begin"),
        query("declare c cursor with hold for select 1"),
    ];
    client.sends(messages.clone());
    let replies = || {
        [
            complete("BEGIN"),
            ready(InTransaction),
            complete("DECLARE CURSOR"),
            ready(InTransaction),
        ]
    };
    server.answers(messages, replies());
    client.receives(replies());
    runs(&mut client, &mut server, "commit", "COMMIT");
    server.is_cleaned();
    next_is_served(&stage, &mut server);
}

#[test]
fn sql_prepare_makes_the_server_discard_all() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    for (sql, tag) in [
        ("prepare p as select 1", "PREPARE"),
        ("do $$ begin end $$", "DO"),
    ] {
        runs(&mut client, &mut server, sql, tag);
        server.answers(query("DISCARD ALL"), [complete("DISCARD ALL"), ready(Idle)]);
    }
    next_is_served(&stage, &mut server);
}

#[test]
fn load_costs_the_server() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    runs(&mut client, &mut server, "load 'library'", "LOAD");
    server.is_said_goodbye();
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    let mut server = stage.host.accepts();
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn what_leaves_nothing_behind_is_not_cleaned() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    for (sql, tag) in [
        ("select 1", "SELECT 1"),
        ("insert into t values (1)", "INSERT 0 1"),
        ("update t set a = 1", "UPDATE 5"),
        ("delete from t", "DELETE 5"),
        ("begin; commit", "COMMIT"),
        ("create table t ()", "CREATE TABLE"),
    ] {
        runs(&mut client, &mut server, sql, tag);
    }
    next_is_served(&stage, &mut server);
}

#[test]
fn a_prepared_statement_that_leaves_something_behind_is_known_whoever_runs_it() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    const LOCK: &str = "select pg_advisory_lock(1)";
    client.sends([parse("a", LOCK), sync()]);
    let name = crate::pipeline::name_in_parse(&server.next("a Parse"));
    server.answers(sync(), [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
    server.is_cleaned();
    client.sends([bind("", "a"), execute("", 0), sync()]);
    let replies = || [bind_complete(), complete("SELECT 1"), ready(Idle)];
    server.answers([bind("", &name), execute("", 0), sync()], replies());
    client.receives(replies());
    server.is_cleaned();
    next_is_served(&stage, &mut server);
}

#[test]
fn an_unnamed_statement_that_leaves_something_behind_is_known_when_it_is_run_again() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let lock = || parse("", "select pg_advisory_lock(1)");
    client.sends([lock(), sync()]);
    server.answers([lock(), sync()], [parse_complete(), ready(Idle)]);
    client.receives([parse_complete(), ready(Idle)]);
    server.is_cleaned();
    client.sends([bind("", ""), execute("", 0), sync()]);
    server.answers(
        [lock(), bind("", ""), execute("", 0), sync()],
        [
            parse_complete(),
            bind_complete(),
            complete("SELECT 1"),
            ready(Idle),
        ],
    );
    client.receives([bind_complete(), complete("SELECT 1"), ready(Idle)]);
    server.is_cleaned();
    next_is_served(&stage, &mut server);
}

#[test]
fn a_server_that_cannot_be_cleaned_is_closed() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    runs(&mut client, &mut server, "set role other", "SET");
    server.answers(
        query(CLEANING),
        [error("42501", "permission denied"), ready(Idle)],
    );
    server.is_said_goodbye();
    let mut server = stage.pair_after("bob");
    next_is_served(&stage, &mut server.1);
}

#[test]
fn a_client_that_comes_back_at_once_does_not_overtake_the_cleaning() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    runs(&mut client, &mut server, "listen news", "LISTEN");
    client.sends(query("select 1"));
    server.is_cleaned();
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

impl Stage {
    /// A further client, whose query opens a further server.
    fn pair_after(&self, user: &str) -> (Client, Server) {
        let mut client = self.client(user);
        client.sends(query("select 0"));
        let mut server = self.host.accepts();
        server.answers(query("select 0"), [complete("SELECT 1"), ready(Idle)]);
        client.receives([complete("SELECT 1"), ready(Idle)]);
        (client, server)
    }
}

fn runs(client: &mut Client, server: &mut Server, sql: &str, tag: &str) {
    client.sends(query(sql));
    server.answers(query(sql), [complete(tag), ready(Idle)]);
    client.receives([complete(tag), ready(Idle)]);
}

/// The very next thing the server hears is another client's query.
fn next_is_served(stage: &Stage, server: &mut Server) {
    let mut other = stage.client("bob");
    runs(&mut other, server, "select 2", "SELECT 1");
}
