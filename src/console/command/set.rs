//! SET: of a setting of ours, or of a parameter of a server that drivers take us for.

use crate::console::command::Command;
use crate::console::token::Token;

/// `SET key {= | TO} value`, or what drivers send: `SET [SESSION | LOCAL] name {= | TO} value`
/// and the SQL standard's other forms.
pub(super) fn set(rest: &[Token]) -> Option<Command> {
    let is =
        |token: &Token, word: &str| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word));
    let bare = match rest {
        [scope, more @ ..] if is(scope, "session") || is(scope, "local") => more,
        _ => rest,
    };
    let harmless = match bare {
        [name, ..] if is(name, "characteristics") || is(name, "names") => true,
        [time, zone, _, ..] if is(time, "time") && is(zone, "zone") => true,
        // More than one value: `DateStyle TO ISO, MDY`; and a number may have a sign and a dot.
        [Token::Word(name) | Token::Quoted(name), by, _, ..]
            if *by == Token::Equals || is(by, "to") =>
        {
            OF_DRIVERS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        }
        _ => false,
    };
    if harmless {
        return Some(Command::IgnoredSet);
    }
    let (key, rest) = key(rest)?;
    match rest {
        [
            by,
            Token::Word(value) | Token::Quoted(value) | Token::String(value),
        ] if *by == Token::Equals || is(by, "to") => Some(Command::Set {
            key,
            value: value.clone(),
        }),
        _ => None,
    }
}

/// The name of a setting, which has dots where it stands in a table of the file; in lower case
/// as far as it is not quoted.
fn key(rest: &[Token]) -> Option<(String, &[Token])> {
    let part = |token: &Token| match token {
        Token::Word(word) => Some(word.to_ascii_lowercase()),
        Token::Quoted(name) => Some(name.clone()),
        Token::Equals | Token::String(_) | Token::Symbol(_) => None,
    };
    let (first, mut rest) = rest.split_first()?;
    let mut key = part(first)?;
    while let [Token::Symbol('.'), next, after @ ..] = rest {
        key.push('.');
        key.push_str(&part(next)?);
        rest = after;
    }
    Some((key, rest))
}

/// What drivers set when they connect and which means nothing here.
const OF_DRIVERS: [&str; 13] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_isolation",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "intervalstyle",
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
];
