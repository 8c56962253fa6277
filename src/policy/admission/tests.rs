use std::net::IpAddr;

use super::*;
use crate::policy::grant::CertificateMatch;
use crate::policy::pattern::Glob;

const NOW: &str = "2026-11-24T12:00:00Z";

fn at(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().unwrap().try_into().unwrap()
}

fn grant(role: &str) -> Grant {
    Grant::new(RoleName::new(role))
}

/// A policy with these grants, and a role for each.
fn policy(grants: Vec<Grant>) -> Policy {
    let roles = grants.iter().map(|grant| grant.role.clone());
    Policy {
        roles: roles
            .map(|name| (name.clone(), Arc::new(Role::free(name))))
            .collect(),
        grants,
        ..Policy::default()
    }
}

fn trusted(user: &str) -> Identity {
    Identity::trusted(crate::auth::names::UserName::new(user))
}

/// Who claims to be `user` beside a certificate for a URI.
fn beside(user: &str, uri: &str) -> Identity {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let names = CertificateNames::parse(certificate.der()).unwrap();
    Identity::beside_certificate(crate::auth::names::UserName::new(user), Arc::new(names))
}

fn from(address: &str) -> Origin {
    let address: IpAddr = address.parse().unwrap();
    Origin {
        address: Some(address),
        ..Origin::default()
    }
}

/// The name of the role that a client gets.
fn role_of(policy: &Policy, identity: Identity, origin: Origin) -> Option<String> {
    let admitted = policy.admit(identity, origin, DatabaseName::new("shop"), at(NOW));
    admitted.ok().map(|a| a.role().name.to_string())
}

#[test]
fn the_first_grant_that_fits_counts_and_none_is_a_refusal() {
    let mut first = grant("reader");
    first.user = vec![Glob::new("bi_*")];
    let mut second = grant("app");
    second.database = vec![Glob::new("sh*")];
    second.user = vec![Glob::new("*a*")];
    let policy = policy(vec![first, second]);
    for (user, role) in [
        ("bi_anna", Some("reader")),
        ("anna", Some("app")),
        ("bob", None),
    ] {
        let got = role_of(&policy, trusted(user), Origin::default());
        assert_eq!(got.as_deref(), role, "{user}");
    }
}

#[test]
fn without_grants_who_is_proved_is_a_role_of_its_own_without_rules() {
    let policy = Policy::default();
    let admission = policy
        .admit(
            trusted("bob"),
            Origin::default(),
            DatabaseName::new("shop"),
            at(NOW),
        )
        .unwrap();
    assert_eq!(admission.role().name.as_str(), "bob");
    assert!(!admission.is_judged() && !admission.has_granted_role());
    let claimed = beside("bob", "spiffe://x");
    assert_eq!(role_of(&policy, claimed, Origin::default()), None);
}

#[test]
fn a_claimed_name_gets_nothing_but_what_its_certificate_is_granted() {
    let mut by_certificate = grant("shop");
    by_certificate.certificate = Some(CertificateMatch {
        cn: None,
        san: Some(Glob::new("spiffe://prod/shop/*")),
    });
    let policy = policy(vec![grant("everybody"), by_certificate]);
    let of = |uri| role_of(&policy, beside("root", uri), Origin::default());
    assert_eq!(of("spiffe://prod/shop/web").as_deref(), Some("shop"));
    assert_eq!(of("spiffe://prod/bank/web"), None);
    let proved = role_of(&policy, trusted("root"), Origin::default());
    assert_eq!(proved.as_deref(), Some("everybody"));
}

#[test]
fn a_grant_for_a_token_is_not_for_who_has_none() {
    let mut by_token = grant("dba");
    by_token.oauth = BTreeMap::from([("group".to_owned(), vec![Glob::new("*")])]);
    assert_eq!(
        role_of(&policy(vec![by_token]), trusted("x"), Origin::default()),
        None
    );
}

#[test]
fn where_a_client_comes_from_decides() {
    let mut near = grant("near");
    near.from = vec!["10.2.0.0/16".parse().unwrap()];
    let mut encrypted = grant("encrypted");
    encrypted.tls = Some(true);
    let mut local = grant("local");
    local.uid = vec![1000];
    let policy = policy(vec![near, encrypted, local]);
    let tls = Origin {
        tls: true,
        ..from("192.0.2.1")
    };
    let socket = |uid| Origin {
        uid,
        ..Origin::default()
    };
    for (origin, role) in [
        (from("10.2.3.4"), Some("near")),
        (from("::ffff:10.2.3.4"), Some("near")),
        (from("10.3.0.1"), None),
        (tls, Some("encrypted")),
        (socket(Some(1000)), Some("local")),
        (socket(Some(1001)), None),
        (socket(None), None),
    ] {
        let got = role_of(&policy, trusted("x"), origin);
        assert_eq!(got.as_deref(), role, "{origin:?}");
    }
}

#[test]
fn an_admission_lasts_until_a_grant_may_begin_or_end() {
    let mut expired = grant("expired");
    expired.expires = Some(at(NOW));
    let mut later = grant("later");
    later.window = Some(Window::parse("Wed 01:00-02:00 UTC").unwrap());
    let mut now = grant("now");
    now.expires = Some(at("2026-11-30T00:00:00Z"));
    let policy = policy(vec![expired, later, now]);
    let admission = policy
        .admit(
            trusted("x"),
            Origin::default(),
            DatabaseName::new("shop"),
            at(NOW),
        )
        .unwrap();
    assert_eq!(
        (admission.role().name.as_str(), admission.grant()),
        ("now", Some(2))
    );
    assert_eq!(admission.until(), Some(at("2026-11-25T01:00:00Z")));
}

#[test]
fn maintenance_is_the_house_s_and_the_database_s() {
    let window = |text| Window::parse(text).unwrap();
    let shop = DatabaseName::new("shop");
    let policy = Policy {
        maintenance: vec![window("Sun UTC")],
        database_maintenance: BTreeMap::from([(shop.clone(), vec![window("Tue UTC")])]),
        ..Policy::default()
    };
    let admit = |database| {
        policy
            .admit(trusted("x"), Origin::default(), database, at(NOW))
            .unwrap()
    };
    let admission = admit(shop);
    assert!(admission.is_read_only(at(NOW)) && admission.is_judged());
    assert!(admission.is_read_only(at("2026-11-29T12:00:00Z")));
    assert!(!admission.is_read_only(at("2026-11-25T12:00:00Z")));
    let ledger = admit(DatabaseName::new("ledger"));
    assert!(!ledger.is_read_only(at(NOW)));
    assert!(ledger.is_read_only(at("2026-11-29T12:00:00Z")));
}
