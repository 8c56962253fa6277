//! Cancel requests.

use pgwarden::wire::cancel_key::CancelKey;

use crate::script::backend::{Idle, complete, empty_query, error, ready};
use crate::script::frontend::{cancel_request, query, startup_with};
use crate::script::{Client, Setup, Stage};

const SLOW: &str = "select pg_sleep(60)";
const CANCELED: &str = "canceling statement due to user request";

#[test]
fn a_cancel_request_reaches_the_server_that_runs_the_query() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SLOW));
    server.receives(query(SLOW));
    let _request = cancels(&stage, client.key());
    drop(stage.host.accepts_cancel(&server));
    server.sends([error("57014", CANCELED), ready(Idle)]);
    client.receives([error("57014", CANCELED), ready(Idle)]);
    client.sends(query("select 1"));
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_server_is_not_lent_while_a_cancel_for_it_is_under_way() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SLOW));
    server.receives(query(SLOW));
    let _request = cancels(&stage, client.key());
    let delivery = stage.host.accepts_cancel(&server);
    // The query ends by itself before the cancel has been delivered.
    server.sends([complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    let mut other = stage.client("bob");
    other.sends(query("select 2"));
    server.saw_nothing();
    drop(delivery);
    // An empty query takes a signal that came too late.
    server.answers(query(""), [error("57014", CANCELED), ready(Idle)]);
    server.answers(query("select 2"), [complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_cancel_for_an_idle_client_reaches_nobody() {
    let stage = Stage::with_pool("size = 1");
    let (client, mut server) = stage.pair();
    let mut other = stage.client("bob");
    other.sends(query(SLOW));
    server.receives(query(SLOW));
    // The server ran for this client before and now runs for another.
    cancels(&stage, client.key()).is_closed();
    stage.host.saw_nobody();
    server.sends([complete("SELECT 1"), ready(Idle)]);
    other.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_cancel_with_a_wrong_secret_is_ignored() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    client.sends(query(SLOW));
    server.receives(query(SLOW));
    let pid = client.key().pid();
    for wrong in [
        CancelKey::new(pid, &[0; 4]),
        CancelKey::new(pid, &[0; 32]),
        CancelKey::new(pid ^ 0x0100_0000, &[0; 4]),
        server.key().clone(),
    ] {
        cancels(&stage, &wrong).is_closed();
    }
    stage.host.saw_nobody();
    server.sends([complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

#[test]
fn a_client_that_waits_for_a_server_can_cancel_and_the_queue_goes_on() {
    let stage = Stage::with_pool("size = 1");
    let (mut holder, mut server) = stage.pair();
    holder.sends(query(SLOW));
    server.receives(query(SLOW));
    let mut waiting = stage.client("bob");
    waiting.sends(query("select 2"));
    let mut behind = stage.client("carol");
    behind.sends(query("select 3"));
    cancels_until_told(&stage, &mut waiting);
    server.sends([complete("SELECT 1"), ready(Idle)]);
    holder.receives([complete("SELECT 1"), ready(Idle)]);
    server.answers(query("select 3"), [complete("SELECT 1"), ready(Idle)]);
    behind.receives([complete("SELECT 1"), ready(Idle)]);
    waiting.sends(query("select 4"));
    server.answers(query("select 4"), [complete("SELECT 1"), ready(Idle)]);
    waiting.receives([complete("SELECT 1"), ready(Idle)]);
    stage.host.saw_nobody();
}

#[test]
fn cancel_requests_for_one_server_take_turns_and_one_that_waits_for_too_long_is_closed() {
    let setup = Setup::default().pool("size = 1");
    let stage = Stage::new(&setup.clients("cancel_wait_timeout = \"100ms\""));
    let (mut client, mut server) = stage.pair();
    client.sends(query(SLOW));
    server.receives(query(SLOW));
    let mut first = cancels(&stage, client.key());
    let delivery = stage.host.accepts_cancel(&server);
    for _ in 0..3 {
        cancels(&stage, client.key()).is_closed();
    }
    first.is_closed();
    // There was one connection for all of them.
    stage.host.saw_nobody();
    server.sends([error("57014", CANCELED), ready(Idle)]);
    client.receives([error("57014", CANCELED), ready(Idle)]);
    drop(delivery);
    // None of them is left to meet what the client asks next.
    client.sends(query("select 1"));
    server.answers(query(""), [empty_query(), ready(Idle)]);
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
    stage.host.saw_nobody();
}

#[test]
fn a_statement_of_ours_that_prepares_the_server_is_not_cancelled() {
    let stage = Stage::with_pool("size = 1");
    let (_first, mut server) = stage.pair();
    let mut client = stage.pooler.connects();
    let parameters = [("user", "bob"), ("database", "shop"), ("work_mem", "7MB")];
    client.sends(startup_with(3 << 16, &parameters));
    client.is_welcomed();
    client.sends(query("select 1"));
    let ours = server.next("a statement of ours");
    assert!(ours.body().starts_with(b"SELECT pg_catalog.set_config"));
    cancels(&stage, client.key()).is_closed();
    stage.host.saw_nobody();
    server.sends([complete("SELECT 1"), ready(Idle)]);
    server.answers(query("select 1"), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}

/// The request is repeated: the first may overtake the query, which travels on another socket.
fn cancels_until_told(stage: &Stage, waiting: &mut Client) {
    waiting.set_timeout(std::time::Duration::from_millis(50));
    let mut first = [0];
    crate::script::wait_until("the waiting query is canceled", || {
        cancels(stage, waiting.key()).is_closed();
        matches!(std::io::Read::read(waiting.wire(), &mut first), Ok(1))
    });
    waiting.set_timeout(crate::script::DEADLINE);
    assert_eq!(first, *b"E");
    let rest = error("57014", CANCELED).bytes[1..].to_vec();
    let len = waiting.next_bytes(4, "the length of the error");
    let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
    let body = waiting.next_bytes(len - 4, "the error");
    assert!(body.starts_with(&rest[4..20]), "{}", body.escape_ascii());
    waiting.receives(ready(Idle));
}

/// A connection that has sent a cancel request. pgwarden closes it when it is done with that.
fn cancels(stage: &Stage, key: &CancelKey) -> Client {
    let mut peer = stage.pooler.connects();
    peer.sends(cancel_request(key));
    peer
}
