//! What the checking side takes and refuses.

use super::*;

fn first(offered: server::Binding, mechanism: &str, message: &[u8]) -> Result<String, ScramError> {
    server::ExpectClientFirst::new(verifier(), offered)
        .client_first(mechanism, message, "SERVER".to_owned())
        .map(|(_, message)| message)
}

#[test]
fn the_mechanism_with_binding_is_advertised_first_and_only_when_offered() {
    assert_eq!(offered().mechanisms(), [MECHANISM_PLUS, MECHANISM]);
    assert_eq!(server::Binding::None.mechanisms(), [MECHANISM]);
}

#[test]
fn user_name_and_optional_extensions_are_ignored() {
    for message in [
        &b"n,,n=,r=abc"[..],
        b"n,,n=\xff\xfe,r=abc",
        b"n,,n=user=2C,r=abc,x=1,y=",
    ] {
        let answer = first(server::Binding::None, MECHANISM, message).unwrap();
        assert_eq!(answer, "r=abcSERVER,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=2");
    }
}

#[test]
fn a_client_that_cannot_bind_may_log_in_over_tls() {
    assert!(first(offered(), MECHANISM, b"n,,n=,r=abc").is_ok());
}

#[test]
fn a_first_message_out_of_order_is_refused_by_its_fault() {
    type Fault = fn(&Violation) -> bool;
    let cases: &[(&str, &[u8], Fault)] = &[
        ("SCRAM-SHA-1", b"n,,n=,r=abc", |v| *v == Mechanism),
        ("", b"n,,n=,r=abc", |v| *v == Mechanism),
        (MECHANISM, b"", |v| {
            matches!(v, Malformed("the message is empty"))
        }),
        (MECHANISM, b"n", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"n,", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"n,,", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"q,,n=,r=abc", |v| {
            matches!(v, Malformed("unexpected channel-binding flag"))
        }),
        (MECHANISM, b"nn,n=,r=abc", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"n,,n=,r=", |v| {
            matches!(v, Malformed("the nonce is empty"))
        }),
        (MECHANISM, b"n,,r=abc", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"n,,nx,r=abc", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"n,,n=,r=abc,1=x", |v| matches!(v, Malformed(_))),
        (MECHANISM, b"n,,n=\0,r=abc", |v| {
            matches!(v, Malformed("a zero byte in the message"))
        }),
        (MECHANISM, b"n,,n=,r=a c", |v| *v == NonceNotPrintable),
        (MECHANISM, b"n,,n=,r=\xc3\xa9", |v| *v == NonceNotPrintable),
        (MECHANISM, b"n,a=admin,n=,r=abc", |v| {
            *v == AuthorizationIdentity
        }),
        (MECHANISM, b"n,,m=x,n=,r=abc", |v| *v == MandatoryExtension),
        (MECHANISM, b"p=tls-server-end-point,,n=,r=abc", |v| {
            matches!(v, Malformed(_))
        }),
        (MECHANISM, b"y,,n=,r=abc", |v| *v == BindingDowngrade),
        (MECHANISM_PLUS, b"n,,n=,r=abc", |v| {
            matches!(v, Malformed(_))
        }),
        (MECHANISM_PLUS, b"y,,n=,r=abc", |v| {
            matches!(v, Malformed(_))
        }),
        (MECHANISM_PLUS, b"p=tls-unique,,n=,r=abc", |v| {
            *v == BindingType
        }),
        (MECHANISM_PLUS, b"p=,,n=,r=abc", |v| *v == BindingType),
        (MECHANISM_PLUS, b"p,,n=,r=abc", |v| {
            matches!(v, Malformed(_))
        }),
    ];
    for (mechanism, message, expected) in cases {
        let shown = String::from_utf8_lossy(message);
        match first(offered(), mechanism, message) {
            Err(ScramError::Protocol(violation)) => {
                assert!(expected(&violation), "{shown}: {violation:?}")
            }
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[test]
fn binding_that_was_not_offered_cannot_be_chosen() {
    let none = || server::Binding::None;
    let message = b"p=tls-server-end-point,,n=,r=abc";
    assert_eq!(
        first(none(), MECHANISM_PLUS, message),
        Err(Mechanism.into())
    );
    assert!(matches!(
        first(none(), MECHANISM, message),
        Err(ScramError::Protocol(Malformed(_)))
    ));
}

#[test]
fn a_message_above_the_limit_is_refused() {
    let message = |length: usize| format!("n,,n=,r={}", "x".repeat(length - 8)).into_bytes();
    assert!(first(offered(), MECHANISM, &message(4096)).is_ok());
    assert_eq!(
        first(offered(), MECHANISM, &message(4097)),
        Err(TooLong.into())
    );
}

fn last(message: &str) -> Result<server::Proven, ScramError> {
    let server = server::ExpectClientFirst::new(verifier(), server::Binding::None);
    let (server, _) = server.client_first(MECHANISM, b"n,,n=,r=abc", "SERVER".to_owned())?;
    server.client_final(message.as_bytes())
}

#[test]
fn a_last_message_out_of_order_is_refused_by_its_fault() {
    let proof = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let malformed = |message: &str| {
        let refused = last(message).unwrap_err();
        assert!(
            matches!(refused, ScramError::Protocol(Malformed(_))),
            "{message}: {refused:?}"
        );
    };
    malformed("");
    malformed("c=biws,r=abcSERVER");
    malformed("c=biws,r=abcSERVER,p=");
    malformed("c=biws,r=abcSERVER,p=MDEyMzQ1");
    malformed(&format!("c=biws,r=abcSERVER,p=!{}", &proof[1..]));
    malformed(&format!("c=biws,r=abcSERVER,p={proof},x=1"));
    malformed(&format!("r=abcSERVER,c=biws,p={proof}"));
    malformed(&format!("p={proof}"));
    let refused = |message: String| last(&message).unwrap_err();
    assert_eq!(
        refused(format!("c=eSws,r=abcSERVER,p={proof}")),
        UnexpectedBinding.into()
    );
    assert_eq!(
        refused(format!("c=,r=abcSERVER,p={proof}")),
        UnexpectedBinding.into()
    );
    assert_eq!(refused(format!("c=biws,r=abc,p={proof}")), Nonce.into());
    assert_eq!(
        refused(format!("c=biws,r=abcSERVERx,p={proof}")),
        Nonce.into()
    );
    assert_eq!(
        refused(format!("c=biws,r=abcSERVER,x=1,p={proof}")),
        ScramError::WrongProof
    );
}

#[test]
fn an_extension_before_the_proof_is_part_of_what_is_signed() {
    let keys = Keys::derive(PASSWORD.as_bytes(), verifier().salt(), 2);
    let server_first = b"r=abcSERVER,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=2";
    let signed = "c=biws,r=abcSERVER,x=1";
    let stored = keys::stored_key(&keys.client_key);
    let signature = keys::sign(&stored, b"n=,r=abc", server_first, signed.as_bytes());
    let proof = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        keys::xor(signature, &keys.client_key),
    );
    assert!(last(&format!("{signed},p={proof}")).is_ok());
    assert_eq!(
        last(&format!("c=biws,r=abcSERVER,p={proof}")).unwrap_err(),
        ScramError::WrongProof
    );
}

#[test]
fn every_nonce_is_another_one() {
    let nonces = [server::nonce(), server::nonce()];
    assert_ne!(nonces[0], nonces[1]);
    assert!(nonces.iter().all(|nonce| nonce.len() == 24));
}
