//! Whether the user of servers that may only read can do more than that: the third lock behind
//! the judge and the server's read-only mode is a server user that is poor.

use crate::pool::server::{RunError, Server};

/// What a server's user could do that a reader has no use for, in words. Empty: it is as poor
/// as it should be. The server must be settled, and is after success.
///
/// # Errors
/// The query failed, or the connection did.
pub async fn excess(server: &mut Server) -> Result<Vec<String>, RunError> {
    let rows = server.ask(QUERY).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// The statements that make a user as poor as a reader should be.
pub fn remedy(user: &str, database: &str) -> String {
    let (user, database) = (quoted(user), quoted(database));
    format!(
        "CREATE ROLE {user} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS; \
         -- if it is not there, and not as the owner of anything\n\
         GRANT pg_read_all_data TO {user}; -- before PostgreSQL 14: GRANT SELECT ON ALL TABLES IN SCHEMA …\n\
         REVOKE TEMPORARY, CREATE ON DATABASE {database} FROM PUBLIC, {user};\n\
         REVOKE CREATE ON SCHEMA public FROM PUBLIC, {user};\n\
         ALTER ROLE {user} SET default_transaction_read_only = on;"
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// One row for each thing too much; counts instead of names where there may be many. A CASE keeps
/// the function from what is no sequence: conditions have no order of their own.
const QUERY: &str = "\
WITH me AS (SELECT * FROM pg_catalog.pg_roles WHERE rolname = current_user), \
rel AS (SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
          AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%') \
SELECT 'it is a superuser' FROM me WHERE rolsuper \
UNION ALL SELECT 'it may create databases' FROM me WHERE rolcreatedb \
UNION ALL SELECT 'it may create roles' FROM me WHERE rolcreaterole \
UNION ALL SELECT 'it may replicate' FROM me WHERE rolreplication \
UNION ALL SELECT 'it bypasses row level security' FROM me WHERE rolbypassrls AND NOT rolsuper \
UNION ALL SELECT pg_catalog.format('it may create temporary tables in database %I', pg_catalog.current_database()) \
  WHERE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') \
UNION ALL SELECT pg_catalog.format('it may create schemas in database %I', pg_catalog.current_database()) \
  WHERE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') \
UNION ALL SELECT pg_catalog.format('it may create objects in schema %I', nspname) \
  FROM pg_catalog.pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' \
    AND pg_catalog.has_schema_privilege(oid, 'CREATE') \
UNION ALL SELECT pg_catalog.format('it owns %s relations, such as %I.%I', pg_catalog.count(*), pg_catalog.min(nspname), pg_catalog.min(relname)) \
  FROM rel WHERE pg_catalog.pg_has_role(relowner, 'USAGE') HAVING pg_catalog.count(*) > 0 \
UNION ALL SELECT pg_catalog.format('it may write to %s tables, such as %I.%I', pg_catalog.count(*), pg_catalog.min(nspname), pg_catalog.min(relname)) \
  FROM rel WHERE relkind <> 'S' AND pg_catalog.has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE') \
  HAVING pg_catalog.count(*) > 0 \
UNION ALL SELECT pg_catalog.format('it may advance %s sequences, such as %I.%I', pg_catalog.count(*), pg_catalog.min(nspname), pg_catalog.min(relname)) \
  FROM rel WHERE CASE WHEN relkind = 'S' THEN pg_catalog.has_sequence_privilege(oid, 'USAGE, UPDATE') END \
  HAVING pg_catalog.count(*) > 0 \
UNION ALL SELECT pg_catalog.format('it is a member of %I', r.rolname) \
  FROM pg_catalog.pg_roles r, me WHERE NOT me.rolsuper AND r.rolname <> current_user \
    AND pg_catalog.pg_has_role(r.oid, 'MEMBER') \
    AND r.rolname NOT IN ('pg_read_all_data', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_monitor', 'pg_stat_scan_tables', 'pg_database_owner')";
