//! Says something to a server, and keeps every message of the answer.

use std::fmt::Write as _;
use std::time::Duration;

use crate::row::{Row, Step};
use crate::support::raw::{Failure, Raw, failure, row};

/// Longer than any of these answers takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    /// The connection ended.
    pub(crate) closed: bool,
    /// Nothing came for too long.
    pub(crate) stuck: bool,
}

impl Answers {
    /// All errors.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let errors = self.messages.iter().filter(|(tag, _)| *tag == b'E');
        errors.map(|(_, body)| failure(body)).collect()
    }

    /// The only error.
    #[track_caller]
    pub(crate) fn failure(&self) -> Failure {
        let mut failures = self.failures();
        assert_eq!(failures.len(), 1, "{}", self.shape());
        failures.remove(0)
    }

    /// The state of the transaction at the end.
    pub(crate) fn status(&self) -> Option<char> {
        let mut readies = self.messages.iter().rev();
        let (_, body) = readies.find(|(tag, _)| *tag == b'Z')?;
        Some(char::from(body[0]))
    }

    /// The answers without what they say: which, in which order, with command tags, codes and
    /// states.
    pub(crate) fn shape(&self) -> String {
        let mut shape = String::new();
        for (tag, body) in &self.messages {
            match tag {
                b'C' => {
                    let tag = String::from_utf8_lossy(&body[..body.len() - 1]);
                    write!(shape, "C({tag}) ").unwrap();
                }
                b'E' => write!(shape, "E({}) ", failure(body).code).unwrap(),
                b'Z' => write!(shape, "Z({}) ", char::from(body[0])).unwrap(),
                b'N' | b'S' => {} // whenever they like
                other => write!(shape, "{} ", char::from(*other)).unwrap(),
            }
        }
        if self.closed {
            shape.push_str("closed");
        }
        if self.stuck {
            shape.push_str("stuck");
        }
        shape.trim_end().to_owned()
    }

    fn append(&mut self, mut more: Self) {
        self.messages.append(&mut more.messages);
        self.closed |= more.closed;
        self.stuck |= more.stuck;
    }

    /// The first column of every row.
    pub(crate) fn values(&self) -> Vec<String> {
        let rows = self.messages.iter().filter(|(tag, _)| *tag == b'D');
        rows.map(|(_, body)| row(body).remove(0).unwrap_or_default())
            .collect()
    }
}

/// Plays a line of a corpus. The connection, if it is still there.
pub(crate) async fn play(port: u16, user: &str, row: &Row) -> (Answers, Option<Raw>) {
    let startup: Vec<_> = row
        .startup
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let mut raw = match Raw::login(port, user, "acl", &startup).await {
        Ok(raw) => raw,
        Err(failure) => {
            let fields =
                ['C', 'M', 'H']
                    .into_iter()
                    .zip([&failure.code, &failure.message, &failure.hint]);
            let body = fields.fold(String::new(), |body, (key, value)| {
                format!("{body}{key}{value}\0")
            });
            let answers = Answers {
                messages: vec![(b'E', (body + "\0").into_bytes())],
                closed: true,
                stuck: false,
            };
            return (answers, None);
        }
    };
    let answers = say(&mut raw, &row.steps).await;
    let open = !answers.closed && !answers.stuck;
    (answers, open.then_some(raw))
}

/// Sends messages, and reads what is answered each time that the server must be ready again.
pub(crate) async fn say(raw: &mut Raw, steps: &[Step]) -> Answers {
    let mut all = Answers::default();
    let mut rest = steps;
    while !rest.is_empty() && !all.closed && !all.stuck {
        let until = rest.iter().position(Step::is_answered);
        let mut end = until.map_or(rest.len(), |at| at + 1);
        while matches!(rest.get(end), Some(Step::CopyData(_) | Step::CopyDone)) {
            end += 1;
        }
        let (batch, after) = rest.split_at(end);
        rest = after;
        all.append(exchange(raw, batch).await);
    }
    all
}

/// Sends messages in one go, and reads up to the ReadyForQuery that one of them asks for. A
/// copy that nothing more comes for is ended.
async fn exchange(raw: &mut Raw, batch: &[Step]) -> Answers {
    let mut out = Vec::new();
    for step in batch {
        step.encode(&mut out);
    }
    let mut answers = Answers::default();
    if !batch.iter().any(Step::is_answered) {
        Step::Sync.encode(&mut out);
    }
    // Sending fails where the other side has closed; then reading says so.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &out).await;
    loop {
        match tokio::time::timeout(PATIENCE, raw.message()).await {
            Err(_) => answers.stuck = true,
            Ok(None) => answers.closed = true,
            Ok(Some(message)) => {
                let tag = message.0;
                answers.messages.push(message);
                if tag == b'G' && !batch.contains(&Step::CopyDone) {
                    let mut out = Vec::new();
                    Step::CopyDone.encode(&mut out);
                    if batch.contains(&Step::Sync) {
                        // The first one was ignored.
                        Step::Sync.encode(&mut out);
                    }
                    raw.send(&out).await;
                }
                if tag != b'Z' {
                    continue;
                }
            }
        }
        return answers;
    }
}

/// A simple query.
pub(crate) fn q(sql: &str) -> Step {
    Step::Query(sql.into())
}

/// Parse.
pub(crate) fn p(name: &str, sql: &str) -> Step {
    Step::Parse {
        name: name.into(),
        sql: sql.into(),
    }
}

/// Bind of the unnamed portal.
pub(crate) fn b(statement: &str) -> Step {
    Step::Bind {
        portal: Vec::new(),
        statement: statement.into(),
    }
}

/// Execute of the unnamed portal.
pub(crate) fn e() -> Step {
    Step::Execute(Vec::new())
}

/// Parse, Bind and Execute without names.
pub(crate) fn run(sql: &str) -> [Step; 3] {
    [p("", sql), b(""), e()]
}
