//! The `tls` tables: reads the files they name.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::forms::{FilePath, OneOf, Text};
use super::super::values::Table;
use crate::pool::settings::ServerTls;
use crate::wire::tls::{ClientSide, ServerSide, TlsError, TlsFiles, TlsMode};

/// TLS towards clients, and whether a client's certificate could ever be checked.
pub(super) struct TowardsClients {
    pub(super) side: Option<ClientSide>,
    pub(super) has_no_client_ca: bool,
}

/// `[listen.tls]`; off if there is no such table.
pub(super) fn towards_clients(table: &Table<'_>) -> TowardsClients {
    let mode = table.or("mode", &MODE, TlsMode::default());
    let files = TlsFiles {
        mode: if table.is_empty() {
            TlsMode::Disable
        } else {
            mode
        },
        certificate: table.maybe("certificate", &FilePath),
        key: table.maybe("key", &FilePath),
        ca: table.maybe("client_ca", &FilePath),
    };
    options(table);
    table.or("curve", &Text, "auto".into());
    let has_no_client_ca = files.mode == TlsMode::Disable || !table.has("client_ca");
    let side = ClientSide::load(&files).unwrap_or_else(|error| {
        complain(table, "client_ca", &files, &error);
        None
    });
    TowardsClients {
        side,
        has_no_client_ca,
    }
}

/// TLS towards servers: `[server_tls]`, or a database's `tls` over it.
#[derive(Clone)]
pub(super) struct TowardsServers {
    files: TlsFiles,
    pub(super) tls: ServerTls,
}

impl TowardsServers {
    /// `[server_tls]`.
    pub(super) fn for_all(table: &Table<'_>) -> Self {
        Self::load(table, Self::files(table, &TlsFiles::default()))
    }

    /// `[databases.NAME.tls]`, each key of which comes before the one for all.
    pub(super) fn for_one(&self, table: &Table<'_>) -> Self {
        let files = Self::files(table, &self.files);
        if files == self.files {
            return self.clone();
        }
        Self::load(table, files)
    }

    /// No TLS: PostgreSQL has none over Unix sockets.
    pub(super) fn none() -> ServerTls {
        ServerTls::default()
    }

    fn files(table: &Table<'_>, default: &TlsFiles) -> TlsFiles {
        options(table);
        let path = |key, default: &Option<_>| {
            let path = table.maybe(key, &FilePath);
            path.or_else(|| default.clone())
        };
        TlsFiles {
            mode: table.or("mode", &MODE, default.mode),
            certificate: path("certificate", &default.certificate),
            key: path("key", &default.key),
            ca: path("ca", &default.ca),
        }
    }

    fn load(table: &Table<'_>, files: TlsFiles) -> Self {
        let side = ServerSide::load(&files).unwrap_or_else(|error| {
            complain(table, "ca", &files, &error);
            None
        });
        let fingerprint = fingerprint(&files);
        Self {
            files,
            tls: ServerTls { side, fingerprint },
        }
    }
}

/// Versions and ciphers.
fn options(table: &Table<'_>) {
    table.or("protocols", &Text, "secure".into());
    table.or("ciphers", &Text, "default".into());
    table.maybe("tls13_ciphers", &Text);
}

/// Complains of the key that names the file, as far as that is known.
fn complain(table: &Table<'_>, ca_key: &str, files: &TlsFiles, error: &TlsError) {
    let key = match error {
        TlsError::File { path, .. } => {
            let named = [
                ("certificate", &files.certificate),
                ("key", &files.key),
                (ca_key, &files.ca),
            ];
            let named = named
                .into_iter()
                .find(|(_, file)| file.as_ref() == Some(path));
            named.map_or("certificate", |(key, _)| key)
        }
        TlsError::Incomplete if table.has("certificate") => "key",
        TlsError::Incomplete | TlsError::Rejected(_) => "certificate",
        TlsError::NoAuthority | TlsError::Verifier(_) => ca_key,
    };
    table.complain(key, error.to_string());
}

/// Differs whenever the mode or the content of a file differs. Length before content, so
/// that no two sets of files run together to the same bytes.
fn fingerprint(files: &TlsFiles) -> Vec<u8> {
    if files.mode == TlsMode::Disable {
        return Vec::new();
    }
    let mut digest = Sha256::new();
    digest.update(files.mode.as_str());
    for file in [&files.certificate, &files.key, &files.ca] {
        let content = file.as_deref().map(read_wiped).unwrap_or_default();
        digest.update([u8::from(file.is_some())]);
        digest.update(content.len().to_be_bytes());
        digest.update(&*content);
    }
    digest.finalize().to_vec()
}

fn read_wiped(path: &Path) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(fs::read(path).unwrap_or_default())
}

const MODE: OneOf<TlsMode> = OneOf {
    all: &[
        TlsMode::Disable,
        TlsMode::Allow,
        TlsMode::Prefer,
        TlsMode::Require,
        TlsMode::VerifyCa,
        TlsMode::VerifyFull,
    ],
    name: TlsMode::as_str,
};
