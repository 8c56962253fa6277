//! Everything that a server remembers, so that what has changed can be named.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tokio_postgres::{Client, SimpleQueryMessage};

/// A digest of each part of a server's state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Takes one, as a superuser in the database.
    pub(crate) async fn take(admin: &Client) -> Self {
        let mut digests = BTreeMap::new();
        for sql in [CATALOGS, TABLES, ELSEWHERE] {
            for sql in values(admin, sql).await {
                for (name, digest) in pairs(admin, &sql).await {
                    digests.insert(name, digest);
                }
            }
        }
        Self(digests)
    }

    /// The parts that differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys());
        let mut names: Vec<_> = names
            .filter(|name| self.0.get(*name) != other.0.get(*name))
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Whether anything may have changed since this was last asked, at little cost: nothing changes
/// without a line in the write-ahead log.
pub(crate) async fn tide(admin: &Client) -> String {
    values(admin, TIDE).await.concat()
}

/// The names that the schema consists of.
pub(crate) async fn names(admin: &Client) -> String {
    values(admin, NAMES).await.join("\n")
}

async fn values(admin: &Client, sql: &str) -> Vec<String> {
    let rows = admin.simple_query(sql).await.unwrap();
    let mut values = Vec::new();
    for row in rows {
        if let SimpleQueryMessage::Row(row) = row {
            let mut line = String::new();
            for column in 0..row.len() {
                write!(line, "{}", row.get(column).unwrap_or("NULL")).unwrap();
            }
            values.push(line);
        }
    }
    values
}

async fn pairs(admin: &Client, sql: &str) -> Vec<(String, String)> {
    let rows = admin.simple_query(sql).await.unwrap();
    let rows = rows.iter().filter_map(|row| {
        let SimpleQueryMessage::Row(row) = row else {
            return None;
        };
        Some(row)
    });
    let text = |row: &tokio_postgres::SimpleQueryRow, at| row.get(at).unwrap_or("").to_owned();
    rows.map(|row| (text(row, 0), text(row, 1))).collect()
}

/// One statement that counts the rows of each system catalog and adds up who wrote them:
/// whoever writes a row, or takes one away, changes that. pg_class is read as it is: some of
/// its columns are written in place.
const CATALOGS: &str = "select string_agg(case relname
        when 'pg_class' then 'select ''pg_class'', md5(string_agg(c::text, '','' order by oid))
            from pg_class c'
        else format('select %L, count(*) || '' '' || coalesce(sum(xmin::text::bigint), 0)
            from pg_catalog.%I', relname, relname) end, ' union all ')
    from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r'";

/// One statement that reads all rows of all tables.
const TABLES: &str = "select string_agg(format('select %L, count(*) || md5(coalesce(
            string_agg(row(x.*)::text, '','' order by row(x.*)::text), '''')) from %s x',
        'rows of ' || c.oid::regclass, c.oid::regclass), ' union all ')
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind in ('r', 'm', 'S') and nspname !~ '^pg_|^information_schema$'";

/// What is in no catalog.
const ELSEWHERE: &str = "select $$
    select 'prepared transactions', count(*)::text from pg_prepared_xacts
    union all select 'replication slots', count(*)::text from pg_replication_slots
    union all select 'ALTER SYSTEM', md5(pg_read_file('postgresql.auto.conf'))
    union all select 'origins', count(*)::text from pg_replication_origin
    $$";

const TIDE: &str = "select pg_current_wal_insert_lsn(), pg_snapshot_xmax(pg_current_snapshot()),
    (select count(*) from pg_prepared_xacts), (select count(*) from pg_replication_slots),
    md5(pg_read_file('postgresql.auto.conf'))";

const NAMES: &str = "select 'relation ' || oid::regclass || relkind::text
        from pg_class where oid > 16383 and relnamespace <> 'pg_toast'::regnamespace
    union all select 'column ' || attrelid::regclass || '.' || attname || format_type(atttypid, 0)
        from pg_attribute where attrelid > 16383 and attnum > 0
    union all select 'function ' || oid::regprocedure || prosrc from pg_proc where oid > 16383
    union all select 'type ' || oid::regtype from pg_type where oid > 16383
    union all select 'constraint ' || conname from pg_constraint where oid > 16383
    union all select 'trigger ' || tgname || tgenabled::text from pg_trigger
    union all select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
    union all select 'rule ' || rulename from pg_rewrite where oid > 16383
    union all select 'extension ' || extname from pg_extension
    union all select 'policy ' || polname from pg_policy
    union all select 'publication ' || pubname from pg_publication
    union all select 'role ' || rolname || rolsuper || coalesce(rolpassword, '') from pg_authid
    union all select 'setting ' || setconfig::text from pg_db_role_setting
    union all select 'comment ' || description from pg_description where objoid > 16383
    order by 1";
