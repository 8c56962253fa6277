//! What a lock has against a statement.

use std::sync::LazyLock;

use crate::policy::catalog;
use crate::policy::classification::{Name, Relation, Setting, Statement, Value};
use crate::policy::functions::{Class, class_of};
use crate::policy::guarded::{changes_lexing, escapes_read_only, needs_permission};
use crate::policy::judge::{Judge, Lock, Objection};
use crate::policy::kind::{Group, Kind, Kinds};
use crate::policy::rule::{Hit, may_match, must_match};

impl Judge<'_> {
    pub(super) fn objection<'s>(
        &self,
        lock: Lock<'_>,
        statement: &'s Statement,
    ) -> Option<Objection<'s>> {
        let hit = match lock {
            Lock::ReadOnly | Lock::Maintenance => against_read_only(statement),
            Lock::Lexing => {
                let mut changed = statement.settings.iter();
                changed.find(|s| changes_lexing(s)).map(Hit::Setting)
            }
            Lock::Opaque => {
                let hidden = Kinds::from(Kind::Do).or(Kind::FunctionCall.into());
                let mut hidden = statement.kinds.and(hidden).iter();
                let allowed = |kind: &Kind| {
                    let mut allow = self.role.allow.iter();
                    allow.any(|rule| rule.statements.contains(*kind) && rule.is_in_force(&self.at))
                };
                hidden.find(|kind| !allowed(kind)).map(Hit::Kind)
            }
            Lock::SearchPath => self.against_search_path(statement),
            Lock::TablesDeny => {
                let (tables, path) = (&self.role.deny_tables, &self.role.search_path);
                let mut touched = statement.relations.iter();
                touched
                    .find(|relation| may_match(tables, &relation.name, path))
                    .map(Hit::Relation)
            }
            Lock::TablesAllow => {
                let mut touched = statement.relations.iter();
                touched
                    .find(|relation| !self.is_allowed_table(relation))
                    .map(Hit::Relation)
            }
            Lock::Deny(rule) => {
                let hit = rule.hit(statement, &self.role.search_path);
                if rule.missing_where && matches!(hit, Some(Hit::Kind(_) | Hit::Relation(_))) {
                    return Some(Objection::WholeTable);
                }
                hit
            }
            Lock::Default => self.against_default(statement),
        };
        hit.map(Objection::Hit)
    }

    /// A function that runs SQL of its own reads any table; a search_path of the client's makes
    /// any table answer to an unqualified name.
    fn against_search_path<'s>(&self, statement: &'s Statement) -> Option<Hit<'s>> {
        let pinned = |setting: &&Setting| {
            setting
                .name
                .as_deref()
                .is_none_or(|name| name == "search_path")
                && setting.value != Value::Default
        };
        let runs_sql = |name: &&Name| class_of(&name.name) == Some(Class::RunsSql);
        let changed = statement.settings.iter().find(pinned).map(Hit::Setting);
        changed.or_else(|| statement.functions.iter().find(runs_sql).map(Hit::Function))
    }

    fn is_allowed_table(&self, relation: &Relation) -> bool {
        let (name, path) = (&relation.name, &self.role.search_path);
        must_match(&self.role.allow_tables, name, path)
            || (!relation.writes && catalog::is_catalog(name))
            || name.schema.as_deref() == Some("pg_temp")
    }

    /// The first effect that no allow rule covers.
    fn against_default<'s>(&self, statement: &'s Statement) -> Option<Hit<'s>> {
        let role = self.role;
        let rules: Vec<_> = role
            .allow
            .iter()
            .filter(|rule| rule.is_in_force(&self.at))
            .collect();
        let covers_kind = |kind: Kind| {
            let mut covering = rules
                .iter()
                .filter(|rule| rule.covers_kind(kind, statement))
                .peekable();
            covering.peek().is_some()
        };
        let covers_table = |relation: &Relation| {
            (!relation.writes && catalog::is_catalog(&relation.name))
                || rules.iter().any(|rule| {
                    rule.covers_kind(relation.kind, statement)
                        && (rule.tables.is_empty()
                            || (rule.covers_table(relation, &role.search_path)
                                && must_match(&rule.tables, &relation.name, &role.search_path)))
                })
        };
        let covers_function = |name: &Name| {
            class_of(&name.name).is_none() || rules.iter().any(|rule| rule.covers_function(name))
        };
        let covers_setting = |setting: &Setting| {
            !needs_permission(setting) || rules.iter().any(|rule| rule.covers_setting(setting))
        };
        let kind = statement.kinds.iter().find(|kind| !covers_kind(*kind));
        kind.map(Hit::Kind)
            .or_else(|| {
                statement
                    .relations
                    .iter()
                    .find(|r| !covers_table(r))
                    .map(Hit::Relation)
            })
            .or_else(|| {
                statement
                    .functions
                    .iter()
                    .find(|f| !covers_function(f))
                    .map(Hit::Function)
            })
            .or_else(|| {
                statement
                    .settings
                    .iter()
                    .find(|s| !covers_setting(s))
                    .map(Hit::Setting)
            })
    }
}

/// What in a statement may not be done by who may only read.
fn against_read_only(statement: &Statement) -> Option<Hit<'_>> {
    let kind = statement.kinds.and(*NOT_READING).iter().next();
    kind.map(Hit::Kind)
        .or_else(|| {
            statement
                .settings
                .iter()
                .find(|s| escapes_read_only(s))
                .map(Hit::Setting)
        })
        .or_else(|| {
            let guarded =
                |name: &&Name| class_of(&name.name).is_some_and(Class::is_denied_to_readers);
            statement.functions.iter().find(guarded).map(Hit::Function)
        })
}

/// The kinds of effects that change something, or may hide a change.
pub(super) static NOT_READING: LazyLock<Kinds> = LazyLock::new(|| {
    let single = [
        Kind::CopyFile,
        Kind::CopyProgram,
        Kind::Load,
        Kind::Notify,
        Kind::ReadWrite,
        Kind::RowLock,
        Kind::SetRole,
    ];
    let groups = [
        Group::Dcl,
        Group::Ddl,
        Group::Maintenance,
        Group::Opaque,
        Group::RoleAdmin,
        Group::Write,
    ];
    let groups = groups.into_iter().map(Group::kinds);
    groups.fold(single.into_iter().collect(), Kinds::or)
});
