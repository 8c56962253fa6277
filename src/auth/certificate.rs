//! What a certificate says: whom it names, and its fingerprint for channel binding.
//!
//! A certificate is a peer's data. Nothing here verifies it; that is TLS's part.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry as oids;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, X509Name};

/// The names of a certificate that can be compared with a user's. Only
/// [`CertificateNames::parse`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// The subject's common name, never empty.
    pub common_name: Option<String>,
    /// The DNS names among the subject's alternative names, wildcards as they are written.
    pub dns: Vec<String>,
    /// The URIs among the subject's alternative names.
    pub uris: Vec<String>,
    /// Private, so that the names can only come from a certificate.
    parsed: Parsed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parsed;

/// Why a certificate's names cannot be trusted to mean what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A name is not text that can be read: no UTF-8, or one of ASN.1's odder string types.
    #[error("a name in the certificate is not readable text")]
    Encoding,
    /// Not a DER certificate, or an extension that is broken or present twice.
    #[error("malformed certificate")]
    Malformed,
    /// A name with a zero byte, which programs in C would read as a shorter one.
    #[error("a name in the certificate contains a zero byte")]
    Nul,
    /// More than one common name, so which one is meant is anybody's guess.
    #[error("the certificate has more than one common name")]
    SeveralCommonNames,
}

impl CertificateNames {
    /// Reads the names of a DER certificate, RFC 5280 sections 4.1.2.6 and 4.2.1.6.
    ///
    /// # Errors
    /// [`CertificateError`]: malformed, or with names that could be read in two ways. The
    /// certificate then identifies nobody.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = parse_der(der).ok_or(CertificateError::Malformed)?;
        let mut names = Self {
            common_name: common_name(certificate.subject())?,
            dns: Vec::new(),
            uris: Vec::new(),
            parsed: Parsed,
        };
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|_| CertificateError::Malformed)?;
        for name in alternatives
            .iter()
            .flat_map(|names| &names.value.general_names)
        {
            match name {
                GeneralName::DNSName(name) => names.dns.push(text(name)?),
                GeneralName::URI(name) => names.uris.push(text(name)?),
                GeneralName::Invalid(..) => return Err(CertificateError::Encoding),
                GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::IPAddress(_)
                | GeneralName::OtherName(..)
                | GeneralName::RFC822Name(_)
                | GeneralName::RegisteredID(_)
                | GeneralName::X400Address(_) => {} // no user is called like that
            }
        }
        Ok(names)
    }
}

/// The tls-server-end-point of a DER certificate, RFC 5929 section 4.1: its digest by the
/// hash function of its signature, with SHA-256 in place of MD5 and SHA-1.
///
/// `None` if the certificate is malformed or its signature has no single hash function, as
/// Ed25519; PostgreSQL and OpenSSL know no channel binding for those either.
pub fn end_point_binding(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = parse_der(der)?;
    Some(match signature_hash(&certificate.signature_algorithm)? {
        Hash::Sha224 => Sha224::digest(der).to_vec(),
        Hash::Sha256 => Sha256::digest(der).to_vec(),
        Hash::Sha384 => Sha384::digest(der).to_vec(),
        Hash::Sha512 => Sha512::digest(der).to_vec(),
    })
}

/// A whole certificate and nothing after it.
fn parse_der(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    }
}

fn common_name(subject: &X509Name<'_>) -> Result<Option<String>, CertificateError> {
    let mut all = subject.iter_common_name();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(CertificateError::SeveralCommonNames);
    }
    let name = text(first.as_str().map_err(|_| CertificateError::Encoding)?)?;
    Ok(Some(name).filter(|name| !name.is_empty()))
}

fn text(name: &str) -> Result<String, CertificateError> {
    if name.contains('\0') {
        return Err(CertificateError::Nul);
    }
    Ok(name.to_owned())
}

#[derive(Clone, Copy)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The hash to fingerprint with, MD5 and SHA-1 already replaced.
fn signature_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    if algorithm.algorithm != oids::OID_PKCS1_RSASSAPSS {
        return hash_of(SIGNATURES, &algorithm.algorithm);
    }
    let parameters = RsaSsaPssParams::try_from(algorithm.parameters.as_ref()?).ok()?;
    hash_of(DIGESTS, parameters.hash_algorithm_oid())
}

fn hash_of(table: &[(Oid<'static>, Hash)], oid: &Oid<'_>) -> Option<Hash> {
    table
        .iter()
        .find(|(known, _)| known == oid)
        .map(|&(_, hash)| hash)
}

/// Signature algorithms whose name tells the hash.
const SIGNATURES: &[(Oid<'static>, Hash)] = &[
    (oids::OID_PKCS1_MD5WITHRSAENC, Hash::Sha256),
    (oids::OID_PKCS1_SHA1WITHRSA, Hash::Sha256),
    (oids::OID_PKCS1_SHA224WITHRSA, Hash::Sha224),
    (oids::OID_PKCS1_SHA256WITHRSA, Hash::Sha256),
    (oids::OID_PKCS1_SHA384WITHRSA, Hash::Sha384),
    (oids::OID_PKCS1_SHA512WITHRSA, Hash::Sha512),
    (oid!(1.2.840.10045.4.1), Hash::Sha256), // ecdsa-with-SHA1
    (oids::OID_SIG_ECDSA_WITH_SHA224, Hash::Sha224),
    (oids::OID_SIG_ECDSA_WITH_SHA256, Hash::Sha256),
    (oids::OID_SIG_ECDSA_WITH_SHA384, Hash::Sha384),
    (oids::OID_SIG_ECDSA_WITH_SHA512, Hash::Sha512),
];

/// Hash functions as the parameters of RSASSA-PSS name them, RFC 4055 section 2.1.
const DIGESTS: &[(Oid<'static>, Hash)] = &[
    (oids::OID_HASH_SHA1, Hash::Sha256),
    (oids::OID_NIST_HASH_SHA256, Hash::Sha256),
    (oids::OID_NIST_HASH_SHA384, Hash::Sha384),
    (oids::OID_NIST_HASH_SHA512, Hash::Sha512),
];

#[cfg(test)]
mod tests;
