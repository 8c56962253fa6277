//! `[listen]` and `[tcp]`.

use std::path::PathBuf;

use super::super::forms::{
    Bytes, Count, FilePath, Flag, Form, Given, OrOff, Permissions, Port, Span, Text, Texts,
};
use super::super::settings::ListenSettings;
use super::super::values::Table;
use super::is_host;
use crate::wire::tcp::TcpSettings;

pub(super) fn listen(root: &Table<'_>) -> ListenSettings {
    let table = &root.table("listen");
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
    let unix_socket_dir = table.or("unix_socket_dir", &SOCKET_DIR, default.unix_socket_dir);
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
        unix_socket_group: table.maybe("unix_socket_group", &Text),
        so_reuseport: table.or("so_reuseport", &Flag, default.so_reuseport),
        tcp_defer_accept: table.or("tcp_defer_accept", &Flag, default.tcp_defer_accept),
        tcp: tcp(&root.table("tcp")),
        backlog: u32::try_from(backlog).unwrap_or(default.backlog),
    }
}

/// `[tcp]`, for clients and servers alike.
pub(super) fn tcp(table: &Table<'_>) -> TcpSettings {
    let default = TcpSettings::default();
    let count = table.or("keepcnt", &OrOff(Count(1..=MOST_TRIES)), None);
    let buffer = table.or("socket_buffer", &OrOff(Bytes(LARGEST_BUFFER)), None);
    TcpSettings {
        keepalive: table.or("keepalive", &Flag, default.keepalive),
        keepidle: table.or("keepidle", &OrOff(Span), default.keepidle),
        keepintvl: table.or("keepintvl", &OrOff(Span), default.keepintvl),
        keepcnt: count.and_then(|count| u32::try_from(count).ok()),
        socket_buffer: buffer.and_then(|bytes| usize::try_from(bytes).ok()),
        user_timeout: table.or("user_timeout", &OrOff(Span), default.user_timeout),
    }
}

const SOCKET_DIR: OrOff<SocketDir> = OrOff(SocketDir);
/// A folder, or `@` and the beginning of an abstract name, which is in no folder.
struct SocketDir;

impl Form for SocketDir {
    type Value = PathBuf;

    fn expected(&self) -> String {
        "a folder, or \"@\" and a name".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<PathBuf, String> {
        match given.text() {
            Some("@") => Err(self.complaint()),
            Some(name) if name.starts_with('@') => Ok(name.into()),
            Some(_) | None => FilePath.read(given).map_err(|_| self.complaint()),
        }
    }

    fn write(&self, value: &PathBuf) -> String {
        FilePath.write(value)
    }
}

const MOST_BACKLOG: usize = 65_535;
const MOST_TRIES: usize = 127;
const LARGEST_BUFFER: u64 = 1 << 30;
