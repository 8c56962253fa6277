//! Objects that a statement names otherwise than as a relation in a FROM.

use pg_raw_parse::Node;
use pg_raw_parse::raw::ObjectType;

use super::facts::Named;

/// The relation that an object is or belongs to. `object` is the list of the parts of its name.
pub(super) fn relation_of(kind: ObjectType::Type, object: Node<'_>) -> Option<Named<'_>> {
    let parts: Option<Vec<&str>> = object.as_node_list()?.iter().map(Node::as_str).collect();
    let mut parts = parts?;
    match kind {
        ObjectType::OBJECT_FOREIGN_TABLE
        | ObjectType::OBJECT_INDEX
        | ObjectType::OBJECT_MATVIEW
        | ObjectType::OBJECT_SEQUENCE
        | ObjectType::OBJECT_TABLE
        | ObjectType::OBJECT_VIEW => {}
        // The last part is its own name, those before it are its relation's.
        ObjectType::OBJECT_COLUMN
        | ObjectType::OBJECT_POLICY
        | ObjectType::OBJECT_RULE
        | ObjectType::OBJECT_TABCONSTRAINT
        | ObjectType::OBJECT_TRIGGER => {
            parts.pop();
        }
        _ => return None,
    }
    (!parts.is_empty()).then(|| Named::of_parts(parts.into_iter()))
}

macro_rules! commands {
    ($($kind:ident $name:literal,)*) => {
        /// `CREATE` and the kind of object.
        pub(super) fn create(kind: ObjectType::Type) -> &'static str {
            match kind {
                $(ObjectType::$kind => concat!("CREATE ", $name),)*
                _ => "CREATE",
            }
        }

        /// `ALTER` and the kind of object.
        pub(super) fn alter(kind: ObjectType::Type) -> &'static str {
            match kind {
                $(ObjectType::$kind => concat!("ALTER ", $name),)*
                // These are parts of others.
                ObjectType::OBJECT_ATTRIBUTE => "ALTER TYPE",
                ObjectType::OBJECT_COLUMN | ObjectType::OBJECT_TABCONSTRAINT => "ALTER TABLE",
                ObjectType::OBJECT_DOMCONSTRAINT => "ALTER DOMAIN",
                _ => "ALTER",
            }
        }

        /// `DROP` and the kind of object.
        pub(super) fn drop(kind: ObjectType::Type) -> &'static str {
            match kind {
                $(ObjectType::$kind => concat!("DROP ", $name),)*
                _ => "DROP",
            }
        }
    };
}

commands! {
    OBJECT_ACCESS_METHOD "ACCESS METHOD",
    OBJECT_AGGREGATE "AGGREGATE",
    OBJECT_CAST "CAST",
    OBJECT_COLLATION "COLLATION",
    OBJECT_CONVERSION "CONVERSION",
    OBJECT_DATABASE "DATABASE",
    OBJECT_DOMAIN "DOMAIN",
    OBJECT_EVENT_TRIGGER "EVENT TRIGGER",
    OBJECT_EXTENSION "EXTENSION",
    OBJECT_FDW "FOREIGN DATA WRAPPER",
    OBJECT_FOREIGN_SERVER "SERVER",
    OBJECT_FOREIGN_TABLE "FOREIGN TABLE",
    OBJECT_FUNCTION "FUNCTION",
    OBJECT_INDEX "INDEX",
    OBJECT_LANGUAGE "LANGUAGE",
    OBJECT_LARGEOBJECT "LARGE OBJECT",
    OBJECT_MATVIEW "MATERIALIZED VIEW",
    OBJECT_OPCLASS "OPERATOR CLASS",
    OBJECT_OPERATOR "OPERATOR",
    OBJECT_OPFAMILY "OPERATOR FAMILY",
    OBJECT_POLICY "POLICY",
    OBJECT_PROCEDURE "PROCEDURE",
    OBJECT_PUBLICATION "PUBLICATION",
    OBJECT_ROLE "ROLE",
    OBJECT_ROUTINE "ROUTINE",
    OBJECT_RULE "RULE",
    OBJECT_SCHEMA "SCHEMA",
    OBJECT_SEQUENCE "SEQUENCE",
    OBJECT_STATISTIC_EXT "STATISTICS",
    OBJECT_SUBSCRIPTION "SUBSCRIPTION",
    OBJECT_TABLE "TABLE",
    OBJECT_TABLESPACE "TABLESPACE",
    OBJECT_TRANSFORM "TRANSFORM",
    OBJECT_TRIGGER "TRIGGER",
    OBJECT_TSCONFIGURATION "TEXT SEARCH CONFIGURATION",
    OBJECT_TSDICTIONARY "TEXT SEARCH DICTIONARY",
    OBJECT_TSPARSER "TEXT SEARCH PARSER",
    OBJECT_TSTEMPLATE "TEXT SEARCH TEMPLATE",
    OBJECT_TYPE "TYPE",
    OBJECT_USER_MAPPING "USER MAPPING",
    OBJECT_VIEW "VIEW",
}
