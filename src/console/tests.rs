mod drivers;

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, LocalSet};

use super::*;
use crate::console::control::fake::FakeControl;
use crate::session::bench::Bench;
use crate::session::context::Context;
use crate::session::roster::{Client, ClientState};
use crate::wire::buffer::Inbox;
use crate::wire::cancel_key::CancelKey;
use crate::wire::error_response::Fields;
use crate::wire::frontend;
use crate::wire::outbox::Outbox;
use crate::wire::sqlstate::SqlState;

/// A client of a console, and what the console sees of it.
struct Script {
    stream: UnixStream,
    client: Rc<Client>,
    worker: Rc<Context>,
    key: CancelKey,
    served: JoinHandle<std::io::Result<()>>,
}

impl Script {
    async fn new(control: &Arc<FakeControl>, role: Role) -> Self {
        let (stream, theirs) = UnixStream::pair().unwrap();
        let client = Client::new(7, Default::default());
        let worker = Context::new(
            0,
            control.pools.clone(),
            control.logins.clone(),
            [0; 32],
            Arc::default(),
            Bench::default(),
        );
        let worker = Rc::new(worker);
        let console = Console::new(control.clone());
        let served = tokio::task::spawn_local({
            let (client, worker) = (client.clone(), worker.clone());
            async move {
                let _entry = worker.roster.enter(&client);
                let parts = (theirs.into(), Inbox::default(), Outbox::default());
                let seat = Seat {
                    role,
                    client: &client,
                    worker: &worker,
                };
                serve(parts, seat, &console).await
            }
        });
        let mut script = Self {
            stream,
            client,
            worker,
            key: CancelKey::new(0, &[0]),
            served,
        };
        let mut parameters = Vec::new();
        loop {
            let (tag, body) = script.receives().await;
            match tag {
                b'S' => parameters.push(String::from_utf8(body).unwrap()),
                b'K' => script.key = CancelKey::parse(&body).unwrap(),
                _ => break assert_eq!((tag, &body[..]), (b'Z', &b"I"[..])),
            }
        }
        assert!(
            parameters[0].starts_with("server_version\x0015.0 (pgwarden "),
            "{parameters:?}"
        );
        assert!(parameters.contains(&"client_encoding\0UTF8\0".to_owned()));
        script
    }

    async fn sends(&mut self, sql: &str) {
        let mut bytes = Vec::new();
        frontend::put_query(&mut bytes, sql);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn receives(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).await.unwrap();
        let len = i32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(len - 4).unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        (head[0], body)
    }

    /// The command's tag, or its error, up to ReadyForQuery.
    async fn result(&mut self) -> String {
        let mut result = String::new();
        loop {
            let (tag, body) = self.receives().await;
            match tag {
                b'C' => result += String::from_utf8_lossy(&body).trim_end_matches('\0'),
                b'E' => result += &error(&body),
                b'N' => result += &format!("[{}] ", error(&body)),
                b'Z' => return result,
                _ => {}
            }
        }
    }

    async fn asks(&mut self, sql: &str) -> String {
        self.sends(sql).await;
        self.result().await
    }

    /// The last words before the end.
    async fn farewell(mut self) -> String {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        self.served.await.unwrap().unwrap();
        if rest.is_empty() {
            String::new()
        } else {
            error(&rest[5..])
        }
    }
}

fn error(body: &[u8]) -> String {
    let fields = Fields::parse(body);
    let message = String::from_utf8_lossy(fields.message.unwrap()).into_owned();
    format!("{} {message}", fields.code.unwrap())
}

async fn turns(n: usize) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

