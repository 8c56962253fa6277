//! Both sides against each other, against RFC 7677 and against PostgreSQL's own secrets.

use proptest::prelude::*;

use super::error::Violation::{self, *};
use super::*;

mod both_sides;
mod secrets;
mod towards_a_client;
mod towards_a_hostile_server;

const PASSWORD: &str = "correct horse";
const END_POINT: &[u8] = b"a digest of a certificate";

/// Few iterations: what is tested is the exchange, not its cost.
fn verifier() -> Verifier {
    Verifier::derive(PASSWORD, b"0123456789abcdef", 2)
}

fn offered() -> server::Binding {
    server::Binding::Offered(END_POINT.to_vec())
}

fn tls() -> client::Binding {
    client::Binding::Tls(Some(END_POINT.to_vec()))
}

/// A peer in the middle: gets the number of the message, 0 to 3, and the message.
type Tamper<'a> = &'a dyn Fn(usize, String) -> Vec<u8>;

fn untouched(_: usize, message: String) -> Vec<u8> {
    message.into_bytes()
}

/// Runs one exchange. On success: the mechanism and what the server now knows.
fn exchange(
    verifier: Verifier,
    offered: server::Binding,
    tls: client::Binding,
    password: &str,
    tamper: Tamper<'_>,
) -> Result<(&'static str, server::Proven), ScramError> {
    let server = server::ExpectClientFirst::new(verifier, offered);
    let (mechanism, client, message) = client::start(server.mechanisms(), tls)?;
    let (server, message) = server.client_first(mechanism, &tamper(0, message), server::nonce())?;
    let challenge = client.server_first(&tamper(1, message))?;
    let keys = Keys::derive(
        password.as_bytes(),
        challenge.salt(),
        challenge.iterations(),
    );
    let (client, message) = challenge.answer(&keys);
    let proven = server.client_final(&tamper(2, message))?;
    client.server_final(&tamper(3, proven.server_final.clone()))?;
    Ok((mechanism, proven))
}

mod example_of_rfc_7677 {
    use super::*;

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    #[test]
    fn our_server_says_what_the_rfc_says() {
        let salt =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, SALT).unwrap();
        let verifier = Verifier::derive("pencil", &salt, 4096);
        let server = server::ExpectClientFirst::new(verifier, server::Binding::None);
        let (server, first) = server
            .client_first(MECHANISM, CLIENT_FIRST, SERVER_NONCE.to_owned())
            .unwrap();
        assert_eq!(first, SERVER_FIRST);
        let proven = server.client_final(CLIENT_FINAL.as_bytes()).unwrap();
        assert_eq!(proven.server_final, SERVER_FINAL);
    }

    #[test]
    fn our_client_says_what_the_rfc_says() {
        let client = client::ExpectServerFirst::example(
            "n=user,r=rOprNGfwEbeRWgbNEkqO",
            "rOprNGfwEbeRWgbNEkqO",
        );
        let challenge = client.server_first(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(challenge.iterations(), 4096);
        let keys = Keys::derive(b"pencil", challenge.salt(), challenge.iterations());
        let (client, message) = challenge.answer(&keys);
        assert_eq!(message, CLIENT_FINAL);
        client.server_final(SERVER_FINAL.as_bytes()).unwrap();
    }
}

/// Text that often passes for the beginning of a message.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "([nyp],|p=tls-server-end-point,)?,?([acenmrsivpx]=[A-Za-z0-9+/=]{0,12},?){0,6}"
            .prop_map(String::into_bytes),
        "r=OURS[!-~]{0,9},s=([A-Za-z0-9+/]{4}){0,4},i=[0-9]{0,12}(,x=1)?"
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic_or_pass_for_a_proof(first in messages(), second in messages()) {
        for mechanism in [MECHANISM, MECHANISM_PLUS] {
            let server = server::ExpectClientFirst::new(verifier(), offered());
            if let Ok((server, _)) = server.client_first(mechanism, &first, server::nonce()) {
                prop_assert!(server.client_final(&second).is_err());
            }
        }
        let server = server::ExpectClientFirst::new(verifier(), server::Binding::None);
        let (server, _) = server.client_first(MECHANISM, b"n,,n=,r=a", "b".to_owned()).unwrap();
        prop_assert!(server.client_final(&first).is_err());
        let client = client::ExpectServerFirst::example("n=,r=OURS", "OURS");
        if let Ok(challenge) = client.server_first(&first) {
            prop_assert!(challenge.iterations() <= client::MAX_ITERATIONS);
            let (client, _) = challenge.answer(&Keys::derive(b"", b"", 1));
            prop_assert!(client.server_final(&second).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_verifier_parser_panic(text in "(SCRAM-SHA-256\\$)?[0-9:$A-Za-z+/=]{0,120}|\\PC*") {
        if let Ok(verifier) = text.parse::<Verifier>() {
            prop_assert!(verifier.iterations() > 0);
        }
    }

    #[test]
    fn no_password_makes_the_derivation_panic(password in any::<Vec<u8>>(), text in "\\PC{0,20}") {
        let _ = Keys::derive(&password, b"salt", 1);
        let _ = Keys::derive(text.as_bytes(), b"salt", 1);
    }
}
