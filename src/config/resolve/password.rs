//! A server's password: in the file, in a variable or in a file of its own.

use std::fs;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::forms::{FilePath, Form, Given, Text};
use super::super::values::Table;
use crate::auth::names::UserName;
use crate::auth::secret::Secret;
use crate::pool::settings::ServerCredentials;

/// `server = { user, password }`.
pub(super) fn credentials(database: &Table<'_>) -> Option<ServerCredentials> {
    let server = database.table("server");
    let user = server.maybe("user", &Text);
    let secret = if server.is_table("password") {
        from_elsewhere(&server.table("password"))
    } else {
        server.maybe("password", &Password)
    };
    if user.is_none() && !server.has("user") && !server.is_empty() {
        server.complain_of_table("user is missing: expected the name to log in with");
    }
    Some(ServerCredentials {
        user: UserName::new(user?),
        secret: secret.map(Arc::new),
    })
}

/// `{ env = "VARIABLE" }` or `{ file = "path" }`.
fn from_elsewhere(table: &Table<'_>) -> Option<Secret> {
    let variable = table.maybe("env", &Text);
    let path = table.maybe("file", &FilePath);
    if table.has("env") == table.has("file") {
        table.complain_of_table("expected either { env = \"VARIABLE\" } or { file = \"path\" }");
        return None;
    }
    let (key, text) = if let Some(variable) = variable {
        match table.document.variables.get(&variable) {
            Some(text) => ("env", Zeroizing::new(text.clone())),
            None => {
                table.complain(
                    "env",
                    "expected the name of an environment variable that is set, in UTF-8",
                );
                return None;
            }
        }
    } else {
        let path = path?;
        match fs::read_to_string(&path) {
            Ok(text) => ("file", Zeroizing::new(text)),
            Err(error) => {
                let complaint = format!("cannot read \"{}\": {error}", path.display());
                table.complain("file", complaint);
                return None;
            }
        }
    };
    match parse(without_newline(&text)) {
        Ok(secret) => Some(secret),
        Err(complaint) => {
            table.complain(key, complaint);
            None
        }
    }
}

/// A password within the file.
struct Password;

impl Form for Password {
    type Value = Secret;

    const IS_SECRET: bool = true;

    fn expected(&self) -> String {
        "a password in quotes, { env = \"VARIABLE\" } or { file = \"path\" }".into()
    }

    fn read(&self, given: &Given<'_>) -> Result<Secret, String> {
        let text = given.text().ok_or_else(|| self.complaint())?;
        parse(text)
    }

    fn write(&self, _: &Secret) -> String {
        "(hidden)".into()
    }
}

fn parse(text: &str) -> Result<Secret, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a password that is not empty".into());
    }
    match Secret::parse(text) {
        Ok(Secret::Scram(_)) => {
            Err("expected a password: a SCRAM verifier lets others log in, not us".into())
        }
        Ok(secret @ (Secret::Md5(_) | Secret::Plain(_))) => Ok(secret),
        Err(error) => Err(format!("expected a password: {error}")),
    }
}

/// Editors and `echo` end a file with one.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
