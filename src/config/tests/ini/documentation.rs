//! docs/pgbouncer.md against the table of keys.

use super::super::super::ini::documented;

const DOCUMENTATION: &str = include_str!("../../../../docs/pgbouncer.md");

#[test]
fn the_documentation_has_every_setting_of_pgbouncer_and_what_it_does_here() {
    let mut missing = Vec::new();
    for row in documented() {
        if !DOCUMENTATION.lines().any(|line| line == row) {
            missing.push(row);
        }
    }
    assert!(
        missing.is_empty(),
        "not in the file:\n{}",
        missing.join("\n")
    );
    // The commands of the console have a test of their own.
    let settings = DOCUMENTATION.split("\n## Console commands\n").next();
    let rows = settings
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("| `"))
        .count();
    assert_eq!(rows, documented().len(), "the file has other rows as well");
}
