//! Parameters that follow a client from server to server.

use crate::script::backend::{Idle, authenticated, complete, error, fatal, parameter, ready, row};
use crate::script::frontend::{query, startup_with, terminate};
use crate::script::{Client, Server, Setup, Stage};

const SELECT: &str = "select 1";

#[test]
fn what_the_startup_packet_asks_for_is_set_before_the_first_query() {
    let stage = Stage::with_pool("size = 1");
    let (_first, mut server) = stage.pair();
    let mut client = enters(
        &stage,
        &[("TimeZone", "Europe/Paris"), ("application_name", "it's")],
    );
    client.is_welcomed();
    assert_eq!(client.parameter("TimeZone"), Some("Europe/Paris"));
    assert_eq!(client.parameter("application_name"), Some("it's"));
    client.sends(query(SELECT));
    server.receives(query(
        "SELECT pg_catalog.set_config(E'TimeZone', E'Europe/Paris', false), \
         pg_catalog.set_config(E'application_name', E'it''s', false)",
    ));
    server.sends([
        row("x"),
        complete("SELECT 1"),
        parameter("TimeZone", "Europe/Paris"),
        parameter("application_name", "it's"),
        ready(Idle),
    ]);
    is_answered(&mut client, &mut server);
    // Once is enough.
    client.sends(query(SELECT));
    is_answered(&mut client, &mut server);
}

#[test]
fn each_of_two_clients_finds_its_own_values() {
    let stage = Stage::with_pool("size = 1");
    let (mut utc, mut server) = stage.pair();
    let mut paris = enters(&stage, &[("TimeZone", "Europe/Paris")]);
    paris.is_welcomed();
    for _ in 0..3 {
        paris.sends(query(SELECT));
        is_set(&mut server, "TimeZone", "Europe/Paris", "Europe/Paris");
        is_answered(&mut paris, &mut server);
        utc.sends(query(SELECT));
        is_set(&mut server, "TimeZone", "UTC", "UTC");
        is_answered(&mut utc, &mut server);
    }
}

#[test]
fn a_value_is_reported_as_the_server_writes_it() {
    let stage = Stage::with_pool("size = 1");
    let (_first, mut server) = stage.pair();
    let mut client = enters(&stage, &[("DateStyle", "german")]);
    client.is_welcomed();
    client.sends(query(SELECT));
    is_set(&mut server, "DateStyle", "german", "German, DMY");
    server.receives(query(SELECT));
    server.sends([complete("SELECT 1"), ready(Idle)]);
    client.receives([
        parameter("DateStyle", "German, DMY"),
        complete("SELECT 1"),
        ready(Idle),
    ]);
    // From now on it is known under this name.
    client.sends(query(SELECT));
    is_answered(&mut client, &mut server);
}

#[test]
fn what_a_client_sets_follows_it_to_another_server() {
    let stage = Stage::with_pool("size = 1");
    let (mut client, mut server) = stage.pair();
    let set = "set timezone = 'Asia/Tokyo'";
    client.sends(query(set));
    let replies = || {
        [
            complete("SET"),
            parameter("TimeZone", "Asia/Tokyo"),
            ready(Idle),
        ]
    };
    server.answers(query(set), replies());
    client.receives(replies());
    // The next client must not find it...
    server.receives(query(crate::script::server::CLEANING));
    server.sends([complete("RESET"), parameter("TimeZone", "UTC"), ready(Idle)]);
    let mut other = stage.client("bob");
    other.sends(query(SELECT));
    is_answered(&mut other, &mut server);
    // ...and this one must.
    client.sends(query(SELECT));
    is_set(&mut server, "TimeZone", "Asia/Tokyo", "Asia/Tokyo");
    is_answered(&mut client, &mut server);
}

