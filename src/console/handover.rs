//! SHOW FDS for a process that takes this one's place: every row brings its socket along.
//!
//! Only a process of our own user, on the Unix socket, gets the sockets and the secrets; it could
//! read them out of our memory as well. Every other administrator sees the same columns without
//! (`show::fds`). SHOW HANDOVER then tells a pgwarden what PgBouncer's columns have no room for.

use crate::console::control::{Descriptor, HandedOver};
use crate::console::serve::{Line, Parting};
use crate::console::{Console, Role};
use crate::wire::backend::{self, Column, TransactionStatus};
use crate::wire::frontend::Tag;

/// What a process that takes over asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// The sockets: `SHOW FDS`.
    Sockets,
    /// What is to be known of the sockets that were sent before: `SHOW HANDOVER`.
    States,
}

impl Wish {
    /// What a message of an administrator's wishes.
    pub(super) fn of(tag: Tag, body: &[u8], role: Role) -> Option<Self> {
        if tag != Tag::Query || role != Role::Admin {
            return None;
        }
        let text = std::str::from_utf8(body.strip_suffix(b"\0")?).ok()?;
        let text = text.trim().trim_end_matches(';').trim_end();
        let mut words = text.split_ascii_whitespace();
        let (show, what) = (words.next()?, words.next()?);
        if !show.eq_ignore_ascii_case("show") || words.next().is_some() {
            return None;
        }
        match what {
            what if what.eq_ignore_ascii_case("fds") => Some(Self::Sockets),
            what if what.eq_ignore_ascii_case("handover") => Some(Self::States),
            _ => None,
        }
    }
}

/// Answers a wish of a process of our own user.
pub(super) async fn answer(wish: Wish, line: &mut Line, console: &Console) -> Result<(), Parting> {
    match wish {
        Wish::Sockets => {
            backend::put_row_description(line.outbox(), &COLUMNS.map(column));
            line.flush().await?;
            let all = console.control.hand_over().await;
            line.states.clear();
            for HandedOver { row, socket, state } in all {
                let mut bytes = zeroize::Zeroizing::new(Vec::new());
                put_row(&mut bytes, &row);
                line.send_with(&bytes, &socket).await?;
                if !state.is_empty() {
                    line.states.push(state);
                }
            }
        }
        Wish::States => {
            backend::put_row_description(line.outbox(), &[column(("state", TEXT, -1))]);
            for state in std::mem::take(&mut line.states) {
                backend::put_data_row(line.outbox(), [Some(state.as_bytes())].into_iter());
                line.flush().await?;
            }
        }
    }
    backend::put_command_complete(line.outbox(), "SHOW");
    backend::put_ready_for_query(line.outbox(), TransactionStatus::Idle);
    Ok(())
}

fn put_row(out: &mut Vec<u8>, row: &Descriptor) {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (address, port) = match row.address.rsplit_once(':') {
        None => ("unix", "0"),
        Some((host, port)) => (host.trim_matches(['[', ']']), port),
    };
    let hex = |key: &Vec<u8>| {
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\\x{digits}")
    };
    let values = [
        Some(row.fd.to_string()),
        Some(row.task.to_owned()),
        text(&row.user),
        text(&row.database),
        Some(address.to_owned()),
        Some(port.to_owned()),
        Some(row.cancel.cast_signed().to_string()),
        Some(row.link.to_string()),
        text(&row.client_encoding),
        text(&row.std_strings),
        text(&row.datestyle),
        text(&row.timezone),
        row.password.clone(),
        row.scram_keys
            .as_ref()
            .map(|(client_key, _)| hex(client_key)),
        row.scram_keys
            .as_ref()
            .map(|(_, server_key)| hex(server_key)),
    ];
    backend::put_data_row(
        out,
        values
            .iter()
            .map(|value| value.as_deref().map(str::as_bytes)),
    );
}

fn column((name, type_oid, type_len): (&'static str, u32, i16)) -> Column<'static> {
    Column {
        name,
        type_oid,
        type_len,
        binary: false,
    }
}

const TEXT: u32 = 25;
const INT4: u32 = 23;
const BYTEA: u32 = 17;
const COLUMNS: [(&str, u32, i16); 15] = [
    ("fd", INT4, 4),
    ("task", TEXT, -1),
    ("user", TEXT, -1),
    ("database", TEXT, -1),
    ("addr", TEXT, -1),
    ("port", INT4, 4),
    ("cancel", 20, 8),
    ("link", INT4, 4),
    ("client_encoding", TEXT, -1),
    ("std_strings", TEXT, -1),
    ("datestyle", TEXT, -1),
    ("timezone", TEXT, -1),
    ("password", TEXT, -1),
    ("scram_client_key", BYTEA, -1),
    ("scram_server_key", BYTEA, -1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_administrator_takes_over() {
        let wish = |text: &[u8], role| Wish::of(Tag::Query, text, role);
        assert_eq!(wish(b"SHOW FDS;\0", Role::Admin), Some(Wish::Sockets));
        assert_eq!(wish(b" show  handover \0", Role::Admin), Some(Wish::States));
        assert_eq!(wish(b"SHOW FDS;\0", Role::Viewer), None);
        for other in [&b"SHOW FDS x\0"[..], b"SHOW POOLS\0", b"FDS\0", b"SHOW FDS"] {
            assert_eq!(wish(other, Role::Admin), None);
        }
        assert_eq!(Wish::of(Tag::Parse, b"SHOW FDS\0", Role::Admin), None);
    }
}
