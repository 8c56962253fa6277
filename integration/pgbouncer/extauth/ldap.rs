//! Method `ldap` with a real slapd.

use std::process::Command;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Config;

use super::directory::Directory;
use super::{login, shop, whoami};
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;
use crate::support::{connect_with, eventually, in_time};

const REFUSED: &str = "LDAP authentication failed for user";
/// Who may search.
const READER: &str = "ldapbinddn=\"cn=reader,dc=example,dc=net\" ldapbindpasswd=\"read er\"";

fn settings(postgres: &Postgres, options: &str) -> String {
    format!(
        "[auth]\nmethod = \"ldap\"\nallow_cleartext = true\nldap_options = '''{options}'''\n{}",
        shop(postgres)
    )
}

/// A pooler that asks the directory with these options behind the server's.
async fn pooler(postgres: &Postgres, directory: &Directory, options: &str) -> Pooler {
    let server = format!("ldapserver=localhost ldapport={}", directory.port);
    start(postgres, directory, &format!("{server} {options}")).await
}

async fn start(postgres: &Postgres, directory: &Directory, options: &str) -> Pooler {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    command.env("LDAPTLS_CACERT", directory.ca());
    Pooler::start_with(&settings(postgres, options), &[], command).await
}

fn simple() -> &'static str {
    "ldapprefix=\"uid=\" ldapsuffix=\",ou=people,dc=example,dc=net\""
}

#[tokio::test]
async fn a_password_the_directory_knows_lets_in_and_opens_the_servers() {
    let postgres = Postgres::start().await;
    let directory = Directory::start().await;
    let pooler = pooler(&postgres, &directory, simple()).await;
    for user in ["alice", "bob", "alice"] {
        let client = login(&pooler, user, user).await.unwrap();
        assert_eq!(whoami(&client).await, user);
    }
    for (user, password) in [("alice", "bob"), ("nobody", "nobody"), ("alice", "alice ")] {
        let refused = login(&pooler, user, password).await.unwrap_err();
        assert_eq!(refused, format!("{REFUSED} \"{user}\""));
    }
    // What was right yesterday is asked again, and the password is never logged.
    assert!(
        !pooler.log().contains("password=\"alice"),
        "{}",
        pooler.log()
    );
}

#[tokio::test]
async fn the_password_opens_servers_that_ask_for_md5() {
    let hba = "local all all trust\nhost all all 127.0.0.1/32 md5\n";
    let postgres = Postgres::start_with(&["password_encryption=md5"], hba).await;
    postgres.run("alter role bob password 'bob'").await;
    let directory = Directory::start().await;
    let pooler = pooler(&postgres, &directory, simple()).await;
    let client = login(&pooler, "bob", "bob").await.unwrap();
    assert_eq!(whoami(&client).await, "bob");
}

#[tokio::test]
async fn users_are_searched_for_before_they_are_asked() {
    let postgres = Postgres::start().await;
    postgres
        .run(
            "create role \"o(d*d, b\" login password 'odd'; create role twin login password 'twin'",
        )
        .await;
    let directory = Directory::start().await;
    let base = "ldapbasedn=\"dc=example,dc=net\"";
    let by_uid = pooler(&postgres, &directory, &format!("{base} {READER}")).await;
    for (user, password) in [("alice", "alice"), ("o(d*d, b", "odd")] {
        let client = login(&by_uid, user, password).await.unwrap();
        assert_eq!(whoami(&client).await, user);
    }
    // A pattern is a name like any other, and of two entries none is the user's.
    for (user, password) in [
        ("*", "alice"),
        ("al*", "alice"),
        ("twin", "twin"),
        ("alice", "bob"),
    ] {
        let refused = login(&by_uid, user, password).await.unwrap_err();
        assert_eq!(refused, format!("{REFUSED} \"{user}\""));
    }
    assert!(
        by_uid.log().contains("more than one entry"),
        "{}",
        by_uid.log()
    );
    let filter = "ldapsearchfilter=\"(mail=$username@example.net)\"";
    let by_mail = pooler(&postgres, &directory, &format!("{base} {READER} {filter}")).await;
    login(&by_mail, "alice", "alice").await.unwrap();
    login(&by_mail, "twin", "twin").await.unwrap_err();
    // Who may not search finds nobody; who searches with a wrong password is a mistake.
    let nobody = pooler(&postgres, &directory, base).await;
    login(&nobody, "alice", "alice").await.unwrap_err();
    let wrong = format!("{base} ldapbinddn=\"cn=reader,dc=example,dc=net\" ldapbindpasswd=x");
    let wrong = pooler(&postgres, &directory, &wrong).await;
    login(&wrong, "alice", "alice").await.unwrap_err();
    assert!(
        wrong.log().contains("ldapbinddn is refused"),
        "{}",
        wrong.log()
    );
}

