//! What SHOW FDS gives, and to whom.

use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::support::pooler::{Pooler, shop};
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, failure, row};

/// Rows of SHOW FDS over the Unix socket, as the owner of the process, with as many sockets as
/// have come along.
fn owners_descriptors(pooler: &Pooler) -> (Vec<Vec<Option<String>>>, Vec<OwnedFd>) {
    let path = pooler.dir().join(format!(".s.PGSQL.{}", pooler.port));
    let mut socket = std::os::unix::net::UnixStream::connect(path).unwrap();
    let limit = Some(Duration::from_secs(20));
    socket.set_read_timeout(limit).unwrap();
    let mut out = BytesMut::new();
    let who = [("user", "pgbouncer"), ("database", "pgbouncer")];
    frontend::startup_message(who, &mut out).unwrap();
    frontend::query("SUSPEND", &mut out).unwrap();
    frontend::query("SHOW FDS", &mut out).unwrap();
    socket.write_all(&out).unwrap();
    let (mut rows, mut sockets) = (Vec::new(), Vec::new());
    let (mut unread, mut readies) = (Vec::new(), 0);
    while readies < 3 {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&socket, &mut slices, &mut control, flags).unwrap();
        assert!(received.bytes > 0, "the console has hung up");
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                sockets.extend(some);
            }
        }
        unread.extend_from_slice(&bytes[..received.bytes]);
        while let Some(&[tag, a, b, c, d]) = unread.first_chunk() {
            let end = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
            if unread.len() < end {
                break;
            }
            match tag {
                b'D' => rows.push(row(&unread[5..end])),
                b'E' => panic!("{:?}", failure(&unread[5..end])),
                b'Z' => readies += 1,
                _ => {}
            }
            unread.drain(..end);
        }
    }
    (rows, sockets)
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_secrets_are_for_the_owner_of_the_process_alone() {
    let postgres = Postgres::start().await;
    let text = format!(
        "unix_socket_dir = \".\"\n[auth]\nmethod = \"trust\"\nusers = \"users.txt\"\n\
         [console]\nadmins = [\"ops\"]\nviewers = [\"stats\"]\n[pool]\nmode = \"session\"\n{}",
        shop(&postgres)
    );
    let users = "\"app\" \"app-secret\"\n\"ops\" \"x\"\n\"stats\" \"x\"\n";
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    let pooler = Pooler::start_with(&text, &[("users.txt", users)], command).await;
    let mut client = Raw::app(pooler.port).await;
    client.query("select 1").await.fine();

    let mut viewer = Raw::login(pooler.port, "stats", "pgbouncer", &[])
        .await
        .unwrap();
    let refused = viewer.query("SHOW FDS").await;
    assert_eq!(refused.failure.unwrap().message, "admin access needed");

    let mut ops = Raw::login(pooler.port, "ops", "pgbouncer", &[])
        .await
        .unwrap();
    let shown = ops.query("SHOW FDS").await.fine().rows;
    let of = |rows: &[Vec<Option<String>>], task: &str, user: Option<&str>| {
        let mut rows = rows.iter();
        let found = rows.find(|row| row[1].as_deref() == Some(task) && row[2].as_deref() == user);
        found
            .unwrap_or_else(|| panic!("no {task} of {user:?}"))
            .clone()
    };
    let (theirs, server) = (
        of(&shown, "client", Some("app")),
        of(&shown, "server", Some("app")),
    );
    assert_eq!((&theirs[3], &theirs[7]), (&Some("shop".into()), &server[0]));
    assert_eq!(server[7], theirs[0]);
    assert_eq!(theirs[12..], [None, None, None]);
    of(&shown, "pooler", None);

    let (rows, sockets) = owners_descriptors(&pooler);
    assert_eq!(rows.len(), sockets.len());
    let ours = of(&rows, "client", Some("app"));
    assert_eq!(ours[12].as_deref(), Some("app-secret"));
    assert_eq!(ours[..6], theirs[..6]);
    let at = rows.iter().position(|row| *row == ours).unwrap();
    // What has arrived is the client's own connection.
    let address = rustix::net::getpeername(&sockets[at]).unwrap().unwrap();
    let port = std::net::SocketAddr::try_from(address).unwrap().port();
    assert_eq!(ours[5], Some(port.to_string()));
}
