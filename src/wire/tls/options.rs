//! Which versions, cipher suites and curves of TLS are offered, in PgBouncer's and OpenSSL's
//! words: <https://www.pgbouncer.org/config.html#tls-settings>

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedProtocolVersion};

use super::ciphers;

/// What is offered of TLS. Never empty: there is always a version, and a suite of each version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsOptions {
    versions: Vec<ProtocolVersion>,
    suites: Vec<CipherSuite>,
    groups: Vec<NamedGroup>,
    warnings: Vec<OptionProblem>,
}

impl Default for TlsOptions {
    /// TLS 1.2 and 1.3 with all that the library has.
    fn default() -> Self {
        Self {
            versions: vec![ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3],
            suites: ciphers::all(),
            groups: GROUPS.iter().map(|(group, _)| *group).collect(),
            warnings: Vec::new(),
        }
    }
}

/// One of the settings that make up [`TlsOptions`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsOption {
    /// `ciphers`
    Ciphers,
    /// `curve`
    Curve,
    /// `protocols`
    Protocols,
    /// `tls13_ciphers`
    Tls13Ciphers,
}

/// What is wrong with one of the settings, or was left out of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OptionProblem {
    /// The setting.
    pub option: TlsOption,
    /// What is the matter, for the one who wrote it.
    pub text: String,
}

impl OptionProblem {
    fn new(option: TlsOption, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { option, text }
    }
}

impl TlsOptions {
    /// Reads the texts of the settings; `None` and `""` leave the default.
    ///
    /// * `protocols`: `tlsv1.2`, `tlsv1.3`, `secure` or `default` (both), `all`, with commas or
    ///   blanks between them; `!` before one takes it away.
    /// * `ciphers`: `default`, `secure`, `fast`, `normal`, `all`, or a list as
    ///   <https://docs.openssl.org/3.0/man1/openssl-ciphers/> describes it.
    /// * `tls13_ciphers`: names of suites of TLS 1.3, with colons between them.
    /// * `curve`: `auto`, `none` (the same), `prime256v1`, `secp384r1` or `X25519`.
    ///
    /// OpenSSL has versions, suites and curves that rustls has not. They are left out with a
    /// warning as long as something is left.
    ///
    /// # Errors
    /// A text that cannot be read, or leaves nothing.
    pub fn parse(
        protocols: Option<&str>,
        ciphers: Option<&str>,
        tls13_ciphers: Option<&str>,
        curve: Option<&str>,
    ) -> Result<Self, Vec<OptionProblem>> {
        let mut notes = Notes::default();
        let versions = versions(given(protocols).unwrap_or("secure"), &mut notes);
        let ciphers = given(ciphers).unwrap_or("default");
        let mut suites = Vec::new();
        if versions.contains(&ProtocolVersion::TLSv1_3) {
            suites.extend(match given(tls13_ciphers) {
                Some(names) => modern(names, &mut notes),
                None => ciphers::modern_in(ciphers),
            });
        }
        if versions.contains(&ProtocolVersion::TLSv1_2) {
            suites.extend(classic(ciphers, &mut notes));
        }
        let groups = groups(given(curve).unwrap_or("auto"), &mut notes);
        if !notes.problems.is_empty() {
            return Err(notes.problems);
        }
        Ok(Self {
            versions,
            suites,
            groups,
            warnings: notes.warnings,
        })
    }

    /// What OpenSSL has and is left out here.
    pub fn warnings(&self) -> &[OptionProblem] {
        &self.warnings
    }

    /// The same for options that offer the same, another for others.
    pub fn text(&self) -> String {
        format!("{:?} {:?} {:?}", self.versions, self.suites, self.groups)
    }

    /// The cryptography that these options leave, the preferred suite first.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::ring::default_provider();
        let suites = self.suites.iter().filter_map(|wanted| {
            let known = provider.cipher_suites.iter();
            known.copied().find(|known| known.suite() == *wanted)
        });
        provider.cipher_suites = suites.collect();
        let groups = self.groups.iter().filter_map(|wanted| {
            let known = provider.kx_groups.iter();
            known.copied().find(|known| known.name() == *wanted)
        });
        provider.kx_groups = groups.collect();
        Arc::new(provider)
    }

    /// The versions, for rustls.
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        rustls::ALL_VERSIONS
            .iter()
            .filter(|known| self.versions.contains(&known.version))
            .copied()
            .collect()
    }
}

/// What was found while reading.
#[derive(Default)]
struct Notes {
    problems: Vec<OptionProblem>,
    warnings: Vec<OptionProblem>,
}

impl Notes {
    fn problem(&mut self, option: TlsOption, text: impl Into<String>) {
        self.problems.push(OptionProblem::new(option, text));
    }

