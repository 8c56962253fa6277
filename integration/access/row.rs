//! One line of a corpus: what to send, and what two policies must say to it.

/// A line of `corpus.tsv` or `more.tsv`.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// Start-up parameters besides user and database.
    pub(crate) startup: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    /// The text as it is written, for reports.
    pub(crate) text: String,
    pub(crate) reader: Expect,
    pub(crate) noddl: Expect,
    note: String,
}

/// What a policy must say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expect {
    Allow,
    Deny,
}

/// The two policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Policy {
    Reader,
    NoDdl,
}

/// One message of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Bind {
        portal: Vec<u8>,
        statement: Vec<u8>,
    },
    /// Bind of the unnamed portal with one value, as text.
    BindText {
        statement: Vec<u8>,
        value: Vec<u8>,
    },
    Close(Vec<u8>),
    CopyData(Vec<u8>),
    CopyDone,
    Describe(Vec<u8>),
    Execute(Vec<u8>),
    FunctionCall {
        oid: u32,
        arguments: Vec<Vec<u8>>,
    },
    Parse {
        name: Vec<u8>,
        sql: Vec<u8>,
    },
    Query(Vec<u8>),
    Sync,
}

impl Policy {
    /// The user that has it.
    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::NoDdl => "noddl",
        }
    }
}

impl Row {
    /// What a policy must say.
    pub(crate) fn expect(&self, policy: Policy) -> Expect {
        match policy {
            Policy::Reader => self.reader,
            Policy::NoDdl => self.noddl,
        }
    }

    /// Whether reasonable products differ.
    pub(crate) fn is_choice(&self, policy: Policy) -> bool {
        self.note.contains("[choice]")
            || (policy == Policy::NoDdl && self.note.contains("[choice:noddl]"))
    }

    /// Whether the server itself answers with an error.
    pub(crate) fn server_fails(&self) -> bool {
        self.note.contains("[server-error]")
    }
}

/// All lines of a corpus.
pub(crate) fn rows(corpus: &str) -> Vec<Row> {
    corpus.lines().skip(1).map(parse).collect()
}

fn parse(line: &str) -> Row {
    let columns: Vec<_> = line.split('\t').collect();
    let &[id, _, protocol, text, _, reader, noddl, note] = &columns[..] else {
        panic!("not eight columns: {line}");
    };
    let mut startup = Vec::new();
    let steps = match protocol {
        "simple" => vec![Step::Query(decode(text))],
        "extended" => extended(text),
        "startup" => {
            for pair in text.split(" ; ") {
                let (key, value) = pair.split_once('=').expect("key=value");
                let value = String::from_utf8(decode(value)).unwrap();
                startup.push((key.to_owned(), value));
            }
            vec![Step::Query(b"select 1".to_vec())]
        }
        "message" => text.split(" => ").map(step).collect(),
        _ => panic!("unknown protocol: {line}"),
    };
    Row {
        id: id.into(),
        startup,
        steps,
        text: text.chars().take(200).collect(),
        reader: expect(reader),
        noddl: expect(noddl),
        note: note.into(),
    }
}

fn expect(text: &str) -> Expect {
    match text {
        "allow" => Expect::Allow,
        "deny" => Expect::Deny,
        _ => panic!("neither allow nor deny: {text}"),
    }
}

fn extended(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for sql in text.split(" |> ") {
        steps.push(Step::Parse {
            name: Vec::new(),
            sql: decode(sql),
        });
        steps.push(Step::Bind {
            portal: Vec::new(),
            statement: Vec::new(),
        });
        steps.push(Step::Execute(Vec::new()));
    }
    steps.push(Step::Sync);
    steps
}

fn step(text: &str) -> Step {
    // The last of them may end in a space that an editor has taken.
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let two = || {
        let (one, other) = rest.split_once('|').expect("two parts");
        (decode(one), decode(other))
    };
    let target = || decode(&rest.replacen('|', "", 1));
    match verb {
        "B" => {
            let (portal, statement) = two();
            Step::Bind { portal, statement }
        }
        "C" => Step::Close(target()),
        "CC" => Step::CopyDone,
        "CD" => Step::CopyData(decode(rest)),
        "D" => Step::Describe(target()),
        "E" => Step::Execute(decode(rest.trim_end())),
        "F" => {
            let mut parts = rest.split('|');
            let oid = parts.next().unwrap().parse().unwrap();
            let arguments = parts.map(decode).collect();
            Step::FunctionCall { oid, arguments }
        }
        "P" => {
            let (name, sql) = two();
            Step::Parse { name, sql }
        }
        "Q" | "QRAW" => Step::Query(decode(rest)),
        "S" => Step::Sync,
        _ => panic!("unknown step: {text}"),
    }
}

/// Takes the escapes out.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next().expect("an escape is whole") {
            b'\\' => b'\\',
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'0' => 0,
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = str::from_utf8(&digits).unwrap();
                u8::from_str_radix(digits, 16).unwrap()
            }
            other => panic!("unknown escape \\{}", char::from(other)),
        });
    }
    out
}

impl Step {
    /// Whether the server answers it with ReadyForQuery.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(
            self,
            Self::FunctionCall { .. } | Self::Query(_) | Self::Sync
        )
    }

    /// Appends it as it goes over the wire.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (tag, body) = match self {
            Self::Bind { portal, statement } => {
                let names = [&portal[..], b"\0", statement, b"\0"].concat();
                (b'B', [&names[..], &[0; 6]].concat())
            }
            Self::BindText { statement, value } => {
                let len = u32::try_from(value.len()).unwrap().to_be_bytes();
                let parts = [
                    &b"\0"[..],
                    statement,
                    &[0, 0, 0, 0, 1],
                    &len,
                    value,
                    &[0; 2],
                ];
                (b'B', parts.concat())
            }
            Self::Close(target) => (b'C', [target, &b"\0"[..]].concat()),
            Self::CopyData(data) => (b'd', data.clone()),
            Self::CopyDone => (b'c', Vec::new()),
            Self::Describe(target) => (b'D', [target, &b"\0"[..]].concat()),
            Self::Execute(portal) => (b'E', [portal, &[0; 5][..]].concat()),
            Self::FunctionCall { oid, arguments } => (b'F', function_call(*oid, arguments)),
            Self::Parse { name, sql } => (b'P', [name, &b"\0"[..], sql, &[0; 3]].concat()),
            Self::Query(sql) => (b'Q', [sql, &b"\0"[..]].concat()),
            Self::Sync => (b'S', Vec::new()),
        };
        out.push(tag);
        out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        out.extend_from_slice(&body);
    }
}

/// Arguments and result as text.
fn function_call(oid: u32, arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend_from_slice(&0_i16.to_be_bytes());
    body.extend_from_slice(&i16::try_from(arguments.len()).unwrap().to_be_bytes());
    for argument in arguments {
        body.extend_from_slice(&i32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend_from_slice(argument);
    }
    body.extend_from_slice(&0_i16.to_be_bytes());
    body
}
