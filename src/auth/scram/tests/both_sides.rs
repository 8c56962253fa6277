//! The two sides against each other, with and without somebody in between.

use super::*;

#[test]
fn the_right_password_logs_in_with_and_without_channel_binding() {
    let cases = [
        (offered(), tls(), MECHANISM_PLUS),
        (server::Binding::None, client::Binding::NoTls, MECHANISM),
        (server::Binding::None, client::Binding::Tls(None), MECHANISM),
        (server::Binding::None, tls(), MECHANISM),
        (offered(), client::Binding::Tls(None), MECHANISM),
    ];
    for (offered, tls, expected) in cases {
        let case = format!("{offered:?} {tls:?}");
        let (mechanism, proven) =
            exchange(verifier(), offered, tls, PASSWORD, &untouched).expect(&case);
        assert_eq!(mechanism, expected, "{case}");
        assert!(verifier().matches(&proven.keys), "{case}");
    }
}

#[test]
fn a_wrong_password_is_a_wrong_proof() {
    for (offered, tls) in [
        (offered(), tls()),
        (server::Binding::None, client::Binding::NoTls),
    ] {
        let refused = exchange(verifier(), offered, tls, "correct horsf", &untouched).unwrap_err();
        assert_eq!(refused, ScramError::WrongProof);
        assert_eq!(refused.sqlstate(), "28P01");
    }
}

#[test]
fn the_two_ends_of_another_tls_connection_are_not_bound_to_each_other() {
    let other = client::Binding::Tls(Some(b"the digest of the attacker's".to_vec()));
    let refused = exchange(verifier(), offered(), other, PASSWORD, &untouched).unwrap_err();
    assert_eq!(refused, BindingMismatch.into());
    assert_eq!(refused.sqlstate(), "28000");
}

#[test]
fn no_byte_of_any_message_can_be_changed() {
    for (offered, tls) in [
        (offered(), tls()),
        (server::Binding::None, client::Binding::NoTls),
    ] {
        let lengths = std::cell::Cell::new([0; 4]);
        let measure = |step: usize, message: String| {
            let mut all = lengths.get();
            all[step] = message.len();
            lengths.set(all);
            message.into_bytes()
        };
        exchange(verifier(), offered.clone(), tls.clone(), PASSWORD, &measure).unwrap();
        for (changed, length) in lengths.get().into_iter().enumerate() {
            assert!(
                length > 40 || changed == 0 && length > 30,
                "{changed}: {length}"
            );
            for index in 0..length {
                let tamper = |step: usize, message: String| {
                    let mut message = message.into_bytes();
                    if step == changed {
                        message[index] ^= 1;
                    }
                    message
                };
                let outcome = exchange(verifier(), offered.clone(), tls.clone(), PASSWORD, &tamper);
                assert!(outcome.is_err(), "byte {index} of message {changed}");
            }
        }
    }
}

#[test]
fn a_removed_offer_of_channel_binding_is_noticed() {
    let (mechanism, _, message) = client::start(&[MECHANISM], tls()).unwrap();
    assert_eq!(mechanism, MECHANISM);
    assert!(message.starts_with("y,,"), "{message}");
    let server = server::ExpectClientFirst::new(verifier(), offered());
    let refused = server
        .client_first(mechanism, message.as_bytes(), server::nonce())
        .unwrap_err();
    assert_eq!(refused, BindingDowngrade.into());
    assert_eq!(refused.sqlstate(), "28000");
}

#[test]
fn a_y_turned_into_an_n_on_the_way_is_noticed() {
    let tamper = |step: usize, message: String| match step {
        0 => message.replacen("y,,", "n,,", 1).into_bytes(),
        _ => message.into_bytes(),
    };
    let refused =
        exchange(verifier(), server::Binding::None, tls(), PASSWORD, &tamper).unwrap_err();
    assert_eq!(refused, UnexpectedBinding.into());
}

#[test]
fn what_a_client_proved_logs_in_at_a_server_with_the_same_secret() {
    let (_, proven) = exchange(verifier(), offered(), tls(), PASSWORD, &untouched).unwrap();
    let log_in = |at: Verifier| {
        let server = server::ExpectClientFirst::new(at, server::Binding::None);
        let (mechanism, client, message) =
            client::start(server.mechanisms(), client::Binding::NoTls)?;
        let (server, message) =
            server.client_first(mechanism, message.as_bytes(), server::nonce())?;
        let (client, message) = client
            .server_first(message.as_bytes())?
            .answer(&proven.keys);
        let proven = server.client_final(message.as_bytes())?;
        client.server_final(proven.server_final.as_bytes())
    };
    assert_eq!(log_in(verifier()), Ok(()));
    let other_salt = Verifier::derive(PASSWORD, b"another salt", 2);
    assert_eq!(log_in(other_salt), Err(ScramError::WrongProof));
}

#[test]
fn nobody_logs_in_against_a_mock() {
    let mock = Verifier::mock(&[7; 32], "mallory", 4096);
    let refused = exchange(mock, offered(), tls(), PASSWORD, &untouched).unwrap_err();
    assert_eq!(refused, ScramError::WrongProof);
}
