//! Tokens made here, good ones and those an attacker would make.

use std::sync::OnceLock;

use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn verifier() -> Verifier {
    Verifier {
        issuer: "https://id.example.com".into(),
        audience: "pgwarden".into(),
        user_claim: "sub".into(),
        leeway: Duration::from_secs(60),
    }
}

fn claims() -> Value {
    json!({"iss": "https://id.example.com", "aud": "pgwarden", "sub": "alice", "exp": NOW + 300})
}

/// The usual claims with one of them changed, or taken away by `null`.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Signer {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    /// ring makes no RSA keys.
    fn rsa() -> Self {
        let pem = include_bytes!("tests/rsa-key-for-tests-only.pem");
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ed25519(pair) => {
                json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kid": kid, "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Self::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kid": kid, "kty": "RSA", "n": encode(public.n), "e": encode(public.e)})
            }
        }
    }

    fn sign(&self, signed: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::P256(pair) => {
                let signature = pair.sign(&random, signed.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    signed.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        format!("{signed}.{}", encode(self.sign(&signed)))
    }

    /// A token as this key's owner makes them.
    fn usual(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": "k", "typ": "JWT"});
        self.token(&header, claims)
    }
}

/// One key for the tests that are not about keys.
fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(Signer::ed25519)
}

fn set(keys: &[Value]) -> Keys {
    Keys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn verify(token: &str) -> Result<Verified, TokenError> {
    verifier().verify(token, &set(&[signer().jwk("k")]), now())
}

fn of(claims: &Value) -> Result<Verified, TokenError> {
    verify(&signer().usual(claims))
}

#[test]
fn a_token_of_each_algorithm_holds() {
    for signer in [Signer::ed25519(), Signer::p256(), Signer::rsa()] {
        let keys = set(&[signer.jwk("other"), signer.jwk("k")]);
        let verified = verifier().verify(&signer.usual(&claims()), &keys, now());
        let verified = verified.unwrap_or_else(|e| panic!("{}: {e}", signer.algorithm()));
        assert_eq!(verified.user.as_str(), "alice");
        assert_eq!(verified.token.issuer(), "https://id.example.com");
        assert_eq!(verified.token.expires(), now() + Duration::from_secs(300));
    }
}

#[test]
fn a_changed_token_does_not_hold() {
    for signer in [Signer::ed25519(), Signer::p256(), Signer::rsa()] {
        let keys = set(&[signer.jwk("k")]);
        let token = signer.usual(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let header = signed.split_once('.').unwrap().0;
        let mallory = encode(but("sub", json!("mallory")).to_string());
        for forged in [
            format!("{header}.{mallory}.{signature}"),
            format!("{signed}."),
            format!("{signed}.{}", encode([0; 64])),
            format!("{signed}.{}", encode([0; 256])),
            format!("{signed}.{}", encode(Signer::ed25519().sign(signed))),
        ] {
            let result = verifier().verify(&forged, &keys, now());
            assert_eq!(result, Err(TokenError::Signature), "{forged}");
        }
    }
}

#[test]
fn nothing_but_the_three_algorithms_is_accepted() {
    let rsa = Signer::rsa();
    let keys = set(&[rsa.jwk("k")]);
    let payload = encode(claims().to_string());
    for name in [
        "none", "None", "", "HS256", "RS384", "PS256", "ES256K", "rs256",
    ] {
        let header = encode(json!({"alg": name, "kid": "k"}).to_string());
        let signed = format!("{header}.{payload}");
        // What a library would accept that takes the public key for the shared secret.
        let public = match &rsa {
            Signer::Rsa(pair) => pair.public().as_ref().to_vec(),
            Signer::Ed25519(_) | Signer::P256(_) => unreachable!(),
        };
        let shared = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
        let mac = ring::hmac::sign(&shared, signed.as_bytes());
        for signature in [String::new(), encode(mac), encode(rsa.sign(&signed))] {
            let result = verifier().verify(&format!("{signed}.{signature}"), &keys, now());
            assert_eq!(result, Err(TokenError::Algorithm(name.into())));
        }
    }
}

#[test]
fn the_keys_type_decides_the_algorithm() {
    let (p256, rsa) = (Signer::p256(), Signer::rsa());
    let keys = set(&[p256.jwk("k")]);
    let token = rsa.usual(&claims());
    let result = verifier().verify(&token, &keys, now());
    assert!(matches!(result, Err(TokenError::UnknownKey(_))));
    let token = p256.token(&json!({"alg": "EdDSA", "kid": "k"}), &claims());
    let result = verifier().verify(&token, &keys, now());
    assert!(matches!(result, Err(TokenError::UnknownKey(_))));
}

#[test]
fn a_key_is_found_by_its_name_alone_if_the_token_has_one() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let keys = set(&[old.jwk("old"), new.jwk("new")]);
    let token = |kid: &str| new.token(&json!({"alg": "ES256", "kid": kid}), &claims());
    assert!(verifier().verify(&token("new"), &keys, now()).is_ok());
    let result = verifier().verify(&token("old"), &keys, now());
    assert_eq!(result, Err(TokenError::Signature));
    for unknown in ["", "ne", "new "] {
        let result = verifier().verify(&token(unknown), &keys, now());
        assert!(matches!(result, Err(TokenError::UnknownKey(_))));
    }
}

#[test]
fn every_key_is_tried_for_a_token_that_names_none() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let keys = set(&[Signer::rsa().jwk("k"), old.jwk("old"), new.jwk("new")]);
    let token = new.token(&json!({"alg": "ES256"}), &claims());
    assert!(verifier().verify(&token, &keys, now()).is_ok());
    let token = Signer::p256().token(&json!({"alg": "ES256"}), &claims());
    let result = verifier().verify(&token, &keys, now());
    assert!(matches!(result, Err(TokenError::UnknownKey(_))));
}

