//! From the tables of the file to each layer's settings. Databases are in `pools`.

mod access;
mod hba;
mod hosts;
mod ldap;
mod listen;
mod log;
mod oauth;
mod password;
mod pools;
mod process;
mod tls;
mod users;

use std::fs;
use std::sync::Arc;

use super::forms::{Bytes, Count, FilePath, Flag, OneOf, OrOff, Span, Text, Texts};
use super::settings::Settings;
use super::values::Table;
use crate::auth::method::Method;
use crate::auth::userlist::Userlist;
use crate::console::settings::ConsoleSettings;
use crate::session::settings::{ErrorStyle, SessionSettings};

/// Reads everything; what is wrong is with the document, and its place is then filled
/// with the default.
pub(super) fn settings(root: &Table<'_>) -> Settings {
    let default = Settings::default();
    ignored(&root.table("pgbouncer"));
    let session = session(root);
    let pools = pools::pools(root, &session.users);
    let (policy, tests) = access::policy(root, &pools, &session);
    Settings {
        workers: root.or("workers", &Count(1..=64), default.workers),
        listen: listen::listen(root),
        process: process::process(&root.table("process")),
        peers: process::peers(root),
        pools,
        session: SessionSettings {
            policy: Arc::new(policy),
            ..session
        },
        console: console(&root.table("console")),
        telemetry: log::telemetry(root),
        tests,
        ..default
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
    let ldap_options = auth.maybe("ldap_options", &ldap::Options);
    if method == Method::Ldap && !auth.has("ldap_options") {
        auth.complain("ldap_options", "missing: ldap needs to know whom to ask");
    }
    let ignored = clients.or("ignore_startup_parameters", &Texts, Vec::new());
    let limit = OrOff(Count(1..=MOST_CLIENTS));
    let rounds = usize::try_from(default.scram_iterations).unwrap_or(MOST_ROUNDS);
    let rounds = auth.or("scram_iterations", &Count(1..=MOST_ROUNDS), rounds);
    let packet = u64::try_from(default.max_packet_size).unwrap_or(u64::MAX);
    let packet = clients.or("max_packet_size", &Bytes(packet), packet);
    SessionSettings {
        method,
        hba: hba::hba(&auth, method).map(Arc::new),
        users: Arc::new(users(&auth, method)),
        oauth: oauth::oauth(&auth, method),
        allow_cleartext: auth.or("allow_cleartext", &Flag, default.allow_cleartext),
        tls: tls.side,
        login_timeout: auth.or("login_timeout", &OrOff(Span), default.login_timeout),
        idle_timeout: clients.or("idle_timeout", &OrOff(Span), default.idle_timeout),
        policy: Arc::default(),
        max_clients: clients.or("max", &Count(1..=MOST_CLIENTS), default.max_clients),
        ignore_startup_parameters: ignored.into_iter().collect(),
        errors: clients.or("errors", &ERRORS, default.errors),
        ldap_options: ldap_options.map(Arc::new),
        lookup: users::lookup(&auth.table("lookup")),
        scram_iterations: u32::try_from(rounds).unwrap_or(default.scram_iterations),
        // Each database has its own, from this one.
        max_console_clients: clients.or("max_per_database", &limit, None),
        max_clients_per_user: clients.or("max_per_user", &limit, None),
        disable_pqexec: clients.or("disable_pqexec", &Flag, false),
        max_packet_size: usize::try_from(packet).unwrap_or(default.max_packet_size),
        login_notify_message: clients.or("login_notify_message", &OrOff(Text), None),
        application_name_add_host: clients.or("application_name_add_host", &Flag, false),
        cancel_wait_timeout: clients.or(
            "cancel_wait_timeout",
            &OrOff(Span),
            default.cancel_wait_timeout,
        ),
    }
}

/// `[pgbouncer]`: what PgBouncer has settings for and pgwarden no use. They are read so that a
/// converted file keeps them, for SHOW CONFIG.
fn ignored(table: &Table<'_>) {
    let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    table.or("client_tls_dheparams", &Text, "auto".into());
    table.or("job_name", &Text, "pgbouncer".into());
    table.or("pkt_buf", &Count(1..=most), 4096);
    table.or("sbuf_loopcnt", &Count(0..=most), 5);
}

fn users(auth: &Table<'_>, method: Method) -> Userlist {
    let path = auth.maybe("users", &OrOff(FilePath));
    if let Some(None) = path {
        return Userlist::nobody(); // meant so
    }
    let Some(path) = path.flatten() else {
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
        Method::Any
        | Method::Cert
        | Method::Hba
        | Method::Ldap
        | Method::OAuth
        | Method::Pam
        | Method::Peer
        | Method::Reject
        | Method::Trust => false,
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
        Method::Any,
        Method::Cert,
        Method::Hba,
        Method::Ldap,
        Method::Md5,
        Method::OAuth,
        Method::Pam,
        Method::Password,
        Method::ScramSha256,
        Method::Trust,
    ],
    name: Method::as_str,
};
const ERRORS: OneOf<ErrorStyle> = OneOf {
    all: &[ErrorStyle::Pgbouncer, ErrorStyle::Postgresql],
    name: ErrorStyle::as_str,
};
const MOST_CLIENTS: usize = 1_000_000;
/// More would let one login take seconds.
const MOST_ROUNDS: usize = 1_000_000;
