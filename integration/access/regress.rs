//! PostgreSQL's own regression files through the classifier.
//!
//! Run by `regress.sh` beside this file, which fetches them; `REGRESS_SQL` is their folder.

use std::fs;
use std::path::PathBuf;

use pgwarden::policy::classification::Unclassifiable;
use pgwarden::policy::sql::classify;

#[test]
fn every_statement_is_answered_and_called_by_its_name() {
    let folder = std::env::var("REGRESS_SQL").expect("REGRESS_SQL names the folder");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let (mut known, mut refused, mut wrong) = (0, 0, Vec::new());
    for file in &files {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        for statement in statements(&text) {
            match classify(statement.as_bytes()) {
                Ok(classification) => {
                    for found in &classification.statements {
                        known += 1;
                        let text = &statement[found.position..];
                        if !is_called(text, found.command) || found.kinds.is_empty() {
                            wrong.push(format!("{}: {} is {text}", file.display(), found.command));
                        }
                    }
                }
                // Many are wrong on purpose, others are not split as psql splits them.
                Err(Unclassifiable::Syntax(_)) => refused += 1,
                Err(reason) => wrong.push(format!("{}: {reason}: {statement}", file.display())),
            }
        }
    }
    println!(
        "{} files: {known} statements, {refused} refused",
        files.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() > 150 && known > 30_000 && refused * 20 < known);
}

/// Whether a command can be what a text that begins like this is called.
fn is_called(text: &str, command: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    let first = words.take(1).collect::<String>().to_ascii_uppercase();
    let expected: &[&str] = match first.as_str() {
        "" | "TABLE" | "VALUES" => &["SELECT"],
        "ABORT" => &["ROLLBACK"],
        "ANALYSE" => &["ANALYZE"],
        "CLOSE" => &["CLOSE CURSOR"],
        "END" => &["COMMIT"],
        "WITH" => &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"],
        // A schema's elements and SELECT INTO keep their first word.
        other => return command.split(' ').next() == Some(other),
    };
    expected
        .iter()
        .any(|expected| command.starts_with(expected))
}

/// Statements as psql would send them, roughly: without its own commands and the data of COPY.
fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut is_data = false;
    for line in text.lines() {
        if is_data {
            is_data = line != "\\.";
            continue;
        }
        // A command of psql's, such as \gset, ends a statement as a semicolon does.
        let (sql, rest) = match line.find('\\') {
            Some(0) => ("", true),
            Some(at) if !line[..at].contains('\'') => (&line[..at], true),
            Some(_) | None => (line, false),
        };
        current.push_str(sql);
        current.push('\n');
        let ends = rest || sql.trim_end().ends_with(';');
        if ends && is_balanced(&current) {
            let lower = current.to_ascii_lowercase();
            let is_copy = lower.trim_start().starts_with("copy");
            is_data = is_copy && lower.contains("from stdin");
            found.push(std::mem::take(&mut current));
        }
    }
    found.push(current);
    found
}

/// Whether quotes and bodies are closed, roughly.
fn is_balanced(text: &str) -> bool {
    text.matches('\'').count() % 2 == 0
        && text.matches("$$").count() % 2 == 0
        && ["$body$", "$function$", "$x$", "$_$"]
            .iter()
            .all(|tag| text.matches(tag).count() % 2 == 0)
}