/// In this order: what a command has done shows in the next ones.
const ANSWERS: [(&str, &str); 53] = [
    ("SHOW POOLS", "SHOW"),
    ("SHOW HELP", "[00000 Console usage] SHOW"),
    ("SET extra_float_digits = 3", "[00000 SET ignored] SET"),
    ("SET pool_size = 3", "SET pool_size=3"),
    ("SET nonsense = 3", "08P01 SET failed"),
    (
        "SET client_tls_sslmode = require",
        "[00000 TLS settings could not be applied, still using old configuration] SET \
         client_tls_sslmode=require",
    ),
    ("SELECT 1", "SELECT 1"),
    ("RESUME", "08P01 pooler is not paused/suspended"),
    ("RESUME shop", "08P01 database shop is not paused"),
    ("RESUME nothing", "08P01 no such database: nothing"),
    ("PAUSE nothing", "08P01 no such database: nothing"),
    ("PAUSE pgbouncer", "08P01 cannot pause admin db: pgbouncer"),
    ("RECONNECT", "RECONNECT"),
    ("RECONNECT shop", "RECONNECT"),
    ("RECONNECT nothing", "08P01 no such database: nothing"),
    ("WAIT_CLOSE", "WAIT_CLOSE"),
    ("WAIT_CLOSE shop", "WAIT_CLOSE"),
    (
        "WAIT_CLOSE pgwarden",
        "08P01 cannot wait in admin db: pgbouncer",
    ),
    ("DISABLE", "08P01 a database is required"),
    ("DISABLE nothing", "08P01 no such database: nothing"),
    (
        "DISABLE pgbouncer",
        "08P01 cannot disable admin db: pgbouncer",
    ),
    ("DISABLE shop", "DISABLE"),
    ("ENABLE", "08P01 a database is required"),
    (
        "ENABLE pgbouncer",
        "08P01 cannot enable admin db: pgbouncer",
    ),
    ("ENABLE shop", "ENABLE"),
    ("PAUSE", "PAUSE"),
    ("PAUSE", "08P01 already suspended/paused"),
    ("SUSPEND", "08P01 already suspended/paused"),
    ("KILL", "08P01 already suspended/paused"),
    ("RESUME", "RESUME"),
    ("SUSPEND", "SUSPEND"),
    ("SUSPEND", "08P01 already suspended/paused"),
    ("PAUSE shop", "08P01 already suspended/paused"),
    ("RESUME", "RESUME"),
    ("PAUSE shop", "PAUSE"),
    ("SUSPEND", "08P01 cannot suspend with paused databases"),
    ("RESUME", "08P01 pooler is not paused/suspended"),
    ("RESUME shop", "RESUME"),
    ("KILL ledger", "KILL"),
    ("RESUME ledger", "RESUME"),
    ("KILL", "KILL"),
    ("RESUME", "RESUME"),
    ("RESUME ledger", "08P01 database ledger is not paused"),
    ("KILL pgwarden", "08P01 cannot kill admin db: pgbouncer"),
    ("KILL_CLIENT", "08P01 invalid client pointer supplied"),
    ("KILL_CLIENT 99", "08P01 client not found"),
    ("RELOAD", "RELOAD"),
    ("SHOW FDS", "SHOW"),
    (
        "RELOAD now",
        "08P01 invalid command 'RELOAD now', use SHOW HELP;",
    ),
    ("SHUTDOWN WAIT_FOR_CLIENTS", "SHUTDOWN"),
    ("RESUME", "08P01 pooler is shutting down"),
    ("SHOW", "08P01 invalid command 'SHOW', use SHOW HELP;"),
    ("SHOW STATE", "SHOW"),
];

