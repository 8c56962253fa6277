//! The signature by which a peer shows in a handshake that it has its certificate's key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{DigitallySignedStruct, Error, PeerMisbehaved};

use super::version1::{self, Version1};

/// As in rustls, and for certificates of version 1, too.
pub(super) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let Some(certificate1) = Version1::read(certificate) else {
        return rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms);
    };
    let mut mapping = algorithms.mapping.iter();
    let (_, possible) = mapping
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    version1::verify_signature(
        certificate1.public_key(),
        possible.iter().copied(),
        message,
        signed.signature(),
    )?;
    Ok(HandshakeSignatureValid::assertion())
}

/// As in rustls, and for certificates of version 1, too.
pub(super) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let Some(certificate1) = Version1::read(certificate) else {
        return rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms);
    };
    let key = SubjectPublicKeyInfoDer::from(certificate1.public_key());
    rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}
