//! Verifiers and keys, PostgreSQL's own among them.

use super::*;

#[test]
fn verifiers_that_postgresql_15_made_match_their_passwords_and_no_others() {
    // What a password becomes under SASLprep, and where PostgreSQL refuses that and
    // takes it as it is: a control character, nothing left, mixed directions, unassigned.
    let made = [
        (
            "correct horse",
            "oMSPoB4C08seZ3vyewkd/g==$fCWeBh1ynuslVq8nehWxC4Dwuiv0LALjlvdKOTz/d6I=:rrTiWh8OTD0kiWS5sdQuy8UNdfs1Iske2iTTyVMbmag=",
        ),
        (
            "I\u{ad}X \u{aa}\u{a0}\u{2168}",
            "LCxOwMn6BPmhGOXG+Z4TwA==$PxDqWgj8FcAC8CM0uBeEzgtkYdIen2ArkQj9szNRpxg=:XkcflRcrPh4jT4Q1sQd7LXs5EYsO6ctRPq7hvrklK54=",
        ),
        (
            "caf\u{e9}\u{7}",
            "/ddghOM+G4o+MWtgO5PV/g==$XPGCd8YRkgEENDz2ahdyGNlWeIdikXvc0ufpubksCac=:isA3N5twv0r0AAhyTK6JN/HNTnaId7/R7NwxwQGKrmc=",
        ),
        (
            "\u{ad}\u{ad}",
            "QVvoxDSpWmhatNCICJ2o/w==$2pFwJKYZEwzGMKJ+5qlqtjXNZXJ1HCGz8Lsw5y2XYRQ=:4paxlEmADQ2TMnlRw8NvIy7IVPHFAIswp0osw7lxUYA=",
        ),
        (
            "\u{627}\u{31}",
            "SCOr+mVOLKa5fSq6Mafq4Q==$p/wYQaSlI2HleoKZIW963LdCCz38YihLdy4jgPObeJ0=:3B0QVN18jVX2yKHrSJh/kjbTfJgbDC1cotl7KAclhrA=",
        ),
        (
            "\u{627}\u{31}\u{628}",
            "SCOpipm5BgBB1k5E2s7B5Q==$u64lLST/svoDNcmKt2GFS6nnKe4WqLHMua79onCPuUk=:mGLg1Y5HC57pdnXxzqqCxZYVqY6w8rpC4/uFfQhuS1U=",
        ),
        (
            "x\u{221}\u{aa}",
            "6gFe+l51482KjBO8oU4qYw==$uZD/y+jiEMVbbXKtPQtWo0JQgfOnSu6EeBPJuufrKDs=:DwLuKMFcDF3ljQ2OeYztMr9KDtx5vVt4Ms6a3SaSHrY=",
        ),
        // Refused for what they are before normalization; afterwards nothing is wrong.
        (
            "e\u{340}",
            "MJigvKm8HUisIaEkNd2X6A==$LFuZPYU3rpOotHy8N7MalCscaaK/BmZQb6gQGCncXGQ=:mIZxkK2nVOBrT35pQb1fEIbpdEqbmbvpPYCfAGsVbxY=",
        ),
        (
            "x\u{1d2c}",
            "uw+r8Zp+cf7W8O3JhcJkFA==$2Ro91vzuMvRnBjXOo1XOjnz8nsjuQoCkehVSaHSiS/Q=:fTM1vkA3hT/i1OelBYWQuB5DODPB7o2Ot6UxneteW5M=",
        ),
        (
            "\u{627}\u{653}",
            "wCto3+w2blokajt1QXFbwA==$HWcVPm1Bqt5Epn2YtIsmtehbLWmHLIjQ9uhNGK8p+8s=:h8w0oadxbuZ416AibiVJUCZ+oSqiD7MYg0Mknx+s6H8=",
        ),
        // Ends in a letter from right to left before normalization, in a point after it.
        (
            "\u{5d0}\u{fb1d}",
            "CftgdMhBUkvG1IdAtfXzVQ==$qoRxGU184+CVdafO1hiI779rRdwGU7HaUQY7kvot+HM=:TRZmNljoNGLevLNBmstfwR3Uds2Ek+zHG5aXMVBBl9w=",
        ),
    ];
    for (password, rest) in made {
        let text = format!("SCRAM-SHA-256$4096:{rest}");
        let verifier: Verifier = text.parse().unwrap();
        assert_eq!(verifier.to_string(), text);
        let keys = |password: &[u8]| Keys::derive(password, verifier.salt(), verifier.iterations());
        assert!(verifier.matches(&keys(password.as_bytes())), "{password:?}");
        assert!(!verifier.matches(&keys(b"correct hors")), "{password:?}");
    }
}

