use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

fn certificate(common: &[&str], alternatives: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for name in common {
        params.distinguished_name.push(DnType::CommonName, *name);
    }
    params.subject_alt_names = alternatives;
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

fn holds(certificate: &CertificateDer<'_>, host: &str) -> bool {
    check(certificate, &ServerName::try_from(host).unwrap()).is_ok()
}

#[test]
fn a_common_name_counts_where_there_is_no_alternative_name_of_a_host() {
    let bare = certificate(&["db.example.com"], Vec::new());
    assert!(holds(&bare, "db.example.com"));
    assert!(holds(&bare, "DB.example.com"));
    assert!(!holds(&bare, "example.com"));
    assert!(!holds(&bare, "other.db.example.com"));
    let uri = SanType::URI(Ia5String::try_from("spiffe://db").unwrap());
    assert!(holds(
        &certificate(&["db.example.com"], vec![uri]),
        "db.example.com"
    ));
    let dns = SanType::DnsName(Ia5String::try_from("other.example.com").unwrap());
    let dns = certificate(&["db.example.com"], vec![dns]);
    assert!(!holds(&dns, "db.example.com"));
    assert!(holds(&dns, "other.example.com"));
    let ip = SanType::IpAddress("192.0.2.1".parse().unwrap());
    let ip = certificate(&["db.example.com"], vec![ip]);
    assert!(!holds(&ip, "db.example.com"));
    assert!(holds(&ip, "192.0.2.1"));
}

#[test]
fn an_address_in_the_common_name_is_compared_as_one() {
    assert!(holds(&certificate(&["192.0.2.1"], vec![]), "192.0.2.1"));
    assert!(holds(
        &certificate(&["2001:db8::1"], vec![]),
        "2001:db8:0::1"
    ));
    assert!(!holds(&certificate(&["192.0.2.1"], vec![]), "192.0.2.2"));
    assert!(!holds(&certificate(&["*.0.2.1"], vec![]), "192.0.2.1"));
}

#[test]
fn a_wildcard_stands_for_one_label_before_two() {
    assert!(matches("*.example.com", "db.Example.com"));
    for (name, host) in [
        ("*.example.com", "a.b.example.com"),
        ("*.example.com", "example.com"),
        ("*.com", "example.com"),
        ("*", "localhost"),
        ("*.", "localhost."),
        ("*..com", "db..com"),
        ("d*.example.com", "db.example.com"),
        ("", ""),
    ] {
        assert!(!matches(name, host), "{name} {host}");
    }
}
