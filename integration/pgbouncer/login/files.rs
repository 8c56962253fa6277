//! HBA files, maps and the users file: which rule counts, and what a broken line does.

use std::fs;

use rustix::process::Signal;

use super::witness::Witness;
use super::{client, enters, full, refused, server_user, start, told};
use crate::support::eventually;
use crate::support::postgres::Postgres;

const USERS: &str = "\"alice\" \"alice\"\n\"bob\" \"bob\"\n\"carol\" \"carol\"\n\"root\" \"\"\n";
const HBA: &str = "\
# The first rule that fits counts.
host  shop  bob             127.0.0.0/8            reject
host  shop  \"alice\",bob   127.0.0.0 255.0.0.0    scram-sha-256
host  all   @trusted        0.0.0.0/0              trust
local shop  alice,root                             peer
local all   carol                                  trust
";
const AUTH: &str = "unix_socket_dir = \".\"\n[auth]\nmethod = \"hba\"\nusers = \"users.txt\"\nhba = \"hba.conf\"\n";

#[tokio::test]
async fn the_first_rule_of_the_hba_file_that_fits_counts() {
    let postgres = Postgres::start().await;
    let files = [
        ("users.txt", USERS),
        ("hba.conf", HBA),
        ("trusted", "carol, dave\n"),
    ];
    let pooler = start(&postgres, AUTH, &files).await;
    let auth = "auth_type = hba\nauth_hba_file = $DIR/hba.conf\n";
    let witness = Witness::start(&postgres, auth, &files).await;
    for port in [Some(pooler.port), witness.as_ref().map(|w| w.port)] {
        let Some(port) = port else { continue };
        for (user, password, expected) in [
            ("alice", Some("alice"), None),
            ("alice", Some("wrong"), Some("SASL authentication failed")),
            ("bob", Some("bob"), Some("login rejected")),
            ("carol", None, None),
            ("dave", None, Some("\"trust\" authentication failed")),
        ] {
            let entered = enters(&client(port, user, "shop", password)).await;
            match expected {
                None => assert_eq!(server_user(&entered.unwrap()).await, "app"),
                Some(text) => assert_eq!(refused(entered), told(text), "{user}"),
            }
        }
    }
    // Rules are about the name of the pooler's database, known or not.
    let entered = enters(&client(pooler.port, "carol", "nowhere", None)).await;
    assert_eq!(refused(entered), told("no such database: nowhere"));
    let entered = enters(&client(pooler.port, "alice", "nowhere", Some("alice"))).await;
    assert_eq!(refused(entered), told("no authentication method is found"));
}

#[tokio::test]
async fn over_the_unix_socket_a_name_is_proved_by_who_runs_the_client() {
    let postgres = Postgres::start().await;
    let me = nix::unistd::User::from_uid(nix::unistd::getuid())
        .unwrap()
        .unwrap()
        .name;
    let users = format!("{USERS}\"{me}\" \"\"\n");
    let hba = format!("local shop alice peer map=m\nlocal shop \"{me}\",bob peer\n{HBA}");
    let map = format!("m {me} alice # I may be her\nm {me} mallory\n");
    let auth = format!("{AUTH}ident = \"ident.conf\"\n");
    let files = [
        ("users.txt", users.as_str()),
        ("hba.conf", &hba),
        ("ident.conf", &map),
        ("trusted", "x"),
    ];
    let pooler = start(&postgres, &auth, &files).await;
    let over_socket = |user: &str| {
        let mut config = tokio_postgres::Config::new();
        let folder = pooler.dir();
        config
            .host_path(folder)
            .port(pooler.port)
            .user(user)
            .dbname("shop");
        config
    };
    for user in ["alice", "carol", me.as_str()] {
        let client = enters(&over_socket(user)).await.unwrap();
        assert_eq!(server_user(&client).await, "app", "{user}");
    }
    let bob = refused(enters(&over_socket("bob")).await);
    assert_eq!(bob, told("unix socket login rejected"));
    let mallory = refused(enters(&over_socket("mallory")).await);
    assert_eq!(mallory, told("no authentication method is found"));
}

#[tokio::test]
async fn a_broken_line_changes_nothing() {
    let postgres = Postgres::start().await;
    let files = [
        ("users.txt", USERS),
        ("hba.conf", HBA),
        ("trusted", "carol"),
    ];
    let pooler = start(&postgres, AUTH, &files).await;
    let carol = client(pooler.port, "carol", "shop", None);
    assert!(enters(&carol).await.is_ok());
    // PgBouncer would leave the first line out, and let bob in by the second.
    let broken = HBA.replace("reject", "rejekt");
    fs::write(pooler.dir().join("hba.conf"), broken).unwrap();
    pooler.signal(Signal::HUP);
    eventually("the reload is refused", async || {
        pooler.log().contains("line 2: expected trust, reject")
    })
    .await;
    let bob = enters(&client(pooler.port, "bob", "shop", Some("bob"))).await;
    assert_eq!(refused(bob), told("login rejected"));
    assert!(
        enters(&client(pooler.port, "carol", "shop", None))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_user_removed_from_the_file_is_out_even_where_nothing_is_to_be_proved() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"trust\"\nusers = \"users.txt\"\n";
    let pooler = start(&postgres, auth, &[("users.txt", USERS)]).await;
    let carol = client(pooler.port, "carol", "shop", None);
    let inside = enters(&carol).await.unwrap();
    fs::write(pooler.dir().join("users.txt"), "\"alice\" \"alice\"\n").unwrap();
    pooler.write(&full(&postgres, auth));
    pooler.signal(Signal::HUP);
    eventually("she is out", async || enters(&carol).await.is_err()).await;
    assert_eq!(
        refused(enters(&carol).await),
        told("\"trust\" authentication failed")
    );
    // Her session of before goes on.
    assert_eq!(server_user(&inside).await, "app");
}

#[tokio::test]
async fn without_a_users_file_trust_trusts_nobody() {
    let postgres = Postgres::start().await;
    let auth = "[auth]\nmethod = \"trust\"\nusers = \"off\"\n";
    let pooler = start(&postgres, auth, &[]).await;
    let entered = enters(&client(pooler.port, "alice", "shop", None)).await;
    assert_eq!(refused(entered), told("\"trust\" authentication failed"));
}
