//! What the proving side takes and refuses.

use super::*;

fn refused(message: impl AsRef<[u8]>) -> ScramError {
    let client = client::ExpectServerFirst::example("n=,r=OURS", "OURS");
    client.server_first(message.as_ref()).unwrap_err()
}

fn accepted(message: &str) -> client::Challenge {
    client::ExpectServerFirst::example("n=,r=OURS", "OURS")
        .server_first(message.as_bytes())
        .unwrap()
}

#[test]
fn a_nonce_must_continue_ours() {
    for nonce in ["OUR", "OURS", "THEIRS", "xOURSx", "oursX"] {
        assert_eq!(
            refused(format!("r={nonce},s=c2FsdA==,i=4096")),
            Nonce.into(),
            "{nonce}"
        );
    }
    assert_eq!(
        refused("r=OURS\x07,s=c2FsdA==,i=4096"),
        NonceNotPrintable.into()
    );
    assert_eq!(
        refused(b"r=OURS\xff,s=c2FsdA==,i=4096"),
        NonceNotPrintable.into()
    );
}

#[test]
fn an_iteration_count_must_be_within_reason() {
    for count in [
        "0",
        "1000001",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "-1",
        "+1",
        "4096x",
        "",
        "0x10",
    ] {
        assert_eq!(
            refused(format!("r=OURSx,s=c2FsdA==,i={count}")),
            Iterations.into(),
            "{count}"
        );
    }
    assert_eq!(accepted("r=OURSx,s=c2FsdA==,i=1").iterations(), 1);
    assert_eq!(
        accepted("r=OURSx,s=c2FsdA==,i=1000000").iterations(),
        client::MAX_ITERATIONS
    );
}

#[test]
fn a_salt_must_be_there_and_not_too_long() {
    let salt = |length: usize| {
        let salt = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            vec![b'x'; length],
        );
        format!("r=OURSx,s={salt},i=4096")
    };
    assert_eq!(accepted(&salt(1)).salt(), b"x");
    assert_eq!(accepted(&salt(1024)).salt().len(), client::MAX_SALT_LEN);
    assert_eq!(refused(salt(0)), SaltLength.into());
    assert_eq!(refused(salt(1025)), SaltLength.into());
    assert!(matches!(
        refused("r=OURSx,s=c2Fs!A==,i=4096"),
        ScramError::Protocol(Malformed(_))
    ));
}

#[test]
fn a_message_must_not_be_too_long() {
    let message = |length: usize| {
        let rest = ",s=c2FsdA==,i=4096";
        format!("r=OURS{}{rest}", "x".repeat(length - rest.len() - 6))
    };
    let _ = accepted(&message(4096));
    assert_eq!(refused(message(4097)), TooLong.into());
}

#[test]
fn a_message_out_of_shape_is_refused() {
    for message in [
        "",
        "r=OURSx",
        "r=OURSx,s=c2FsdA==",
        "s=c2FsdA==,r=OURSx,i=4096",
        "m=x,r=OURSx,s=c2FsdA==,i=4096",
        "e=other-error",
        "r=OURSx,s=c2FsdA==,i=4096,,",
    ] {
        let refused = refused(message);
        assert!(
            matches!(refused, ScramError::Protocol(Malformed(_))),
            "{message}: {refused:?}"
        );
    }
}

fn finale(message: &str) -> Result<(), ScramError> {
    let challenge = accepted("r=OURSx,s=c2FsdA==,i=2");
    let keys = Keys::derive(b"secret", challenge.salt(), challenge.iterations());
    challenge.answer(&keys).0.server_final(message.as_bytes())
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    let guess = "v=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    assert_eq!(finale(guess), Err(ScramError::WrongServerSignature));
    for message in ["", "v=", "v=MDEyMzQ1", "x=1", "v", "OK"] {
        let refused = finale(message).unwrap_err();
        assert!(
            matches!(refused, ScramError::Protocol(Malformed(_))),
            "{message}: {refused:?}"
        );
    }
}

#[test]
fn a_servers_reason_is_reported_without_what_could_harm_a_log() {
    assert_eq!(
        finale("e=invalid-proof"),
        Err(ScramError::ServerRefused("invalid-proof".into()))
    );
    let Err(ScramError::ServerRefused(reason)) =
        finale(&format!("e=a\x1b[2J\n{}", "x".repeat(999)))
    else {
        panic!("not refused");
    };
    assert!(reason.starts_with("a?[2J?xxx"), "{reason}");
    assert_eq!(reason.len(), 128);
}

#[test]
fn a_mechanism_that_cannot_be_used_is_not_chosen() {
    let start = |mechanisms: &[&str], binding| {
        client::start(mechanisms, binding).map(|(mechanism, ..)| mechanism)
    };
    let none = client::Binding::NoTls;
    assert_eq!(
        start(&[], none.clone()).unwrap_err(),
        NoCommonMechanism.into()
    );
    assert_eq!(
        start(&["SCRAM-SHA-1", "OAUTHBEARER"], tls()).unwrap_err(),
        NoCommonMechanism.into()
    );
    assert_eq!(
        start(&[MECHANISM_PLUS], client::Binding::Tls(None)).unwrap_err(),
        NoCommonMechanism.into()
    );
    assert_eq!(
        start(&[MECHANISM_PLUS, MECHANISM], none).unwrap_err(),
        BindingWithoutTls.into()
    );
    assert_eq!(start(&[MECHANISM_PLUS], tls()).unwrap(), MECHANISM_PLUS);
    assert_eq!(
        start(&[MECHANISM, MECHANISM_PLUS], tls()).unwrap(),
        MECHANISM_PLUS
    );
    assert_eq!(
        start(&[MECHANISM_PLUS, MECHANISM], client::Binding::Tls(None)).unwrap(),
        MECHANISM
    );
}
