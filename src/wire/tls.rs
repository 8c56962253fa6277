//! TLS towards clients and towards servers: modes as libpq names them, certificates from files.

mod ciphers;
mod client_verifier;
mod handshake;
mod name;
mod options;
mod own;
mod server_verifier;
mod version1;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use client_verifier::ClientVerifier;
pub use options::{OptionProblem, TlsOption, TlsOptions};
use server_verifier::ServerVerifier;

/// What is asked of TLS, from nothing to everything.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the peer insists.
    Allow,
    /// If the peer can.
    #[default]
    Prefer,
    /// Always, with any certificate.
    Require,
    /// Always, with a certificate that our authority signed.
    VerifyCa,
    /// Always, with such a certificate in the peer's name.
    VerifyFull,
}

impl TlsMode {
    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for TlsMode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [
            Self::Disable,
            Self::Allow,
            Self::Prefer,
            Self::Require,
            Self::VerifyCa,
            Self::VerifyFull,
        ]
        .into_iter()
        .find(|mode| mode.as_str() == name)
        .ok_or(())
    }
}

/// Which files and which mode.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFiles {
    /// What is asked of TLS.
    pub mode: TlsMode,
    /// Our certificate and the chain behind it, PEM.
    pub certificate: Option<PathBuf>,
    /// Our private key, PEM.
    pub key: Option<PathBuf>,
    /// The authorities that sign our peers' certificates, PEM.
    pub ca: Option<PathBuf>,
    /// Versions, cipher suites and curves.
    pub options: TlsOptions,
}

/// TLS towards clients, ready to use.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// What is asked of a client.
    pub mode: TlsMode,
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    /// The certificate that clients see, in DER: SCRAM binds to it.
    pub certificate: Arc<[u8]>,
}

impl ClientSide {
    /// Reads the files; `None` if the mode is `disable`.
    ///
    /// # Errors
    /// A file is missing, unreadable or not what it should be.
    pub fn load(files: &TlsFiles) -> Result<Option<Self>, TlsError> {
        if files.mode == TlsMode::Disable {
            return Ok(None);
        }
        let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
            return Err(TlsError::Incomplete);
        };
        let chain = read_certificates(certificate)?;
        let key = read_key(key)?;
        let provider = files.options.provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&files.options.versions())
            .map_err(TlsError::Rejected)?;
        let verify = files.mode >= TlsMode::VerifyCa;
        let builder = match &files.ca {
            None if verify => return Err(TlsError::NoAuthority),
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier = ClientVerifier::new(ca, verify, provider.clone())?;
                builder.with_client_cert_verifier(Arc::new(verifier))
            }
        };
        let leaf: Arc<[u8]> = chain
            .first()
            .map(|c| c.as_ref().into())
            .ok_or(TlsError::Incomplete)?;
        let own = own::certified(chain, key, &provider).map_err(TlsError::Rejected)?;
        let mut config = builder.with_cert_resolver(Arc::new(own));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Some(Self {
            mode: files.mode,
            config: Arc::new(config),
            certificate: leaf,
        }))
    }
}

/// TLS towards servers, ready to use.
#[derive(Clone, Debug)]
pub struct ServerSide {
    /// What is asked of a server.
    pub mode: TlsMode,
    /// For the connector.
    pub config: Arc<ClientConfig>,
}

impl ServerSide {
    /// Reads the files; `None` if the mode is `disable`.
    ///
    /// # Errors
    /// A file is missing, unreadable or not what it should be.
    pub fn load(files: &TlsFiles) -> Result<Option<Self>, TlsError> {
        if files.mode == TlsMode::Disable {
            return Ok(None);
        }
        let provider = files.options.provider();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&files.options.versions())
            .map_err(TlsError::Rejected)?;
        let verifier = ServerVerifier::new(files)?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => {
                let own =
                    own::certified(read_certificates(certificate)?, read_key(key)?, &provider)
                        .map_err(TlsError::Rejected)?;
                builder.with_client_cert_resolver(Arc::new(own))
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) | (None, Some(_)) => return Err(TlsError::Incomplete),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Some(Self {
            mode: files.mode,
            config: Arc::new(config),
        }))
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate without a key, or a key without a certificate.
    #[error("certificate and key are both needed")]
    Incomplete,
    /// A file cannot be used.
    #[error("cannot use \"{0}\": {1}", .path.display(), .reason)]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A mode that verifies, and nothing to verify with.
    #[error("verify-ca and verify-full need a file of certificate authorities")]
    NoAuthority,
    /// The library refuses the certificate or the key.
    #[error("certificate or key refused: {0}")]
    Rejected(#[source] rustls::Error),
    /// The authorities cannot be used.
    #[error("certificate authorities refused: {0}")]
    Verifier(String),
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(path).map_err(|e| unusable(path, &e))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(path, &e))?;
    if certificates.is_empty() {
        return Err(unusable(path, &"no certificate in it"));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = zeroize::Zeroizing::new(fs::read(path).map_err(|e| unusable(path, &e))?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|e| unusable(path, &e))
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(|e| unusable(path, &e))?;
    }
    Ok(roots)
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
pub const ALPN: &[u8] = b"postgresql";
