//! Method `pam` with the real library and Debian's modules. The service's file is the test's
//! own: libpam-wrapper has libpam look for it in another folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{login, shop, whoami};
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::postgres::Postgres;

const REFUSED: &str = "PAM authentication failed for user";

/// Knows `alice` and `bob` by their names, takes long over `carol`, and writes down who asks.
const SCRIPT: &str = r#"#!/bin/sh
password=$(tr -d '\0')
echo "$PAM_USER $PAM_SERVICE $PAM_RHOST $PAM_TYPE" >>"$(dirname "$0")/asked"
case "$PAM_USER" in
    alice | bob) [ "$password" = "$PAM_USER" ] ;;
    carol) exec sleep 20 ;;
    *) exit 1 ;;
esac
"#;

/// A folder with the service's file.
struct Service(TempDir);

impl Service {
    /// `text` has `DIR` where the folder's name must stand.
    fn new(text: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pgwarden-pam-")
            .tempdir()
            .unwrap();
        let script = dir.path().join("check");
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let text = text.replace("DIR", &dir.path().display().to_string());
        fs::write(dir.path().join("pgbouncer"), text).unwrap();
        Self(dir)
    }

    /// What the script was asked.
    fn asked(&self) -> String {
        fs::read_to_string(self.0.path().join("asked")).unwrap_or_default()
    }

    async fn pooler(&self, postgres: &Postgres) -> Pooler {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
        command
            .env("LD_PRELOAD", wrapper())
            .env("PAM_WRAPPER", "1")
            .env("PAM_WRAPPER_SERVICE_DIR", self.0.path());
        let settings = format!(
            "[auth]\nmethod = \"pam\"\nallow_cleartext = true\n{}",
            shop(postgres)
        );
        Pooler::start_with(&settings, &[], command).await
    }
}

fn wrapper() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    folders
        .filter_map(|folder| Some(folder.ok()?.path().join("libpam_wrapper.so")))
        .find(|path| path.exists())
        .expect("libpam-wrapper is installed (integration/lib/install.sh extauth)")
}

const CHECKED: &str = "\
auth required pam_exec.so expose_authtok quiet DIR/check
account required pam_permit.so
";

#[tokio::test]
async fn a_password_that_pam_takes_lets_in_and_opens_the_servers() {
    let postgres = Postgres::start().await;
    let service = Service::new(CHECKED);
    let pooler = service.pooler(&postgres).await;
    for user in ["alice", "bob"] {
        let client = login(&pooler, user, user).await.unwrap();
        assert_eq!(whoami(&client).await, user);
    }
    for (user, password) in [("alice", "bob"), ("nobody", "nobody")] {
        let refused = login(&pooler, user, password).await.unwrap_err();
        assert_eq!(refused, format!("{REFUSED} \"{user}\""));
    }
    let asked = service.asked();
    let first = asked.lines().next().unwrap();
    assert_eq!(first, "alice pgbouncer 127.0.0.1 auth");
    assert_eq!(
        login(&pooler, "alice", "").await.unwrap_err(),
        "empty password returned by client"
    );
    assert_eq!(service.asked(), asked, "nobody is asked about an empty one");
}

#[tokio::test]
async fn an_account_that_is_closed_stays_out() {
    let postgres = Postgres::start().await;
    let account =
        "auth required pam_permit.so\naccount required pam_succeed_if.so quiet user = bob\n";
    let service = Service::new(account);
    let pooler = service.pooler(&postgres).await;
    login(&pooler, "bob", "bob").await.unwrap();
    login(&pooler, "alice", "alice").await.unwrap_err();
}

#[tokio::test]
async fn pam_unix_asks_the_systems_own_users() {
    let postgres = Postgres::start().await;
    let service = Service::new("auth required pam_unix.so\naccount required pam_unix.so\n");
    let pooler = service.pooler(&postgres).await;
    // Debian's "nobody" has no password, and nobody a password for it.
    for user in ["nobody", "alice"] {
        let refused = login(&pooler, user, "x").await.unwrap_err();
        assert_eq!(refused, format!("{REFUSED} \"{user}\""));
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_lets_nobody_in_and_says_so() {
    let postgres = Postgres::start().await;
    let service = Service::new("auth required pam_no_such_module.so\n");
    let pooler = service.pooler(&postgres).await;
    let refused = login(&pooler, "alice", "alice").await.unwrap_err();
    assert_eq!(refused, format!("{REFUSED} \"alice\""));
    assert!(pooler.log().contains("PAM service"), "{}", pooler.log());
}

#[tokio::test]
async fn who_waits_for_pam_keeps_nobody_else_waiting() {
    let postgres = Postgres::start().await;
    let service = Service::new(CHECKED);
    let pooler = service.pooler(&postgres).await;
    let port = pooler.port;
    let waiting: Vec<_> = (0..12)
        .map(|_| {
            tokio::spawn(async move {
                let mut config = tokio_postgres::Config::new();
                let config = config.host("127.0.0.1").port(port);
                let config = config.user("carol").password("x").dbname("shop");
                config.connect(tokio_postgres::NoTls).await.map(drop)
            })
        })
        .collect();
    eventually("PAM is busy", async || {
        service.asked().matches("carol").count() == 12
    })
    .await;
    let began = Instant::now();
    let client = login(&pooler, "bob", "bob").await.unwrap();
    assert_eq!(whoami(&client).await, "bob");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert!(waiting.iter().all(|login| !login.is_finished()));
    for login in waiting {
        login.abort();
    }
}
