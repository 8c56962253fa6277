//! The relations of PostgreSQL's own schemas.

use crate::policy::classification::Name;

/// Whether a name is that of a system relation: qualified, or found before anything of the
/// search path's.
pub fn is_catalog(name: &Name) -> bool {
    match name.schema.as_deref() {
        Some(schema) => matches!(schema, "pg_catalog" | "information_schema"),
        None => RELATIONS.binary_search(&&*name.name).is_ok(),
    }
}

/// The relations of `pg_catalog` in any of PostgreSQL 13 to 18, sorted.
const RELATIONS: &[&str] = &["pg_class"];
