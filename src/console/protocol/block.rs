//! Transaction blocks, for drivers that open one whatever they do. The console has nothing to
//! roll back, so inside of one it can only be looked at.

use std::borrow::Cow;

use crate::console::command::Command;
use crate::console::role::Role;
use crate::wire::backend::TransactionStatus;
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// What the client may do, in the transaction block it is in or outside of any.
///
/// ```text
///   Idle --BEGIN--> InTransaction --error--> Failed
///    ^                    |                    |
///    +-- COMMIT, ROLLBACK +--------------------+
/// ```
#[derive(Debug)]
pub(super) struct Block {
    role: Role,
    status: TransactionStatus,
}

impl Block {
    /// Outside of any.
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            status: TransactionStatus::Idle,
        }
    }

    pub(super) fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether a command may be carried out here and now: asked once, before each.
    pub(super) fn permits(&self, command: &Command) -> Result<(), ErrorResponse> {
        self.role.permits(command)?;
        let ends = matches!(command, Command::Commit | Command::Rollback);
        match self.status {
            TransactionStatus::Failed if !ends => Err(ErrorResponse::error(
                SqlState::IN_FAILED_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )),
            // A ROLLBACK would not undo it.
            TransactionStatus::InTransaction if command.required_role() == Role::Admin => {
                let text = format!("{} cannot run inside a transaction block", command.word());
                Err(ErrorResponse::error(SqlState::ACTIVE_SQL_TRANSACTION, text))
            }
            TransactionStatus::Failed
            | TransactionStatus::Idle
            | TransactionStatus::InTransaction => Ok(()),
        }
    }

    /// Notes that a command was carried out; its tag.
    pub(super) fn completed(&mut self, command: &Command) -> Cow<'static, str> {
        let failed = self.status == TransactionStatus::Failed;
        if matches!(command, Command::Begin) {
            self.status = TransactionStatus::InTransaction;
        } else if matches!(command, Command::Commit | Command::Rollback) {
            self.status = TransactionStatus::Idle;
        }
        if failed && matches!(command, Command::Commit) {
            return Command::Rollback.word().into();
        }
        command.tag()
    }

    /// Notes that a command was not.
    pub(super) fn failed(&mut self) {
        if self.status == TransactionStatus::InTransaction {
            self.status = TransactionStatus::Failed;
        }
    }
}
