//! COPY in, out and both, in the simple and the extended protocol.

use crate::script::backend::{self, Idle, bind_complete, complete, error, parse_complete, ready};
use crate::script::frontend::{
    bind, copy_data, copy_done, copy_fail, execute, parse, query, startup_with, sync,
};
use crate::script::{Client, Server, Stage};

const COPY: &str = "copy t from stdin";

#[test]
fn copy_out_passes() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let replies = || {
        [
            backend::copy_out(),
            backend::copy_data(b"1\n"),
            backend::copy_data(b"2\n"),
            backend::copy_done(),
            complete("COPY 2"),
            ready(Idle),
        ]
    };
    client.sends(query("copy t to stdout"));
    server.answers(query("copy t to stdout"), replies());
    client.receives(replies());
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn copy_in_passes() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    begin_simple_copy(&mut client, &mut server);
    let data = || [copy_data(b"1\n"), copy_data(b"2\n"), copy_done()];
    client.sends(data());
    server.answers(data(), [complete("COPY 2"), ready(Idle)]);
    client.receives([complete("COPY 2"), ready(Idle)]);
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn a_copy_that_the_client_gives_up_leaves_the_server_usable() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    begin_simple_copy(&mut client, &mut server);
    let data = || [copy_data(b"1\n"), copy_fail("no more")];
    client.sends(data());
    server.answers(
        data(),
        [error("57014", "COPY from stdin failed"), ready(Idle)],
    );
    client.receives([error("57014", "COPY from stdin failed"), ready(Idle)]);
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn a_copy_that_the_server_refuses_midway_ends_for_the_client_at_once() {
    let stage = Stage::with_pool("size = 2");
    let (mut client, mut server) = stage.pair();
    begin_simple_copy(&mut client, &mut server);
    client.sends(copy_data(b"x\n"));
    server.answers(
        copy_data(b"x\n"),
        [error("22P02", "not a number"), ready(Idle)],
    );
    client.receives([error("22P02", "not a number"), ready(Idle)]);
    // Sent before the client could know; PostgreSQL drops it.
    client.sends([copy_data(b"y\n"), copy_done(), query("select 1")]);
    let mut server = server_with(&stage, server);
    skip_late_copy(&mut server);
    server.sends([complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn an_extended_copy_whose_sync_was_sent_too_early_goes_on_to_its_second_sync() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    begin_extended_copy(&mut client, &mut server, true);
    let data = || [copy_data(b"1\n"), copy_done(), sync()];
    client.sends(data());
    server.answers(data(), [complete("COPY 1"), ready(Idle)]);
    client.receives([complete("COPY 1"), ready(Idle)]);
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn a_sync_within_a_copy_earns_no_reply() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    begin_extended_copy(&mut client, &mut server, false);
    // It set out before the client could know that there is a COPY.
    client.sends(sync());
    server.receives(sync());
    let data = || [copy_data(b"1\n"), copy_done(), sync()];
    client.sends(data());
    server.answers(data(), [complete("COPY 1"), ready(Idle)]);
    client.receives([complete("COPY 1"), ready(Idle)]);
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn a_sync_that_met_a_failed_copy_is_answered_and_the_server_is_not_used_again() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    begin_extended_copy(&mut client, &mut server, false);
    client.sends(sync());
    server.answers(sync(), [error("57014", "canceled"), ready(Idle)]);
    client.receives([error("57014", "canceled"), ready(Idle)]);
    server.is_said_goodbye();
    client.sends(query("select 1"));
    let mut server = stage.host.accepts();
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn an_extended_copy_without_an_early_sync_passes() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    begin_extended_copy(&mut client, &mut server, false);
    let data = || [copy_data(b"1\n"), copy_done(), sync()];
    client.sends(data());
    server.answers(data(), [complete("COPY 1"), ready(Idle)]);
    client.receives([complete("COPY 1"), ready(Idle)]);
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn copy_data_may_be_sent_with_the_statement_that_asks_for_it() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let whole = || {
        vec![
            parse("", COPY),
            bind("", ""),
            execute("", 0),
            copy_data(b"1\n"),
            copy_done(),
            sync(),
        ]
    };
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            backend::copy_in(),
            complete("COPY 1"),
            ready(Idle),
        ]
    };
    client.sends(whole());
    server.answers(whole(), replies());
    client.receives(replies());
    server_is_lent_again(&stage, &mut server);
}

