//! The walk through a statement's tree: queries, names and calls. What utility statements do is
//! in [`utility`].

mod utility;

use pg_raw_parse::Node;
use pg_raw_parse::nodes::{FuncCall, InsertStmt, MergeStmt, RangeVar, SelectStmt, WithClause};
use pg_raw_parse::raw::{CmdType, NodeTag, OnConflictAction};

use super::children::{children, is_statement};
use super::facts::{Facts, Named, Touched};
use super::scopes::{Scope, Scopes};
use super::{UnknownNode, conditions, settings};
use crate::policy::classification::Statement;
use crate::policy::kind::Kind;

/// One statement after the other; memory is kept from one to the next.
#[derive(Default)]
pub(super) struct Walk<'a> {
    /// What is still to be looked at, the next one last. A stack on the heap: texts can nest
    /// deeper than a thread's stack goes.
    todo: Vec<(Node<'a>, Place)>,
    scopes: Scopes<'a>,
    facts: Facts<'a>,
}

/// What a node's surroundings say of it.
#[derive(Clone, Copy)]
struct Place {
    /// The WITH queries in force.
    scope: Scope,
    /// When it takes effect.
    when: When,
    /// What is done to a relation that is named here.
    touch: Touch,
    /// Whether rows of such a relation are locked.
    locked: bool,
    /// Whether it is the source of an INSERT.
    is_source: bool,
}

/// What is done to a relation.
#[derive(Clone, Copy)]
struct Touch {
    kind: Kind,
    writes: bool,
}

/// When a part of a statement takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    /// Never: EXPLAIN only plans it.
    Planned,
    /// At once.
    Runs,
    /// Later: it becomes a view, a rule or a function.
    Stored,
}

const READ: Touch = Touch {
    kind: Kind::Select,
    writes: false,
};

impl<'a> Walk<'a> {
    /// What a statement does.
    pub(super) fn statement(&mut self, node: Node<'a>) -> Result<Statement, UnknownNode> {
        self.scopes.clear();
        self.todo.clear();
        let top = Place {
            scope: Scope::default(),
            when: When::Runs,
            touch: READ,
            locked: false,
            is_source: false,
        };
        self.todo.push((node, top));
        while let Some((node, place)) = self.todo.pop() {
            let waiting = self.todo.len();
            self.visit(node, place)?;
            // The first child is looked at first.
            self.todo.get_mut(waiting..).unwrap_or_default().reverse();
        }
        Ok(std::mem::take(&mut self.facts).into_statement())
    }

    fn visit(&mut self, node: Node<'a>, place: Place) -> Result<(), UnknownNode> {
        match node {
            Node::DeleteStmt(delete) => {
                self.whole_table(Kind::Delete, delete.where_clause(), place)?;
                self.change(
                    node,
                    delete.relation(),
                    Kind::Delete,
                    delete.with_clause(),
                    place,
                )
            }
            Node::FuncCall(call) => {
                self.call(call, place);
                self.below(node, place)
            }
            Node::InsertStmt(insert) => self.insert(node, insert, place),
            Node::IntoClause(_) => {
                self.effect(Kind::Create, place);
                let touch = Touch {
                    kind: Kind::Create,
                    writes: true,
                };
                self.below(node, Place { touch, ..place })
            }
            Node::Invalid(invalid) if invalid.type_ == NodeTag::T_CreateForeignTableStmt => {
                self.effect(Kind::Create, place);
                Ok(())
            }
            // The relations in it are aliases.
            Node::LockingClause(_) => {
                self.effect(Kind::RowLock, place);
                Ok(())
            }
            Node::MergeStmt(merge) => self.merge(node, merge, place),
            Node::RangeVar(relation) => {
                self.touch(relation, place.touch, place);
                Ok(())
            }
            Node::SelectStmt(select) => self.select(node, select, place),
            Node::SubLink(_) => {
                let locked = false;
                self.below(node, Place { locked, ..place })
            }
            Node::TableLikeClause(_) => {
                let touch = Touch {
                    writes: false,
                    ..place.touch
                };
                self.below(node, Place { touch, ..place })
            }
            Node::UpdateStmt(update) => {
                self.whole_table(Kind::Update, update.where_clause(), place)?;
                if let Some(target) = update.relation()
                    && place.when != When::Planned
                    && target.relname() == Some("pg_settings")
                {
                    // A rule of this view calls set_config for each row.
                    self.effect(Kind::Set, place);
                    self.facts.settings.push(settings::any());
                }
                self.change(
                    node,
                    update.relation(),
                    Kind::Update,
                    update.with_clause(),
                    place,
                )
            }
            statement if is_statement(statement) => self.utility(statement, place),
            other => self.below(other, place),
        }
    }

    fn select(
        &mut self,
        node: Node<'a>,
        select: &'a SelectStmt,
        place: Place,
    ) -> Result<(), UnknownNode> {
        // The rows of INSERT … VALUES are not read from anywhere.
        if !place.is_source || select.values_lists().is_empty() {
            self.effect(Kind::Select, place);
        }
        let place = Place {
            touch: READ,
            locked: place.locked || !select.locking_clause().is_empty(),
            is_source: false,
            ..place
        };
        let place = self.with(select.with_clause(), place);
        self.below_but(node, None, place)
    }

