//! What a refusal says.

use crate::policy::classification::{Name, Statement};
use crate::policy::judge::{Judge, Lock, Objection};
use crate::policy::rule::Hit;
use crate::policy::verdict::Denial;
use crate::wire::sqlstate::SqlState;

impl Judge<'_> {
    pub(super) fn denial(
        &self,
        lock: Lock<'_>,
        statement: &Statement,
        (number, statements): (usize, usize),
        objection: &Objection<'_>,
    ) -> Denial {
        let command = statement.command;
        let subject = match objection {
            Objection::WholeTable => format!("{command} without WHERE"),
            Objection::Hit(Hit::Kind(_)) => command.to_owned(),
            Objection::Hit(Hit::Relation(relation)) => format!("table {}", quoted(&relation.name)),
            Objection::Hit(Hit::Function(name)) => format!("function {}", quoted(name)),
            Objection::Hit(Hit::Setting(setting)) => match &setting.name {
                Some(name) => format!("setting parameter \"{name}\""),
                None => "setting a parameter whose name is computed".into(),
            },
        };
        let role = &self.role.name;
        let (code, message) = match lock {
            Lock::ReadOnly | Lock::Maintenance => (
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {subject} in a read-only transaction"),
            ),
            Lock::Opaque => (
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{subject} cannot be judged for role \"{role}\""),
            ),
            Lock::Default
            | Lock::Deny(_)
            | Lock::Lexing
            | Lock::SearchPath
            | Lock::TablesAllow
            | Lock::TablesDeny => (
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: {subject} is not allowed for role \"{role}\""),
            ),
        };
        let hint = match lock {
            Lock::Deny(rule) => rule.hint.clone(),
            Lock::Maintenance => {
                Some("The database is under maintenance: it may only be read for now.".into())
            }
            Lock::Default
            | Lock::Lexing
            | Lock::Opaque
            | Lock::ReadOnly
            | Lock::SearchPath
            | Lock::TablesAllow
            | Lock::TablesDeny => None,
        };
        Denial {
            rule: lock.name(),
            code,
            message,
            statement: number,
            statements,
            command,
            subject,
            position: Some(statement.position),
            hint,
        }
    }
}

fn quoted(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("\"{schema}.{}\"", name.name),
        None => format!("\"{}\"", name.name),
    }
}
