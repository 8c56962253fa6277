//! The kinds of statement effects that rules speak of, and the groups of them.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal [$($group:ident)*],)*) => {
        /// One kind of effect a statement has. A statement can have several.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name in rules and in reports.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The groups it belongs to.
            pub fn groups(self) -> &'static [Group] {
                match self {
                    $(Self::$kind => &[$(Group::$group,)*],)*
                }
            }
        }
    };
}

kinds! {
    /// ALTER of anything.
    Alter "alter" [Ddl],
    /// ALTER SYSTEM.
    AlterSystem "alter_system" [Ddl],
    /// ANALYZE.
    Analyze "analyze" [Maintenance],
    /// BEGIN and START TRANSACTION.
    Begin "begin" [Transaction],
    /// CALL of a procedure: what it does is out of sight, and it can end transactions.
    Call "call" [Opaque],
    /// CHECKPOINT.
    Checkpoint "checkpoint" [Maintenance],
    /// CLUSTER.
    Cluster "cluster" [Maintenance],
    /// COMMENT ON.
    Comment "comment" [Ddl],
    /// COMMIT and END.
    Commit "commit" [Transaction],
    /// COPY to or from a file of the server's.
    CopyFile "copy_file" [],
    /// COPY … FROM: rows are written.
    CopyFrom "copy_from" [Write],
    /// COPY to or from a program that the server runs.
    CopyProgram "copy_program" [],
    /// COPY … TO STDOUT.
    CopyTo "copy_to" [Read],
    /// CREATE of anything, SELECT INTO, CREATE TABLE AS.
    Create "create" [Ddl],
    /// DECLARE, FETCH, MOVE and CLOSE.
    Cursor "cursor" [Read],
    /// DEALLOCATE.
    Deallocate "deallocate" [Session],
    /// DELETE.
    Delete "delete" [Write],
    /// DISCARD.
    Discard "discard" [Session],
    /// DO: the code is out of sight, may be any SQL, and can end transactions.
    Do "do" [Opaque],
    /// DROP of anything.
    Drop "drop" [Ddl],
    /// EXECUTE of what PREPARE has prepared.
    Execute "execute" [Session],
    /// EXPLAIN that only plans.
    Explain "explain" [Read],
    /// The protocol's FunctionCall message: a function by its number.
    FunctionCall "function_call" [Opaque],
    /// GRANT.
    Grant "grant" [Dcl],
    /// IMPORT FOREIGN SCHEMA.
    ImportForeignSchema "import_foreign_schema" [Ddl],
    /// INSERT.
    Insert "insert" [Write],
    /// LISTEN.
    Listen "listen" [Session],
    /// LOAD of a library.
    Load "load" [],
    /// LOCK TABLE in any mode stronger than ACCESS SHARE.
    Lock "lock" [Maintenance],
    /// MERGE.
    Merge "merge" [Write],
    /// NOTIFY.
    Notify "notify" [Session],
    /// PREPARE of a statement.
    Prepare "prepare" [Session],
    /// REASSIGN OWNED.
    ReassignOwned "reassign_owned" [Dcl],
    /// REFRESH MATERIALIZED VIEW.
    Refresh "refresh" [Maintenance],
    /// REINDEX.
    Reindex "reindex" [Maintenance],
    /// RESET, and SET … TO DEFAULT.
    Reset "reset" [Session],
    /// REVOKE.
    Revoke "revoke" [Dcl],
    /// CREATE, ALTER, DROP of roles and membership in them.
    RoleAdmin "role" [RoleAdmin],
    /// ROLLBACK and ABORT.
    Rollback "rollback" [Transaction],
    /// SELECT … FOR UPDATE, FOR SHARE and their kin.
    RowLock "row_lock" [],
    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    Savepoint "savepoint" [Transaction],
    /// SECURITY LABEL.
    SecurityLabel "security_label" [Ddl],
    /// SELECT, VALUES, TABLE.
    Select "select" [Read],
    /// SET.
    Set "set" [Session],
    /// SET CONSTRAINTS.
    SetConstraints "set_constraints" [Transaction],
    /// SET ROLE and SET SESSION AUTHORIZATION, however they are spelled.
    SetRole "set_role" [],
    /// SHOW.
    Show "show" [Read],
    /// CREATE of a temporary object; it is "create" as well.
    Temp "temp" [Ddl],
    /// TRUNCATE.
    Truncate "truncate" [Write],
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    TwoPhase "two_phase" [Maintenance],
    /// UNLISTEN.
    Unlisten "unlisten" [Session],
    /// UPDATE.
    Update "update" [Write],
    /// VACUUM.
    Vacuum "vacuum" [Maintenance],
    /// A transaction mode of READ WRITE, however it is asked for.
    ReadWrite "read_write" [],
}

/// A named set of kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the rules")]
pub enum Group {
    Dcl,
    Ddl,
    Maintenance,
    Opaque,
    Read,
    RoleAdmin,
    Session,
    Transaction,
    Write,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 9] = [
        Self::Dcl,
        Self::Ddl,
        Self::Maintenance,
        Self::Opaque,
        Self::Read,
        Self::RoleAdmin,
        Self::Session,
        Self::Transaction,
        Self::Write,
    ];

    /// The name in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dcl => "dcl",
            Self::Ddl => "ddl",
            Self::Maintenance => "maintenance",
            Self::Opaque => "opaque",
            Self::Read => "read",
            Self::RoleAdmin => "role_admin",
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Write => "write",
        }
    }

    /// The kinds in it.
    pub fn kinds(self) -> Kinds {
        let members = Kind::ALL.iter().copied();
        members
            .filter(|kind| kind.groups().contains(&self))
            .collect()
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Kinds(u64);

impl Kinds {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// The kinds that a kind's or a group's name stands for.
    pub fn named(name: &str) -> Option<Self> {
        let group = Group::ALL.into_iter().find(|group| group.as_str() == name);
        let kind = || Kind::ALL.iter().find(|kind| kind.as_str() == name);
        group
            .map(Group::kinds)
            .or_else(|| Some(Self::from(*kind()?)))
    }

    /// Adds a kind.
    pub fn insert(&mut self, kind: Kind) {
        self.0 |= Self::from(kind).0;
    }

    /// Whether a kind is in it.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & Self::from(kind).0 != 0
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        let all = Kind::ALL.iter().copied();
        all.filter(move |kind| self.contains(*kind))
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        let mut set = Self::NONE;
        for kind in kinds {
            set.insert(kind);
        }
        set
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, kind) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", kind.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_bit_and_its_name() {
        assert!(Kind::ALL.len() <= 64);
        for &kind in Kind::ALL {
            assert_eq!(Kinds::from(kind).iter().collect::<Vec<_>>(), [kind]);
            let named = Kinds::named(kind.as_str()).unwrap();
            assert!(named.contains(kind), "{kind:?}");
        }
    }

    #[test]
    fn a_group_is_its_members() {
        let write = Kinds::named("write").unwrap();
        assert!(write.contains(Kind::Merge) && !write.contains(Kind::Select));
        assert_eq!(Kinds::named("writes"), None);
    }
}
