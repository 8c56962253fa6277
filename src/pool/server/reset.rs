//! What a client may leave behind on a server, how that shows, and how it is cleaned.
//!
//! No statement is parsed for this: command tags and a look for a few telling words decide, in
//! doubt for cleaning. What a function does out of sight (a temporary table made in PL/pgSQL
//! that is called by an innocent SELECT) is not seen; the README says so.

use std::sync::LazyLock;

use regex_automata::Input;
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::syntax;
use serde::{Deserialize, Serialize};

/// How dirty a server may be, from clean to worst.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Soil {
    /// Nothing was left.
    #[default]
    Clean,
    /// Settings, roles, locks, listens, cursors, temporary objects.
    State,
    /// SQL-level prepared statements as well.
    Statements,
    /// What nothing cleans: a loaded library.
    Lasting,
}

impl Soil {
    /// Looks at the text of a statement.
    pub fn of_text(sql: &[u8]) -> Self {
        // Every telling word has one of these in it, and few other texts do in such company.
        let underscores = memchr::memchr2_iter(b'_', b'&', sql).any(|at| is_hint(sql, at));
        let temps = || memchr::memchr2_iter(b'p', b'P', sql).any(|at| ends_in_temp(&sql[..=at]));
        if !(underscores || temps()) {
            return Self::Clean;
        }
        // A search that fails, which this one cannot, would have found nothing good.
        match TELLING_WORDS.try_search_fwd(&Input::new(sql).earliest(true)) {
            Ok(None) => Self::Clean,
            Ok(Some(_)) | Err(_) => Self::State,
        }
    }

    /// Looks at a command tag: the body of a CommandComplete.
    pub fn of_command(tag: &[u8]) -> Self {
        let word = tag
            .split(|&b| b == b' ' || b == 0)
            .next()
            .unwrap_or_default();
        match word {
            // What most servers do most of the time.
            b"SELECT" | b"INSERT" | b"UPDATE" | b"DELETE" | b"BEGIN" | b"COMMIT" | b"ROLLBACK" => {
                Self::Clean
            }
            // What a procedure does is out of sight, as with a function.
            b"SET" | b"RESET" | b"LISTEN" | b"DECLARE" | b"CALL" => Self::State,
            // The text of a DO can be put together from parts: it may have prepared statements,
            // or deallocated those that others use.
            b"PREPARE" | b"DO" => Self::Statements,
            // It may have named one of ours, which every client of the pool can read.
            b"DEALLOCATE" if tag != b"DEALLOCATE ALL\0" => Self::Statements,
            b"LOAD" => Self::Lasting,
            _ => Self::Clean,
        }
    }

    /// The statement that cleans; `None` if nothing does or need be.
    ///
    /// DISCARD ALL would do it too, but takes our prepared statements with it. SET SESSION
    /// AUTHORIZATION resets the role as well, which RESET ALL does not.
    pub fn cleaning(self) -> Option<&'static str> {
        match self {
            Self::Clean | Self::Lasting => None,
            Self::State => Some(
                "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
                 SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES",
            ),
            Self::Statements => Some("DISCARD ALL"),
        }
    }
}

/// Whether the `_` or `&` at this place may be a telling word's.
fn is_hint(sql: &[u8], at: usize) -> bool {
    let lower = |at: Option<usize>| {
        at.and_then(|at| sql.get(at))
            .map_or(0, u8::to_ascii_lowercase)
    };
    let (before, behind) = (lower(at.checked_sub(1)), lower(at.checked_add(1)));
    // In the order of the words below.
    matches!(
        (before, behind),
        (b't', b'c') | (b'y', b'l') | (b'u', b'"') | (b'g', b's') | (_, b't') | (b's', b's' | b'r')
    )
}

/// Whether a text ends in `temp`.
fn ends_in_temp(sql: &[u8]) -> bool {
    sql.last_chunk::<4>()
        .is_some_and(|last| last.eq_ignore_ascii_case(b"temp"))
}

/// The words in a statement's text that tell of something left behind and of which no command
/// tag tells. One for the process: a table of states, read a byte at a time.
static TELLING_WORDS: LazyLock<dense::DFA<Vec<u32>>> = LazyLock::new(|| {
    let any_bytes = syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(true);
    dense::Builder::new()
        .syntax(any_bytes)
        .build_many(&WORDS)
        .expect("a few short words make an automaton")
});

const WORDS: [&str; 9] = [
    "set_config",          // SELECT set_config('role', …)
    "advisory_lock",       // SELECT pg_advisory_lock(…); those of a transaction end with it
    r"\btemp(?:orary)?\b", // CREATE TEMP TABLE, SELECT … INTO TEMPORARY, but not `attempts`
    "pg_temp",             // and pg_temp_3
    "u&\"",                // a name written in Unicode escapes, which may be any of these
    "pg_settings",         // UPDATE pg_settings … is set_config by another name
    "_to_xml",             // query_to_xml('…') and its kin run a text that may be put together
    "ts_stat",             // the same
    "ts_rewrite",          // the same
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_words_are_found_in_any_case_and_place() {
        for sql in [
            "select SET_CONFIG('role', 'x', false)",
            "select pg_try_advisory_lock(1)",
            "create\nTEMPORARY table t ()",
            "select 1 into temp t",
            "create table pg_temp.t ()",
            "update pg_settings set setting = 'x' where name = 'search_path'",
            "select query_to_xml('select set_'||'config(…)', true, false, '')",
            "create temp",
            "select * from Ts_Stat('select v from t')",
            "select TS_REWRITE('a'::tsquery, 'select t, s from aliases')",
            "_to_xml",
            "select U&\"set\\005fconfig\"('role', 'x', false)",
        ] {
            assert_eq!(Soil::of_text(sql.as_bytes()), Soil::State, "{sql}");
        }
        for sql in [
            "select 1",
            "select config from settings",
            "update t set a = 1",
            "select temperature, attempts, temp_max, x_temp, template from weather",
            "select pg_advisory_xact_lock(1)",
            "",
        ] {
            assert_eq!(Soil::of_text(sql.as_bytes()), Soil::Clean, "{sql}");
        }
    }

    #[test]
    fn command_tags_tell_what_is_left_behind() {
        for (tag, soil) in [
            (&b"SELECT 1\0"[..], Soil::Clean),
            (b"INSERT 0 1\0", Soil::Clean),
            (b"SET\0", Soil::State),
            (b"SET CONSTRAINTS\0", Soil::State),
            (b"DECLARE CURSOR\0", Soil::State),
            (b"LISTEN\0", Soil::State),
            (b"DO\0", Soil::Statements),
            (b"CALL\0", Soil::State),
            (b"PREPARE\0", Soil::Statements),
            (b"DEALLOCATE\0", Soil::Statements),
            (b"DEALLOCATE ALL\0", Soil::Clean),
            (b"LOAD\0", Soil::Lasting),
            (b"", Soil::Clean),
        ] {
            assert_eq!(
                Soil::of_command(tag),
                soil,
                "{}",
                String::from_utf8_lossy(tag)
            );
        }
    }

    #[test]
    fn what_nothing_cleans_has_no_cleaning() {
        assert!(Soil::State.cleaning().is_some());
        assert!(Soil::Statements.cleaning().is_some());
        assert!(Soil::Lasting.cleaning().is_none());
        assert!(Soil::Lasting > Soil::Statements && Soil::Statements > Soil::State);
    }
}
