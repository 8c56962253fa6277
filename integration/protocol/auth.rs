//! How clients prove who they are.

use pgwarden::auth::scram::client::{self, Binding};
use pgwarden::auth::scram::keys::Keys;

use crate::script::backend::fatal;
use crate::script::frontend::password;
use crate::script::{Client, Message, Server, Setup, Stage};

const USERS: &str = "\"alice\" \"secret\"\n\"bob\" \"hers\"\n";

#[test]
fn a_scram_login_succeeds() {
    let stage = stage("scram-sha-256");
    let mut client = stage.enters("alice");
    let mechanisms = client.is_offered_scram();
    assert_eq!(mechanisms, ["SCRAM-SHA-256"]);
    let _server = client.proves(&stage, "secret", &mechanisms, Binding::NoTls);
}

#[test]
fn an_unknown_user_meets_the_same_conversation_as_a_wrong_password() {
    let stage = stage("scram-sha-256");
    let known = conversation(&stage, "alice");
    let unknown = conversation(&stage, "nobody");
    assert_eq!(shape(&known), shape(&unknown));
    for (user, messages) in [("alice", known), ("nobody", unknown)] {
        let text = format!("password authentication failed for user \"{user}\"");
        let last = messages.last().expect("there is an answer");
        assert!(fatal("28P01", &text).is_like(last), "{last:?}");
    }
}

