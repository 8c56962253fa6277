//! What a client reads that is refused something, and what is kept of it for others.

use std::time::SystemTime;

use crate::policy::role::RoleName;
use crate::policy::verdict::Denial;
use crate::session::audit::Who;
use crate::session::denials::{Denials, Denied};
use crate::session::guard::restraint::Limit;
use crate::wire::backend::TransactionStatus;
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// The error for a denial of what stands in `sql`.
pub(super) fn of(denial: &Denial, reference: u64, sql: Option<&[u8]>) -> ErrorResponse {
    let rule = &denial.rule;
    let detail = if denial.statements == 0 {
        format!("The text matched rule \"{rule}\".")
    } else {
        format!(
            "Statement {} of {} ({}) matched rule \"{rule}\".",
            denial.statement, denial.statements, denial.command
        )
    };
    let reference = format!("Reference {reference:016x}.");
    let hint = match &denial.hint {
        Some(hint) => format!("{hint} {reference}"),
        None => reference,
    };
    let position = denial.position.zip(sql).and_then(|(position, sql)| {
        let before = String::from_utf8_lossy(sql.get(..position)?);
        Some(before.chars().count() + 1)
    });
    ErrorResponse::error(denial.code, denial.message.clone())
        .with_detail(detail)
        .with_hint(hint)
        .with_position(position)
}

/// The error for a limit that is reached.
pub(in crate::session) fn limit_reached(
    limit: &Limit,
    role: &RoleName,
    reference: u64,
) -> ErrorResponse {
    let code = if limit.name == "time" {
        SqlState::QUERY_CANCELED
    } else {
        SqlState::CONFIGURATION_LIMIT_EXCEEDED
    };
    ErrorResponse::error(code, format!("{} for role \"{role}\"", limit.message))
        .with_detail(format!(
            "The limit \"{}\" of role \"{role}\" is {}.",
            limit.name, limit.value
        ))
        .with_hint(format!("Reference {reference:016x}."))
}

/// The error for a text that the server may read otherwise than we do.
pub(super) fn unreadable() -> Box<ErrorResponse> {
    let message =
        "this text cannot be judged: what was run before it may have changed how it is read";
    Box::new(
        ErrorResponse::error(SqlState::FEATURE_NOT_SUPPORTED, message)
            .with_hint("Send a Sync before it, or name the parameter in set_config."),
    )
}

/// What ends a session that has left the mode it was to keep to.
pub(in crate::session) fn breach(reason: &str) -> ErrorResponse {
    ErrorResponse::fatal(
        SqlState::READ_ONLY_SQL_TRANSACTION,
        "terminating connection because the session left the mode of its role",
    )
    .with_detail(format!("{reason}."))
}

/// A number that the error, the log and the audit record of one refusal share.
pub(super) fn reference() -> u64 {
    crate::session::audit::reference()
}

/// Keeps a refusal for SHOW DENIALS and the log.
pub(super) fn note(
    denials: &Denials,
    who: &Who,
    denial: &Denial,
    (reference, observed): (u64, bool),
) {
    tracing::info!(
        user = &*who.user, role = &*who.role, database = &*who.database,
        address = who.address_text(),
        rule = %denial.rule, command = denial.command, subject = denial.subject,
        reference = format_args!("{reference:016x}"), observed,
        "statement refused"
    );
    denials.note(Denied {
        time: SystemTime::now(),
        reference,
        user: who.user.to_string(),
        address: who.address_text(),
        database: who.database.to_string(),
        role: who.role.to_string(),
        rule: denial.rule.to_string(),
        code: denial.code.to_string(),
        command: denial.command.to_owned(),
        // A name in a statement can be as long as the statement.
        subject: denial.subject.chars().take(MAX_SUBJECT).collect(),
        observed,
    });
}

/// The state of a transaction as the audit log calls it.
pub(super) fn transaction(status: TransactionStatus) -> &'static str {
    match status {
        TransactionStatus::Idle => "idle",
        TransactionStatus::InTransaction => "transaction",
        TransactionStatus::Failed => "failed",
    }
}

/// What is kept of what a refusal is about, in characters.
const MAX_SUBJECT: usize = 200;
