//! What PgBouncer gives: its clients with the servers they have, by the rows of SHOW FDS.
//! <https://www.pgbouncer.org/usage.html#show-fds>

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use tracing::{info, warn};

use super::{Takeover, column, fd, scram_keys};
use crate::auth::method::Method;
use crate::pool::carried::Foreign;
use crate::session::carried::{Carried, ForeignSecrets};
use crate::wire::backend::Row;

impl Takeover {
    /// Takes the clients that have logged in. Servers that nobody has are closed with the other
    /// process: what they have seen is not known, and others are made when they are needed.
    pub(super) fn sort_foreign(&mut self, rows: HashMap<i32, (Row, OwnedFd)>, method: Method) {
        let mut servers = HashMap::new();
        let mut clients = Vec::new();
        let mut idle = 0;
        for (number, (row, socket)) in rows {
            match column(&row, super::TASK) {
                Some("client") => clients.push((number, row, socket)),
                Some(_) | None if link(&row) == 0 => idle += 1,
                Some(_) | None => drop(servers.insert(number, (row, socket))),
            }
        }
        let mut unfinished = 0;
        for (number, row, socket) in clients {
            let secrets = ForeignSecrets {
                password: column(&row, super::PASSWORD).map(str::to_owned),
                scram_keys: scram_keys(&row),
            };
            let server = servers.remove(&link(&row));
            let lost = link(&row) != 0 && server.is_none();
            let server = server.and_then(|(row, socket)| foreign(link(&row), &row, socket));
            match foreign(number, &row, socket) {
                // The key is given out when a client has logged in, and not before.
                Some(client) if client.cancel != 0 && !lost => {
                    self.clients
                        .push(Carried::foreign(client, server, secrets, method));
                }
                Some(_) | None => unfinished += 1,
            }
        }
        if unfinished > 0 {
            warn!(unfinished, "clients that have not logged in yet are closed");
        }
        info!(idle, "idle servers are not taken over");
    }
}

fn foreign(number: i32, row: &Row, socket: OwnedFd) -> Option<Foreign> {
    let values = VALUES.iter().filter_map(|(at, name)| {
        let value = column(row, *at).filter(|value| !value.is_empty())?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    Some(Foreign {
        socket,
        fd: number,
        user: column(row, super::USER)?.to_owned(),
        database: column(row, super::DATABASE)?.to_owned(),
        // PgBouncer prints it as a signed number.
        cancel: column(row, super::CANCEL)?
            .parse::<i64>()
            .map(i64::cast_unsigned)
            .or_else(|_| column(row, super::CANCEL).unwrap_or_default().parse())
            .ok()?,
        values: values.collect(),
    })
}

fn link(row: &Row) -> i32 {
    fd(row, super::LINK)
}

const VALUES: [(usize, &str); 4] = [
    (8, "client_encoding"),
    (9, "standard_conforming_strings"),
    (10, "DateStyle"),
    (11, "TimeZone"),
];
