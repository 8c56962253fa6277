//! The options of a directory.

use super::Setup;

const DATABASE: &str = "\n[databases.shop]\n";

#[test]
fn a_directory_must_be_named_and_in_words_that_go_together() {
    let setup = Setup::new();
    for (text, expected) in [
        (
            "[auth]\nmethod = \"ldap\"",
            "pgwarden.toml:1: auth.ldap_options: missing: ldap needs to know whom to ask",
        ),
        (
            "[auth]\nmethod = \"ldap\"\nldap_options = \"ldapserver=a\"",
            "pgwarden.toml:3: auth.ldap_options: one of ldapbasedn, ldapprefix and ldapsuffix is \
             needed",
        ),
        (
            "[auth]\nmethod = \"ldap\"\nldap_options = \"ldapserver=a ldapprefix=x ldapport=hunter2\"",
            "pgwarden.toml:3: auth.ldap_options: ldapport: expected a port from 1 to 65535",
        ),
    ] {
        let problems = setup.problems(&format!("{text}{DATABASE}"));
        assert_eq!(problems, [expected]);
    }
}

#[test]
fn the_password_of_who_searches_is_shown_nowhere() {
    let setup = Setup::new();
    let options = "ldapserver=a ldapbasedn=b ldapbinddn=c ldapbindpasswd=hunter2";
    let text = format!("[auth]\nmethod = \"ldap\"\nldap_options = \"{options}\"{DATABASE}");
    let settings = setup.load(&text).unwrap();
    assert!(settings.session.ldap_options.is_some());
    assert!(!format!("{settings:?}").contains("hunter2"));
    let broken = setup.problems(&text.replace("ldapbinddn=c ", ""));
    assert!(!broken[0].contains("hunter2"), "{broken:?}");
}
