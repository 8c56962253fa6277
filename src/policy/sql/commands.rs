//! What a statement is called: PostgreSQL's command tag, as `CreateCommandTag` in its
//! `src/backend/tcop/utility.c` tells it from the same tree.

use pg_raw_parse::Node;
use pg_raw_parse::nodes::{RenameStmt, TransactionStmt};
use pg_raw_parse::raw::{DiscardMode, NodeTag, ObjectType, TransactionStmtKind, VariableSetKind};

use super::objects::{alter, create, drop};

/// The command of a statement; none for a node that is no statement of its own.
pub(super) fn command_of(node: Node<'_>) -> Option<&'static str> {
    Some(match node {
        Node::Invalid(node) if node.type_ == NodeTag::T_CreateForeignTableStmt => {
            "CREATE FOREIGN TABLE"
        }
        Node::CallStmt(_) => "CALL",
        Node::CheckPointStmt(_) => "CHECKPOINT",
        Node::ClosePortalStmt(close) if close.portalname().is_none() => "CLOSE CURSOR ALL",
        Node::ClosePortalStmt(_) => "CLOSE CURSOR",
        Node::ClusterStmt(_) => "CLUSTER",
        Node::CommentStmt(_) => "COMMENT",
        Node::ConstraintsSetStmt(_) => "SET CONSTRAINTS",
        Node::CopyStmt(_) => "COPY",
        Node::DeallocateStmt(deallocate) if deallocate.isall => "DEALLOCATE ALL",
        Node::DeallocateStmt(_) => "DEALLOCATE",
        Node::DeclareCursorStmt(_) => "DECLARE CURSOR",
        Node::DeleteStmt(_) => "DELETE",
        Node::DiscardStmt(discard) => match discard.target {
            DiscardMode::DISCARD_PLANS => "DISCARD PLANS",
            DiscardMode::DISCARD_SEQUENCES => "DISCARD SEQUENCES",
            DiscardMode::DISCARD_TEMP => "DISCARD TEMP",
            _ => "DISCARD ALL",
        },
        Node::DoStmt(_) => "DO",
        Node::ExecuteStmt(_) => "EXECUTE",
        Node::ExplainStmt(_) => "EXPLAIN",
        Node::FetchStmt(fetch) if fetch.ismove => "MOVE",
        Node::FetchStmt(_) => "FETCH",
        Node::GrantRoleStmt(grant) if grant.is_grant => "GRANT ROLE",
        Node::GrantRoleStmt(_) => "REVOKE ROLE",
        Node::GrantStmt(grant) if grant.is_grant => "GRANT",
        Node::GrantStmt(_) => "REVOKE",
        Node::ImportForeignSchemaStmt(_) => "IMPORT FOREIGN SCHEMA",
        Node::InsertStmt(_) => "INSERT",
        Node::ListenStmt(_) => "LISTEN",
        Node::LoadStmt(_) => "LOAD",
        Node::LockStmt(_) => "LOCK TABLE",
        Node::MergeStmt(_) => "MERGE",
        Node::NotifyStmt(_) => "NOTIFY",
        Node::PrepareStmt(_) => "PREPARE",
        Node::ReassignOwnedStmt(_) => "REASSIGN OWNED",
        Node::RefreshMatViewStmt(_) => "REFRESH MATERIALIZED VIEW",
        Node::ReindexStmt(_) => "REINDEX",
        Node::SecLabelStmt(_) => "SECURITY LABEL",
        Node::SelectStmt(select) if select.into_clause().is_some() => "SELECT INTO",
        Node::SelectStmt(_) => "SELECT",
        Node::TransactionStmt(transaction) => of_transaction(transaction),
        Node::TruncateStmt(_) => "TRUNCATE TABLE",
        Node::UnlistenStmt(_) => "UNLISTEN",
        Node::UpdateStmt(_) => "UPDATE",
        Node::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => "VACUUM",
        Node::VacuumStmt(_) => "ANALYZE",
        Node::VariableSetStmt(set) => match set.kind {
            VariableSetKind::VAR_RESET | VariableSetKind::VAR_RESET_ALL => "RESET",
            _ => "SET",
        },
        Node::VariableShowStmt(_) => "SHOW",
        other => {
            return create_of(other)
                .or_else(|| alter_of(other))
                .or_else(|| drop_of(other));
        }
    })
}

fn of_transaction(transaction: &TransactionStmt) -> &'static str {
    match transaction.kind {
        TransactionStmtKind::TRANS_STMT_BEGIN => "BEGIN",
        TransactionStmtKind::TRANS_STMT_COMMIT => "COMMIT",
        TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED => "COMMIT PREPARED",
        TransactionStmtKind::TRANS_STMT_PREPARE => "PREPARE TRANSACTION",
        TransactionStmtKind::TRANS_STMT_RELEASE => "RELEASE",
        TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => "ROLLBACK PREPARED",
        TransactionStmtKind::TRANS_STMT_SAVEPOINT => "SAVEPOINT",
        TransactionStmtKind::TRANS_STMT_START => "START TRANSACTION",
        // TRANS_STMT_ROLLBACK and TRANS_STMT_ROLLBACK_TO.
        _ => "ROLLBACK",
    }
}