    fn insert(
        &mut self,
        node: Node<'a>,
        insert: &'a InsertStmt,
        place: Place,
    ) -> Result<(), UnknownNode> {
        let updates = insert
            .on_conflict_clause()
            .is_some_and(|clause| clause.action == OnConflictAction::ONCONFLICT_UPDATE);
        if updates {
            self.target(insert.relation(), Kind::Update, place);
        }
        let place = Place {
            is_source: true,
            ..place
        };
        self.change(
            node,
            insert.relation(),
            Kind::Insert,
            insert.with_clause(),
            place,
        )
    }

    fn merge(
        &mut self,
        node: Node<'a>,
        merge: &'a MergeStmt,
        place: Place,
    ) -> Result<(), UnknownNode> {
        for clause in merge.merge_when_clauses() {
            match clause.command_type {
                CmdType::CMD_NOTHING => {}
                CmdType::CMD_DELETE => self.target(merge.relation(), Kind::Delete, place),
                CmdType::CMD_INSERT => self.target(merge.relation(), Kind::Insert, place),
                CmdType::CMD_UPDATE => self.target(merge.relation(), Kind::Update, place),
                _ => return Err(UnknownNode),
            }
        }
        self.change(
            node,
            merge.relation(),
            Kind::Merge,
            merge.with_clause(),
            place,
        )
    }

    /// A statement that changes the rows of `target`, and reads others.
    fn change(
        &mut self,
        node: Node<'a>,
        target: Option<&'a RangeVar>,
        kind: Kind,
        with: Option<&'a WithClause>,
        place: Place,
    ) -> Result<(), UnknownNode> {
        self.target(target, kind, place);
        let place = Place {
            touch: READ,
            locked: false,
            ..place
        };
        let place = self.with(with, place);
        self.below_but(node, target, place)
    }

    fn target(&mut self, target: Option<&'a RangeVar>, kind: Kind, place: Place) {
        self.effect(kind, place);
        if let Some(target) = target {
            self.touch(target, Touch { kind, writes: true }, place);
        }
    }

    fn whole_table(
        &mut self,
        kind: Kind,
        condition: Node<'a>,
        place: Place,
    ) -> Result<(), UnknownNode> {
        if place.when == When::Runs && conditions::is_empty(condition)? {
            self.facts.whole_table.insert(kind);
        }
        Ok(())
    }

    /// Opens a WITH clause: its queries are to be looked at, each with those names in force that
    /// it may use. The place given back has all of them in force.
    fn with(&mut self, clause: Option<&'a WithClause>, place: Place) -> Place {
        let Some(clause) = clause else {
            return place;
        };
        let queries = clause.ctes();
        let names = queries.iter().map(|query| query.ctename());
        let scope = self.scopes.open(place.scope, names);
        for (index, query) in queries.iter().enumerate() {
            let names = if clause.recursive {
                queries.len()
            } else {
                index
            };
            let inside = Place {
                scope: scope.with_names(names),
                locked: false,
                is_source: false,
                ..place
            };
            self.todo.push((Node::from(query), inside));
        }
        Place {
            scope: scope.with_names(queries.len()),
            ..place
        }
    }

    fn call(&mut self, call: &'a FuncCall, place: Place) {
        if place.when == When::Planned {
            return;
        }
        let parts = call.funcname().iter().filter_map(Node::as_str);
        let name = Named::of_parts(parts);
        if name.name == "set_config" {
            settings::set_config(call, place.when == When::Runs, &mut self.facts);
        }
        self.facts.functions.push(name);
    }

    fn touch(&mut self, relation: &'a RangeVar, touch: Touch, place: Place) {
        let name = Named {
            schema: relation.schemaname(),
            name: relation.relname().unwrap_or_default(),
        };
        let is_query =
            !touch.writes && name.schema.is_none() && self.scopes.contains(place.scope, name.name);
        if is_query {
            return;
        }
        let touch = match place.when {
            When::Planned => Touch {
                kind: Kind::Explain,
                writes: false,
            },
            When::Runs => touch,
            When::Stored => READ,
        };
        if touch.kind == Kind::Select {
            self.facts.kinds.insert(Kind::Select);
        }
        let is_temporary =
            i32::from(relation.relpersistence) == i32::from(b't') || name.schema == Some("pg_temp");
        if touch.kind == Kind::Create && is_temporary {
            self.effect(Kind::Temp, place);
        }
        self.named(name, touch);
        if place.locked && place.when == When::Runs {
            let kind = Kind::RowLock;
            self.named(name, Touch { kind, ..touch });
        }
    }

    fn named(&mut self, name: Named<'a>, touch: Touch) {
        self.facts.relations.push(Touched {
            name,
            kind: touch.kind,
            writes: touch.writes,
        });
    }

    /// Adds an effect, if it takes place now.
    fn effect(&mut self, kind: Kind, place: Place) {
        if place.when == When::Runs {
            self.facts.kinds.insert(kind);
        }
    }

    /// All below a node is to be looked at.
    fn below(&mut self, node: Node<'a>, place: Place) -> Result<(), UnknownNode> {
        children(node, &mut |child| self.todo.push((child, place)))
    }

    /// The same but for its WITH clause and its target, which have been seen to.
    fn below_but(
        &mut self,
        node: Node<'a>,
        target: Option<&'a RangeVar>,
        place: Place,
    ) -> Result<(), UnknownNode> {
        children(node, &mut |child| {
            let is_seen = match child {
                Node::RangeVar(child) => target.is_some_and(|t| std::ptr::eq(t, child)),
                child => matches!(child, Node::WithClause(_)),
            };
            if !is_seen {
                self.todo.push((child, place));
            }
        })
    }
}
