//! What `pgwarden check CONFIG` prints.

pub mod question;

use std::path::Path;

use super::settings::{ListenSettings, Settings};

/// Loads `path`. The exit code is 0 if `pgwarden` could start with it and 1 otherwise; the
/// text says what it would do, or what is wrong, a problem a line.
pub fn check(path: &Path) -> (u8, String) {
    match Settings::load(path) {
        Ok(settings) => {
            let warnings = settings.warnings.iter();
            let warnings: String = warnings.map(|text| format!("warning: {text}\n")).collect();
            let notes = settings.notes.iter();
            let notes: String = notes.map(|text| format!("note: {text}\n")).collect();
            let summary = summary(&settings);
            (
                0,
                format!("{warnings}{notes}{}: ok ({summary})\n", path.display()),
            )
        }
        Err(problems) => {
            let count = counted(problems.len(), "problem");
            (1, format!("{problems}\n{count}\n"))
        }
    }
}

fn summary(settings: &Settings) -> String {
    let databases = counted(settings.pools.databases.len(), "database");
    let users = counted(settings.session.users.users().count(), "user");
    let listeners = listeners(&settings.listen).join(", ");
    let policy = &settings.session.policy;
    let access = if policy.grants.is_empty() {
        String::new()
    } else {
        let roles = counted(policy.roles.len(), "role");
        let grants = counted(policy.grants.len(), "grant");
        format!("{roles}, {grants}, {}, ", counted(settings.tests, "test"))
    };
    format!("{databases}, {users}, {access}listening on {listeners}")
}

fn listeners(listen: &ListenSettings) -> Vec<String> {
    let port = listen.port;
    let tcp = listen.addresses.iter().map(|address| {
        if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        }
    });
    let unix = listen.unix_socket_dir.iter().map(|folder| {
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        socket.display().to_string()
    });
    tcp.chain(unix).collect()
}

fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}
