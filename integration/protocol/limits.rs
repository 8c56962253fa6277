//! Sizes, queues, and the ages of servers.

use crate::script::backend::{Idle, authenticated, complete, fatal, ready};
use crate::script::frontend::{query, startup};
use crate::script::{Client, Server, Setup, Stage};

const SLOW: &str = "select pg_sleep(60)";

#[test]
fn who_waits_longer_than_query_wait_timeout_is_sent_away() {
    let stage = Stage::with_pool("size = 1\nquery_wait_timeout = \"100ms\"");
    let (mut holder, mut server) = stage.pair();
    holder.sends(query(SLOW));
    server.receives(query(SLOW));
    let mut waiting = stage.client("bob");
    waiting.sends(query("select 2"));
    waiting.receives(fatal("08P01", "query_wait_timeout"));
    waiting.is_closed();
    is_done(&mut holder, &mut server);
}

#[test]
fn who_waits_longest_is_served_first() {
    let stage = Stage::with_pool("size = 1");
    let (mut holder, mut server) = stage.pair();
    holder.sends(query(SLOW));
    server.receives(query(SLOW));
    let mut queue = Vec::new();
    for number in 0..5 {
        let mut client = stage.client("waiter");
        client.sends(query(&format!("select {number}")));
        // The next stands behind: pgwarden has served somebody else after this query came.
        let _witness = stage.client("witness");
        queue.push(client);
    }
    is_done(&mut holder, &mut server);
    for (number, mut client) in queue.into_iter().enumerate() {
        server.receives(query(&format!("select {number}")));
        is_done(&mut client, &mut server);
    }
}

#[test]
fn the_server_that_was_used_last_is_used_first() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut first) = stage.pair();
    client.sends(query(SLOW));
    first.receives(query(SLOW));
    let mut other = stage.client("bob");
    other.sends(query(SLOW));
    let mut second = stage.host.accepts();
    second.receives(query(SLOW));
    is_done(&mut client, &mut first);
    is_done(&mut other, &mut second);
    for _ in 0..3 {
        client.sends(query("select 1"));
        second.receives(query("select 1"));
        is_done(&mut client, &mut second);
    }
    first.saw_nothing();
}

#[test]
fn a_server_that_is_too_old_is_closed() {
    let stage = Stage::with_pool("server_lifetime = \"100ms\"");
    let (mut client, mut server) = stage.pair();
    server.is_said_goodbye();
    client.sends(query("select 1"));
    let mut server = stage.host.accepts();
    server.receives(query("select 1"));
    is_done(&mut client, &mut server);
}

#[test]
fn a_server_that_is_idle_for_too_long_is_closed() {
    let stage = Stage::with_pool("server_idle_timeout = \"100ms\"");
    let (_client, mut server) = stage.pair();
    server.is_said_goodbye();
}

#[test]
fn min_size_is_kept_open_without_any_client() {
    let stage = Stage::with_pool("min_size = 2");
    let (_one, _two) = (stage.host.accepts(), stage.host.accepts());
    let mut client = stage.client("alice");
    client.sends(query("select 1"));
    drop(client);
}

#[test]
fn a_server_is_checked_before_it_is_lent_if_a_check_query_is_set() {
    let stage = Stage::with_pool(
        "size = 1\nserver_check_query = \"SELECT 'check'\"\nserver_check_delay = \"0s\"",
    );
    let (mut client, mut server) = stage.pair();
    client.sends(query("select 1"));
    server.answers(query("SELECT 'check'"), [complete("SELECT 1"), ready(Idle)]);
    server.receives(query("select 1"));
    is_done(&mut client, &mut server);
    // One that fails is replaced.
    client.sends(query("select 1"));
    server.receives(query("SELECT 'check'"));
    drop(server);
    let mut server = stage.host.accepts();
    server.receives(query("select 1"));
    is_done(&mut client, &mut server);
}

#[test]
fn the_reserve_opens_to_who_has_waited_for_reserve_timeout() {
    let stage = Stage::with_pool("size = 1\nreserve_size = 1\nreserve_timeout = \"50ms\"");
    let (mut holder, mut server) = stage.pair();
    holder.sends(query(SLOW));
    server.receives(query(SLOW));
    let mut waiting = stage.client("bob");
    waiting.sends(query("select 2"));
    let mut reserve = stage.host.accepts();
    reserve.receives(query("select 2"));
    is_done(&mut waiting, &mut reserve);
    is_done(&mut holder, &mut server);
}

#[test]
fn an_idle_server_of_another_user_makes_room_under_max_connections() {
    let setup = Setup::default().database("max_connections = 1");
    let stage = Stage::new(&setup);
    let mut alice = stage.enters("alice");
    let mut hers = stage.host.accepts();
    alice.is_welcomed();
    let mut bob = stage.enters("bob");
    hers.is_said_goodbye();
    let mut his = stage.host.accepts();
    bob.is_welcomed();
    bob.sends(query("select 1"));
    his.receives(query("select 1"));
    // A busy one does not make room.
    alice.sends(query("select 2"));
    stage.host.saw_nobody();
    is_done(&mut bob, &mut his);
    drop(bob);
    let mut server = stage.host.accepts();
    server.receives(query("select 2"));
    is_done(&mut alice, &mut server);
}

#[test]
fn one_client_more_than_max_is_refused() {
    let stage = Stage::new(&Setup::default().clients("max = 1"));
    let (client, _server) = stage.pair();
    let mut other = stage.enters("bob");
    other.receives([
        authenticated(),
        fatal("53300", "no more connections allowed"),
    ]);
    other.is_closed();
    drop(client);
    crate::script::wait_until("the place is free again", || {
        let mut next = stage.enters("carol");
        next.next("the welcome or a refusal").tag() == b'R'
    });
}

#[test]
fn one_client_more_than_max_clients_of_its_database_is_refused() {
    let setup = Setup::default()
        .database("server.user = \"pool\"\nmax_clients = 1")
        .rest("[databases.ledger]\nport = SERVER_PORT\nserver.user = \"pool\"");
    let stage = Stage::new(&setup);
    let (_client, _server) = stage.pair();
    let mut other = stage.enters("bob");
    other.receives([
        authenticated(),
        fatal("53300", "max_clients of the database"),
    ]);
    let mut elsewhere = stage.pooler.connects();
    elsewhere.sends(startup("bob", "ledger"));
    let _server = stage.host.accepts();
    elsewhere.is_welcomed();
}

#[test]
fn a_silent_client_is_sent_away_after_idle_timeout() {
    let stage = Stage::new(&Setup::default().clients("idle_timeout = \"100ms\""));
    let (mut client, _server) = stage.pair();
    client.receives(fatal("08P01", "client_idle_timeout"));
    client.is_closed();
}

#[test]
fn two_workers_share_one_pool() {
    let stage = Stage::new(&Setup::default().workers(2).pool("size = 1"));
    let (mut client, mut server) = stage.pair();
    let mut other = stage.client("bob");
    for _ in 0..3 {
        for client in [&mut client, &mut other] {
            client.sends(query("select 1"));
            server.receives(query("select 1"));
            is_done(client, &mut server);
        }
    }
    stage.host.saw_nobody();
}

fn is_done(client: &mut Client, server: &mut Server) {
    server.sends([complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}
