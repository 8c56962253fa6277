//! The `tls` tables: reads the files they name.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::forms::{FilePath, Flag, OneOf, Text};
use super::super::values::Table;
use crate::pool::settings::ServerTls;
use crate::wire::tls::{
    ClientSide, OptionProblem, ServerSide, TlsError, TlsFiles, TlsMode, TlsOption, TlsOptions,
};

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
        options: Offer::read(table, &Offer::default())
            .with_curve(table)
            .options(table),
    };
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
    offer: Offer,
    pub(super) tls: ServerTls,
}

impl TowardsServers {
    /// `[server_tls]`.
    pub(super) fn for_all(table: &Table<'_>) -> Self {
        let offer = Offer::read(table, &Offer::default());
        let files = Self::files(table, &TlsFiles::default(), &offer);
        let allow_cleartext = table.or("allow_cleartext", &Flag, false);
        Self::load(table, files, offer).with_cleartext(allow_cleartext)
    }

    /// `[databases.NAME.tls]`, each key of which comes before the one for all.
    pub(super) fn for_one(&self, table: &Table<'_>) -> Self {
        let offer = Offer::read(table, &self.offer);
        let files = Self::files(table, &self.files, &offer);
        let allow_cleartext = table.or("allow_cleartext", &Flag, self.tls.allow_cleartext);
        let own = if files == self.files {
            self.clone()
        } else {
            Self::load(table, files, offer)
        };
        own.with_cleartext(allow_cleartext)
    }

    fn with_cleartext(mut self, allowed: bool) -> Self {
        self.tls.allow_cleartext = allowed;
        self
    }

    /// No TLS: PostgreSQL has none over Unix sockets.
    pub(super) fn none() -> ServerTls {
        ServerTls::default()
    }

    fn files(table: &Table<'_>, default: &TlsFiles, offer: &Offer) -> TlsFiles {
        let path = |key, default: &Option<_>| {
            let path = table.maybe(key, &FilePath);
            path.or_else(|| default.clone())
        };
        TlsFiles {
            mode: table.or("mode", &MODE, default.mode),
            certificate: path("certificate", &default.certificate),
            key: path("key", &default.key),
            ca: path("ca", &default.ca),
            options: offer.options(table),
        }
    }

    fn load(table: &Table<'_>, files: TlsFiles, offer: Offer) -> Self {
        let side = ServerSide::load(&files).unwrap_or_else(|error| {
            complain(table, "ca", &files, &error);
            None
        });
        let tls = ServerTls {
            side,
            fingerprint: fingerprint(&files),
            allow_cleartext: false,
        };
        Self { files, offer, tls }
    }
}

/// What is offered of TLS, as it is written.
#[derive(Clone, Default)]
struct Offer {
    protocols: Option<String>,
    ciphers: Option<String>,
    tls13_ciphers: Option<String>,
    curve: Option<String>,
}

impl Offer {
    fn read(table: &Table<'_>, default: &Self) -> Self {
        let text = |key, default: &Option<String>, nothing: &str| {
            let own = table.has(key);
            let text = table.or(
                key,
                &Text,
                default.clone().unwrap_or_else(|| nothing.into()),
            );
            (own || default.is_some()).then_some(text)
        };
        let tls13_ciphers = table.maybe("tls13_ciphers", &Text);
        Self {
            protocols: text("protocols", &default.protocols, "secure"),
            ciphers: text("ciphers", &default.ciphers, "default"),
            tls13_ciphers: tls13_ciphers.or_else(|| default.tls13_ciphers.clone()),
            curve: None,
        }
    }

    /// Towards clients only, as in PgBouncer.
    fn with_curve(self, table: &Table<'_>) -> Self {
        let curve = Some(table.or("curve", &Text, "auto".into()));
        Self { curve, ..self }
    }

    fn options(&self, table: &Table<'_>) -> TlsOptions {
        let parsed = TlsOptions::parse(
            self.protocols.as_deref(),
            self.ciphers.as_deref(),
            self.tls13_ciphers.as_deref(),
            self.curve.as_deref(),
        );
        // What is inherited has been complained of where it is written.
        let keys = ["protocols", "ciphers", "tls13_ciphers", "curve"];
        let Some(own) = keys.into_iter().find(|key| table.has(key)) else {
            return parsed.unwrap_or_default();
        };
        let key_of = |problem: &OptionProblem| {
            let key = option_key(problem.option);
            if table.has(key) { key } else { own }
        };
        match parsed {
            Ok(options) => {
                for warning in options.warnings() {
                    table.warn(key_of(warning), warning.text.clone());
                }
                options
            }
            Err(problems) => {
                for problem in &problems {
                    table.complain(key_of(problem), problem.text.clone());
                }
                TlsOptions::default()
            }
        }
    }
}

fn option_key(option: TlsOption) -> &'static str {
    match option {
        TlsOption::Ciphers => "ciphers",
        TlsOption::Curve => "curve",
        TlsOption::Protocols => "protocols",
        TlsOption::Tls13Ciphers => "tls13_ciphers",
    }
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
    digest.update(files.options.text());
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
