//! Our own certificate with its key.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};

use super::version1::Version1;

/// The certificate, the chain behind it and its key, for every handshake.
///
/// # Errors
/// The key cannot be used, or is not the certificate's.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<SingleCertAndKey, Error> {
    let leaf = chain.first().and_then(|leaf| Version1::read(leaf));
    let Some(leaf) = leaf else {
        return CertifiedKey::from_der(chain, key, provider).map(Into::into);
    };
    // rustls would refuse the version; all else that it checks is that they belong together.
    let key = provider.key_provider.load_private_key(key)?;
    let public = key.public_key().ok_or(InconsistentKeys::Unknown)?;
    if public.as_ref() != leaf.public_key() {
        return Err(InconsistentKeys::KeyMismatch.into());
    }
    Ok(CertifiedKey::new(chain, key).into())
}
