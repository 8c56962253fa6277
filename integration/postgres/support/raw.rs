//! A client that speaks the protocol by hand, for what drivers do not let one do.

use std::collections::BTreeMap;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

/// A connection that has logged in.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    read: BytesMut,
    /// What the server last reported of each parameter.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Process id and secret.
    pub(crate) key: Vec<u8>,
}

/// What an ErrorResponse says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) severity: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: String,
    pub(crate) hint: String,
    /// Where in the text, from 1, in characters; empty: not said.
    pub(crate) position: String,
}

/// All that came up to a ReadyForQuery.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reply {
    pub(crate) rows: Vec<Vec<Option<String>>>,
    pub(crate) tags: Vec<String>,
    pub(crate) failure: Option<Failure>,
    /// `I`, `T` or `E`.
    pub(crate) status: char,
}

impl Reply {
    /// The only value of the only row.
    #[track_caller]
    pub(crate) fn value(&self) -> &str {
        match &self.rows[..] {
            [row] if row.len() == 1 => row[0].as_deref().unwrap_or("NULL"),
            _ => panic!("not one value: {self:?}"),
        }
    }

    /// The code of the error.
    pub(crate) fn code(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.code.as_str())
    }

    /// The reply, if it was no error.
    #[track_caller]
    pub(crate) fn fine(self) -> Self {
        assert_eq!(self.failure, None);
        self
    }
}

impl Raw {
    /// Connects, and says nothing yet.
    pub(crate) async fn connect(port: u16) -> Self {
        Self {
            stream: TcpStream::connect(("127.0.0.1", port)).await.unwrap(),
            read: BytesMut::new(),
            parameters: BTreeMap::new(),
            key: Vec::new(),
        }
    }

    /// Logs in with these start-up parameters besides user and database; the password is the
    /// user's name.
    pub(crate) async fn login(
        port: u16,
        user: &str,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        Self::connect(port)
            .await
            .start(user, database, parameters)
            .await
    }