#[test]
fn a_parameter_that_the_server_does_not_report_is_set_and_reset() {
    let stage = Stage::with_pool("size = 1");
    let (mut plain, mut server) = stage.pair();
    let mut client = enters(
        &stage,
        &[("search_path", "shop, public"), ("work_mem", "1MB")],
    );
    client.is_welcomed();
    client.sends(query(SELECT));
    server.answers(
        query(
            "SELECT pg_catalog.set_config(E'search_path', E'shop, public', false), \
             pg_catalog.set_config(E'work_mem', E'1MB', false)",
        ),
        [row("x"), complete("SELECT 1"), ready(Idle)],
    );
    is_answered(&mut client, &mut server);
    plain.sends(query(SELECT));
    server.answers(
        query(
            "SELECT pg_catalog.set_config(E'search_path', NULL, false), \
             pg_catalog.set_config(E'work_mem', NULL, false)",
        ),
        [row("x"), complete("SELECT 1"), ready(Idle)],
    );
    is_answered(&mut plain, &mut server);
}

#[test]
fn the_settings_in_options_are_set_like_others() {
    let stage = Stage::with_pool("size = 1");
    let (_first, mut server) = stage.pair();
    let mut client = enters(
        &stage,
        &[("options", "-c TimeZone=Asia/Tokyo --work-mem=1MB")],
    );
    client.is_welcomed();
    client.sends(query(SELECT));
    server.answers(
        query(
            "SELECT pg_catalog.set_config(E'TimeZone', E'Asia/Tokyo', false), \
             pg_catalog.set_config(E'work_mem', E'1MB', false)",
        ),
        [
            row("x"),
            complete("SELECT 1"),
            parameter("TimeZone", "Asia/Tokyo"),
            ready(Idle),
        ],
    );
    is_answered(&mut client, &mut server);
}

#[test]
fn a_value_that_the_server_refuses_ends_its_client_and_costs_no_slot() {
    let stage = Stage::with_pool("size = 1");
    let (mut other, mut server) = stage.pair();
    let mut client = enters(&stage, &[("TimeZone", "Nowhere")]);
    client.is_welcomed();
    client.sends(query(SELECT));
    server.answers(
        query("SELECT pg_catalog.set_config(E'TimeZone', E'Nowhere', false)"),
        [
            error("22023", "invalid value for parameter \"TimeZone\""),
            ready(Idle),
        ],
    );
    client.receives(fatal("22023", "invalid value for parameter \"TimeZone\""));
    client.is_closed();
    other.sends(query(SELECT));
    server.ends();
    let mut server = stage.host.accepts();
    is_answered(&mut other, &mut server);
}

#[test]
fn a_setting_with_an_impossible_name_is_refused_at_the_login() {
    let stage = Stage::with_pool("size = 1");
    let mut client = enters(&stage, &[("a'b", "1")]);
    client.receives([
        authenticated(),
        fatal("42704", "unrecognized configuration parameter"),
    ]);
    client.is_closed();
}

#[test]
fn ignored_startup_parameters_are_dropped() {
    let setup = Setup::default()
        .pool("size = 1")
        .clients("ignore_startup_parameters = [\"extra_float_digits\"]");
    let stage = Stage::new(&setup);
    let (_first, mut server) = stage.pair();
    let mut client = enters(&stage, &[("extra_float_digits", "2")]);
    client.is_welcomed();
    client.sends(query(SELECT));
    is_answered(&mut client, &mut server);
    client.sends(terminate());
    client.is_closed();
}

fn enters(stage: &Stage, parameters: &[(&str, &str)]) -> Client {
    let mut all = vec![("user", "alice"), ("database", "shop")];
    all.extend(parameters);
    let mut client = stage.pooler.connects();
    client.sends(startup_with(3 << 16, &all));
    client
}

/// The server is asked to set one parameter, and reports it as `canonical`.
fn is_set(server: &mut Server, name: &str, value: &str, canonical: &str) {
    let set = format!("SELECT pg_catalog.set_config(E'{name}', E'{value}', false)");
    let replies = [
        row(canonical),
        complete("SELECT 1"),
        parameter(name, canonical),
        ready(Idle),
    ];
    server.answers(query(&set), replies);
}

fn is_answered(client: &mut Client, server: &mut Server) {
    server.answers(query(SELECT), [complete("SELECT 1"), ready(Idle)]);
    client.receives([complete("SELECT 1"), ready(Idle)]);
}
