//! What an HBA file says, and what it may not say.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::auth::ident::Idents;

fn read(text: &str) -> Result<Hba, Vec<HbaProblem>> {
    read_with(text, &[])
}

fn read_with(text: &str, files: &[(&str, &str)]) -> Result<Hba, Vec<HbaProblem>> {
    let idents = Idents::parse("known alice app").unwrap();
    let files: HashMap<_, _> = files.iter().copied().collect();
    Hba::parse(text, &idents, &mut |name| {
        let text = files.get(name).ok_or("no such file")?;
        Ok((*text).to_owned())
    })
}

fn fault(text: &str) -> String {
    let problems = read(text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

const LOCAL: Asker<'_> = Asker {
    address: None,
    tls: false,
    physical_replication: false,
    database: "shop",
    user: "alice",
};

fn from(address: &str) -> Asker<'static> {
    Asker {
        address: Some(address.parse().unwrap()),
        ..LOCAL
    }
}

/// The line of the rule that is about somebody.
fn line(hba: &Hba, asker: Asker<'_>) -> Option<usize> {
    hba.find(&asker).map(|rule| rule.line)
}

#[test]
fn the_first_rule_that_fits_counts() {
    let hba = read(
        "# who may come in\n\
         \n\
         host shop alice 10.0.0.0/8 reject # not from there\n\
         host all alice 10.1.0.0/16 trust\n\
         host shop,\"other shop\" all all scram-sha-256\n\
         local sameuser all peer\n",
    )
    .unwrap();
    assert_eq!(line(&hba, from("10.1.2.3")), Some(3));
    assert_eq!(hba.find(&from("10.1.2.3")).unwrap().method, Method::Reject);
    let other = Asker {
        database: "x",
        ..from("10.1.2.3")
    };
    assert_eq!(line(&hba, other), Some(4));
    let bob = Asker {
        user: "bob",
        database: "other shop",
        ..from("::1")
    };
    assert_eq!(line(&hba, bob), Some(5));
    assert_eq!(line(&hba, LOCAL), None);
    assert_eq!(
        line(
            &hba,
            Asker {
                database: "alice",
                ..LOCAL
            }
        ),
        Some(6)
    );
}

#[test]
fn a_rule_is_about_one_kind_of_connection() {
    let rules = |kind: &str| read(&format!("{kind} all all all trust")).unwrap();
    let tls = Asker {
        tls: true,
        ..from("127.0.0.1")
    };
    for (kind, plain, encrypted) in [
        ("host", true, true),
        ("hostssl", false, true),
        ("hostnossl", true, false),
        ("hostgssenc", false, false),
        ("hostnogssenc", true, true),
    ] {
        let hba = rules(kind);
        assert_eq!(line(&hba, from("127.0.0.1")).is_some(), plain, "{kind}");
        assert_eq!(line(&hba, tls).is_some(), encrypted, "{kind}");
        assert_eq!(line(&hba, LOCAL), None, "{kind}");
    }
    let local = read("local all all trust").unwrap();
    assert_eq!(line(&local, LOCAL), Some(1));
    assert_eq!(line(&local, tls), None);
}

#[test]
fn a_quoted_keyword_is_a_name() {
    let hba = read("local \"all\" all trust\nlocal all \"all\" trust").unwrap();
    assert_eq!(line(&hba, LOCAL), None);
    assert_eq!(
        line(
            &hba,
            Asker {
                database: "all",
                ..LOCAL
            }
        ),
        Some(1)
    );
    assert_eq!(
        line(
            &hba,
            Asker {
                user: "all",
                ..LOCAL
            }
        ),
        Some(2)
    );
}

#[test]
fn physical_replication_is_of_no_database() {
    let hba =
        read("local all all trust\nlocal replication bob trust\nlocal shop all trust").unwrap();
    let replica = Asker {
        physical_replication: true,
        user: "bob",
        ..LOCAL
    };
    assert_eq!(line(&hba, replica), Some(2));
    assert_eq!(
        line(
            &hba,
            Asker {
                user: "alice",
                ..replica
            }
        ),
        None
    );
    assert_eq!(
        line(
            &hba,
            Asker {
                database: "replication",
                ..LOCAL
            }
        ),
        Some(1)
    );
}

#[test]
fn addresses_have_bits_or_a_mask() {
    for (rule, inside, outside) in [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.0.0 255.255.0.0", "10.1.0.1", "11.1.0.1"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
        ("0.0.0.0/0", "8.8.8.8", "::1"),
        ("::/0", "::1", "8.8.8.8"),
        ("2001:db8::/32", "2001:db8:1::1", "2001:db9::"),
        ("2001:db8:: ffff:ffff::", "2001:db8:1::1", "2001:db9::"),
        ("10.0.0.0/8", "::ffff:10.1.1.1", "::ffff:11.1.1.1"),
    ] {
        let hba = read(&format!("host all all {rule} trust")).unwrap();
        assert_eq!(line(&hba, from(inside)), Some(1), "{rule} {inside}");
        assert_eq!(line(&hba, from(outside)), None, "{rule} {outside}");
    }
}

#[test]
fn names_come_from_files_that_may_name_files() {
    let hba = read_with(
        "local @dbs bob,@users trust",
        &[
            ("dbs", "shop # ours\n\"@odd\"\n"),
            ("users", "carol dave\n@more"),
            ("more", "\"alice\", erin"),
        ],
    )
    .unwrap();
    assert_eq!(line(&hba, LOCAL), Some(1));
    assert_eq!(
        line(
            &hba,
            Asker {
                user: "bob",
                database: "@odd",
                ..LOCAL
            }
        ),
        Some(1)
    );
    assert_eq!(
        line(
            &hba,
            Asker {
                user: "erin",
                ..LOCAL
            }
        ),
        Some(1)
    );
    assert_eq!(
        line(
            &hba,
            Asker {
                user: "frank",
                ..LOCAL
            }
        ),
        None
    );
}

