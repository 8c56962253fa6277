//! Certificates made by rcgen and by OpenSSL, honest and not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, SanType,
};

use super::*;

/// Lines of `name digest certificate`, the digest in hexadecimal and the certificate in base64.
const SIGNATURES_BY_OPENSSL: &str = include_str!("testdata/signatures.txt");

fn subject(names: &[DnValue]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for name in names {
        params
            .distinguished_name
            .push(DnType::CommonName, name.clone());
    }
    params
}

fn utf8(name: &str) -> DnValue {
    DnValue::Utf8String(name.to_owned())
}

fn der(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// A certificate whose subjectAltName is exactly these bytes.
fn with_alternative_names(content: &[u8]) -> Vec<u8> {
    let mut params = subject(&[utf8("alice")]);
    let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], content.to_vec());
    params.custom_extensions.push(extension);
    der(&params)
}

mod names {
    use super::*;

    #[test]
    fn all_names_that_can_be_a_users_are_found() {
        let mut params = subject(&[utf8("Älice")]);
        params.subject_alt_names = vec![
            SanType::DnsName("db.example.com".try_into().unwrap()),
            SanType::Rfc822Name("alice@example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/alice".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::DnsName("*.example.com".try_into().unwrap()),
        ];
        let names = CertificateNames::parse(&der(&params)).unwrap();
        assert_eq!(names.common_name.as_deref(), Some("Älice"));
        assert_eq!(names.dns, ["db.example.com", "*.example.com"]);
        assert_eq!(names.uris, ["spiffe://example.com/alice"]);
    }

    #[test]
    fn a_certificate_may_have_no_names_at_all() {
        for params in [subject(&[]), subject(&[utf8("")])] {
            let names = CertificateNames::parse(&der(&params)).unwrap();
            assert_eq!(names.common_name, None);
            assert!(names.dns.is_empty() && names.uris.is_empty());
        }
    }

    #[test]
    fn a_zero_byte_in_a_name_is_refused() {
        let refused = |der: Vec<u8>| CertificateNames::parse(&der).unwrap_err();
        assert_eq!(
            refused(der(&subject(&[utf8("admin\0.evil.example")]))),
            CertificateError::Nul
        );
        assert_eq!(
            refused(with_alternative_names(b"\x30\x09\x82\x07admin\0x")),
            CertificateError::Nul
        );
        assert_eq!(
            refused(with_alternative_names(b"\x30\x09\x86\x07admin\0x")),
            CertificateError::Nul
        );
    }

    #[test]
    fn a_name_that_is_not_text_is_refused() {
        let refused = |der: Vec<u8>| CertificateNames::parse(&der).unwrap_err();
        assert_eq!(
            refused(with_alternative_names(b"\x30\x04\x82\x02\xff\xfe")),
            CertificateError::Encoding
        );
        let bmp = DnValue::BmpString("alice".try_into().unwrap());
        assert_eq!(refused(der(&subject(&[bmp]))), CertificateError::Encoding);
    }

    #[test]
    fn broken_alternative_names_are_not_taken_for_none() {
        for content in [&b"\x30\x09\x82\x07x"[..], b"", b"\x04\x01x"] {
            let refused = CertificateNames::parse(&with_alternative_names(content)).unwrap_err();
            assert_eq!(refused, CertificateError::Malformed, "{content:?}");
        }
    }

    #[test]
    fn of_two_common_names_neither_counts() {
        // rcgen keeps one value a type; by its number the same type counts as another.
        let mut params = subject(&[utf8("alice")]);
        params
            .distinguished_name
            .push(DnType::CustomDnType(vec![2, 5, 4, 3]), utf8("admin"));
        let refused = CertificateNames::parse(&der(&params)).unwrap_err();
        assert_eq!(refused, CertificateError::SeveralCommonNames);
    }

    #[test]
    fn bytes_after_or_missing_from_a_certificate_are_refused() {
        let mut certificate = der(&subject(&[utf8("alice")]));
        certificate.push(0);
        assert_eq!(
            CertificateNames::parse(&certificate),
            Err(CertificateError::Malformed)
        );
        assert_eq!(end_point_binding(&certificate), None);
        certificate.truncate(certificate.len() - 2);
        assert_eq!(
            CertificateNames::parse(&certificate),
            Err(CertificateError::Malformed)
        );
        assert_eq!(
            CertificateNames::parse(b""),
            Err(CertificateError::Malformed)
        );
    }
}

mod binding {
    use super::*;

    #[test]
    fn the_digest_follows_the_signature_algorithm() {
        let lines = SIGNATURES_BY_OPENSSL
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut seen = 0;
        for line in lines {
            let [name, digest, certificate] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let bound = end_point_binding(&BASE64.decode(certificate).unwrap());
            let hex = bound.map(|bytes| {
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            });
            assert_eq!(hex.as_deref(), Some(digest), "{name}");
            seen += 1;
        }
        assert_eq!(seen, 13);
    }

    #[test]
    fn ed25519_has_no_digest_to_bind_to() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = subject(&[utf8("alice")]).self_signed(&key).unwrap();
        assert!(CertificateNames::parse(certificate.der()).is_ok());
        assert_eq!(end_point_binding(certificate.der()), None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
        let _ = CertificateNames::parse(&bytes);
        let _ = end_point_binding(&bytes);
    }

    #[test]
    fn no_damage_to_a_certificate_makes_the_parser_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), line in any::<prop::sample::Index>()) {
        let lines: Vec<_> = SIGNATURES_BY_OPENSSL.lines().filter(|line| line.contains(" ")  && !line.starts_with('#')).collect();
        let mut certificate = BASE64.decode(line.get(&lines).rsplit(' ').next().unwrap()).unwrap();
        for (index, byte) in damage {
            let index = index.index(certificate.len());
            certificate[index] = byte;
        }
        let _ = CertificateNames::parse(&certificate);
        let _ = end_point_binding(&certificate);
    }
}
