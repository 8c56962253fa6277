//! The running binary between a client and a server that both say anything: what no other
//! target reaches, such as options and the two scans of the relay.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pgwarden::wire::cancel_key::CancelKey;

use crate::Target;
use crate::parsers::{backend_corpus, frontend_corpus};
use crate::script::{Pooler, Setup, backend, frontend};

/// What a connection to the server is answered with, one message for each that arrives.
type Replies = Arc<Mutex<Vec<u8>>>;

/// The running binary.
#[derive(Default)]
pub(crate) struct Live {
    stage: Option<(Pooler, Replies)>,
}

impl Target for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    /// What the client says, and behind a mark what the server says.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let replies = backend_corpus().concat();
        let mut corpus = Vec::new();
        for options in [
            "",
            "-c TimeZone=UTC --work-mem=1MB",
            r"-c a=\\\ b -cb=c",
            "-c",
        ] {
            let parameters = [
                ("user", "alice"),
                ("database", "shop"),
                ("options", options),
            ];
            let startup = frontend::startup_with(3 << 16, &parameters).bytes;
            for messages in frontend_corpus().chunks(5) {
                corpus.push([&startup, &messages.concat(), MARK, &replies].concat());
                let two = [&backend::parse_complete().bytes[..], &replies].concat();
                corpus.push([&startup, &messages.concat(), MARK, &two].concat());
            }
        }
        corpus
    }

    fn read(&mut self, input: &[u8]) {
        let (pooler, replies) = self.stage.get_or_insert_with(start);
        let at = input.windows(MARK.len()).position(|window| window == MARK);
        let (from_client, from_server) = input.split_at(at.unwrap_or(input.len()));
        *replies.lock().unwrap_or_else(PoisonError::into_inner) = from_server.to_vec();
        let mut client = pooler.socket();
        client
            .set_read_timeout(Some(Duration::from_millis(5)))
            .expect("it is a timeout");
        // Whatever becomes of it is fine, as long as the process survives it.
        let mut heard = [0; 4096];
        if client.write_all(from_client).is_ok() {
            while matches!(client.read(&mut heard), Ok(len) if len > 0) {}
        }
        drop(client);
        assert!(pooler.is_alive(), "pgwarden has died");
        let mut next = pooler.connects();
        next.sends(frontend::ssl_request());
        assert_eq!(next.next_bytes(1, "a sign of life"), b"N");
    }
}

fn start() -> (Pooler, Replies) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let replies = Replies::default();
    let shared = replies.clone();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let replies = shared.clone();
            thread::spawn(move || serve(socket, &replies));
        }
    });
    let setup = Setup::default().pool(
        "size = 2\nserver_login_retry = \"0s\"\nquery_wait_timeout = \"1s\"\n\
         server_connect_timeout = \"1s\"\nmax_prepared_statements = 2",
    );
    (Pooler::start(&setup, port), replies)
}

/// Logs pgwarden in and then answers whatever it says with the replies.
fn serve(mut socket: TcpStream, replies: &Mutex<Vec<u8>>) {
    let mut heard = [0; 4096];
    if !matches!(socket.read(&mut heard), Ok(8)) || socket.write_all(b"N").is_err() {
        return; // a cancel request
    }
    let mut answer = [
        backend::authenticated(),
        backend::parameter("TimeZone", "UTC"),
        backend::key_data(&CancelKey::new(1, &[1; 4])),
        backend::ready(backend::Idle),
    ]
    .map(|message| message.bytes)
    .concat();
    while matches!(socket.read(&mut heard), Ok(len) if len > 0) {
        if socket.write_all(&answer).is_err() {
            return;
        }
        answer = replies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
    }
}

/// Between what the client and what the server says.
const MARK: &[u8] = b"\xfe\xfeSERVER\xfe\xfe";
