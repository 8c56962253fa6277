//! What utility statements do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_raw_parse::nodes::{
    CopyStmt, CreateStatsStmt, ExplainStmt, GrantStmt, LockStmt, TransactionStmt, VariableSetStmt,
    ViewStmt,
};
use pg_raw_parse::raw::{GrantTargetType, ObjectType, TransactionStmtKind};
use pg_raw_parse::{ConstValue, Node};

use super::{Place, READ, Touch, Walk, When};
use crate::policy::kind::Kind;
use crate::policy::sql::commands::{alter_of, create_of, drop_of};
use crate::policy::sql::objects::relation_of;
use crate::policy::sql::{UnknownNode, settings};

/// The weakest lock, that of any SELECT: `AccessShareLock` in PostgreSQL's `lockdefs.h`.
const ACCESS_SHARE: i32 = 1;

impl<'a> Walk<'a> {
    /// A statement that is no query.
    pub(super) fn utility(&mut self, node: Node<'a>, place: Place) -> Result<(), UnknownNode> {
        match node {
            Node::CopyStmt(copy) => return self.copy(node, copy, place),
            Node::ExecuteStmt(execute) if place.when == When::Planned => {
                // The arguments are computed even if nothing else is done.
                let when = When::Runs;
                for argument in execute.params() {
                    self.todo.push((argument, Place { when, ..place }));
                }
                return Ok(());
            }
            Node::ExplainStmt(explain) => {
                self.explain(explain, place);
                return Ok(());
            }
            Node::LockStmt(lock) => return self.lock(node, lock, place),
            Node::ReplicaIdentityStmt(_) | Node::ReturnStmt(_) => return self.below(node, place),
            Node::TransactionStmt(transaction) => {
                self.transaction(transaction, place);
                return Ok(());
            }
            Node::VariableSetStmt(set) => {
                // As a clause of a function it holds inside that only.
                if place.when == When::Runs {
                    settings::set(set, &mut self.facts);
                }
                return Ok(());
            }
            _ => {}
        }
        let (kind, also) = effects_of(node).ok_or(UnknownNode)?;
        self.effect(kind, place);
        if let Some(also) = also {
            self.effect(also, place);
        }
        let touch = Touch { kind, writes: true };
        self.below_utility(node, Place { touch, ..place })
    }

