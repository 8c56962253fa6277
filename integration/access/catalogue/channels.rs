//! The ways around a text: names, pipelines, reloads, keys, passwords, data.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{passes, refused, refused_steps, still_reads};
use crate::house::{House, settings};
use crate::play::{b, e, p, q, run, say};
use crate::row::Step::{Close, CopyData, CopyDone, Sync};
use crate::support::raw::Raw;
use crate::support::{eventually, in_time};

#[tokio::test]
async fn row_30_names_and_what_they_stand_for() {
    let mut house = House::start().await;
    for steps in [
        vec![
            p("s", "select 1"),
            p("s", "delete from u"),
            b("s"),
            e(),
            Sync,
        ],
        vec![p("", "select 1"), p("", "delete from u"), b(""), e(), Sync],
        vec![
            p("s", "select 1"),
            Close(b"Ss".to_vec()),
            p("s", "delete from u"),
            b("s"),
            e(),
            Sync,
        ],
        vec![q("prepare s as delete from u"), b("s"), e(), Sync],
        vec![p("s", "delete from u"), Sync, q("execute s")],
        vec![
            p("s", "prepare x as delete from u"),
            b("s"),
            e(),
            Sync,
            q("execute x"),
        ],
    ] {
        refused_steps(&house, "reader", &steps).await;
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_30_a_reload_between_parse_and_bind() {
    for mode in ["transaction", "session"] {
        let pool = format!("size = 4\nmode = \"{mode}\"");
        let mut house = House::with_pool(&pool).await;
        let mut raw = house.login("free").await;
        for steps in [
            vec![p("s", "delete from u"), Sync],
            vec![p("read", "select 1"), Sync],
            vec![q("prepare x as delete from u")],
            vec![p("", "update u set v = 'x'"), Sync],
        ] {
            assert_eq!(say(&mut raw, &steps).await.failures(), []);
        }
        let text = settings(house.fixture.postgres.port, &pool);
        let text = text.replace("[roles.free]\n", "[roles.free]\nread_only = true\n");
        house.pooler.write(&text);
        house.pooler.signal(rustix::process::Signal::HUP);
        eventually("the rules are others", async || {
            let mut new = house.login("free").await;
            new.query("delete from u where false").await.code() == Some("25006")
        })
        .await;
        for steps in [
            vec![b(""), e(), Sync],
            vec![b("s"), e(), Sync],
            vec![q("execute x")],
            run("execute x").into_iter().chain([Sync]).collect(),
            vec![q("delete from u")],
        ] {
            let answers = say(&mut raw, &steps).await;
            assert!(!answers.failures().is_empty(), "{mode} {steps:?}");
            if answers.closed {
                raw = house.login("free").await;
            }
        }
        house.is_untouched().await;
        // A name that was prepared before and only reads is not lost.
        let answers = say(&mut raw, &[b("read"), e(), Sync]).await;
        if mode == "transaction" {
            assert_eq!(answers.failures(), []);
        }
    }
}

#[tokio::test]
async fn row_31_pipelines() {
    let mut house = House::start().await;
    let pipeline = |texts: &[&str]| -> Vec<_> {
        let steps = texts.iter().flat_map(|text| run(text));
        steps.chain([Sync]).collect()
    };
    for texts in [
        &["begin read write", "delete from u", "commit"][..],
        &[
            "select 1",
            "begin",
            "set transaction read write",
            "select f_write()",
            "commit",
        ],
        &[
            "set default_transaction_read_only = off",
            "commit",
            "select f_write()",
        ],
        &[
            "begin",
            "select 1",
            "commit and chain",
            "delete from u",
            "commit",
        ],
    ] {
        refused_steps(&house, "reader", &pipeline(texts)).await;
    }
    for texts in [
        &["insert into u values (2, 'x')", "drop table secret"][..],
        &[
            "begin",
            "insert into u values (2, 'x')",
            "drop table secret",
            "commit",
        ],
    ] {
        refused_steps(&house, "noddl", &pipeline(texts)).await;
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_34_grammar_that_the_parser_does_not_know() {
    let mut house = House::start().await;
    let texts = ["repack table t", "select * from t group by all", "use acl"];
    for user in ["reader", "noddl"] {
        refused(&mut house, user, &texts).await;
    }
    // Who has no rules hears it from the server.
    let mut free = house.login("free").await;
    for text in texts {
        assert_eq!(free.query(text).await.code(), Some("42601"));
    }
}

async fn cancel(port: u16, key: &[u8]) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut out = BytesMut::new();
    let (pid, secret) = key.split_at(4);
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().unwrap());
    frontend::cancel_request(number(pid), number(secret), &mut out);
    socket.write_all(&out).await.unwrap();
    // It is closed when it has been dealt with.
    let _ = in_time(
        "the end of a cancel",
        tokio::io::AsyncReadExt::read(&mut socket, &mut [0]),
    )
    .await;
}

#[tokio::test]
async fn row_36_cancel_keys() {
    let house = House::with_pool("size = 2").await;
    let mut victim = house.login("free").await;
    let mut attacker = house.login("reader").await;
    let keys: Vec<_> = [&victim, &attacker].map(|raw| raw.key.clone()).to_vec();
    assert_ne!(keys[0], keys[1]);
    // Not the server's.
    let pid = victim.value("select pg_backend_pid()").await;
    let told = i32::from_be_bytes(keys[0][..4].try_into().unwrap());
    assert_ne!(told.to_string(), pid);
    victim.send_query(b"select pg_sleep(1), 'whole'").await;
    let mut guesses = vec![keys[1].clone()];
    for bit in 0..32 {
        let mut guess = keys[0].clone();
        guess[4 + bit / 8] ^= 1 << (bit % 8);
        guesses.push(guess);
    }
    guesses.push([&keys[1][..4], &keys[0][4..]].concat());
    guesses.push([&keys[0][..4], &keys[1][4..]].concat());
    let server: i32 = pid.parse().unwrap();
    guesses.push([&server.to_be_bytes()[..], &keys[0][4..]].concat());
    for guess in guesses {
        cancel(house.port(), &guess).await;
    }
    assert_eq!(victim.reply().await.failure, None);
    attacker.query("select 1").await.fine();
    victim.send_query(b"select pg_sleep(60)").await;
    eventually("it sleeps", async || {
        let sleeping = "select count(*) from pg_stat_activity where query ~ 'pg_sleep.60[)]'
            and state = 'active' and pid <> pg_backend_pid()";
        attacker.value(sleeping).await == "1"
    })
    .await;
    cancel(house.port(), &keys[0]).await;
    assert_eq!(victim.reply().await.code(), Some("57014"));
}

#[tokio::test]
async fn row_38_copy_data_is_data() {
    let mut house = House::start().await;
    let mut raw = house.login("noddl").await;
    let steps = [
        q("copy secret from stdin"),
        CopyData(b"7\tdrop table u; set standard_conforming_strings = off\n".to_vec()),
        CopyDone,
    ];
    assert_eq!(say(&mut raw, &steps).await.failures(), []);
    let text = raw.value("select ssn from secret where id = 7").await;
    assert!(text.starts_with("drop table u"));
    assert_eq!(house.fixture.changes().await.parts, ["rows of secret"]);

    // Much of it is passed on, not kept.
    let before = house.pooler.memory("VmRSS");
    let line = [&b"8\t"[..], &[b'x'; 8000], b"\n"].concat();
    let mut steps = vec![q("copy secret from stdin")];
    steps.extend(std::iter::repeat_n(CopyData(line.repeat(8)), 400));
    steps.push(CopyDone);
    assert_eq!(say(&mut raw, &steps).await.failures(), []);
    let grown = house.pooler.memory("VmRSS").saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} kB");
    house.fixture.changes().await;

    // After a refusal it is dropped, however it is meant.
    let mut reader = house.login("reader").await;
    let steps = [
        q("copy secret from stdin"),
        CopyData(b"7\tx\n".to_vec()),
        CopyDone,
    ];
    let answers = say(&mut reader, &steps).await;
    assert_eq!(answers.shape(), "E(25006) Z(I)");
    still_reads(&mut reader).await;
    house.is_untouched().await;
}

#[tokio::test]
async fn row_32_names_that_a_search_path_bends() {
    let mut house = House::start().await;
    let text = settings(house.fixture.postgres.port, "size = 1").replace(
        "[roles.free]\n",
        "[roles.free]\ntables = { deny = [\"public.secret\"] }\n",
    );
    house.pooler.write(&text);
    house.pooler.signal(rustix::process::Signal::HUP);
    eventually("the rules are others", async || {
        let mut new = house.login("free").await;
        new.query("select * from public.secret").await.code() == Some("42501")
    })
    .await;
    let texts = [
        "select * from secret",
        "table public.\"secret\"",
        "select (select ssn from secret)",
        "with secret2 as (select * from secret) select * from secret2",
        "copy secret to stdout",
        "copy (select * from public.secret) to stdout",
        "insert into u select * from secret",
        "set search_path = pg_temp",
        "select set_config('search_path', 'x', false)",
        "select table_to_xml('secret', true, false, '')",
        "select query_to_xml('select * from secret', true, false, '')",
        "explain select * from secret",
    ];
    refused(&mut house, "free", &texts).await;
    let texts = [
        "select * from t",
        "with secret as (select 1) select * from secret",
        "select 'secret' as secret",
    ];
    passes(&house, "free", &texts).await;
}

#[tokio::test]
async fn row_37_who_has_an_account() {
    let house = House::start().await;
    let text = settings(house.fixture.postgres.port, "size = 1");
    let text = format!("[auth]\nmethod = \"scram-sha-256\"\nusers = \"users.txt\"\n{text}");
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let files = [(
        "users.txt",
        "\"reader\" \"reader\"\n\"stranger\" \"stranger\"\n",
    )];
    let pooler = crate::support::pooler::Pooler::start_with(&text, &files, command).await;
    // `nobody` is in no file; `stranger` has no role; `reader` has both, and no right password.
    let seen = |failure: crate::support::raw::Failure, user: &str| {
        format!("{failure:?}").replace(user, "USER")
    };
    let (known, salt) = attempt(pooler.port, "reader").await;
    let (unknown, mock) = attempt(pooler.port, "nobody").await;
    assert_eq!(seen(known, "reader"), seen(unknown, "nobody"));
    assert_eq!(salt.len(), mock.len());
    assert_ne!(salt, mock);
    // Asked again, the salt is the same: a fresh one would give it away.
    assert_eq!(attempt(pooler.port, "nobody").await.1, mock);
    assert_eq!(attempt(pooler.port, "reader").await.1, salt);
    assert_ne!(attempt(pooler.port, "nobody2").await.1, mock);
    let stranger = Raw::login(pooler.port, "stranger", "acl", &[]).await;
    assert_eq!(
        stranger.unwrap_err().message,
        "password authentication failed for user \"stranger\""
    );
    Raw::login(pooler.port, "reader", "acl", &[]).await.unwrap();
}

/// Tries a wrong password; the error, and what the server says of its secret (`s=` and `i=`).
async fn attempt(port: u16, user: &str) -> (crate::support::raw::Failure, String) {
    let mut raw = Raw::connect(port).await;
    let mut out = BytesMut::new();
    frontend::startup_message([("user", user), ("database", "acl")], &mut out).unwrap();
    raw.send(&out).await;
    let (tag, body) = raw.expect_message().await;
    assert_eq!((tag, body[3]), (b'R', 10));
    let mut out = BytesMut::new();
    let first = b"n,,n=,r=abcdefghijklmnopqr";
    frontend::sasl_initial_response("SCRAM-SHA-256", first, &mut out).unwrap();
    raw.send(&out).await;
    let (tag, body) = raw.expect_message().await;
    assert_eq!((tag, body[3]), (b'R', 11));
    let text = String::from_utf8(body[4..].to_vec()).unwrap();
    let (nonce, secret) = text.split_once(",s=").unwrap();
    let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let last = format!("c=biws,{nonce},p={proof}");
    let mut out = BytesMut::new();
    frontend::sasl_response(last.as_bytes(), &mut out).unwrap();
    raw.send(&out).await;
    let (tag, body) = raw.expect_message().await;
    assert_eq!(tag, b'E');
    (crate::support::raw::failure(&body), secret.to_owned())
}
