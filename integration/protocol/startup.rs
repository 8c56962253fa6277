//! The first packets of a connection.

use crate::script::backend::{Idle, authenticated, complete, fatal, negotiate, ready};
use crate::script::frontend::{gss_request, password, query, ssl_request, startup, startup_with};
use crate::script::{Setup, Stage};

const V3_0: i32 = 3 << 16;
const V3_2: i32 = (3 << 16) | 2;
const ALICE: [(&str, &str); 2] = [("user", "alice"), ("database", "shop")];

#[test]
fn an_ssl_request_is_answered_n_where_there_is_no_tls() {
    let stage = Stage::with_pool("");
    let mut client = stage.pooler.connects();
    client.sends(ssl_request());
    assert_eq!(client.next_bytes(1, "the answer"), b"N");
    client.sends(startup("alice", "shop"));
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn a_gssenc_request_is_answered_n_and_may_be_followed_by_an_ssl_request() {
    let stage = Stage::with_pool("");
    let mut client = stage.pooler.connects();
    client.sends(gss_request());
    assert_eq!(client.next_bytes(1, "the answer"), b"N");
    client.sends(ssl_request());
    assert_eq!(client.next_bytes(1, "the answer"), b"N");
    client.sends(startup("alice", "shop"));
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn encryption_asked_for_twice_is_refused() {
    let stage = Stage::with_pool("");
    let mut client = stage.pooler.connects();
    for _ in 0..2 {
        client.sends(ssl_request());
    }
    // Both may have come in one read: then the second follows the first where nothing may.
    let first = client.next_bytes(1, "an answer");
    if first == b"N" {
        client.receives(fatal("08P01", "twice"));
    } else {
        assert_eq!(first, b"E");
    }
    client.ends();
}

#[test]
fn a_byte_behind_an_ssl_request_is_refused() {
    let stage = Stage::with_pool("");
    for request in [ssl_request(), gss_request()] {
        let mut client = stage.pooler.connects();
        client.sends_bytes(&[&request.bytes[..], b"x"].concat());
        client.receives(fatal("08P01", "received unencrypted data after"));
        client.is_closed();
    }
}

#[test]
fn protocol_3_0_gets_a_cancel_key_of_four_bytes_and_3_2_a_long_one() {
    let stage = Stage::with_pool("");
    let (client, _server) = stage.pair();
    assert_eq!(key_len(&client), 4 + 4);
    let mut client = stage.pooler.connects();
    client.sends(startup_with(V3_2, &ALICE));
    client.is_welcomed();
    assert_eq!(key_len(&client), 4 + 32);
}

#[test]
fn a_newer_minor_version_and_unknown_options_are_negotiated() {
    let stage = Stage::with_pool("");
    let (_client, _server) = stage.pair();
    let mut client = stage.pooler.connects();
    let options = [("user", "alice"), ("_pq_.x", "1"), ("database", "shop")];
    client.sends(startup_with((3 << 16) | 9, &options));
    client.receives(negotiate(V3_2, &["_pq_.x"]));
    client.is_welcomed();
    assert_eq!(key_len(&client), 4 + 32);

    let mut client = stage.pooler.connects();
    client.sends(startup_with(V3_0, &options));
    client.receives(negotiate(V3_0, &["_pq_.x"]));
    client.is_welcomed();
    assert_eq!(key_len(&client), 4 + 4);
}

#[test]
fn another_major_version_is_refused() {
    let stage = Stage::with_pool("");
    for version in [2 << 16, 4 << 16] {
        let mut client = stage.pooler.connects();
        client.sends(startup_with(version, &ALICE));
        client.receives(fatal("0A000", "unsupported frontend protocol"));
        client.is_closed();
    }
}

#[test]
fn a_startup_packet_of_an_impossible_length_is_refused() {
    let stage = Stage::with_pool("");
    for len in [i32::MIN, -1, 0, 4, 7, 65_537, i32::MAX] {
        let mut client = stage.pooler.connects();
        client.sends_bytes(&len.to_be_bytes());
        client.receives(fatal("08P01", ""));
        client.is_closed();
    }
}

#[test]
fn a_startup_packet_without_a_user_is_refused() {
    let stage = Stage::with_pool("");
    let mut client = stage.pooler.connects();
    client.sends(startup_with(V3_0, &[("database", "shop")]));
    client.receives(fatal("28000", "no PostgreSQL user name"));
    client.is_closed();
}

#[test]
fn a_database_that_nobody_has_heard_of_is_refused() {
    let stage = Stage::with_pool("");
    let mut client = stage.pooler.connects();
    client.sends(startup("alice", "nowhere"));
    client.receives([authenticated(), fatal("3D000", "nowhere")]);
    client.is_closed();
}

#[test]
fn a_startup_packet_may_come_in_two_parts_cut_at_any_byte() {
    let stage = Stage::with_pool("");
    let (_client, _server) = stage.pair();
    let packet = startup("alice", "shop").bytes;
    for cut in 1..packet.len() {
        let mut client = stage.pooler.connects();
        client.sends_bytes(&packet[..cut]);
        client.sends_bytes(&packet[cut..]);
        client.is_welcomed();
    }
}

#[test]
fn a_client_that_hangs_up_during_the_startup_leaves_nothing_behind() {
    let stage = Stage::new(&Setup::default().clients("max = 1"));
    let packet = startup("alice", "shop").bytes;
    for cut in 0..packet.len() {
        let mut client = stage.pooler.connects();
        client.sends_bytes(&packet[..cut]);
        client.resets();
    }
    let (mut client, mut server) = stage.pair();
    client.sends(query("select 1"));
    server.answers(query("select 1"), [complete("SELECT 0"), ready(Idle)]);
    client.receives([complete("SELECT 0"), ready(Idle)]);
}

#[test]
fn a_password_message_that_is_too_long_is_refused_before_it_has_arrived() {
    let setup = Setup::default()
        .auth("method = \"scram-sha-256\"")
        .users("\"alice\" \"secret\"\n");
    let stage = Stage::new(&setup);
    let mut client = stage.enters("alice");
    client.receives(crate::script::backend::any_authentication());
    client.sends_bytes(&password(&vec![b'x'; 70_000]).bytes[..5]);
    client.receives(fatal("08P01", "65536"));
    client.is_closed();
}

#[test]
fn a_client_that_does_not_log_in_in_time_is_sent_away() {
    let setup = Setup::default().auth("method = \"trust\"\nlogin_timeout = \"100ms\"");
    let stage = Stage::new(&setup);
    let mut silent = stage.pooler.connects();
    silent.ends();
    let mut slow = stage.pooler.connects();
    slow.sends_bytes(&startup("alice", "shop").bytes[..9]);
    slow.ends();
}

#[test]
fn a_first_message_other_than_a_password_is_refused_during_the_login() {
    let setup = Setup::default()
        .auth("method = \"scram-sha-256\"")
        .users("\"alice\" \"secret\"\n");
    let stage = Stage::new(&setup);
    let mut client = stage.enters("alice");
    client.receives(crate::script::backend::any_authentication());
    client.sends(query("select 1"));
    client.receives(fatal("08P01", "0x51"));
    client.is_closed();
}

fn key_len(client: &crate::script::Client) -> usize {
    let mut bytes = Vec::new();
    client.key().put(&mut bytes);
    bytes.len()
}