#[test]
fn a_header_that_demands_more_or_is_of_another_kind_is_refused() {
    let token = |header: Value| verify(&signer().token(&header, &claims()));
    for kind in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        assert!(
            token(json!({"alg": "EdDSA", "typ": kind})).is_ok(),
            "{kind}"
        );
    }
    for header in [
        json!({"alg": "EdDSA", "typ": "logout+jwt"}),
        json!({"alg": "EdDSA", "typ": 1}),
        json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}),
        json!({"alg": ["EdDSA"]}),
        json!({"alg": "EdDSA", "kid": 1}),
        json!({}),
    ] {
        let result = token(header.clone());
        assert!(matches!(result, Err(TokenError::Header(_))), "{header}");
    }
}

#[test]
fn the_keys_a_token_brings_along_are_not_looked_at() {
    let mallory = Signer::ed25519();
    let header = json!({"alg": "EdDSA", "kid": "k", "jwk": mallory.jwk("k"), "jku": "https://mallory.example"});
    assert_eq!(
        verify(&mallory.token(&header, &claims())),
        Err(TokenError::Signature)
    );
}

#[test]
fn a_token_is_good_until_it_expires_and_must_say_when() {
    assert!(of(&but("exp", json!(NOW + 1))).is_ok());
    assert!(of(&but("exp", json!(NOW as f64 + 0.5))).is_ok());
    for past in [json!(NOW), json!(NOW - 1), json!(0)] {
        assert_eq!(of(&but("exp", past)), Err(TokenError::Expired));
    }
    for odd in [
        json!("9999999999"),
        json!(-1),
        json!(1e300),
        json!([NOW + 9]),
        json!(true),
    ] {
        let result = of(&but("exp", odd.clone()));
        assert_eq!(result, Err(ClaimError::NotATime("exp").into()), "{odd}");
    }
    let result = of(&but("exp", Value::Null));
    assert_eq!(result, Err(ClaimError::Missing("exp".into()).into()));
}

