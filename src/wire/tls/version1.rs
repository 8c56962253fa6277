//! X.509 certificates of version 1, which OpenSSL takes and webpki does not.
//!
//! They are what `openssl x509 -req` makes where no extensions are asked for, as in
//! <https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CERTIFICATE-CREATION>.
//! There is nothing in them to judge but a signature, two dates and a name: that is done here,
//! for end-entity certificates alone. All others are webpki's.

use rustls::CertificateError;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use x509_parser::asn1_rs::Any;
use x509_parser::certificate::{Validity, X509Certificate};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

/// A certificate of version 1, read and not verified.
pub(super) struct Version1<'a> {
    certificate: X509Certificate<'a>,
    der: &'a [u8],
}

impl<'a> Version1<'a> {
    /// `None` if it is of another version, malformed, or has what version 1 has not.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let certificate = whole(der)?;
        let bare = certificate.version() == X509Version::V1
            && certificate.extensions().is_empty()
            && certificate.issuer_uid.is_none()
            && certificate.subject_uid.is_none();
        bare.then_some(Self { certificate, der })
    }

    /// The SubjectPublicKeyInfo, in DER.
    pub(super) fn public_key(&self) -> &'a [u8] {
        self.certificate.subject_pki.raw
    }

    /// Whether one of the authorities signed it, and both are valid now.
    ///
    /// There is no chain: an intermediate certificate between them is not looked for.
    pub(super) fn verify(
        &self,
        authorities: &[CertificateDer<'_>],
        algorithms: &WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        within(&self.certificate.validity, now)?;
        let mut verdict = Err(CertificateError::UnknownIssuer);
        for authority in authorities {
            let Some(authority) = whole(authority) else {
                continue;
            };
            let named = authority.subject.as_raw() == self.certificate.issuer.as_raw();
            if !named || !may_sign(&authority) {
                continue;
            }
            // Several may have the name, as an old key and its successor.
            verdict = self
                .signed_by(&authority, algorithms)
                .and_then(|()| within(&authority.validity, now));
            if verdict.is_ok() {
                break;
            }
        }
        verdict
    }

    /// Checks the signature by an authority's key, with the algorithms that webpki uses.
    fn signed_by(
        &self,
        authority: &X509Certificate<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), CertificateError> {
        // RFC 5280 section 4.1.1.2: it is said twice, and must be the same.
        if self.certificate.signature_algorithm != self.certificate.tbs_certificate.signature {
            return Err(CertificateError::BadEncoding);
        }
        let id = signature_algorithm(self.der).ok_or(CertificateError::BadEncoding)?;
        let possible = algorithms.all.iter().copied();
        verify_signature(
            authority.subject_pki.raw,
            possible.filter(|algorithm| algorithm.signature_alg_id().as_ref() == id),
            self.certificate.tbs_certificate.as_ref(),
            &self.certificate.signature_value.data,
        )
    }
}

/// Checks a signature by the first of the algorithms that is for this kind of key.
///
/// `public_key` is a SubjectPublicKeyInfo in DER.
pub(super) fn verify_signature<'a>(
    public_key: &[u8],
    algorithms: impl IntoIterator<Item = &'a dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CertificateError> {
    let id = key_algorithm(public_key).ok_or(CertificateError::BadEncoding)?;
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(public_key)
        .map_err(|_| CertificateError::BadEncoding)?;
    if key.subject_public_key.unused_bits != 0 {
        return Err(CertificateError::BadEncoding);
    }
    // As in webpki, what cannot be checked is no good signature.
    algorithms
        .into_iter()
        .find(|algorithm| algorithm.public_key_alg_id().as_ref() == id)
        .ok_or(CertificateError::BadSignature)?
        .verify_signature(&key.subject_public_key.data, message, signature)
        .map_err(|_| CertificateError::BadSignature)
}

/// Whether an authority may sign a certificate of either side, without more rules to apply.
fn may_sign(authority: &X509Certificate<'_>) -> bool {
    if authority.version() == X509Version::V1 {
        // As old as what it signs: OpenSSL wants it to be a root, too.
        return authority.extensions().is_empty()
            && authority.subject.as_raw() == authority.issuer.as_raw();
    }
    let is_authority = matches!(authority.basic_constraints(), Ok(Some(found)) if found.value.ca);
    let signs = match authority.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    // One that may sign only some names or for some purposes is left to webpki.
    let unlimited = matches!(authority.name_constraints(), Ok(None))
        && matches!(authority.extended_key_usage(), Ok(None));
    is_authority && signs && unlimited
}

/// Whether it is within the time for which a certificate holds.
pub(super) fn within(validity: &Validity, now: UnixTime) -> Result<(), CertificateError> {
    let now = i64::try_from(now.as_secs()).map_err(|_| CertificateError::Expired)?;
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet)
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}

/// A whole certificate and nothing after it.
pub(super) fn whole(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    }
}

/// What is in the AlgorithmIdentifier behind the part of a certificate that is signed.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (_, certificate) = Any::from_der(certificate).ok()?;
    let (rest, _) = Any::from_der(certificate.data).ok()?;
    let (_, algorithm) = Any::from_der(rest).ok()?;
    Some(algorithm.data)
}

/// What is in the AlgorithmIdentifier of a SubjectPublicKeyInfo.
fn key_algorithm(public_key: &[u8]) -> Option<&[u8]> {
    let (_, public_key) = Any::from_der(public_key).ok()?;
    let (_, algorithm) = Any::from_der(public_key.data).ok()?;
    Some(algorithm.data)
}
