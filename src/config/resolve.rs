//! From the tables of the file to each layer's settings. Databases are in `pools`.

mod access;
mod oauth;
mod password;
mod pools;
mod tls;

use std::fs;
use std::sync::Arc;

use super::forms::{
    Count, FilePath, Flag, OneOf, OrOff, Permissions, Port, Socket, Span, Texts, Word,
};
use super::settings::{ListenSettings, Settings};
use super::values::Table;
use crate::auth::method::Method;
use crate::auth::userlist::Userlist;
use crate::console::settings::ConsoleSettings;
use crate::session::settings::SessionSettings;
use crate::telemetry::settings::{LogFormat, TelemetrySettings};

/// Reads everything; what is wrong is with the document, and its place is then filled
/// with the default.
pub(super) fn settings(root: &Table<'_>) -> Settings {
    let default = Settings::default();
    let pools = pools::pools(root);
    let session = session(root);
    let (policy, tests) = access::policy(root, &pools, &session);
    Settings {
        workers: root.or("workers", &Count(1..=64), default.workers),
        listen: listen(&root.table("listen")),
        pools,
        session: SessionSettings {
            policy: Arc::new(policy),
            ..session
        },
        console: console(&root.table("console")),
        telemetry: telemetry(root),
        tests,
        ..default
    }
}

fn listen(table: &Table<'_>) -> ListenSettings {
    let default = ListenSettings::default();
    let addresses = table.or("address", &Texts, default.addresses);
    if addresses
        .iter()
        .any(|address| address != "*" && !is_host(address))
    {
        let complaint = "expected host names or addresses without a port, or \"*\"";
        table.complain("address", complaint);
    }
    let port = table.or("port", &Port, default.port);
    let unix_socket_dir = table.or("unix_socket_dir", &OrOff(FilePath), default.unix_socket_dir);
    if addresses.is_empty() && unix_socket_dir.is_none() {
        let complaint = "expected an address, or a unix_socket_dir beside the empty list";
        table.complain("address", complaint);
    }
    let mode = default.unix_socket_mode;
    let unix_socket_mode = table.or("unix_socket_mode", &Permissions, mode);
    let backlog = usize::try_from(default.backlog).unwrap_or(MOST_BACKLOG);
    let backlog = table.or("backlog", &Count(1..=MOST_BACKLOG), backlog);
    ListenSettings {
        addresses,
        port,
        unix_socket_dir,
        unix_socket_mode,
        backlog: u32::try_from(backlog).unwrap_or(default.backlog),
    }
}

fn session(root: &Table<'_>) -> SessionSettings {
    let default = SessionSettings::default();
    let auth = root.table("auth");
    let clients = root.table("clients");
    let listen = root.table("listen");
    let method = auth.or("method", &METHOD, default.method);
    let tls = tls::towards_clients(&listen.table("tls"));
    if method == Method::Cert && tls.has_no_client_ca {
        auth.complain(
            "method",
            "expected a client_ca in [listen.tls], without which no client can log in",
        );
    }
    let ignored = clients.or("ignore_startup_parameters", &Texts, Vec::new());
    SessionSettings {
        method,
        users: Arc::new(users(&auth, method)),
        oauth: oauth::oauth(&auth, method),
        allow_cleartext: auth.or("allow_cleartext", &Flag, default.allow_cleartext),
        tls: tls.side,
        login_timeout: auth.or("login_timeout", &OrOff(Span), default.login_timeout),
        idle_timeout: clients.or("idle_timeout", &OrOff(Span), default.idle_timeout),
        policy: Arc::default(),
        max_clients: clients.or("max", &Count(1..=MOST_CLIENTS), default.max_clients),
        ignore_startup_parameters: ignored.into_iter().collect(),
    }
}

fn users(auth: &Table<'_>, method: Method) -> Userlist {
    let Some(path) = auth.maybe("users", &FilePath) else {
        if !auth.has("users") && needs_secrets(method) {
            let complaint = format!("missing: {method} needs a file of users and their secrets");
            auth.complain("users", complaint);
        }
        return Userlist::default();
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) => {
            let complaint = format!("cannot read \"{}\": {error}", path.display());
            auth.complain("users", complaint);
            return Userlist::default();
        }
    };
    Userlist::parse(&text).unwrap_or_else(|problems| {
        for problem in problems {
            auth.complain("users", problem.to_string());
        }
        Userlist::default()
    })
}

fn needs_secrets(method: Method) -> bool {
    match method {
        Method::Md5 | Method::Password | Method::ScramSha256 => true,
        Method::Cert | Method::OAuth | Method::Trust => false,
    }
}

fn console(table: &Table<'_>) -> ConsoleSettings {
    let names = |key| {
        let names: Vec<String> = table.or(key, &Texts, Vec::new());
        names.into_iter().collect()
    };
    ConsoleSettings {
        admins: names("admins"),
        viewers: names("viewers"),
    }
}

fn telemetry(root: &Table<'_>) -> TelemetrySettings {
    let default = TelemetrySettings::default();
    let log = root.table("log");
    let metrics = root.table("metrics");
    TelemetrySettings {
        log_format: log.or("format", &LOG_FORMAT, default.log_format),
        log_level: log.or("level", &LOG_LEVEL, default.log_level),
        metrics_address: metrics.or("address", &OrOff(Socket), default.metrics_address),
        audit: access::audit(root),
    }
}

/// Whether a text can be a host name or an address; `host:port` and URLs cannot.
fn is_host(text: &str) -> bool {
    let address = text
        .split_once('%')
        .map_or(text, |(address, _zone)| address);
    let is_address = address.parse::<std::net::IpAddr>().is_ok();
    let is_name = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    is_address || (is_name && !text.is_empty())
}

const METHOD: OneOf<Method> = OneOf {
    all: &[
        Method::Cert,
        Method::Md5,
        Method::OAuth,
        Method::Password,
        Method::ScramSha256,
        Method::Trust,
    ],
    name: Method::as_str,
};
const LOG_FORMAT: OneOf<LogFormat> = OneOf {
    all: &[LogFormat::Json, LogFormat::Text],
    name: LogFormat::as_str,
};
const LOG_LEVEL: Word = Word(&["error", "warn", "info", "debug", "trace"]);
const MOST_BACKLOG: usize = 65_535;
const MOST_CLIENTS: usize = 1_000_000;