#[test]
fn the_salt_of_an_unknown_user_is_the_same_at_each_try() {
    let stage = stage("scram-sha-256");
    let salt = |user| {
        let messages = conversation(&stage, user);
        let text = String::from_utf8_lossy(&messages[1].body()[4..]).into_owned();
        text.split(',').nth(1).expect("a salt").to_owned()
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_ne!(salt("nobody"), salt("somebody"));
}

#[test]
fn a_broken_scram_message_is_refused_without_a_word_on_the_user() {
    let stage = stage("scram-sha-256");
    for user in ["alice", "nobody"] {
        for broken in [
            &b""[..],
            b"SCRAM-SHA-256\0",
            b"SCRAM-SHA-256\0\xff\xff\xff\xff",
            b"SCRAM-SHA-256\0\0\0\0\x04n,,",
            b"SCRAM-SHA-256\0\0\0\0\x03n,,",
            b"SCRAM-SHA-512\0\0\0\0\x09n,,n=,r=a",
            b"SCRAM-SHA-256\0\0\0\0\x0dy,,n=,r=abcde",
        ] {
            let mut client = stage.enters(user);
            client.is_offered_scram();
            client.sends(password(broken));
            let mut answer = client.next("an answer");
            if answer.tag() == b'R' {
                client.sends(password(b"c=biws,r=,p="));
                answer = client.next("a refusal");
            }
            assert_eq!(answer.tag(), b'E', "{answer:?}");
            assert!(!format!("{answer:?}").contains("does not exist"));
            client.is_closed();
        }
    }
}

#[test]
fn an_md5_login_succeeds_with_the_right_password_and_fails_with_another() {
    let stage = stage("md5");
    for (user, given, right) in [
        ("alice", "secret", true),
        ("alice", "wrong", false),
        ("nobody", "secret", false),
    ] {
        let mut client = stage.enters(user);
        let request = client.next("AuthenticationMD5Password");
        assert_eq!(request.body()[..4], [0, 0, 0, 5]);
        let salt = request.body()[4..].try_into().expect("four bytes of salt");
        let hash = pgwarden::auth::md5::Md5Hash::new(user, given.as_bytes());
        let mut response = pgwarden::auth::md5::challenge_response(&hash, salt).to_string();
        response.push('\0');
        client.sends(password(response.as_bytes()));
        if right {
            let _server = stage.host.accepts();
            client.is_welcomed();
        } else {
            client.receives(fatal("28P01", "password authentication failed for user"));
            client.is_closed();
        }
    }
}

#[test]
fn a_cleartext_password_is_not_asked_for_over_tcp_without_tls() {
    let stage = stage("password");
    let mut client = stage.enters("alice");
    client.receives(fatal(
        "28000",
        "cleartext password is only accepted over TLS",
    ));
    client.is_closed();
}

#[test]
fn a_cleartext_password_is_asked_for_where_that_is_allowed() {
    let auth = "method = \"password\"\nallow_cleartext = true";
    let stage = Stage::new(&Setup::default().auth(auth).users(USERS));
    let mut client = stage.enters("alice");
    says_cleartext(&mut client, "wrong");
    client.receives(fatal(
        "28P01",
        "password authentication failed for user \"alice\"",
    ));
    client.is_closed();
    let mut client = stage.enters("alice");
    says_cleartext(&mut client, "secret");
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn a_cleartext_password_is_asked_for_over_a_unix_socket() {
    let setup = Setup::default()
        .auth("method = \"password\"")
        .users(USERS)
        .unix_listener();
    let stage = Stage::new(&setup);
    let mut client = stage.pooler.connects_by_unix();
    client.sends(crate::script::frontend::startup("alice", "shop"));
    says_cleartext(&mut client, "secret");
    let _server = stage.host.accepts();
    client.is_welcomed();
}

#[test]
fn a_client_that_hangs_up_between_two_scram_messages_harms_nobody() {
    let stage = stage("scram-sha-256");
    let mut client = stage.enters("alice");
    client.is_offered_scram();
    client.resets();
    let mut client = stage.enters("alice");
    let mechanisms = client.is_offered_scram();
    let _server = client.proves(&stage, "secret", &mechanisms, Binding::NoTls);
}

impl Client {
    /// Receives AuthenticationSASL; returns the mechanisms.
    pub(crate) fn is_offered_scram(&mut self) -> Vec<String> {
        let offer = self.next("AuthenticationSASL");
        assert_eq!(offer.body()[..4], [0, 0, 0, 10], "{offer:?}");
        offer.body()[4..]
            .split(|&b| b == 0)
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Goes through SCRAM to the welcome, which a first server is opened for.
    pub(crate) fn proves(
        &mut self,
        stage: &Stage,
        secret: &str,
        offered: &[String],
        binding: Binding,
    ) -> Server {
        let exchange = self.answers_challenge(secret, offered, binding);
        // The proof comes with all that follows it, in one write.
        let server = stage.host.accepts();
        let last = self.next("AuthenticationSASLFinal");
        assert_eq!(last.body()[..4], [0, 0, 0, 12], "{last:?}");
        let proof = exchange.server_final(&last.body()[4..]);
        proof.expect("pgwarden knows the password too");
        self.is_welcomed();
        server
    }

    /// Goes through SCRAM; returns what it is answered with.
    pub(crate) fn is_refused(
        &mut self,
        secret: &str,
        offered: &[String],
        binding: Binding,
    ) -> Message {
        let names: Vec<_> = offered.iter().map(String::as_str).collect();
        let started = client::start(&names, binding);
        let (mechanism, exchange, first) = started.expect("a mechanism in common");
        self.sends(password(&initial_response(mechanism, &first)));
        let challenge = self.next("AuthenticationSASLContinue or a refusal");
        if challenge.tag() == b'E' {
            return challenge;
        }
        let challenge = exchange.server_first(&challenge.body()[4..]);
        let challenge = challenge.expect("a challenge in good order");
        let keys = Keys::derive(secret.as_bytes(), challenge.salt(), challenge.iterations());
        self.sends(password(challenge.answer(&keys).1.as_bytes()));
        self.next("a refusal")
    }

    fn answers_challenge(
        &mut self,
        secret: &str,
        offered: &[String],
        binding: Binding,
    ) -> client::ExpectServerFinal {
        let names: Vec<_> = offered.iter().map(String::as_str).collect();
        let started = client::start(&names, binding);
        let (mechanism, exchange, first) = started.expect("a mechanism in common");
        self.sends(password(&initial_response(mechanism, &first)));
        let challenge = self.next("AuthenticationSASLContinue");
        assert_eq!(challenge.body()[..4], [0, 0, 0, 11], "{challenge:?}");
        let challenge = exchange.server_first(&challenge.body()[4..]);
        let challenge = challenge.expect("a challenge in good order");
        let keys = Keys::derive(secret.as_bytes(), challenge.salt(), challenge.iterations());
        let (exchange, last) = challenge.answer(&keys);
        self.sends(password(last.as_bytes()));
        exchange
    }
}

fn stage(method: &str) -> Stage {
    let auth = format!("method = \"{method}\"");
    Stage::new(&Setup::default().auth(&auth).users(USERS))
}

/// All that somebody hears who gives a wrong password.
fn conversation(stage: &Stage, user: &str) -> Vec<Message> {
    let mut client = stage.enters(user);
    let offer = client.next("AuthenticationSASL");
    let (mechanism, exchange, first) =
        client::start(&["SCRAM-SHA-256"], Binding::NoTls).expect("it is offered");
    client.sends(password(&initial_response(mechanism, &first)));
    let continued = client.next("AuthenticationSASLContinue");
    let challenge = exchange.server_first(&continued.body()[4..]);
    let challenge = challenge.expect("a challenge in good order");
    let keys = Keys::derive(b"wrong", challenge.salt(), challenge.iterations());
    client.sends(password(challenge.answer(&keys).1.as_bytes()));
    let refused = client.next_error();
    client.is_closed();
    vec![offer, continued, refused]
}

/// What an onlooker can compare: kinds, codes and lengths.
fn shape(messages: &[Message]) -> Vec<(u8, usize)> {
    let errors_apart = |m: &Message| if m.tag() == b'E' { 0 } else { m.bytes.len() };
    messages
        .iter()
        .map(|m| (m.tag(), errors_apart(m)))
        .collect()
}

/// The body of a SASLInitialResponse.
fn initial_response(mechanism: &str, first: &str) -> Vec<u8> {
    let len = u32::try_from(first.len()).unwrap_or(0).to_be_bytes();
    [mechanism.as_bytes(), b"\0", &len, first.as_bytes()].concat()
}

pub(crate) fn says_cleartext(client: &mut Client, secret: &str) {
    let request = client.next("AuthenticationCleartextPassword");
    assert_eq!(request.body(), [0, 0, 0, 3], "{request:?}");
    client.sends(password(format!("{secret}\0").as_bytes()));
}
