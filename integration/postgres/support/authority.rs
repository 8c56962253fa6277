//! An authority that signs certificates, and TLS with them.

use std::sync::Arc;

use base64::Engine as _;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate and its key.
pub(crate) type Certificate = (Vec<u8>, Vec<u8>);

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> &[u8] {
        self.0.der()
    }

    /// A certificate for a common name and a URI.
    pub(crate) fn signs(&self, cn: &str, uri: &str) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, cn);
        if !uri.is_empty() {
            let uri = Ia5String::try_from(uri).unwrap();
            params.subject_alt_names.push(SanType::URI(uri));
        }
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    /// `server.crt` and `server.key` for `localhost`, and `ca.crt`.
    pub(crate) fn files(&self) -> [(&'static str, String); 3] {
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let server = self.sign(&server);
        [
            ("server.crt", pem("CERTIFICATE", &server.0)),
            ("server.key", pem("PRIVATE KEY", &server.1)),
            ("ca.crt", pem("CERTIFICATE", self.der())),
        ]
    }

    /// A connection over TLS to `localhost`, whose certificate it must have signed.
    pub(crate) async fn connect(
        &self,
        port: u16,
        certificate: Option<&Certificate>,
    ) -> Result<TlsStream<TcpStream>, String> {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = [0, 0, 0, 8, 4, 210, 22, 47];
        socket.write_all(&request).await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'S');
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(self.der().to_vec()))
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![certificate.clone().into()],
                    PrivatePkcs8KeyDer::from(key.clone()).into(),
                )
                .unwrap(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, socket).await;
        stream.map_err(|error| error.to_string())
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}