pub(super) fn create_of(node: Node<'_>) -> Option<&'static str> {
    Some(match node {
        Node::CompositeTypeStmt(_) | Node::CreateEnumStmt(_) | Node::CreateRangeStmt(_) => {
            "CREATE TYPE"
        }
        Node::CreateAmStmt(_) => "CREATE ACCESS METHOD",
        Node::CreateCastStmt(_) => "CREATE CAST",
        Node::CreateConversionStmt(_) => "CREATE CONVERSION",
        Node::CreateDomainStmt(_) => "CREATE DOMAIN",
        Node::CreateEventTrigStmt(_) => "CREATE EVENT TRIGGER",
        Node::CreateExtensionStmt(_) => "CREATE EXTENSION",
        Node::CreateFdwStmt(_) => "CREATE FOREIGN DATA WRAPPER",
        Node::CreateForeignServerStmt(_) => "CREATE SERVER",
        Node::CreateFunctionStmt(function) if function.is_procedure => "CREATE PROCEDURE",
        Node::CreateFunctionStmt(_) => "CREATE FUNCTION",
        Node::CreateOpClassStmt(_) => "CREATE OPERATOR CLASS",
        Node::CreateOpFamilyStmt(_) => "CREATE OPERATOR FAMILY",
        Node::CreatePLangStmt(_) => "CREATE LANGUAGE",
        Node::CreatePolicyStmt(_) => "CREATE POLICY",
        Node::CreatePublicationStmt(_) => "CREATE PUBLICATION",
        Node::CreateRoleStmt(_) => "CREATE ROLE",
        Node::CreateSchemaStmt(_) => "CREATE SCHEMA",
        Node::CreateSeqStmt(_) => "CREATE SEQUENCE",
        Node::CreateStatsStmt(_) => "CREATE STATISTICS",
        Node::CreateStmt(_) => "CREATE TABLE",
        Node::CreateSubscriptionStmt(_) => "CREATE SUBSCRIPTION",
        Node::CreateTableAsStmt(table) => match table.objtype {
            ObjectType::OBJECT_MATVIEW => "CREATE MATERIALIZED VIEW",
            _ if table.is_select_into => "SELECT INTO",
            _ => "CREATE TABLE AS",
        },
        Node::CreateTableSpaceStmt(_) => "CREATE TABLESPACE",
        Node::CreateTransformStmt(_) => "CREATE TRANSFORM",
        Node::CreateTrigStmt(_) => "CREATE TRIGGER",
        Node::CreateUserMappingStmt(_) => "CREATE USER MAPPING",
        Node::CreatedbStmt(_) => "CREATE DATABASE",
        Node::DefineStmt(define) => create(define.kind),
        Node::IndexStmt(_) => "CREATE INDEX",
        Node::RuleStmt(_) => "CREATE RULE",
        Node::ViewStmt(_) => "CREATE VIEW",
        _ => return None,
    })
}

pub(super) fn alter_of(node: Node<'_>) -> Option<&'static str> {
    Some(match node {
        Node::AlterCollationStmt(_) => "ALTER COLLATION",
        Node::AlterDatabaseRefreshCollStmt(_)
        | Node::AlterDatabaseSetStmt(_)
        | Node::AlterDatabaseStmt(_) => "ALTER DATABASE",
        Node::AlterDefaultPrivilegesStmt(_) => "ALTER DEFAULT PRIVILEGES",
        Node::AlterDomainStmt(_) => "ALTER DOMAIN",
        Node::AlterEnumStmt(_) | Node::AlterTypeStmt(_) => "ALTER TYPE",
        Node::AlterEventTrigStmt(_) => "ALTER EVENT TRIGGER",
        Node::AlterExtensionContentsStmt(_) | Node::AlterExtensionStmt(_) => "ALTER EXTENSION",
        Node::AlterFdwStmt(_) => "ALTER FOREIGN DATA WRAPPER",
        Node::AlterForeignServerStmt(_) => "ALTER SERVER",
        Node::AlterFunctionStmt(function) => alter(function.objtype),
        Node::AlterObjectDependsStmt(depends) => alter(depends.object_type),
        Node::AlterObjectSchemaStmt(schema) => alter(schema.object_type),
        Node::AlterOpFamilyStmt(_) => "ALTER OPERATOR FAMILY",
        Node::AlterOperatorStmt(_) => "ALTER OPERATOR",
        Node::AlterOwnerStmt(owner) => alter(owner.object_type),
        Node::AlterPolicyStmt(_) => "ALTER POLICY",
        Node::AlterPublicationStmt(_) => "ALTER PUBLICATION",
        Node::AlterRoleSetStmt(_) | Node::AlterRoleStmt(_) => "ALTER ROLE",
        Node::AlterSeqStmt(_) => "ALTER SEQUENCE",
        Node::AlterStatsStmt(_) => "ALTER STATISTICS",
        Node::AlterSubscriptionStmt(_) => "ALTER SUBSCRIPTION",
        Node::AlterSystemStmt(_) => "ALTER SYSTEM",
        Node::AlterTSConfigurationStmt(_) => "ALTER TEXT SEARCH CONFIGURATION",
        Node::AlterTSDictionaryStmt(_) => "ALTER TEXT SEARCH DICTIONARY",
        Node::AlterTableMoveAllStmt(table) => alter(table.objtype),
        Node::AlterTableSpaceOptionsStmt(_) => "ALTER TABLESPACE",
        Node::AlterTableStmt(table) => alter(table.objtype),
        Node::AlterUserMappingStmt(_) => "ALTER USER MAPPING",
        Node::RenameStmt(rename) => of_rename(rename),
        _ => return None,
    })
}

/// A column that gets a new name changes what it belongs to.
fn of_rename(rename: &RenameStmt) -> &'static str {
    match rename.rename_type {
        ObjectType::OBJECT_COLUMN => alter(rename.relation_type),
        kind => alter(kind),
    }
}

pub(super) fn drop_of(node: Node<'_>) -> Option<&'static str> {
    Some(match node {
        Node::DropOwnedStmt(_) => "DROP OWNED",
        Node::DropRoleStmt(_) => "DROP ROLE",
        Node::DropStmt(statement) => drop(statement.remove_type),
        Node::DropSubscriptionStmt(_) => "DROP SUBSCRIPTION",
        Node::DropTableSpaceStmt(_) => "DROP TABLESPACE",
        Node::DropUserMappingStmt(_) => "DROP USER MAPPING",
        Node::DropdbStmt(_) => "DROP DATABASE",
        _ => return None,
    })
}
