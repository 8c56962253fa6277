use proptest::prelude::*;

use super::*;
use crate::console::role::Role;

fn parse(text: &str) -> Command {
    Command::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Command::parse(text).expect_err(text).message
}

#[test]
fn keywords_are_known_in_any_case_and_names_are_kept() {
    assert_eq!(parse("show pools"), Command::Show(Show::Pools));
    assert_eq!(parse(" SHOW\tPools ;; "), Command::Show(Show::Pools));
    assert_eq!(parse("SELECT pools"), Command::Show(Show::Pools));
    assert_eq!(parse("pause"), Command::Pause(None));
    assert_eq!(parse("PAUSE Shop;"), Command::Pause(Some("Shop".into())));
    assert_eq!(
        parse("PAUSE \"my shop\""),
        Command::Pause(Some("my shop".into()))
    );
    assert_eq!(parse("resume shop"), Command::Resume(Some("shop".into())));
    assert_eq!(parse("Reconnect"), Command::Reconnect(None));
    assert_eq!(parse("kill shop"), Command::Kill(Some("shop".into())));
    assert_eq!(parse("kill_client 17"), Command::KillClient("17".into()));
    assert_eq!(parse("reload"), Command::Reload);
    assert_eq!(
        parse("shutdown"),
        Command::Shutdown(ShutdownMode::Immediate)
    );
    assert_eq!(
        parse("SHUTDOWN wait_for_clients"),
        Command::Shutdown(ShutdownMode::WaitForClients)
    );
}

#[test]
fn what_drivers_send_is_answered() {
    for text in ["", " ; ", "-- ping", "/* ping */;"] {
        assert_eq!(parse(text), Command::Empty, "{text}");
    }
    for text in [
        "SET extra_float_digits = 3",
        "SET application_name = 'PostgreSQL JDBC Driver'",
        "set DateStyle to ISO, MDY",
        "SET TIME ZONE 'UTC'",
        "SET client_encoding TO 'UTF8'",
        "SET NAMES 'utf8'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ] {
        assert_eq!(parse(text), Command::IgnoredSet, "{text}");
    }
    assert_eq!(
        parse("SHOW client_encoding"),
        Command::Parameter(Parameter::ClientEncoding)
    );
    assert_eq!(
        parse("SHOW TIME ZONE"),
        Command::Parameter(Parameter::TimeZone)
    );
    assert_eq!(parse("SELECT 1"), Command::SelectOne);
    assert_eq!(
        parse("BEGIN ISOLATION LEVEL READ COMMITTED"),
        Command::Begin
    );
    assert_eq!(parse("start transaction read only"), Command::Begin);
    assert_eq!(parse("DEALLOCATE ALL"), Command::Deallocate(None));
    assert_eq!(
        parse("deallocate prepare \"_pg3_0\""),
        Command::Deallocate(Some("_pg3_0".into()))
    );
    assert_eq!(parse("DISCARD ALL"), Command::DiscardAll);
    assert_eq!(parse("RESET search_path"), Command::Reset);
    assert_eq!(parse("end"), Command::Commit);
    assert_eq!(parse("ROLLBACK WORK"), Command::Rollback);
}

#[test]
fn what_is_no_command_is_named_in_the_answer() {
    assert_eq!(
        refused("SHOW nothing"),
        "invalid command 'SHOW nothing', use SHOW HELP;"
    );
    for text in ["SHOW users", "SHOW fds", "SHOW sockets"] {
        assert!(matches!(parse(text), Command::Show(_)), "{text}");
    }
    for text in [
        "DROP TABLE ledger",
        "SHOW",
        "SHOW pools lists",
        "SHOW pools; SHOW lists",
        "RELOAD now",
        "SHUTDOWN now",
        "PAUSE a b",
        "PAUSE my-shop",
        "PAUSE 'shop",
        "SET",
        "SET a",
        "SELECT 2",
        "COMMIT PREPARED 'x'",
        "ROLLBACK TO here",
        "= show",
        "SUSPEND now",
        "DISABLE a b",
        "SET a = b c",
        "SET a.b",
        "SET .a = b",
    ] {
        assert_eq!(
            refused(text),
            format!("invalid command '{text}', use SHOW HELP;")
        );
    }
    assert_eq!(refused(&"x".repeat(2000)), "bad arguments");
}

