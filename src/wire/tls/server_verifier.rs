//! A server's certificate.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use super::version1::{Version1, whole, within};
use super::{TlsError, TlsFiles, TlsMode, handshake, name, read_certificates, read_roots};

/// Checks a server's certificate as far as the mode asks.
///
/// rustls checks everything or nothing; `require` and `verify-ca` are what lies between.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    mode: TlsMode,
    inner: Option<Arc<WebPkiServerVerifier>>,
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerVerifier {
    pub(super) fn new(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = files.options.provider();
        // As in libpq, an authority that is named is used: `require` then verifies the chain.
        let verifies = files.mode == TlsMode::Require && files.ca.is_some();
        let mode = if verifies {
            TlsMode::VerifyCa
        } else {
            files.mode
        };
        if mode < TlsMode::VerifyCa {
            return Ok(Self {
                mode,
                inner: None,
                roots: Vec::new(),
                provider,
            });
        }
        let ca = files.ca.as_ref().ok_or(TlsError::NoAuthority)?;
        let roots = Arc::new(read_roots(ca)?);
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|e| TlsError::Verifier(e.to_string()))?;
        Ok(Self {
            mode,
            inner: Some(inner),
            roots: read_certificates(ca)?,
            provider,
        })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let by_name = self.mode == TlsMode::VerifyFull;
        if let Some(certificate) = Version1::read(end_entity) {
            let algorithms = &self.provider.signature_verification_algorithms;
            certificate.verify(&self.roots, algorithms, now)?;
            if by_name {
                name::check(end_entity, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verdict =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !by_name || name::is_common_name(end_entity, server_name) => {
                Ok(ServerCertVerified::assertion())
            }
            // A self-signed certificate that is itself the authority: common with PostgreSQL.
            Err(_) if self.roots.iter().any(|root| root == end_entity) => {
                let certificate = whole(end_entity).ok_or(CertificateError::BadEncoding)?;
                within(certificate.validity(), now)?;
                if by_name {
                    name::check(end_entity, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        handshake::verify_tls12(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        handshake::verify_tls13(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What is said of a certificate that is its own authority and holds in these years.
    fn verdict(from: i32, to: i32, mode: TlsMode) -> Result<ServerCertVerified, rustls::Error> {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        // As `openssl req -x509` makes them; else it could not sign itself.
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut ca = tempfile::NamedTempFile::new().unwrap();
        ca.write_all(certificate.pem().as_bytes()).unwrap();
        let files = TlsFiles {
            mode,
            ca: Some(ca.path().to_owned()),
            ..TlsFiles::default()
        };
        let verifier = ServerVerifier::new(&files).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOON_2026));
        verifier.verify_server_cert(certificate.der(), &[], &name, &[], now)
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_holds_as_long_as_it_says() {
        for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
            assert!(verdict(2020, 2030, mode).is_ok());
            for (from, to, expected) in [
                (2020, 2025, CertificateError::Expired),
                (2029, 2030, CertificateError::NotValidYet),
            ] {
                let refused = verdict(from, to, mode).unwrap_err();
                assert_eq!(refused, rustls::Error::InvalidCertificate(expected));
            }
        }
    }

    const NOON_2026: u64 = 1_782_907_200;
}