#[test]
fn an_extended_copy_that_fails_midway_is_over_at_the_sync() {
    for ending in [copy_done(), copy_fail("no more")] {
        let stage = Stage::with_pool("size = 2");
        let (mut client, mut server) = stage.pair();
        begin_extended_copy(&mut client, &mut server, true);
        client.sends(copy_data(b"x\n"));
        server.answers(copy_data(b"x\n"), error("22P02", "not a number"));
        client.receives(error("22P02", "not a number"));
        client.sends([copy_data(b"y\n"), ending.clone(), sync()]);
        server.answers([copy_data(b"y\n"), ending, sync()], ready(Idle));
        client.receives(ready(Idle));
        // Whether the early Sync was read within the COPY cannot be known: nobody else gets
        // this server.
        server.is_said_goodbye();
        client.sends(query("select 1"));
        let mut server = stage.host.accepts();
        server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
        client.receives([complete("SELECT 1"), ready(Idle)]);
    }
}

#[test]
fn a_replication_client_has_its_own_server_which_is_closed_after_it() {
    let stage = Stage::with_pool("size = 1");
    let mut client = stage.pooler.connects();
    client.sends(startup_with(
        3 << 16,
        &[
            ("user", "alice"),
            ("database", "shop"),
            ("replication", "database"),
        ],
    ));
    let mut server = stage.host.accepts();
    client.is_welcomed();
    client.sends(query("START_REPLICATION SLOT s LOGICAL 0/0"));
    server.answers(
        query("START_REPLICATION SLOT s LOGICAL 0/0"),
        [backend::copy_both(), backend::copy_data(b"w1")],
    );
    client.receives([backend::copy_both(), backend::copy_data(b"w1")]);
    client.asks_server(&mut server, copy_data(b"r1"), backend::copy_data(b"w2"));
    client.sends(copy_done());
    let end = || [backend::copy_done(), complete("COPY 0"), ready(Idle)];
    server.answers(copy_done(), end());
    client.receives(end());
    client.sends(crate::script::frontend::terminate());
    server.is_said_goodbye();
}

impl Client {
    /// The client sends this, the server answers that, the client receives it.
    pub(crate) fn asks_server(
        &mut self,
        server: &mut Server,
        message: crate::script::Message,
        reply: crate::script::Message,
    ) {
        self.sends(message.clone());
        server.answers(message, reply.clone());
        self.receives(reply);
    }
}

fn begin_simple_copy(client: &mut Client, server: &mut Server) {
    client.asks_server(server, query(COPY), backend::copy_in());
}

fn begin_extended_copy(client: &mut Client, server: &mut Server, early_sync: bool) {
    let mut messages = vec![parse("", COPY), bind("", ""), execute("", 0)];
    messages.push(if early_sync {
        sync()
    } else {
        crate::script::frontend::flush()
    });
    let replies = || [parse_complete(), bind_complete(), backend::copy_in()];
    client.sends(messages.clone());
    server.answers(messages, replies());
    client.receives(replies());
}

/// Another client gets this very server.
fn server_is_lent_again(stage: &Stage, server: &mut Server) {
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
    stage.host.saw_nobody();
}

/// The server that reads what comes next: the same, as it is back in the pool.
fn server_with(stage: &Stage, server: Server) -> Server {
    stage.host.saw_nobody();
    server
}

fn skip_late_copy(server: &mut Server) {
    server.receives([copy_data(b"y\n"), copy_done(), query("select 1")]);
}