#[test]
fn files_that_cannot_be_read_or_have_no_end_fail() {
    assert_eq!(
        fault("local @nothing all trust"),
        "line 1: @nothing: no such file"
    );
    let loops = read_with("local @a all trust", &[("a", "x @a")]).unwrap_err();
    assert_eq!(loops[0].fault, "@a is included more than 10 files deep");
    let wide = read_with("local @a all trust", &[("a", "@a @a @a @a @a @a @a @a")]);
    assert!(wide.is_err());
    let open = read_with("local @a all trust", &[("a", "ok\n\"x")]).unwrap_err();
    assert_eq!(
        open[0].fault,
        "@a, line 2: a double quote is not closed on its line"
    );
}

#[test]
fn maps_and_options_go_with_their_methods() {
    let hba = read(
        "hostssl all all all cert map=known\n\
         local all all peer map=known\n\
         host all all all ldap ldapserver=h, ldapprefix=\"cn= # \" # rest\n",
    )
    .unwrap();
    let map = hba.rules()[0].map.as_ref().unwrap();
    assert!(map.permits("alice", "app"));
    assert_eq!(hba.rules()[0].map, hba.rules()[1].map);
    let options = hba.rules()[2].ldap.as_deref().unwrap();
    assert_eq!(
        options.lookup.name_of("alice").as_deref(),
        Some("cn= # alice")
    );
    assert!(read("host all all all ldap ldapserver=h ldapserverx=1").is_err());
}

#[test]
fn a_line_that_cannot_be_used_fails_the_file() {
    for (text, expected) in [
        (
            "hosts all all all trust",
            "line 1: expected local, host, hostssl or hostnossl, not \"hosts\"",
        ),
        ("local", "line 1: the line ends before its database"),
        ("local all", "line 1: the line ends before its user"),
        ("local all all", "line 1: the line ends before its method"),
        (
            "host all all trust",
            "line 1: the line ends before its mask",
        ),
        (
            "host all all example.org md5",
            "line 1: \"example.org\" is no IP address; host names are not supported",
        ),
        (
            "host all all samenet md5",
            "line 1: samenet is not supported; write the addresses",
        ),
        (
            "host all all 10.0.0.1/8 md5",
            "line 1: 10.0.0.1/8 has bits set outside its mask; expected 10.0.0.0/8",
        ),
        (
            "host all all 10.0.0.0/33 md5",
            "line 1: \"10.0.0.0/33\" has no usable number of bits",
        ),
        (
            "host all all 10.0.0.0/+8 md5",
            "line 1: \"10.0.0.0/+8\" has no usable number of bits",
        ),
        (
            "host all all 10.0.0.0 255.0.255.0 md5",
            "line 1: \"255.0.255.0\" is no mask for 10.0.0.0",
        ),
        (
            "host all all 10.0.0.0 ffff:: md5",
            "line 1: \"ffff::\" is no mask for 10.0.0.0",
        ),
        (
            "local all all rejekt",
            "line 1: expected trust, reject, md5, password, peer, cert, scram-sha-256, ldap, pam or oauth, not \"rejekt\"",
        ),
        (
            "local samerole all trust",
            "line 1: samerole is not supported: the pooler does not know who is a member of what",
        ),
        (
            "local all +admins trust",
            "line 1: +admins is not supported: the pooler does not know who is a member of what",
        ),
        (
            "local all /^a trust",
            "line 1: /^a: regular expressions are not supported; a name that begins so goes in quotes",
        ),
        (
            "local all all peer map=other",
            "line 1: the map \"other\" is not in the ident file",
        ),
        (
            "local all all trust map=known",
            "line 1: \"map=known\": trust has no options",
        ),
        (
            "local all all peer map=known x",
            "line 1: expected the end of the line behind the map",
        ),
        (
            "local all all peer clientcert=1",
            "line 1: \"clientcert=1\": the only option of peer is map",
        ),
        (
            "local all all ldap",
            "line 1: expected options such as ldapserver=HOST behind ldap",
        ),
        (
            "local all all trust,md5",
            "line 1: expected a single method, not a list",
        ),
        (
            "local all \"a trust",
            "line 1: a double quote is not closed on its line",
        ),
        ("local all \"\" trust", "line 1: a name is empty"),
        (
            "local @ all trust",
            "line 1: expected the name of a file behind @",
        ),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn every_broken_line_is_reported() {
    let problems =
        read("local all all trust\nx\n\nhost all all all\nlocal all all peer").unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 4]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(
        text in "((local|host|hostssl) )?[\"#,@+/ a-z0-9.:=\n\\PC]*"
    ) {
        let _ = read_with(&text, &[("a", &text)]);
    }

    #[test]
    fn a_client_of_no_rule_is_let_in_by_none(user in "[a-z]{1,8}", database in "[a-z]{1,8}") {
        let hba = read("local shop alice trust\nhost all all all trust").unwrap();
        let asker = Asker { user: &user, database: &database, ..LOCAL };
        prop_assume!((user.as_str(), database.as_str()) != ("alice", "shop"));
        prop_assert!(hba.find(&asker).is_none());
    }
}