    fn warning(&mut self, option: TlsOption, text: impl Into<String>) {
        self.warnings.push(OptionProblem::new(option, text));
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn versions(text: &str, notes: &mut Notes) -> Vec<ProtocolVersion> {
    let all = OLD_VERSIONS.into_iter().chain(OUR_VERSIONS);
    let mut wanted: Vec<ProtocolVersion> = Vec::new();
    let words = text.split([',', ':', ' ', '\t']);
    for word in words.filter(|word| !word.is_empty()) {
        let (name, takes_away) = match word.strip_prefix('!') {
            Some(name) => (name, true),
            None => (word, false),
        };
        let Some(named) = versions_named(name) else {
            let expected = "tlsv1.2, tlsv1.3, secure, default, all, or one of them after \"!\"";
            notes.problem(
                TlsOption::Protocols,
                format!("\"{word}\": expected {expected}"),
            );
            continue;
        };
        if takes_away {
            // What begins with a "!" takes from everything.
            if wanted.is_empty() {
                wanted.extend(all.clone());
            }
            wanted.retain(|version| !named.contains(version));
        } else {
            wanted.extend_from_slice(named);
        }
    }
    let found: Vec<_> = OUR_VERSIONS
        .into_iter()
        .filter(|version| wanted.contains(version))
        .collect();
    if found.is_empty() && notes.problems.is_empty() {
        let text = "expected TLS 1.2 or 1.3 among them: there is nothing older here";
        notes.problem(TlsOption::Protocols, text);
    } else if OLD_VERSIONS.iter().any(|version| wanted.contains(version)) {
        let text = "TLS 1.0 and 1.1 are not offered: there is nothing older than 1.2 here";
        notes.warning(TlsOption::Protocols, text);
    }
    found
}

fn versions_named(name: &str) -> Option<&'static [ProtocolVersion]> {
    Some(match name.to_ascii_lowercase().as_str() {
        "tlsv1" | "all" => &[
            ProtocolVersion::TLSv1_0,
            ProtocolVersion::TLSv1_1,
            ProtocolVersion::TLSv1_2,
            ProtocolVersion::TLSv1_3,
        ],
        "tlsv1.0" => &[ProtocolVersion::TLSv1_0],
        "tlsv1.1" => &[ProtocolVersion::TLSv1_1],
        "tlsv1.2" => &[ProtocolVersion::TLSv1_2],
        "tlsv1.3" => &[ProtocolVersion::TLSv1_3],
        "default" | "secure" => &OUR_VERSIONS,
        _ => return None,
    })
}

/// The suites of TLS 1.2.
fn classic(text: &str, notes: &mut Notes) -> Vec<CipherSuite> {
    let list = ciphers::classic(text);
    if list.suites.is_empty() {
        let text = "leaves no cipher suite of TLS 1.2: there are ECDHE with AES-GCM and ChaCha20";
        notes.problem(TlsOption::Ciphers, text);
    }
    if !list.idle.is_empty() {
        let words = list.idle.join(", ");
        let text = format!("left out, for no cipher suite here is of that kind: {words}");
        notes.warning(TlsOption::Ciphers, text);
    }
    list.suites
}

/// The suites of TLS 1.3.
fn modern(text: &str, notes: &mut Notes) -> Vec<CipherSuite> {
    let mut suites = Vec::new();
    for name in ciphers::words(text) {
        match ciphers::modern(name) {
            Some(suite) if suites.contains(&suite) => {}
            Some(suite) => suites.push(suite),
            None => {
                let text = format!("\"{name}\" is no cipher suite of TLS 1.3 that is known here");
                notes.warning(TlsOption::Tls13Ciphers, text);
            }
        }
    }
    if suites.is_empty() {
        let names = "TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256";
        // The beginning is PgBouncer's.
        let text = format!("failed to set the TLSv1.3 cipher suites: there are {names}");
        notes.problem(TlsOption::Tls13Ciphers, text);
    }
    suites
}

fn groups(text: &str, notes: &mut Notes) -> Vec<NamedGroup> {
    if ["auto", "none"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
    {
        return GROUPS.iter().map(|(group, _)| *group).collect();
    }
    let known = GROUPS.iter().find(|(_, names)| {
        let mut names = names.iter();
        names.any(|name| text.eq_ignore_ascii_case(name))
    });
    match known {
        Some((group, _)) => vec![*group],
        None => {
            let text = "expected auto, prime256v1, secp384r1 or X25519";
            notes.problem(TlsOption::Curve, text);
            Vec::new()
        }
    }
}

const OLD_VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::TLSv1_0, ProtocolVersion::TLSv1_1];
const OUR_VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];

/// Curves by all their names, the preferred one first.
const GROUPS: [(NamedGroup, &[&str]); 3] = [
    (NamedGroup::X25519, &["X25519"]),
    (NamedGroup::secp256r1, &["prime256v1", "secp256r1", "P-256"]),
    (NamedGroup::secp384r1, &["secp384r1", "P-384"]),
];

#[cfg(test)]
mod tests;
