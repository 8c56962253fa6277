//! Clients that disappear: no slot is lost, no query runs on, no server is shared half way.

use crate::script::backend::{
    Idle, InTransaction, bind_complete, complete, error, parse_complete, ready, row,
};
use crate::script::frontend::{
    bind, copy_data, copy_done, execute, parse, query, startup, sync, terminate,
};
use crate::script::{Client, Message, Server, Stage};

const SLOW: &str = "select pg_sleep(60)";

#[test]
fn a_half_closed_client_in_the_middle_of_a_query_has_it_cancelled() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SLOW));
    server.receives(query(SLOW));
    client.half_closes();
    drop(stage.host.accepts_cancel(&server));
    // The server is not used again, whatever it says.
    server.ends();
    serves_another(&stage);
}

#[test]
fn a_killed_client_in_the_middle_of_a_query_has_it_cancelled() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SLOW));
    server.receives(query(SLOW));
    client.resets();
    drop(stage.host.accepts_cancel(&server));
    server.ends();
    serves_another(&stage);
}

#[test]
fn a_client_killed_within_a_transaction_costs_its_server_and_no_slot() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    client.receives([complete("BEGIN"), ready(InTransaction)]);
    client.resets();
    // Nothing runs, so nothing is cancelled; PostgreSQL rolls back at the end of the connection.
    server.is_said_goodbye();
    stage.host.saw_nobody();
    serves_another(&stage);
}

#[test]
fn a_client_that_says_goodbye_within_a_transaction_costs_its_server() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query("begin"));
    server.answers(query("begin"), [complete("BEGIN"), ready(InTransaction)]);
    client.receives([complete("BEGIN"), ready(InTransaction)]);
    client.sends(terminate());
    client.is_closed();
    server.is_said_goodbye();
    serves_another(&stage);
}

#[test]
fn a_client_that_says_goodbye_behind_its_query_gets_the_answer() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends([query("select 1"), terminate()]);
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    client.is_closed();
    // The Terminate was the client's, not the server's.
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_client_killed_while_it_waits_leaves_the_queue() {
    let stage = Stage::with_pool("size = 1");
    let (mut holder, mut server) = stage.pair();
    holder.sends(query(SLOW));
    server.receives(query(SLOW));
    let mut waiting = stage.client("bob");
    waiting.sends(query("select 2"));
    waiting.resets();
    let mut behind = stage.client("carol");
    behind.sends(query("select 3"));
    server.sends([complete("SELECT 1"), ready(Idle)]);
    holder.receives([complete("SELECT 1"), ready(Idle)]);
    // Had the kill not been seen in time, the server would be lent, cancelled and replaced.
    server.answers(query("select 3"), [complete("SELECT 1"), ready(Idle)]);
    behind.receives([complete("SELECT 1"), ready(Idle)]);
    stage.host.saw_nobody();
}

#[test]
fn a_client_killed_at_any_byte_of_its_messages_loses_no_slot() {
    let stage = Stage::with_pool("size = 1\nmax_prepared_statements = 5");
    let (client, server) = stage.pair();
    drop(client);
    let mut server = Some(server);
    let bytes: Vec<u8> = [startup("alice", "shop")]
        .into_iter()
        .chain(conversation())
        .flat_map(|message| message.bytes)
        .collect();
    for cut in 0..=bytes.len() {
        let mut client = stage.pooler.connects();
        client.sends_bytes(&bytes[..cut]);
        client.resets();
        server = Some(next_is_served(&stage, server.take()));
    }
}

#[test]
fn a_client_killed_at_any_message_boundary_of_an_answer_loses_no_slot() {
    let stage = Stage::with_pool("size = 1");
    let replies = || {
        [
            parse_complete(),
            bind_complete(),
            row("1"),
            complete("SELECT 1"),
            error("57014", ""),
            ready(Idle),
        ]
    };
    let (first, server) = stage.pair();
    drop(first);
    let mut server = server;
    for count in 0..=replies().len() {
        let mut client = stage.client("alice");
        let messages = || [parse("", "select 1"), bind("", ""), execute("", 0), sync()];
        client.sends(messages());
        server.receives(messages());
        let mut heard = replies().to_vec();
        heard.truncate(count);
        server.sends(heard.clone());
        client.receives(heard);
        client.resets();
        server = next_is_served(&stage, Some(server));
    }
}

/// Messages of several kinds, each a state to be killed in.
fn conversation() -> Vec<Message> {
    vec![
        parse("s", "select 1"),
        bind("", "s"),
        execute("", 0),
        sync(),
        query("begin"),
        query("copy t from stdin"),
        copy_data(b"1\n"),
        copy_done(),
        query("commit"),
    ]
}

/// A next client's query is answered, by the old server or a new one. Whatever reaches the old
/// one before that is the dead client's.
fn next_is_served(stage: &Stage, old: Option<Server>) -> Server {
    let mut client = stage.client("next");
    let mine = query("select 'next'");
    client.sends(mine.clone());
    let mut server = old.filter(|_| true);
    loop {
        if let Some(socket) = stage.host.try_accept() {
            let mut peer = crate::script::Peer::new("server", crate::script::Wire::Tcp(socket));
            let mut packet = peer.next_packet();
            if packet == [4, 210, 22, 47] {
                peer.sends_bytes(b"N");
                packet = peer.next_packet();
            }
            if packet[..2] == [0, 3] {
                let mut opened = stage.host.adopts(peer);
                opened.welcomes();
                server = Some(opened);
            }
            continue;
        }
        let Some(current) = &mut server else {
            std::thread::yield_now();
            continue;
        };
        match current.tries_next() {
            Some(Some(message)) if message == mine => {
                current.sends([complete("SELECT 1"), ready(Idle)]);
                client.receives([complete("SELECT 1"), ready(Idle)]);
                return server.expect("it is here");
            }
            Some(Some(_)) | None => {}
            Some(None) => server = None,
        }
    }
}

fn serves_another(stage: &Stage) -> Client {
    let mut client = stage.client("next");
    client.sends(query("select 2"));
    let mut server = stage.host.accepts();
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    client
}