    /// Logs in over a connection that has said nothing yet.
    pub(crate) async fn start(
        mut self,
        user: &str,
        database: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let all = [("user", user), ("database", database)];
        let all = all.iter().chain(parameters).copied();
        let mut out = BytesMut::new();
        frontend::startup_message(all, &mut out).unwrap();
        self.send(&out).await;
        let mut scram = ScramSha256::new(user.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (tag, body) = self.expect_message().await;
            let mut out = BytesMut::new();
            match tag {
                b'R' => match u32::from_be_bytes(body[..4].try_into().unwrap()) {
                    0 => {}
                    10 => {
                        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)
                            .unwrap();
                    }
                    11 => {
                        scram.update(&body[4..]).unwrap();
                        frontend::sasl_response(scram.message(), &mut out).unwrap();
                    }
                    12 => scram.finish(&body[4..]).unwrap(),
                    other => panic!("authentication request {other}"),
                },
                b'S' => {}
                b'K' => self.key = body,
                b'N' => {}
                b'E' => return Err(failure(&body)),
                b'Z' => return Ok(self),
                other => panic!("{:?} during login", char::from(other)),
            }
            if !out.is_empty() {
                self.send(&out).await;
            }
        }
    }

    /// Logs in as `app` to `shop`.
    pub(crate) async fn app(port: u16) -> Self {
        Self::login(port, "app", "shop", &[]).await.unwrap()
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` at the end of the stream. Notes what parameters are reported.
    pub(crate) async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        in_time("a message", async {
            loop {
                if self.read.len() >= 5 {
                    let len = u32::from_be_bytes(self.read[1..5].try_into().unwrap()) as usize;
                    if self.read.len() > len {
                        let message = self.read.split_to(len + 1);
                        let body = message[5..].to_vec();
                        if message[0] == b'S' {
                            let text = String::from_utf8_lossy(&body).into_owned();
                            let mut parts = text.split('\0');
                            let name = parts.next().unwrap_or_default().to_owned();
                            let value = parts.next().unwrap_or_default().to_owned();
                            self.parameters.insert(name, value);
                        }
                        return Some((message[0], body));
                    }
                }
                match self.stream.read_buf(&mut self.read).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    /// The next message, which must come.
    pub(crate) async fn expect_message(&mut self) -> (u8, Vec<u8>) {
        self.message().await.expect("the connection is open")
    }

    /// Everything up to the next ReadyForQuery.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("the connection is open")
    }

    /// Everything up to the next ReadyForQuery; the last error if the connection ends first.
    pub(crate) async fn try_reply(&mut self) -> Result<Reply, Option<Failure>> {
        let mut reply = Reply::default();
        loop {
            let Some((tag, body)) = self.message().await else {
                return Err(reply.failure);
            };
            match tag {
                b'D' => reply.rows.push(row(&body)),
                b'C' => reply
                    .tags
                    .push(String::from_utf8_lossy(&body[..body.len() - 1]).into_owned()),
                b'E' => {
                    reply.failure.get_or_insert(failure(&body));
                }
                b'Z' => {
                    reply.status = char::from(body[0]);
                    return Ok(reply);
                }
                _ => {}
            }
        }
    }

    /// Runs a simple query.
    pub(crate) async fn query(&mut self, sql: &str) -> Reply {
        self.query_bytes(sql.as_bytes()).await
    }

    /// Runs a simple query of these bytes.
    pub(crate) async fn query_bytes(&mut self, sql: &[u8]) -> Reply {
        self.send_query(sql).await;
        self.reply().await
    }

    /// Sends a simple query.
    pub(crate) async fn send_query(&mut self, sql: &[u8]) {
        let mut out = vec![b'Q'];
        out.extend_from_slice(&u32::try_from(sql.len() + 5).unwrap().to_be_bytes());
        out.extend_from_slice(sql);
        out.push(0);
        self.send(&out).await;
    }

    /// Runs a query, and takes its only value.
    #[track_caller]
    pub(crate) fn value(&mut self, sql: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.query(sql).await;
            assert_eq!(reply.failure, None, "{sql} at {caller}");
            reply.value().to_owned()
        }
    }

    /// Parse, Sync.
    pub(crate) async fn prepare(&mut self, name: &str, sql: &str) -> Reply {
        let mut out = BytesMut::new();
        frontend::parse(name, sql, [], &mut out).unwrap();
        frontend::sync(&mut out);
        self.send(&out).await;
        self.reply().await
    }

    /// Bind without parameters, Execute, Sync.
    pub(crate) async fn execute(&mut self, name: &str) -> Reply {
        let mut out = BytesMut::new();
        bind_execute(name, &mut out);
        frontend::sync(&mut out);
        self.send(&out).await;
        self.reply().await
    }

    /// Close of a statement, Sync.
    pub(crate) async fn close_statement(&mut self, name: &str) -> Reply {
        let mut out = BytesMut::new();
        frontend::close(b'S', name, &mut out).unwrap();
        frontend::sync(&mut out);
        self.send(&out).await;
        self.reply().await
    }

    /// FunctionCall with arguments and result as text.
    pub(crate) async fn call_function(&mut self, oid: u32, arguments: &[&str]) -> Reply {
        let mut body = oid.to_be_bytes().to_vec();
        body.extend_from_slice(&0_i16.to_be_bytes());
        body.extend_from_slice(&i16::try_from(arguments.len()).unwrap().to_be_bytes());
        for argument in arguments {
            body.extend_from_slice(&i32::try_from(argument.len()).unwrap().to_be_bytes());
            body.extend_from_slice(argument.as_bytes());
        }
        body.extend_from_slice(&0_i16.to_be_bytes());
        let mut out = vec![b'F'];
        out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        out.extend_from_slice(&body);
        self.send(&out).await;
        self.reply().await
    }
}

/// Appends Bind without parameters and Execute.
pub(crate) fn bind_execute(name: &str, out: &mut BytesMut) {
    let bound = frontend::bind("", name, [], [0_u8; 0], |_: u8, _| unreachable!(), [0], out);
    assert!(bound.is_ok());
    frontend::execute("", 0, out).unwrap();
}

/// The columns of a DataRow.
pub(crate) fn row(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = &body[2..];
    let mut row = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk() {
        match usize::try_from(i32::from_be_bytes(*len)) {
            Err(_) => {
                row.push(None);
                rest = after;
            }
            Ok(len) => {
                row.push(Some(String::from_utf8_lossy(&after[..len]).into_owned()));
                rest = &after[len..];
            }
        }
    }
    row
}

/// What an ErrorResponse says.
pub(crate) fn failure(body: &[u8]) -> Failure {
    let field = |wanted: u8| {
        body.split(|&b| b == 0)
            .find(|field| field.first() == Some(&wanted))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
            .unwrap_or_default()
    };
    Failure {
        severity: field(b'V'),
        code: field(b'C'),
        message: field(b'M'),
        detail: field(b'D'),
        hint: field(b'H'),
        position: field(b'P'),
    }
}
