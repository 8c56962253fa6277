//! `[auth.oauth]`: reads the files it names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::forms::{FilePath, Form, Given, Span, SpanOrZero, Text, Texts};
use super::super::values::Table;
use crate::auth::jwt::{Keys, Verifier};
use crate::auth::method::Method;
use crate::policy::pattern::Glob;
use crate::session::jwks::{Keyring, Location, Provider, ProviderUrl, Source, UrlError};
use crate::session::settings::OAuthSettings;

/// The identity provider; `None` if there is none, or it cannot be used.
pub(super) fn oauth(auth: &Table<'_>, method: Method) -> Option<Arc<OAuthSettings>> {
    let table = auth.table("oauth");
    let issuer = table.maybe("issuer", &Text);
    let audience = table.maybe("audience", &Text);
    let jwks = table.maybe("jwks", &UrlOrFile);
    let refresh = table.or("jwks_refresh", &Span, Duration::from_secs(600));
    let ca = table.maybe("ca", &FilePath);
    let user_claim = table.or("user_claim", &Text, "sub".into());
    let scope = table.or("scope", &Text, "openid".into());
    let as_password = table.or("token_as_password", &Texts, Vec::new());
    let leeway = table.or("leeway", &SpanOrZero, Duration::from_secs(60));
    if !auth.has("oauth") {
        if method == Method::OAuth {
            let complaint = "expected a table [auth.oauth], which names the identity provider";
            auth.complain("method", complaint);
        }
        return None;
    }
    complain_of_method(&table, method);
    for key in ["issuer", "audience"] {
        if !table.has(key) {
            table.complain(key, "missing: no token could be checked without it");
        }
    }
    let authorities = ca.map_or(Some(Vec::new()), |path| authorities(&table, &path));
    let issuer = issuer?;
    let source = match jwks {
        Some(UrlOrPath::File(path)) => Source::File(Arc::new(keys(&table, &path)?)),
        Some(UrlOrPath::Url(url)) => provider(Location::Jwks(url), authorities?, refresh),
        None if table.has("jwks") => return None,
        None => provider(discovery(&table, &issuer)?, authorities?, refresh),
    };
    Some(Arc::new(OAuthSettings {
        verifier: Verifier {
            issuer,
            audience: audience?,
            user_claim,
            leeway,
        },
        keys: Keyring::new(source),
        scope,
        token_as_password: as_password.iter().map(|text| Glob::new(text)).collect(),
    }))
}

/// Where a token could never be asked for.
fn complain_of_method(table: &Table<'_>, method: Method) {
    match method {
        Method::Any
        | Method::Cert
        | Method::Hba
        | Method::Ldap
        | Method::Pam
        | Method::Peer
        | Method::Reject
        | Method::Trust => table.complain_of_table(format!(
            "auth.method = \"{method}\" asks for no token; expected \"oauth\", or a method to \
             which tokens are an alternative: \"scram-sha-256\", \"md5\" or \"password\""
        )),
        Method::Md5 | Method::OAuth | Method::Password | Method::ScramSha256 => {}
    }
}

fn provider(
    location: Location,
    authorities: Vec<CertificateDer<'static>>,
    refresh: Duration,
) -> Source {
    Source::Provider(Provider {
        location,
        authorities,
        refresh,
    })
}

fn discovery(table: &Table<'_>, issuer: &str) -> Option<Location> {
    // A slash at the end is not doubled: OpenID Connect Discovery 1.0 section 4.
    let base = issuer.trim_end_matches('/');
    match ProviderUrl::parse(&format!("{base}/.well-known/openid-configuration")) {
        Ok(metadata) => Some(Location::Discover {
            issuer: issuer.to_owned(),
            metadata,
        }),
        Err(error) => {
            table.complain("issuer", format!("{error}; or \"jwks\" beside it"));
            None
        }
    }
}

fn keys(table: &Table<'_>, path: &Path) -> Option<Keys> {
    let keys = fs::read(path).map_err(|error| error.to_string());
    let keys = keys.and_then(|json| Keys::parse(&json).map_err(|error| error.to_string()));
    keys.map_err(|error| {
        table.complain(
            "jwks",
            format!("cannot use \"{}\": {error}", path.display()),
        );
    })
    .ok()
}

fn authorities(table: &Table<'_>, path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>, Box<dyn std::error::Error>> {
        let pem = fs::read(path)?;
        let all: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?;
        let mut roots = RootCertStore::empty();
        for certificate in &all {
            roots.add(certificate.clone())?;
        }
        if roots.is_empty() {
            return Err("no certificate in it".into());
        }
        Ok(all)
    };
    read()
        .map_err(|error| {
            table.complain("ca", format!("cannot use \"{}\": {error}", path.display()));
        })
        .ok()
}

/// A URL, or the path of a file.
struct UrlOrFile;

enum UrlOrPath {
    File(PathBuf),
    Url(ProviderUrl),
}

impl Form for UrlOrFile {
    type Value = UrlOrPath;

    fn expected(&self) -> String {
        "an https URL, an http URL with a loopback host, or a path".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<UrlOrPath, String> {
        match given.text() {
            Some(text) if text.contains("://") => ProviderUrl::parse(text)
                .map(UrlOrPath::Url)
                .map_err(|UrlError| self.complaint()),
            Some(_) | None => FilePath
                .read(given)
                .map(UrlOrPath::File)
                .map_err(|_| self.complaint()),
        }
    }

    fn write(&self, value: &UrlOrPath) -> String {
        match value {
            UrlOrPath::File(path) => FilePath.write(path),
            UrlOrPath::Url(url) => format!("{:?}", url.to_string()),
        }
    }
}