#[test]
fn a_set_of_anything_else_names_a_setting() {
    for (text, key, value) in [
        ("SET default_pool_size = 5", "default_pool_size", "5"),
        ("set Pool_Mode to Session;", "pool_mode", "Session"),
        ("SET pool.size='5'", "pool.size", "5"),
        (
            "SET databases.\"My-Shop\".pool.size = \"6\"",
            "databases.My-Shop.pool.size",
            "6",
        ),
        ("SET server_check_query = ''", "server_check_query", ""),
    ] {
        let set = parse(text);
        let expected = Command::Set {
            key: key.into(),
            value: value.into(),
        };
        assert_eq!(set, expected, "{text}");
        assert_eq!(set.tag(), format!("SET {key}={value}"));
    }
}

#[test]
fn every_command_of_the_table_is_read_as_what_it_says() {
    let mut kinds = Vec::new();
    for entry in Entry::COMMANDS {
        let text = match entry.argument {
            Argument::Client => format!("{} 7", entry.name),
            Argument::Database => format!("{} shop", entry.name),
            Argument::DatabaseOrAll | Argument::None => entry.name.to_owned(),
            Argument::Own(_) if entry.kind == Kind::Explain => {
                format!("{} 'x' FOR ROLE app", entry.name)
            }
            Argument::Own(_) if entry.kind == Kind::Set => "SET a = b".to_owned(),
            Argument::Own(_) => entry.name.to_owned(),
        };
        let command = parse(&text);
        assert_eq!(command.entry().unwrap().name, entry.name);
        assert_eq!(command.required_role(), entry.right, "{text}");
        kinds.push(entry.kind);
        if entry.argument == Argument::None {
            refused(&format!("{text} more"));
        }
        if matches!(entry.argument, Argument::Database | Argument::DatabaseOrAll) {
            parse(&format!("{} \"my shop\"", entry.name));
            refused(&format!("{} a b", entry.name));
        }
    }
    let count = kinds.len();
    kinds.dedup();
    assert_eq!(kinds.len(), count, "a command is there twice");
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,80}") {
        let _ = Command::parse(&text);
    }

    #[test]
    fn no_sequence_of_words_and_signs_is_too_strange(
        text in "((show|set|pause|kill_client|shutdown|select|begin|;|'|\"|=|--|/\\*|\\*/|1|x)[ \n]?){0,12}"
    ) {
        let _ = Command::parse(&text);
    }
}

#[test]
fn an_access_is_explained_for_a_role() {
    let command = Command::parse("EXPLAIN access 'drop table \"a;b\"' FOR ROLE \"app\";").unwrap();
    let expected = Command::ExplainAccess {
        sql: "drop table \"a;b\"".into(),
        role: "app".into(),
    };
    assert_eq!(command, expected);
    let long = format!("explain access '{}' for role app", "x".repeat(10_000));
    assert!(Command::parse(&long).is_ok());
    for text in [
        "explain select 1",
        "explain access 'x'",
        "explain access x for role app",
    ] {
        assert!(refused(text).contains("EXPLAIN ACCESS"), "{text}");
    }
}

/// The rows of a table of Markdown: the first three cells of each.
fn documented() -> Vec<[String; 3]> {
    let document = include_str!("../../../docs/pgbouncer.md");
    let (_, section) = document.split_once("\n## Console commands\n").unwrap();
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |line: &str| -> Option<[String; 3]> {
        // A bar within a cell has a backslash before it.
        let line = line.replace("\\|", "\0");
        let cells = line.trim_matches('|').split('|');
        let cells: Vec<_> = cells.map(|cell| cell.trim().replace('\0', "|")).collect();
        cells.try_into().ok()
    };
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(cells).collect()
}

#[test]
fn every_command_is_documented_with_its_right() {
    let expected: Vec<_> = Entry::COMMANDS
        .iter()
        .map(|entry| {
            let right = match entry.right {
                Role::Viewer => "stats",
                Role::Admin => "admin",
            };
            (format!("`{}`", entry.usage()), right.to_owned())
        })
        .collect();
    let found: Vec<_> = documented()
        .into_iter()
        .map(|[command, right, does]| {
            assert!(!does.is_empty(), "{command}");
            (command, right)
        })
        .collect();
    assert_eq!(found, expected);
}