    /// What is below a statement that has been counted.
    fn below_utility(&mut self, node: Node<'a>, place: Place) -> Result<(), UnknownNode> {
        let stored = Place {
            when: When::Stored,
            ..place
        };
        match node {
            Node::AlterDatabaseSetStmt(alter) => self.configure(alter.setstmt()),
            Node::AlterRoleSetStmt(alter) => self.configure(alter.setstmt()),
            Node::AlterSystemStmt(alter) => self.configure(alter.setstmt()),
            Node::AlterFunctionStmt(_) => return self.below(node, stored),
            Node::CreateFunctionStmt(function) => {
                if function.funcname().iter().next().and_then(Node::as_str) == Some("pg_temp") {
                    self.effect(Kind::Temp, place);
                }
                return self.below(node, stored);
            }
            Node::CreateStatsStmt(statistics) => {
                self.statistics(statistics, place);
                return self.below(node, place);
            }
            Node::ExecuteStmt(execute) => {
                self.facts.executes = execute.name().map(Into::into);
                return self.below(
                    node,
                    Place {
                        touch: READ,
                        ..place
                    },
                );
            }
            Node::GrantStmt(grant) => {
                self.grant(grant, place);
                return self.below(node, place);
            }
            // What looks like relations in them are constraints, and another server's tables.
            Node::ConstraintsSetStmt(_) | Node::ImportForeignSchemaStmt(_) => {}
            Node::PrepareStmt(prepare) => {
                self.facts.prepares = prepare.name().map(Into::into);
                return self.below(
                    node,
                    Place {
                        touch: READ,
                        ..place
                    },
                );
            }
            Node::RuleStmt(rule) => {
                if let Some(relation) = rule.relation() {
                    self.touch(relation, place.touch, place);
                }
                self.todo.push((rule.where_clause(), stored));
                for action in rule.actions() {
                    self.todo.push((action, stored));
                }
            }
            Node::ViewStmt(view) => self.view(view, place),
            _ => {
                self.objects(node, place);
                return self.below(node, place);
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        node: Node<'a>,
        copy: &'a CopyStmt,
        place: Place,
    ) -> Result<(), UnknownNode> {
        let (kind, writes) = if copy.is_from {
            (Kind::CopyFrom, true)
        } else {
            (Kind::CopyTo, false)
        };
        self.effect(kind, place);
        if copy.is_program {
            self.effect(Kind::CopyProgram, place);
        } else if copy.filename().is_some() {
            self.effect(Kind::CopyFile, place);
        }
        if let Some(relation) = copy.relation() {
            self.touch(relation, Touch { kind, writes }, place);
        }
        self.below_but(
            node,
            copy.relation(),
            Place {
                touch: READ,
                ..place
            },
        )
    }

    /// EXPLAIN without ANALYZE only plans, and with it is what it explains.
    fn explain(&mut self, explain: &'a ExplainStmt, place: Place) {
        let mut analyzes = false;
        for option in explain.options() {
            if option.defname() == Some("analyze") {
                analyzes = !is_false(option.arg());
            }
        }
        let when = if analyzes {
            When::Runs
        } else {
            self.effect(Kind::Explain, place);
            When::Planned
        };
        let inside = Place {
            when,
            touch: READ,
            ..place
        };
        self.todo.push((explain.query(), inside));
    }

    fn lock(
        &mut self,
        node: Node<'a>,
        lock: &'a LockStmt,
        place: Place,
    ) -> Result<(), UnknownNode> {
        let touch = if lock.mode == ACCESS_SHARE {
            READ
        } else {
            Touch {
                kind: Kind::Lock,
                writes: true,
            }
        };
        self.effect(touch.kind, place);
        self.below(node, Place { touch, ..place })
    }

    fn transaction(&mut self, transaction: &'a TransactionStmt, place: Place) {
        let kind = match transaction.kind {
            TransactionStmtKind::TRANS_STMT_BEGIN | TransactionStmtKind::TRANS_STMT_START => {
                Kind::Begin
            }
            TransactionStmtKind::TRANS_STMT_COMMIT => Kind::Commit,
            TransactionStmtKind::TRANS_STMT_ROLLBACK => Kind::Rollback,
            TransactionStmtKind::TRANS_STMT_RELEASE
            | TransactionStmtKind::TRANS_STMT_ROLLBACK_TO
            | TransactionStmtKind::TRANS_STMT_SAVEPOINT => Kind::Savepoint,
            // PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
            _ => Kind::TwoPhase,
        };
        self.effect(kind, place);
        if settings::asks_read_write(transaction.options()) {
            self.effect(Kind::ReadWrite, place);
        }
    }

    /// A parameter that later sessions begin with.
    fn configure(&mut self, set: Option<&'a VariableSetStmt>) {
        let setting = set.and_then(settings::setting_of);
        self.facts.settings.extend(setting);
    }

    fn view(&mut self, view: &'a ViewStmt, place: Place) {
        if let Some(relation) = view.view() {
            self.touch(relation, place.touch, place);
        }
        let stored = Place {
            when: When::Stored,
            ..place
        };
        self.todo.push((view.query(), stored));
    }

    fn grant(&mut self, grant: &'a GrantStmt, place: Place) {
        // Of other kinds of objects the list holds other nodes, and the crate would panic.
        let on_relations = grant.targtype == GrantTargetType::ACL_TARGET_OBJECT
            && matches!(
                grant.objtype,
                ObjectType::OBJECT_SEQUENCE | ObjectType::OBJECT_TABLE
            );
        if on_relations {
            for relation in grant.objects() {
                self.touch(relation, place.touch, place);
            }
        }
    }

    fn statistics(&mut self, statistics: &'a CreateStatsStmt, place: Place) {
        // The grammar lets anything stand there that can be in a FROM, and the crate then panics;
        // the server refuses it.
        let tables = catch_unwind(AssertUnwindSafe(|| {
            statistics.relations().iter().collect::<Vec<_>>()
        }));
        for table in tables.unwrap_or_default() {
            self.touch(table, place.touch, place);
        }
    }

    /// The relations that are named as objects are.
    fn objects(&mut self, node: Node<'a>, place: Place) {
        let (kind, object) = match node {
            Node::AlterExtensionContentsStmt(x) => (x.objtype, x.object()),
            Node::CommentStmt(x) => (x.objtype, x.object()),
            Node::DropStmt(x) => {
                for object in x.objects() {
                    if let Some(name) = relation_of(x.remove_type, object) {
                        self.named(name, place.touch);
                    }
                }
                return;
            }
            Node::SecLabelStmt(x) => (x.objtype, x.object()),
            _ => return,
        };
        if let Some(name) = relation_of(kind, object) {
            self.named(name, place.touch);
        }
    }
}

/// The effects of a statement itself: what it does to the relations it names, and what it does
/// besides. None: it is not known.
fn effects_of(node: Node<'_>) -> Option<(Kind, Option<Kind>)> {
    let only = |kind| Some((kind, None));
    match node {
        Node::AlterRoleSetStmt(_) | Node::AlterRoleStmt(_) => {
            Some((Kind::Alter, Some(Kind::RoleAdmin)))
        }
        Node::AlterSystemStmt(_) => Some((Kind::Alter, Some(Kind::AlterSystem))),
        Node::CallStmt(_) => only(Kind::Call),
        Node::CheckPointStmt(_) => only(Kind::Checkpoint),
        Node::ClosePortalStmt(_) | Node::DeclareCursorStmt(_) | Node::FetchStmt(_) => {
            only(Kind::Cursor)
        }
        Node::ClusterStmt(_) => only(Kind::Cluster),
        Node::CommentStmt(_) => only(Kind::Comment),
        Node::ConstraintsSetStmt(_) => only(Kind::SetConstraints),
        Node::CreateRoleStmt(_) => Some((Kind::Create, Some(Kind::RoleAdmin))),
        Node::DeallocateStmt(_) => only(Kind::Deallocate),
        Node::DiscardStmt(_) => only(Kind::Discard),
        Node::DoStmt(_) => only(Kind::Do),
        Node::DropOwnedStmt(_) => Some((Kind::Drop, Some(Kind::Revoke))),
        Node::DropRoleStmt(_) => Some((Kind::Drop, Some(Kind::RoleAdmin))),
        Node::ExecuteStmt(_) => only(Kind::Execute),
        Node::GrantRoleStmt(grant) if grant.is_grant => Some((Kind::Grant, Some(Kind::RoleAdmin))),
        Node::GrantRoleStmt(_) => Some((Kind::Revoke, Some(Kind::RoleAdmin))),
        Node::GrantStmt(grant) if grant.is_grant => only(Kind::Grant),
        Node::GrantStmt(_) => only(Kind::Revoke),
        Node::ImportForeignSchemaStmt(_) => Some((Kind::ImportForeignSchema, Some(Kind::Create))),
        Node::ListenStmt(_) => only(Kind::Listen),
        Node::LoadStmt(_) => only(Kind::Load),
        Node::NotifyStmt(_) => only(Kind::Notify),
        Node::PrepareStmt(_) => only(Kind::Prepare),
        Node::ReassignOwnedStmt(_) => only(Kind::ReassignOwned),
        Node::RefreshMatViewStmt(_) => only(Kind::Refresh),
        Node::ReindexStmt(_) => only(Kind::Reindex),
        Node::RenameStmt(rename) if rename.rename_type == ObjectType::OBJECT_ROLE => {
            Some((Kind::Alter, Some(Kind::RoleAdmin)))
        }
        Node::SecLabelStmt(_) => only(Kind::SecurityLabel),
        Node::TruncateStmt(_) => only(Kind::Truncate),
        Node::UnlistenStmt(_) => only(Kind::Unlisten),
        Node::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => only(Kind::Vacuum),
        Node::VacuumStmt(_) => only(Kind::Analyze),
        Node::VariableShowStmt(_) => only(Kind::Show),
        other => {
            let create = create_of(other).map(|_| Kind::Create);
            let alter = || alter_of(other).map(|_| Kind::Alter);
            let drop = || drop_of(other).map(|_| Kind::Drop);
            only(create.or_else(alter).or_else(drop)?)
        }
    }
}

/// Whether an option's value is one of PostgreSQL's for false; see `defGetBoolean` in its
/// `src/backend/commands/define.c`. No value is true.
fn is_false(value: Node<'_>) -> bool {
    let text = match value {
        Node::Integer(value) => return value.ival == 0,
        Node::String(value) => value.sval().unwrap_or_default(),
        Node::A_Const(value) => match value.val() {
            Some(ConstValue::Integer(value)) => return value == 0,
            Some(ConstValue::String(text)) => text,
            _ => return false,
        },
        _ => return false,
    };
    text.eq_ignore_ascii_case("false") || text.eq_ignore_ascii_case("off")
}
