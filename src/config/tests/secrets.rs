//! Passwords: found where they are said to be, and never shown.

use super::{SHOP, Setup, VERIFIER};
use crate::auth::secret::Secret;

#[test]
fn a_password_comes_from_text_variable_or_file() {
    let setup = Setup::new().with("SHOP_PASSWORD", "from variable");
    setup.write("shop.password", "from file\n");
    for (password, expected) in [
        ("\"from text\"", "from text"),
        ("{ env = \"SHOP_PASSWORD\" }", "from variable"),
        ("{ file = \"shop.password\" }", "from file"),
    ] {
        let shop = setup.shop(&format!(
            "{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = {password}"
        ));
        let server = shop.server.unwrap();
        let Secret::Plain(plain) = server.secret.as_deref().unwrap() else {
            panic!("{server:?}");
        };
        assert_eq!(plain.expose(), expected);
    }
}

#[test]
fn an_unusable_password_is_named_and_not_shown() {
    let setup = Setup::new()
        .with("EMPTY", "")
        .with("VERIFIER", "SCRAM-SHA-256$hunter2")
        .with("OTHER", VERIFIER);
    for (password, expected) in [
        ("12345", ".password: expected a password in quotes, { env"),
        ("[\"hunter2\"]", ".password: expected a password in quotes"),
        ("\"\"", ".password: expected a password that is not empty"),
        (
            "{ env = \"NONE\" }",
            ".password.env = \"NONE\": expected the name",
        ),
        (
            "{ env = \"EMPTY\" }",
            ".env = \"EMPTY\": expected a password",
        ),
        ("{ env = \"VERIFIER\" }", "broken SCRAM-SHA-256 secret"),
        ("{ env = \"OTHER\" }", "a SCRAM verifier lets others log in"),
        ("{ file = \"none\" }", ".file = \"none\": cannot read"),
        (
            "{ env = \"A\", file = \"b\" }",
            ".password: expected either",
        ),
        ("{ text = \"hunter2\" }", ".password.text: unknown key"),
    ] {
        let text = format!(
            "{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = {password}\npasword = \"hunter2\""
        );
        let problems = setup.problems(&text).join("\n");
        assert!(problems.contains(expected), "{expected}: {problems}");
        assert!(
            problems.contains("server.pasword: unknown key"),
            "{problems}"
        );
        for secret in ["hunter2", "12345", "oMSPoB4C08seZ3vyewkd"] {
            assert!(!problems.contains(secret), "{problems}");
        }
    }
}

#[test]
fn a_url_in_the_wrong_place_does_not_give_its_password_away() {
    for line in [
        "databases.x = \"postgres://app:hunter2@db/x\"",
        "databases.x.host = \"postgres://app:hunter2@db/x\"",
        "databases.x.server = \"app:hunter2\"",
    ] {
        let problems = Setup::new().problems(&format!("{line}{SHOP}"));
        assert!(problems[0].starts_with("pgwarden.toml:1: databases.x"));
        assert!(!problems.join("\n").contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let setup = Setup::new().with("PGWARDEN__DATABASES__NEW__SERVER__PASSWORD", "hunter2");
    let setup = setup.with("PGWARDEN__DATABASES__NEW__SERVER__USER", "app");
    setup.write("userlist.txt", "\"alice\" \"hunter2\"");
    let text = format!("{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = \"hunter2\"");
    let shown = format!("{:?}", setup.load(&text).unwrap());
    assert!(shown.contains("PlainPassword(..)"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn every_broken_line_of_the_userlist_is_a_problem() {
    let setup = Setup::new();
    setup.write("userlist.txt", "\"a\" \"b\"\nhunter2\n\"c\" hunter2\n");
    let problems = setup.problems(SHOP);
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("pgwarden.toml:4: auth.users = \"userlist.txt\": line 2: "));
    assert!(!problems.concat().contains("hunter2"));
}

#[test]
fn entries_tell_what_holds_and_hide_passwords() {
    let text = format!(
        "pool.size = 7{SHOP}[databases.shop.server]\nuser = \"app\"\npassword = \"hunter2\""
    );
    let settings = Setup::new().load(&text).unwrap();
    let entry = |key: &str| {
        let mut entries = settings.entries.iter();
        entries.find(|entry| entry.key == key).unwrap().clone()
    };
    assert_eq!(entry("pool.size").value.as_deref(), Some("7"));
    assert_eq!(entry("pool.size").default.as_deref(), Some("20"));
    assert_eq!(
        entry("databases.shop.pool.size").value.as_deref(),
        Some("7")
    );
    assert!(entry("pool.size").is_reloadable && !entry("listen.port").is_reloadable);
    let password = entry("databases.shop.server.password");
    assert_eq!(password.value.as_deref(), Some("(hidden)"));
}