#[tokio::test]
async fn passwords_go_over_tls_where_that_is_asked_for() {
    let postgres = Postgres::start().await;
    let directory = Directory::start().await;
    let base = "ou=people,dc=example,dc=net";
    let (port, tls_port) = (directory.port, directory.tls_port);
    for options in [
        format!(
            "ldapserver=localhost ldapport={port} ldaptls=1 {}",
            simple()
        ),
        format!(
            "ldapserver=localhost ldapscheme=ldaps ldapport={tls_port} {}",
            simple()
        ),
        format!("ldapurl=\"ldaps://127.0.0.1:{tls_port}/{base}?uid?one\" {READER}"),
        format!("ldapurl=\"ldap://localhost:{port}/{base}?uid?sub\" ldaptls=1 {READER}"),
    ] {
        let pooler = start(&postgres, &directory, &options).await;
        let client = login(&pooler, "alice", "alice").await.unwrap();
        assert_eq!(whoami(&client).await, "alice", "{options}");
        login(&pooler, "alice", "bob").await.unwrap_err();
    }
    let log = directory.log();
    let secured = log.matches("TLS established").count();
    assert!(secured >= 8, "{secured} in {log}");
}

#[tokio::test]
async fn a_directory_whose_certificate_nobody_knows_is_told_no_password() {
    let postgres = Postgres::start().await;
    let directory = Directory::start().await;
    let stranger = Directory::start().await;
    for tls in ["ldaptls=1", "ldapscheme=ldaps"] {
        let port = if tls == "ldaptls=1" {
            directory.port
        } else {
            directory.tls_port
        };
        let options = format!("ldapserver=localhost ldapport={port} {tls} {}", simple());
        let pooler = start(&postgres, &stranger, &options).await;
        let refused = login(&pooler, "alice", "alice").await.unwrap_err();
        assert_eq!(refused, format!("{REFUSED} \"alice\""));
        assert!(
            pooler.log().contains("LDAP server not usable"),
            "{}",
            pooler.log()
        );
    }
    assert!(!directory.log().contains("BIND"), "{}", directory.log());
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_down() {
    let postgres = Postgres::start().await;
    let directory = Directory::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down = closed.local_addr().unwrap().port();
    drop(closed);
    let servers = format!(
        "ldapserver=\"localhost:{down} localhost:{}\"",
        directory.port
    );
    let pooler = start(&postgres, &directory, &format!("{servers} {}", simple())).await;
    login(&pooler, "alice", "alice").await.unwrap();
    login(&pooler, "alice", "bob").await.unwrap_err();
}

#[tokio::test]
async fn nobody_is_asked_about_an_empty_password() {
    let postgres = Postgres::start().await;
    let directory = Directory::start().await;
    let pooler = pooler(&postgres, &directory, simple()).await;
    let refused = login(&pooler, "alice", "").await.unwrap_err();
    assert_eq!(refused, "empty password returned by client");
    assert!(!directory.log().contains("BIND"), "{}", directory.log());
}

/// Passes connections on to the directory, but the first `stuck` of them, which it keeps.
async fn tarpit(directory: &Directory, stuck: usize) -> (u16, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = directory.port;
    let (count, counted) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            if kept.len() < stuck {
                kept.push(socket);
                count.send_replace(kept.len());
                continue;
            }
            tokio::spawn(async move {
                let mut ldap = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let _ = copy_bidirectional(&mut socket, &mut ldap).await;
            });
        }
    });
    (port, counted)
}

#[tokio::test]
async fn who_waits_for_a_slow_directory_keeps_nobody_else_waiting() {
    let postgres = Postgres::start().await;
    let directory = Directory::start().await;
    let (port, mut stuck) = tarpit(&directory, 40).await;
    let options = format!("ldapserver=localhost ldapport={port} {}", simple());
    let pooler = start(&postgres, &directory, &options).await;
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(pooler.port)
        .user("alice")
        .password("alice")
        .dbname("shop");
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { connect_with(&config).await })
        })
        .collect();
    in_time(
        "the directory is stuck",
        stuck.wait_for(|count| *count == 40),
    )
    .await
    .unwrap();
    let began = std::time::Instant::now();
    let client = login(&pooler, "bob", "bob").await.unwrap();
    assert_eq!(whoami(&client).await, "bob");
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    assert!(waiting.iter().all(|login| !login.is_finished()));
    // And they are told in the end.
    eventually("who waited is refused", async || {
        waiting.iter().all(tokio::task::JoinHandle::is_finished)
    })
    .await;
    for login in waiting {
        assert!(login.await.unwrap().is_err());
    }
}
