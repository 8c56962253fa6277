//! Each method, each kind of secret, and users and databases that nobody knows.

use pgwarden::auth::md5::Md5Hash;
use pgwarden::auth::scram::Verifier;

use super::witness::Witness;
use super::{client, enters, refused, server_user, start, told};
use crate::support::postgres::Postgres;

/// Users whose password is their name, stored in each way; and one who has none.
pub(super) fn users() -> String {
    let md5 = Md5Hash::new("hashed", b"hashed");
    let scram = Verifier::derive("verified", b"0123456789abcdef", 4096);
    format!(
        "\"plain\" \"plain\"\n\"hashed\" \"{}\"\n\"verified\" \"{scram}\"\n\"empty\" \"\"\n",
        md5.expose().as_str(),
    )
}

/// Method, user, password, database, and what is said; `None`: the client gets in.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<&'static str>,
);

const NO_TRUST: Option<&str> = Some("\"trust\" authentication failed");
const NO_PASSWORD: Option<&str> = Some("password authentication failed");
const NO_SASL: Option<&str> = Some("SASL authentication failed");
const NOWHERE: Option<&str> = Some("no such database: nowhere");
const EMPTY: Option<&str> = Some("empty password returned by client");

const ROWS: &[Row] = &[
    ("trust", "plain", None, "shop", None),
    ("trust", "empty", None, "shop", None),
    ("trust", "mallory", None, "shop", NO_TRUST),
    ("trust", "plain", None, "nowhere", NOWHERE),
    ("trust", "mallory", None, "nowhere", NO_TRUST),
    ("plain", "plain", Some("plain"), "shop", None),
    ("plain", "hashed", Some("hashed"), "shop", None),
    ("plain", "verified", Some("verified"), "shop", None),
    ("plain", "plain", Some("wrong"), "shop", NO_PASSWORD),
    ("plain", "verified", Some("wrong"), "shop", NO_PASSWORD),
    ("plain", "mallory", Some("plain"), "shop", NO_PASSWORD),
    ("plain", "empty", Some("x"), "shop", NO_PASSWORD),
    ("plain", "plain", Some(""), "shop", EMPTY),
    ("plain", "empty", Some(""), "shop", EMPTY),
    ("plain", "plain", Some("plain"), "nowhere", NOWHERE),
    ("plain", "plain", Some("wrong"), "nowhere", NO_PASSWORD),
    ("md5", "plain", Some("plain"), "shop", None),
    ("md5", "hashed", Some("hashed"), "shop", None),
    ("md5", "verified", Some("verified"), "shop", None),
    ("md5", "plain", Some("wrong"), "shop", NO_PASSWORD),
    ("md5", "hashed", Some("wrong"), "shop", NO_PASSWORD),
    ("md5", "empty", Some("x"), "shop", NO_PASSWORD),
    ("md5", "plain", Some("plain"), "nowhere", NOWHERE),
    ("md5", "hashed", Some("wrong"), "nowhere", NO_PASSWORD),
    ("scram-sha-256", "plain", Some("plain"), "shop", None),
    ("scram-sha-256", "verified", Some("verified"), "shop", None),
    ("scram-sha-256", "plain", Some("wrong"), "shop", NO_SASL),
    ("scram-sha-256", "verified", Some("wrong"), "shop", NO_SASL),
    ("scram-sha-256", "hashed", Some("hashed"), "shop", NO_SASL),
    ("scram-sha-256", "mallory", Some("plain"), "shop", NO_SASL),
    ("scram-sha-256", "empty", Some("x"), "shop", NO_SASL),
    ("scram-sha-256", "plain", Some("plain"), "nowhere", NOWHERE),
    ("scram-sha-256", "plain", Some("wrong"), "nowhere", NO_SASL),
    ("scram-sha-256", "mallory", Some("x"), "nowhere", NO_SASL),
];

#[tokio::test]
async fn every_method_says_what_pgbouncer_says() {
    let postgres = Postgres::start().await;
    for method in ["trust", "plain", "md5", "scram-sha-256"] {
        let written = if method == "plain" {
            "password"
        } else {
            method
        };
        let auth = format!(
            "[auth]\nmethod = \"{written}\"\nusers = \"users.txt\"\nallow_cleartext = true\n"
        );
        let pooler = start(&postgres, &auth, &[("users.txt", &users())]).await;
        let witness = Witness::start(
            &postgres,
            &format!("auth_type = {method}\n"),
            &[("users.txt", &users())],
        )
        .await;
        let rows = ROWS.iter().filter(|row| row.0 == method);
        for row @ (_, user, password, database, expected) in rows {
            for port in [Some(pooler.port), witness.as_ref().map(|w| w.port)] {
                let Some(port) = port else { continue };
                let entered = enters(&client(port, user, database, *password)).await;
                let of = (row, port == pooler.port);
                match (expected, entered) {
                    (None, Ok(client)) => assert_eq!(server_user(&client).await, "app", "{of:?}"),
                    (Some(text), Err(refused)) => assert_eq!(refused, told(text), "{of:?}"),
                    (_, other) => panic!("{of:?}: {:?}", other.map(|_| "it got in")),
                }
            }
        }
    }
}

#[tokio::test]
async fn by_md5_nobody_learns_who_is_known_and_has_a_scram_secret() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"md5\"\nusers = \"users.txt\"\n";
    let pooler = start(&postgres, auth, &[("users.txt", &users())]).await;
    for user in ["plain", "hashed", "verified", "empty", "mallory"] {
        let entered = enters(&client(pooler.port, user, "shop", Some("wrong"))).await;
        assert_eq!(
            refused(entered),
            told("password authentication failed"),
            "{user}"
        );
    }
}

#[tokio::test]
async fn whoever_comes_is_the_server_user_where_anybody_may_come() {
    let postgres = Postgres::start().await;
    let settings = format!(
        "[auth]\nmethod = \"any\"\n[databases.own]\nport = {}\n",
        postgres.port
    );
    let pooler = start(&postgres, &settings, &[]).await;
    for user in ["alice", "nobody", "app"] {
        let client = enters(&client(pooler.port, user, "shop", None))
            .await
            .unwrap();
        assert_eq!(server_user(&client).await, "app");
    }
    for database in ["own", "nowhere"] {
        let entered = enters(&client(pooler.port, "alice", database, None)).await;
        assert_eq!(refused(entered), told("bouncer config error"), "{database}");
    }
}

#[tokio::test]
async fn the_rounds_of_scram_are_those_that_are_set() {
    use crate::support::raw::Raw;
    use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
    use postgres_protocol::message::frontend;

    let postgres = Postgres::start().await;
    let auth = "[auth]\nusers = \"users.txt\"\nscram_iterations = 1234\n";
    let pooler = start(&postgres, auth, &[("users.txt", &users())]).await;
    // Nobody learns from them who is known.
    for user in ["plain", "mallory"] {
        let mut raw = Raw::connect(pooler.port).await;
        let mut out = bytes::BytesMut::new();
        frontend::startup_message([("user", user), ("database", "shop")], &mut out).unwrap();
        raw.send(&out).await;
        raw.expect_message().await;
        let scram = ScramSha256::new(b"x", ChannelBinding::unsupported());
        out.clear();
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out).unwrap();
        raw.send(&out).await;
        let (_, body) = raw.expect_message().await;
        let first = String::from_utf8_lossy(&body[4..]).into_owned();
        assert!(first.ends_with(",i=1234"), "{user}: {first}");
    }
}
