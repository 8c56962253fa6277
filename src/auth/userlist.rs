//! PgBouncer's `auth_file`: <https://www.pgbouncer.org/config.html#authentication-file-format>

use std::collections::HashMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::names::UserName;
use super::secret::{Secret, SecretError};

/// The users of an `auth_file` and their secrets.
#[derive(Clone, Debug, Default)]
pub struct Userlist {
    secrets: HashMap<UserName, Arc<Secret>>,
    complete: bool,
}

/// A line that cannot be used. Its text shows neither names nor secrets, since a line
/// out of shape may have either where the other is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct UserlistProblem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What can be wrong with a line of an `auth_file`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The user name is `""`.
    #[error("the user name is empty")]
    EmptyUser,
    /// The secret could not be used.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// No quoted secret after the user name.
    #[error("expected the secret in double quotes after the user name")]
    SecretMissing,
    /// A quote is never closed.
    #[error("a double quote is not closed on its line")]
    Unclosed,
    /// The line starts with something else than a quote or a comment.
    #[error("expected a line such as \"user\" \"secret\"")]
    UserMissing,
}

impl Userlist {
    /// Reads a whole file: lines of `"user" "secret"`, where `""` within quotes is one
    /// quote and anything after the secret is ignored. Blank lines and lines that start
    /// with `;` or `#` are skipped. A user listed twice has the later secret, as in PgBouncer.
    ///
    /// # Errors
    /// Every line that cannot be used. PgBouncer stops at the first one and goes on with
    /// what it has; a list that silently lacks users helps nobody.
    pub fn parse(text: &str) -> Result<Self, Vec<UserlistProblem>> {
        let mut secrets = HashMap::new();
        let mut problems = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim_start();
            if text.is_empty() || text.starts_with([';', '#']) {
                continue;
            }
            match parse_line(text) {
                Ok((user, secret)) => {
                    secrets.insert(user, Arc::new(secret));
                }
                Err(fault) => problems.push(UserlistProblem { line, fault }),
            }
        }
        if problems.is_empty() {
            Ok(Self {
                secrets,
                complete: true,
            })
        } else {
            Err(problems)
        }
    }

    /// The list of nobody. The default is no list at all.
    pub fn nobody() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// The secret of this very user.
    pub fn get(&self, user: &str) -> Option<&Arc<Secret>> {
        self.secrets.get(user)
    }

    /// Whether a user can be meant who needs no secret: it is listed, or nobody keeps a list.
    pub fn admits(&self, user: &str) -> bool {
        !self.complete || self.secrets.contains_key(user)
    }

    /// Whether any user's secret is a SCRAM verifier.
    pub fn has_verifiers(&self) -> bool {
        self.secrets
            .values()
            .any(|secret| matches!(**secret, Secret::Scram(_)))
    }

    /// All users, in no particular order.
    pub fn users(&self) -> impl Iterator<Item = &UserName> {
        self.secrets.keys()
    }
}

fn parse_line(line: &str) -> Result<(UserName, Secret), Fault> {
    let (user, rest) = quoted(line.strip_prefix('"').ok_or(Fault::UserMissing)?)?;
    let rest = rest
        .trim_start()
        .strip_prefix('"')
        .ok_or(Fault::SecretMissing)?;
    let (secret, _ignored) = quoted(rest)?;
    if user.is_empty() {
        return Err(Fault::EmptyUser);
    }
    Ok((UserName::new(&*user), Secret::parse(&secret)?))
}

/// Reads on from an opening quote: what is quoted, and what follows the closing quote.
fn quoted(text: &str) -> Result<(Zeroizing<String>, &str), Fault> {
    // Full size from the start: growing would leave unwiped copies behind.
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    loop {
        let (piece, after) = rest.split_once('"').ok_or(Fault::Unclosed)?;
        value.push_str(piece);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Ok((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain<'a>(list: &'a Userlist, user: &str) -> &'a str {
        match &**list.get(user).unwrap() {
            Secret::Plain(password) => password.expose(),
            other @ (Secret::Md5(_) | Secret::Scram(_)) => panic!("{user} has {other:?}"),
        }
    }

    #[test]
    fn users_are_read_with_their_secrets() {
        let text = "; a comment\n# another\n\n\"alice\" \"secret\"\r\n  \t\"bob\"\t\"hunter2\" ignored \"x\n";
        let list = Userlist::parse(text).unwrap();
        assert_eq!(plain(&list, "alice"), "secret");
        assert_eq!(plain(&list, "bob"), "hunter2");
        let mut users: Vec<_> = list.users().map(UserName::as_str).collect();
        users.sort_unstable();
        assert_eq!(users, ["alice", "bob"]);
    }

    #[test]
    fn a_doubled_quote_stands_for_one() {
        let list = Userlist::parse("\"a\"\"b\" \"\"\"x\"\"\"\n\"c\" \"\"\"\"").unwrap();
        assert_eq!(plain(&list, "a\"b"), "\"x\"");
        assert_eq!(plain(&list, "c"), "\"");
    }

    #[test]
    fn an_empty_secret_is_kept() {
        let list = Userlist::parse("\"alice\" \"\"").unwrap();
        assert_eq!(plain(&list, "alice"), "");
    }

    #[test]
    fn a_comment_sign_within_quotes_is_a_character() {
        let list = Userlist::parse("\"alice\" \"; # secret\"").unwrap();
        assert_eq!(plain(&list, "alice"), "; # secret");
    }

    #[test]
    fn the_later_of_two_lines_for_a_user_wins() {
        let list = Userlist::parse("\"alice\" \"old\"\n\"alice\" \"new\"").unwrap();
        assert_eq!(plain(&list, "alice"), "new");
    }

    #[test]
    fn every_broken_line_is_reported_with_its_number() {
        let text = "alice secret\n\"ok\" \"ok\"\n\"bob\"\n\"carol\" \"sec\n\"\" \"x\"\n\"dan\" secret\n\n\"erin\" \"SCRAM-SHA-256$0:x\"";
        let problems = Userlist::parse(text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 8]);
        assert_eq!(problems[2].fault, Fault::Unclosed);
        assert_eq!(
            problems[1].to_string(),
            "line 3: expected the secret in double quotes after the user name"
        );
    }

    #[test]
    fn problems_and_debug_output_show_no_secret() {
        let problems =
            Userlist::parse("\"alice\" \"SCRAM-SHA-256$hunter2\"\nhunter2 x\n\"hunter2\" x")
                .unwrap_err();
        let shown = format!(
            "{problems:?} {}",
            problems.iter().map(ToString::to_string).collect::<String>()
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        let list = Userlist::parse("\"alice\" \"hunter2\"").unwrap();
        assert!(!format!("{list:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[\"; #a\n\\PC]*") {
            let _ = Userlist::parse(&text);
        }

        #[test]
        fn any_user_and_password_survive_quoting(user in "[^\n\r\0]+", password in "[^\n\r\0]*") {
            prop_assume!(!password.starts_with("SCRAM-SHA-256$") && !password.starts_with("md5"));
            let line = format!("\"{}\" \"{}\"", user.replace('"', "\"\""), password.replace('"', "\"\""));
            let list = Userlist::parse(&line).unwrap();
            prop_assert_eq!(plain(&list, &user), password);
        }
    }
}
