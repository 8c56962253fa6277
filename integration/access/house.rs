//! A pgwarden with the policies that are attacked, before the fixture's database.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fixture::Fixture;
use crate::support::eventually;
use crate::support::pooler::Pooler;
use crate::support::raw::{Raw, Reply};

/// A database and the pooler before it.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) fixture: Fixture,
    pub(crate) pooler: Pooler,
}

/// `reader` may only read, `noddl` may not change the schema, `free` may do anything.
pub(crate) fn settings(postgres: u16, pool: &str) -> String {
    format!("{ROLES}[pool]\n{pool}\n[databases.acl]\nport = {postgres}\n")
}

/// What is set, and the database; `$PORT` is PostgreSQL's port.
pub(crate) fn before(postgres: u16, access: &str) -> String {
    let access = access.replace("$PORT", &postgres.to_string());
    format!("{access}\n[console]\nadmins = \"boss\"\n[databases.acl]\nport = {postgres}\n")
}

const ROLES: &str = r#"
[roles.reader]
server = { user = "app_rw", password = "x" }
read_only = true
[roles.noddl]
server = { user = "app_rw", password = "x" }
[[roles.noddl.deny]]
name = "no-schema-changes"
statements = ["ddl"]
hint = "Schema changes go through the migration job."
[roles.free]
server = { user = "app_rw", password = "x" }
[[grant]]
role = "reader"
user = "reader"
[[grant]]
role = "noddl"
user = "noddl"
[[grant]]
role = "free"
user = "free"
"#;

impl House {
    /// Starts both; every role has one server.
    pub(crate) async fn start() -> Self {
        Self::with_pool("size = 1").await
    }

    /// Starts both, with these settings of the pools.
    pub(crate) async fn with_pool(pool: &str) -> Self {
        let fixture = Fixture::start().await;
        let pooler = Pooler::start(&settings(fixture.postgres.port, pool)).await;
        Self { fixture, pooler }
    }

    /// Starts both, with these roles, grants and whatever else is to be set.
    pub(crate) async fn with_access(access: &str) -> Self {
        Self::with_files(access, &[], Command::new(env!("CARGO_BIN_EXE_pgwarden"))).await
    }

    /// The same, with these files beside the settings.
    pub(crate) async fn with_files(access: &str, files: &[(&str, &str)], command: Command) -> Self {
        let fixture = Fixture::start().await;
        let settings = before(fixture.postgres.port, access);
        let pooler = Pooler::start_with(&settings, files, command).await;
        Self { fixture, pooler }
    }

    /// Puts other roles, grants and so on in their place, and waits until they count. What is
    /// asked first is whether there is a role of a name that was not there.
    pub(crate) async fn reload(&self, access: &str) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let probe = format!("probe_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let role = format!("[roles.{probe}]\nserver = {{ user = \"app_rw\" }}\n");
        let grant = format!("[[grant]]\nrole = \"{probe}\"\nuser = \"{probe}\"\n");
        let access = format!("{role}{grant}{access}");
        self.pooler
            .write(&before(self.fixture.postgres.port, &access));
        let reply = self.console("reload").await;
        assert_eq!(reply.failure, None);
        let port = self.port();
        eventually("the rules are new", async || {
            Raw::login(port, &probe, "acl", &[]).await.is_ok()
        })
        .await;
    }

    /// What the console answers to `boss`.
    pub(crate) async fn console(&self, command: &str) -> Reply {
        let boss = Raw::login(self.port(), "boss", "pgwarden", &[]).await;
        boss.unwrap().query(command).await
    }

    /// Where clients connect.
    pub(crate) fn port(&self) -> u16 {
        self.pooler.port
    }

    /// A client.
    pub(crate) async fn login(&self, user: &str) -> Raw {
        Raw::login(self.port(), user, "acl", &[]).await.unwrap()
    }

    /// A client of PostgreSQL itself, whose server only reads.
    pub(crate) async fn reader_without_us(&self) -> Raw {
        let read_only = [("default_transaction_read_only", "on")];
        Raw::login(self.fixture.postgres.port, "app_rw", "acl", &read_only)
            .await
            .unwrap()
    }

    /// Fails the test if anything has changed.
    #[track_caller]
    pub(crate) fn is_untouched(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let changes = self.fixture.changes().await;
            assert!(changes.is_none(), "at {caller}: {changes:?}");
        }
    }

    /// Waits until a role's pool has a server that works: the ones it had may be gone with the
    /// database.
    pub(crate) async fn recovers(&self, user: &str) {
        let port = self.port();
        eventually("there is a server again", async || {
            let Ok(mut raw) = Raw::login(port, user, "acl", &[]).await else {
                return false;
            };
            raw.send_query(b"select 1").await;
            raw.try_reply()
                .await
                .is_ok_and(|reply| reply.failure.is_none())
        })
        .await;
    }
}