#[tokio::test]
async fn commands_answer_as_pgbouncer_words_it() {
    let control = FakeControl::new();
    let script = async {
        let mut script = Script::new(&control, Role::Admin).await;
        control.pool("ledger", "ann");
        let mut refused = 0;
        for (sql, answer) in ANSWERS {
            assert_eq!(script.asks(sql).await, answer, "{sql}");
            refused += u64::from(answer.starts_with("08P01"));
        }
        assert_eq!(
            control.log(),
            [
                "set pool_size to 3",
                "kill clients of Some(\"ledger\")",
                "kill clients of None",
                "shutdown WaitForClients"
            ]
        );
        let counted = control.logins.errors()[&SqlState::PROTOCOL_VIOLATION];
        assert_eq!(counted, refused);
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn pools_made_during_a_pause_are_paused() {
    let control = FakeControl::new();
    let script = async {
        let mut script = Script::new(&control, Role::Admin).await;
        assert_eq!(script.asks("PAUSE shop").await, "PAUSE");
        let (shop, ledger) = (control.pool("shop", "ann"), control.pool("ledger", "ann"));
        assert!(shop.is_paused() && !ledger.is_paused());
        assert_eq!(script.asks("PAUSE").await, "PAUSE");
        assert!(control.pool("ledger", "ben").is_paused() && ledger.is_paused());
        assert_eq!(script.asks("RESUME").await, "RESUME");
        assert!(shop.is_paused() && !ledger.is_paused());
        assert_eq!(script.asks("RESUME shop").await, "RESUME");
        assert!(!shop.is_paused());
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn a_refused_reload_tells_every_problem() {
    let control = FakeControl::new();
    control
        .problems
        .lock()
        .unwrap()
        .extend(["one".into(), "two".into()]);
    let script = async {
        let mut script = Script::new(&control, Role::Admin).await;
        script.sends("RELOAD").await;
        let (_, body) = script.receives().await;
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("CF0000\0MRELOAD failed, see logs for additional details\0"));
        assert!(body.contains("\0Done\ntwo\0"), "{body}");
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn a_killed_client_of_the_console_is_told() {
    let control = FakeControl::new();
    let script = async {
        let script = Script::new(&control, Role::Viewer).await;
        script.client.end(control::forced_disconnect());
        assert_eq!(
            script.farewell().await,
            "57P01 terminating connection due to administrator command"
        );
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn shutdown_at_once_closes_without_an_answer() {
    let control = FakeControl::new();
    let script = async {
        let mut script = Script::new(&control, Role::Admin).await;
        script.sends("SHUTDOWN").await;
        assert_eq!(script.farewell().await, "");
        assert_eq!(control.log(), ["shutdown Immediate"]);
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn what_is_no_message_ends_the_session() {
    let control = FakeControl::new();
    let script = async {
        let mut script = Script::new(&control, Role::Admin).await;
        script.stream.write_all(b"Q\x7f\xff\xff\xff").await.unwrap();
        let told = script.farewell().await;
        assert!(
            told.starts_with("08P01 message of 2147483643 bytes"),
            "{told}"
        );
        let mut script = Script::new(&control, Role::Admin).await;
        script.stream.write_all(b"!\0\0\0\x04").await.unwrap();
        assert_eq!(script.farewell().await, "08P01 invalid message type 0x21");
    };
    LocalSet::new().run_until(script).await;
}

/// A pool that opens a server that never answers: a PAUSE has something to wait for.
async fn never_quiet(control: &FakeControl) -> (Arc<crate::pool::Pool>, JoinHandle<()>) {
    let pool = control.silent_pool("silent");
    let checkout = tokio::task::spawn_local({
        let pool = pool.clone();
        async move { drop(pool.checkout().await) }
    });
    while pool.logins() == 0 {
        tokio::task::yield_now().await;
    }
    (pool, checkout)
}

#[tokio::test]
async fn a_client_that_leaves_while_pause_waits_undoes_it() {
    let control = FakeControl::new();
    let script = async {
        let (pool, checkout) = never_quiet(&control).await;
        let mut script = Script::new(&control, Role::Admin).await;
        script.sends("PAUSE").await;
        while !pool.is_paused() {
            tokio::task::yield_now().await;
        }
        turns(20).await;
        assert!(pool.is_paused() && script.client.state.get() == ClientState::Waiting);
        drop(script.stream);
        script.served.await.unwrap().unwrap();
        assert!(!pool.is_paused());
        checkout.abort();
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn a_cancelled_pause_is_undone_and_the_session_goes_on() {
    let control = FakeControl::new();
    let script = async {
        let (pool, checkout) = never_quiet(&control).await;
        let mut script = Script::new(&control, Role::Admin).await;
        script.sends("PAUSE silent").await;
        while script.client.state.get() != ClientState::Waiting {
            tokio::task::yield_now().await;
        }
        turns(20).await;
        assert!(script.worker.roster.cancel(&script.key).is_none());
        assert_eq!(
            script.result().await,
            "57014 canceling statement due to user request"
        );
        assert!(!pool.is_paused());
        // It waits no longer than there is something to wait for.
        script.sends("PAUSE silent").await;
        turns(20).await;
        checkout.abort();
        assert_eq!(script.result().await, "PAUSE");
        assert!(pool.is_paused());
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn a_suspension_ends_with_the_console_that_asked_for_it() {
    let control = FakeControl::new();
    let script = async {
        for comes_to_its_end in [true, false] {
            control
                .never_still
                .store(!comes_to_its_end, Ordering::SeqCst);
            let mut script = Script::new(&control, Role::Admin).await;
            script.sends("SUSPEND").await;
            if comes_to_its_end {
                assert_eq!(script.result().await, "SUSPEND");
                turns(20).await;
            }
            while !control.suspended.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            drop(script.stream);
            script.served.await.unwrap().unwrap();
            assert!(!control.suspended.load(Ordering::SeqCst));
        }
    };
    LocalSet::new().run_until(script).await;
}

#[tokio::test]
async fn a_cancelled_suspension_is_undone() {
    let control = FakeControl::new();
    control.never_still.store(true, Ordering::SeqCst);
    let script = async {
        let mut script = Script::new(&control, Role::Admin).await;
        script.sends("SUSPEND").await;
        while script.client.state.get() != ClientState::Waiting {
            tokio::task::yield_now().await;
        }
        turns(20).await;
        assert!(script.worker.roster.cancel(&script.key).is_none());
        assert_eq!(
            script.result().await,
            "57014 canceling statement due to user request"
        );
        assert!(!control.suspended.load(Ordering::SeqCst));
    };
    LocalSet::new().run_until(script).await;
}