#[test]
fn a_token_of_the_future_is_refused_beyond_the_leeway() {
    for name in ["nbf", "iat"] {
        assert!(of(&but(name, json!(NOW + 60))).is_ok());
        let result = of(&but(name, json!(NOW + 61)));
        assert_eq!(result, Err(TokenError::NotYet(name)));
        let result = of(&but(name, json!("soon")));
        assert_eq!(result, Err(ClaimError::NotATime(name).into()));
    }
}

#[test]
fn a_token_for_others_or_by_others_is_refused() {
    assert!(of(&but("aud", json!(["other", "pgwarden"]))).is_ok());
    for audience in [
        Value::Null,
        json!("other"),
        json!("pgwarden "),
        json!(["other"]),
        json!([]),
        json!([["pgwarden"]]),
        json!({"pgwarden": true}),
    ] {
        let result = of(&but("aud", audience.clone()));
        assert!(matches!(result, Err(TokenError::Audience(_))), "{audience}");
    }
    for issuer in [
        Value::Null,
        json!("https://id.example.com/"),
        json!("https://mallory.example"),
        json!(["https://id.example.com"]),
    ] {
        let result = of(&but("iss", issuer.clone()));
        assert!(matches!(result, Err(TokenError::Issuer(_))), "{issuer}");
    }
}

#[test]
fn what_is_not_of_a_tokens_shape_is_refused() {
    let token = signer().usual(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        signed.to_owned(),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}="),
        format!("{token}\n"),
        format!("{token} "),
        format!("{token}\0"),
        format!(" {token}"),
        token.replacen('.', "..", 1),
        signer().token(&json!(["alg"]), &claims()),
        signer().usual(&json!("alice")),
    ] {
        let result = verify(&bad);
        assert!(matches!(result, Err(TokenError::Malformed(_))), "{bad:?}");
    }
}

#[test]
fn giant_tokens_are_refused_before_and_after_their_signature() {
    let long = of(&but("x", json!("a".repeat(MAX_LEN))));
    assert_eq!(long, Err(TokenError::TooLong));
    let deep = (0..50).fold(json!("x"), |inner, _| json!({ "a": inner }));
    assert_eq!(of(&but("x", deep)), Err(ClaimError::TooMuch.into()));
    let many: Vec<_> = (0..2000).map(|_| json!("a")).collect();
    let inner = json!({ "b".repeat(500): many });
    assert_eq!(of(&but("x", inner)), Err(ClaimError::TooMuch.into()));
    let too_deep_to_parse = "[".repeat(5000);
    let header = encode(json!({"alg": "EdDSA", "kid": "k"}).to_string());
    let signed = format!("{header}.{}", encode(too_deep_to_parse));
    let token = format!("{signed}.{}", encode(signer().sign(&signed)));
    assert!(matches!(verify(&token), Err(TokenError::Malformed(_))));
}

#[test]
fn the_users_name_is_the_configured_claim() {
    let nested = Verifier {
        user_claim: "db.user".into(),
        ..verifier()
    };
    let token = signer().usual(&but("db", json!({"user": "svc"})));
    let keys = set(&[signer().jwk("k")]);
    let user = nested.verify(&token, &keys, now()).unwrap().user;
    assert_eq!(user.as_str(), "svc");
    for odd in [json!(""), json!(["alice", "bob"]), json!("alice\0")] {
        let result = of(&but("sub", odd.clone()));
        assert_eq!(
            result,
            Err(ClaimError::NotAName("sub".into()).into()),
            "{odd}"
        );
    }
    let result = of(&but("sub", Value::Null));
    assert_eq!(result, Err(ClaimError::Missing("sub".into()).into()));
}

#[test]
fn an_address_that_nobody_has_verified_names_nobody() {
    let by_email = Verifier {
        user_claim: "email".into(),
        ..verifier()
    };
    let keys = set(&[signer().jwk("k")]);
    let result = |verified: Value| {
        let mut claims = but("email", json!("alice@example.com"));
        claims["email_verified"] = verified;
        by_email.verify(&signer().usual(&claims), &keys, now())
    };
    assert!(result(json!(true)).is_ok());
    assert_eq!(result(json!(false)), Err(ClaimError::NotVerified.into()));
    assert_eq!(result(json!("false")), Err(ClaimError::NotVerified.into()));
}

