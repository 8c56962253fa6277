//! How many clients there may be, and how long a login may take.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio_postgres::SimpleQueryMessage;

use super::{client, enters, refused, start, told};
use crate::support::eventually;
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, failure};

const AUTH: &str = "[auth]\nmethod = \"password\"\nallow_cleartext = true\nusers = \"users.txt\"\n";
const USERS: &[(&str, &str)] = &[(
    "users.txt",
    "\"alice\" \"alice\"\n\"bob\" \"bob\"\n\"boss\" \"boss\"\n",
)];

/// A client that has said who it is and not yet proved it.
async fn claimant(port: u16, user: &str) -> Raw {
    let mut raw = Raw::connect(port).await;
    let mut out = BytesMut::new();
    frontend::startup_message([("user", user), ("database", "shop")], &mut out).unwrap();
    raw.send(&out).await;
    let (tag, _) = raw.expect_message().await;
    assert_eq!(tag, b'R');
    raw
}

#[tokio::test]
async fn only_who_has_proved_its_name_takes_a_place() {
    let postgres = Postgres::start().await;
    for (limit, text) in [
        ("max = 1", "no more connections allowed (max_client_conn)"),
        (
            "max_per_database = 1",
            "client connections exceeded (max_db_client_connections)",
        ),
        (
            "max_per_user = 1",
            "client connections exceeded (max_user_client_connections)",
        ),
    ] {
        let settings = format!("{AUTH}[console]\nadmins = [\"boss\"]\n[clients]\n{limit}\n");
        let pooler = start(&postgres, &settings, USERS).await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(claimant(pooler.port, "alice").await);
        }
        let alice = client(pooler.port, "alice", "shop", Some("alice"));
        let inside = enters(&alice).await.unwrap();
        assert_eq!(refused(enters(&alice).await), told(text));
        // An operator can still look what is going on.
        let boss = client(pooler.port, "boss", "pgbouncer", Some("boss"));
        assert!(enters(&boss).await.is_ok(), "{limit}");
        // Who cannot prove who it is learns nothing of limits.
        let wrong = enters(&client(pooler.port, "alice", "shop", Some("wrong"))).await;
        assert_eq!(refused(wrong), told("password authentication failed"));
        let bob = enters(&client(pooler.port, "bob", "shop", Some("bob"))).await;
        assert_eq!(bob.is_ok(), limit.starts_with("max_per_user"), "{limit}");
        drop((inside, bob));
        eventually("the place is free", async || enters(&alice).await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_users_own_limit_goes_before_that_of_all() {
    let postgres = Postgres::start().await;
    let settings = format!("{AUTH}[users.alice]\nmax_clients = 2\n[clients]\nmax_per_user = 1\n");
    let pooler = start(&postgres, &settings, USERS).await;
    let alice = client(pooler.port, "alice", "shop", Some("alice"));
    let inside = [enters(&alice).await.unwrap(), enters(&alice).await.unwrap()];
    let text = "client connections exceeded (max_user_client_connections)";
    assert_eq!(refused(enters(&alice).await), told(text));
    drop(inside);
}

#[tokio::test]
async fn the_console_has_room_for_as_many_as_a_database_and_for_administrators() {
    let postgres = Postgres::start().await;
    let console = "[console]\nadmins = [\"boss\"]\nviewers = [\"alice\", \"bob\"]\n";
    let limit = "max_per_database = 1\nmax_per_user = 7";
    let settings = format!("{AUTH}{console}[clients]\n{limit}\n");
    let pooler = start(&postgres, &settings, USERS).await;
    let on_console = |user: &'static str| client(pooler.port, user, "pgbouncer", Some(user));
    let inside = enters(&on_console("alice")).await.unwrap();
    let text = "client connections exceeded (max_db_client_connections)";
    assert_eq!(refused(enters(&on_console("bob")).await), told(text));
    let boss = enters(&on_console("boss")).await.unwrap();
    let most = async |show: &str, name: &str, column: &str| {
        let rows = boss.simple_query(show).await.unwrap();
        let of_name = rows.iter().find_map(|message| {
            if let SimpleQueryMessage::Row(row) = message {
                return (row.get("name") == Some(name)).then_some(row);
            }
            None
        });
        of_name.unwrap().get(column).unwrap().to_owned()
    };
    let of_console = most("SHOW DATABASES", "pgbouncer", "max_client_connections");
    assert_eq!(of_console.await, "1");
    // Who has no limit of its own has that of all.
    let of_alice = most("SHOW USERS", "alice", "max_user_client_connections");
    assert_eq!(of_alice.await, "7");
    drop((inside, boss));
    eventually("the place is free", async || {
        enters(&on_console("bob")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn who_takes_too_long_to_log_in_is_told_so() {
    let postgres = Postgres::start().await;
    let auth = AUTH.replace("users =", "login_timeout = \"1s\"\nusers =");
    let pooler = start(&postgres, &auth, USERS).await;
    let mut raw = claimant(pooler.port, "alice").await;
    let (tag, body) = raw.expect_message().await;
    assert_eq!(tag, b'E');
    let failure = failure(&body);
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("08P01", "client_login_timeout")
    );
    assert_eq!(raw.message().await, None);
}

#[tokio::test]
async fn who_waits_for_the_first_server_is_told_that_it_is_down() {
    let mut postgres = Postgres::start().await;
    // Accepted by the machine and answered by nobody.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let auth = AUTH.replace("users =", "login_timeout = \"1s\"\nusers =");
    let settings = format!("{auth}[databases.mute]\nport = {port}\n");
    let pooler = start(&postgres, &settings, USERS).await;
    let alice = client(pooler.port, "alice", "mute", Some("alice"));
    let entered = enters(&alice).await;
    assert_eq!(refused(entered), told("client_login_timeout (server down)"));
    postgres.stop(rustix::process::Signal::INT).await;
}