#[test]
fn passwords_that_saslprep_makes_equal_have_the_same_keys() {
    let verifier = Verifier::derive("IX a", b"salt", 2);
    let equal = "\u{2168}\u{2003}\u{ad}\u{aa}";
    assert!(verifier.matches(&Keys::derive(equal.as_bytes(), b"salt", 2)));
}

#[test]
fn a_password_that_is_not_utf_8_is_used_as_it_is() {
    let keys = |password: &[u8]| Keys::derive(password, b"salt", 2).client_key;
    assert_eq!(keys(b"\xff\xad"), keys(b"\xff\xad"));
    assert_ne!(keys(b"\xff\xad"), keys(b"\xff"));
}

#[test]
fn keys_of_another_password_salt_or_count_do_not_match() {
    let matches = |password: &[u8], salt: &[u8], count| {
        verifier().matches(&Keys::derive(password, salt, count))
    };
    let (password, salt) = (PASSWORD.as_bytes(), &b"0123456789abcdef"[..]);
    assert!(matches(password, salt, 2));
    assert!(!matches(b"", salt, 2));
    assert!(!matches(password, b"0123456789abcdeF", 2));
    assert!(!matches(password, salt, 3));
    let once = Verifier::derive(PASSWORD, salt, 1);
    assert!(once.matches(&Keys::derive(password, salt, 0)));
    assert!(!once.matches(&Keys::derive(password, salt, 2)));
}

#[test]
fn half_of_the_keys_is_not_enough() {
    let right = Keys::derive(PASSWORD.as_bytes(), b"0123456789abcdef", 2);
    let wrong = Keys::derive(b"wrong", b"0123456789abcdef", 2);
    let mixed = |client: &Keys, server: &Keys| Keys {
        client_key: client.client_key,
        server_key: server.server_key,
    };
    assert!(verifier().matches(&mixed(&right, &right)));
    assert!(!verifier().matches(&mixed(&right, &wrong)));
    assert!(!verifier().matches(&mixed(&wrong, &right)));
}

#[test]
fn a_broken_verifier_is_refused_by_its_fault() {
    use super::super::verifier::VerifierError::{self, *};
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let parse = |text: String| text.parse::<Verifier>().map(|_| ());
    let with =
        |iterations: &str, salt: &str, stored: &str, server: &str| -> Result<(), VerifierError> {
            parse(format!(
                "SCRAM-SHA-256${iterations}:{salt}${stored}:{server}"
            ))
        };
    assert_eq!(with("4096", "c2FsdA==", key, key), Ok(()));
    for iterations in ["", "0", "-1", "+1", "2147483648", "4096 "] {
        assert_eq!(
            with(iterations, "c2FsdA==", key, key),
            Err(Iterations),
            "{iterations}"
        );
    }
    for salt in ["", "c2FsdA", "c2F*"] {
        assert_eq!(with("4096", salt, key, key), Err(Salt), "{salt}");
    }
    for broken in [
        "",
        "c2FsdA==",
        &key[1..],
        &format!("{key} "),
        &format!("{key}:{key}"),
    ] {
        assert_eq!(with("4096", "c2FsdA==", broken, key), Err(Key), "{broken}");
        assert_eq!(with("4096", "c2FsdA==", key, broken), Err(Key), "{broken}");
    }
    for text in [
        "",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096",
        "SCRAM-SHA-1$4096:a$b:c",
        "SCRAM-SHA-256$4096:a$b",
    ] {
        assert_eq!(parse(text.to_owned()), Err(Shape), "{text}");
    }
}

#[test]
fn a_mock_looks_the_same_every_time_and_differs_by_user_and_process() {
    let salt = |seed: u8, user| Verifier::mock(&[seed; 32], user, 4096).salt().to_vec();
    assert_eq!(salt(1, "mallory"), salt(1, "mallory"));
    assert_ne!(salt(1, "mallory"), salt(1, "malory"));
    assert_ne!(salt(1, "mallory"), salt(2, "mallory"));
    let mock = Verifier::mock(&[1; 32], "mallory", 4096);
    assert_eq!((mock.salt().len(), mock.iterations()), (16, 4096));
}

#[test]
fn debug_output_and_errors_show_no_secret() {
    let (_, proven) = exchange(verifier(), offered(), tls(), PASSWORD, &untouched).unwrap();
    assert_eq!(
        format!("{:?} {:?}", proven, proven.keys),
        "Proven(..) Keys(..)"
    );
    let server = server::ExpectClientFirst::new(verifier(), server::Binding::None);
    let stored = format!("{:?}", verifier().stored_key);
    assert!(!format!("{server:?}").contains(&stored));
}