#[test]
fn claims_become_texts_by_their_dotted_names() {
    let mut claims = but("realm_access", json!({"roles": ["reader", "writer"]}));
    claims["groups"] = json!(["dba"]);
    claims["level"] = json!(3);
    claims["admin"] = json!(false);
    claims["issuer"] = json!("https://mallory.example");
    claims["nothing"] = json!(null);
    let token = of(&claims).unwrap().token;
    let values = |name: &str| token.claim(name).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(values("realm_access.roles"), ["reader", "writer"]);
    assert_eq!(values("group"), ["dba"]);
    assert_eq!(values("level"), ["3"]);
    assert_eq!(values("admin"), ["false"]);
    assert_eq!(values("issuer"), ["https://id.example.com"]);
    assert!(values("nothing").is_empty() && values("realm_access").is_empty());
}

#[test]
fn a_password_is_taken_for_a_token_only_if_it_can_be_one() {
    assert!(looks_like_one(signer().usual(&claims()).as_bytes()));
    assert!(looks_like_one(b"e30.e30."));
    for password in [
        "secret",
        "john.doe.2024",
        "a.b.c",
        "MQ.e30.e30",
        "e30.e30",
        "e30.e30.!",
        "e30.e30.e30.e30",
    ] {
        assert!(!looks_like_one(password.as_bytes()), "{password}");
    }
}

#[test]
fn a_set_keeps_the_keys_that_can_verify_and_needs_one() {
    let good = Signer::p256().jwk("k");
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        jwk
    };
    let useless = [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("ES384")),
        with("crv", json!("P-384")),
        with("x", json!("AA")),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "RSA", "n": encode([0xff; 128]), "e": "AQAB"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": ""}),
        json!("key"),
        json!(null),
    ];
    let parse = |keys: &[Value]| Keys::parse(json!({ "keys": keys }).to_string().as_bytes());
    for jwk in &useless {
        assert_eq!(
            parse(std::slice::from_ref(jwk)),
            Err(KeysError::NoKey),
            "{jwk}"
        );
    }
    let mut all = useless.to_vec();
    all.push(with("use", json!("sig")));
    all.push(with("key_ops", json!(["sign", "verify"])));
    all.push(with("alg", json!("ES256")));
    assert_eq!(parse(&all).unwrap().len(), 3);
    assert_eq!(parse(&vec![good.clone(); 101]), Err(KeysError::TooMany));
    for text in ["", "[]", "{}", "{\"keys\": {}}", "null"] {
        assert_eq!(
            Keys::parse(text.as_bytes()),
            Err(KeysError::Malformed),
            "{text}"
        );
    }
}

#[test]
fn a_modulus_with_a_zero_in_front_is_the_same_key() {
    let rsa = Signer::rsa();
    let mut jwk = rsa.jwk("k");
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    jwk["n"] = json!(encode([&[0], &modulus[..]].concat()));
    let result = verifier().verify(&rsa.usual(&claims()), &set(&[jwk]), now());
    assert!(result.is_ok());
}

#[test]
fn errors_show_no_token() {
    let token = signer().usual(&but("aud", json!("other")));
    let error = verify(&token).unwrap_err();
    let text = format!("{error} {error:?}");
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(text.contains("other") && !text.contains(signature));
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(token in "(e30|eyJhbGciOiJFZERTQSJ9|[A-Za-z0-9_-]*|\\PC*)(\\.[A-Za-z0-9_.-]*){0,3}") {
        prop_assert!(verify(&token).is_err());
        let _ = looks_like_one(token.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_set_of_keys_or_not_without_a_panic(json in "\\{\"keys\": ?\\[(\\{\"kty\":\"(RSA|EC|OKP)\",\"[ne]\":\"\\PC*\"\\})?\\]\\}|\\PC*") {
        let _ = Keys::parse(json.as_bytes());
    }
}
