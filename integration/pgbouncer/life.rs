//! The command line, signals, sockets and the log.

mod background;
mod log;
mod signals;
mod sockets;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::free_port;

/// The program, to be given arguments.
fn pgwarden() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgwarden"));
    command.stdin(Stdio::null());
    command
}

/// What the program says to these arguments, and how it ends.
fn run(arguments: &[&str]) -> Output {
    pgwarden().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder that other users of the operating system can use as well.
fn folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new()
        .prefix("pgwarden-life-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// Writes settings with a port of their own, and PgBouncer's log; says which port.
fn settings(dir: &Path, more_of_listen: &str, more: &str) -> u16 {
    let port = free_port();
    let text = format!(
        "[listen]\nport = {port}\n{more_of_listen}\n[auth]\nmethod = \"trust\"\n\
         [console]\nadmins = [\"app\"]\n[databases.shop]\nport = 1\n[log]\nformat = \"pgbouncer\"\n{more}\n"
    );
    std::fs::write(dir.join("pgwarden.toml"), text).unwrap();
    port
}

/// The program with the settings in a folder, and its standard error in the file `stderr` there.
fn program_in(dir: &Path) -> Command {
    let mut command = pgwarden();
    command.stderr(File::create(dir.join("stderr")).unwrap());
    command
}

/// Whether a line is as the pattern says: `{t}` is a time, `{n}` a number, `{x}` one to base 16,
/// `{*}` anything.
fn is_like(line: &str, pattern: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else {
        return line == pattern;
    };
    let Some(line) = line.strip_prefix(before) else {
        return false;
    };
    let (kind, rest) = rest.split_once('}').unwrap();
    if kind == "t" {
        let shape = "0000-00-00 00:00:00.000 ";
        let Some((time, line)) = line.split_at_checked(shape.len()) else {
            return false;
        };
        let right = |(is, should): (char, char)| match should {
            '0' => is.is_ascii_digit(),
            should => is == should,
        };
        let zone = line.split(' ').next().unwrap();
        return time.chars().zip(shape.chars()).all(right)
            && !zone.is_empty()
            && is_like(&line[zone.len()..], rest);
    }
    let fits = |c: char| match kind {
        "n" => c.is_ascii_digit(),
        "x" => c.is_ascii_hexdigit(),
        "*" => true,
        kind => panic!("no such pattern: {kind}"),
    };
    let len = line.find(|c| !fits(c)).unwrap_or(line.len());
    let least = usize::from(kind != "*");
    (least..=len)
        .rev()
        .any(|len| line.is_char_boundary(len) && is_like(&line[len..], rest))
}

/// How many lines of a log are as the pattern says.
pub(crate) fn count(log: &str, pattern: &str) -> usize {
    log.lines().filter(|line| is_like(line, pattern)).count()
}

#[test]
fn the_version_is_what_tools_take_for_pgbouncers() {
    let said = run(&["-V"]);
    assert!(said.status.success());
    let said = text(&said.stdout);
    let expected = concat!(
        "PgBouncer 1.25.2 (pgwarden ",
        env!("CARGO_PKG_VERSION"),
        ")"
    );
    assert_eq!(said.lines().next(), Some(expected));
    assert!(said.contains("\ntls: "), "{said}");
    assert_eq!(text(&run(&["--version"]).stdout), said);
}

#[test]
fn help_is_no_failure() {
    let said = run(&["-h"]);
    assert!(said.status.success());
    for option in ["-d", "-q", "-R", "-u", "-v", "-V", "check"] {
        assert!(text(&said.stdout).contains(option), "{option}");
    }
}

#[test]
fn arguments_that_are_none_are_refused_with_pgbouncers_exit_code() {
    for arguments in [
        &[][..],
        &["a.toml", "b.toml"],
        &["--frob", "a.toml"],
        &["-d"],
    ] {
        let said = run(arguments);
        assert_eq!(said.status.code(), Some(1), "{arguments:?}");
        assert!(!said.stderr.is_empty(), "{arguments:?}");
    }
    let said = text(&run(&[]).stderr);
    assert!(said.contains("no configuration file specified"), "{said}");
    // Those of a subcommand have an exit code of their own.
    assert_eq!(run(&["check"]).status.code(), Some(2));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = run(&["/nonexistent/pgwarden.toml"]);
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stderr);
    assert!(said.contains("/nonexistent/pgwarden.toml"), "{said}");
}

#[test]
fn patterns_tell_lines_apart() {
    let line = "2026-11-24 12:32:59.373 UTC [22691] LOG C-0x1a: shop/app@127.0.0.1:5 text (age=0s)";
    let like = "{t} [{n}] LOG C-0x{x}: shop/app@127.0.0.1:{n} text (age={n}s)";
    assert!(is_like(line, like));
    assert!(!is_like(line, &like.replace("{n} text", "x text")));
    assert!(!is_like(&line.replace(".373", ""), like));
    assert!(!is_like(&format!("{line} more"), like));
}
