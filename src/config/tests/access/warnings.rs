//! What is loaded with a warning.

use super::{EXAMPLE, load};

fn warnings(text: &str) -> Vec<String> {
    let settings = load(text);
    let warnings = settings.warnings.iter();
    warnings
        .map(|w| format!("{}: {}", w.key, w.complaint))
        .collect()
}

/// The warnings of grants of one role, each its keys besides the role's.
fn of_grants(grants: &[&str]) -> Vec<String> {
    let grants = grants.iter();
    let grants = grants.map(|grant| format!("[[grant]]\nrole = \"r\"\n{grant}\n"));
    warnings(&format!("[roles.r]\n{}", grants.collect::<String>()))
}

#[test]
fn a_grant_that_needs_what_is_not_set_up_is_told_so() {
    let settings = load(EXAMPLE);
    let shown: Vec<_> = settings.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].ends_with(
        "pgwarden.toml:31: grant[2].certificate: nobody has such a certificate without client_ca \
         in [listen.tls]"
    ), "{shown:?}");
    assert!(shown[1].contains("grant[3].oauth: nobody has such a claim without [auth.oauth]"));
}

#[test]
fn an_expired_grant_is_told_so() {
    let warnings = of_grants(&["expires = \"2020-01-01T00:00:00Z\""]);
    assert_eq!(warnings, ["grant[1].expires: the grant has expired"]);
}

#[test]
fn a_window_that_is_over_is_told_so() {
    let warnings = of_grants(&["window = \"2020-01-01 01:00/02:00 UTC\""]);
    let over = "grant[1].window: the window is over and does not come again";
    assert_eq!(warnings, [over]);
}

#[test]
fn a_search_path_without_rules_about_tables_is_told_so() {
    let text = "[roles.r]\nsearch_path = \"app\"\n[[grant]]\nrole = \"r\"\n";
    let idle = "roles.r.search_path: has no effect without rules about tables";
    assert_eq!(warnings(text), [idle]);
}

#[test]
fn a_grant_behind_one_that_takes_everybody_is_told_so() {
    let never = "grant[2].role: the grant is never used: grant 1 takes everybody that it is for";
    for (one, other) in [
        ("", "user = \"bob\""),
        ("user = \"b*\"", "user = [\"bob\", \"b*\"]"),
        (
            "from = \"10.0.0.0/8\"",
            "from = \"10.2.0.0/16\"\nuser = \"x\"",
        ),
        ("tls = true", "tls = true\nwindow = \"Sun UTC\""),
        ("uid = [1, 2]", "uid = 1"),
        (
            "expires = 2099-01-02T00:00:00Z",
            "expires = 2099-01-01T00:00:00Z",
        ),
    ] {
        assert_eq!(of_grants(&[one, other]), [never], "{one} / {other}");
    }
    for (one, other) in [
        ("user = \"bob\"", ""),
        ("user = \"bob\"", "user = \"b*\""),
        ("from = \"10.2.0.0/16\"", "from = \"10.0.0.0/8\""),
        ("window = \"Sun UTC\"", "user = \"x\""),
        ("expires = 2099-01-01T00:00:00Z", "user = \"x\""),
        ("tls = true", "tls = false"),
        ("uid = 1", "uid = [1, 2]"),
    ] {
        assert_eq!(of_grants(&[one, other]), [""; 0], "{one} / {other}");
    }
}

#[test]
fn a_grant_for_a_certificate_is_not_taken_by_one_without() {
    let warnings = of_grants(&["", "certificate = { cn = \"x\" }"]);
    assert!(
        warnings.iter().all(|w| !w.contains("never used")),
        "{warnings:?}"
    );
}

#[test]
fn a_role_that_nobody_is_granted_is_told_so() {
    let text = "[roles.r]\n[roles.other]\n[[grant]]\nrole = \"r\"\n";
    assert_eq!(warnings(text), ["roles.other: no grant gives this role"]);
}

#[test]
fn a_reader_that_shares_its_servers_with_a_writer_is_told_so() {
    let roles = |reader: &str| {
        format!(
            "databases.shop.server.user = \"shop\"\n[roles.reader]\nread_only = true\n{reader}\n\
             [roles.writer]\nserver.user = \"app\"\n[[grant]]\nrole = \"reader\"\nuser = \"a\"\n\
             [[grant]]\nrole = \"writer\"\n[roles.plain]\n[[grant]]\nrole = \"plain\"\nuser = \"x\"\n"
        )
    };
    let shared = |reader| {
        let found = super::setup().load(&format!(
            "{}[auth]\nusers = \"userlist.txt\"\n",
            roles(reader)
        ));
        let found = found
            .unwrap_or_else(|problems| panic!("{problems}"))
            .warnings;
        let mut found = found
            .iter()
            .filter(|w| w.complaint.starts_with("only reads"));
        found.next().map(|w| w.complaint.clone())
    };
    assert!(
        shared("server.user = \"app\"")
            .unwrap()
            .contains("role \"writer\" writes")
    );
    assert!(
        shared("")
            .unwrap()
            .contains("the server's user \"shop\", as whom role \"plain\"")
    );
    assert_eq!(shared("server.user = \"ro\""), None);
}
