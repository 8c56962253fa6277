//! Writing, and the ways out of a mode that only reads.

use super::{passes, refused, refused_steps, still_reads};
use crate::house::House;
use crate::play::{b, e, p, q, run, say};
use crate::row::Step::Sync;

#[tokio::test]
async fn row_01_writes_in_every_form() {
    let mut house = House::start().await;
    let texts = [
        "insert into u values (1, 'x')",
        "update u set v = 'x'",
        "delete from u where false",
        "truncate u",
        "copy u from stdin",
        "merge into u using t on u.id = t.id when matched then delete",
        "merge into u using t on u.id = t.id when matched then do nothing",
        "with x as (delete from u returning *) select * from x",
        "copy (insert into u values (1, 'x') returning *) to stdout",
        "prepare d as delete from u; execute d",
        "explain analyze delete from u",
        "insert into vw (id) values (99)",
    ];
    refused(&mut house, "reader", &texts).await;
    // What a function does is out of sight; there the server's mode stops it.
    let mut raw = house.login("reader").await;
    assert_eq!(raw.query("select f_write()").await.code(), Some("25006"));
    house.is_untouched().await;
}

#[tokio::test]
async fn row_02_transactions_that_write() {
    let mut house = House::start().await;
    let texts = [
        "begin read write; delete from u; commit",
        "start transaction isolation level serializable, read write; delete from u; commit",
        "begin; set transaction read write; delete from u; commit",
        "set transaction read write; delete from u",
        "set local transaction_read_only = off; delete from u",
        "begin transaction read only, read write; delete from u; commit",
        "begin read write; commit and chain; delete from u; commit",
        "reset transaction_read_only; select f_write()",
        "set transaction_read_only to default; select f_write()",
    ];
    refused(&mut house, "reader", &texts).await;
    // By itself, without the write that gives it away.
    let texts = [
        "begin read write",
        "set transaction_read_only = off; select f_write()",
        "begin read write; select f_write(); commit",
        "begin transaction isolation level read committed, read write; select f_write(); commit",
    ];
    refused(&mut house, "reader", &texts).await;
}

#[tokio::test]
async fn row_03_the_default_of_transactions() {
    let mut house = House::start().await;
    let mut texts: Vec<_> = ["off", "0", "f", "no", "'of'", "'FALSE'", "n"]
        .into_iter()
        .map(|value| format!("set default_transaction_read_only = {value}"))
        .collect();
    texts.extend(
        [
            "set Default_Transaction_READ_only to off",
            "set \"default_transaction_read_only\" = off",
            "set U&\"default\\005ftransaction_read_only\" = off",
            "set session characteristics as transaction read write",
            "set local default_transaction_read_only = off",
        ]
        .map(str::to_owned),
    );
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    refused(&mut house, "reader", &texts).await;
    let tighter = [
        "set default_transaction_read_only = on",
        "set default_transaction_read_only = 'tru'",
        "set session characteristics as transaction read only",
    ];
    passes(&house, "reader", &tighter).await;
}

#[tokio::test]
async fn row_04_the_same_inside_one_query_with_commit() {
    let mut house = House::start().await;
    let texts = [
        "set default_transaction_read_only = off; commit; select f_write()",
        "set default_transaction_read_only = off; commit; select f_write(); commit;
         set default_transaction_read_only = on",
        "select 1; set session characteristics as transaction read write; commit; select f_write()",
        "select set_config('default_transaction_read_only', 'off', false); commit; select f_write()",
    ];
    refused(&mut house, "reader", &texts).await;
    let steps: Vec<_> = [
        "set default_transaction_read_only = off",
        "commit",
        "select f_write()",
        "commit",
        "set default_transaction_read_only = on",
    ]
    .into_iter()
    .flat_map(run)
    .chain([Sync])
    .collect();
    refused_steps(&house, "reader", &steps).await;
    house.is_untouched().await;
}

#[tokio::test]
async fn row_05_set_config_anywhere() {
    let mut house = House::start().await;
    let call = "set_config('default_transaction_read_only', 'off', false)";
    let mut texts: Vec<_> = [
        "select CALL",
        "select 1 where CALL is not null",
        "select 1 order by CALL",
        "select 1 limit length(CALL)",
        "select * from CALL",
        "begin; declare c cursor for select CALL; fetch c; commit",
        "copy (select CALL) to stdout",
        "explain analyze select CALL",
        "select count(*) filter (where CALL is null) from t",
        "prepare x as select CALL",
    ]
    .map(|text| text.replace("CALL", call))
    .to_vec();
    texts.extend(
        [
            "select set_config('default_' || 'transaction_read_only', 'off', false)",
            "select set_config(name, 'off', false) from pg_settings where name ~ 'read_only'",
            "select U&\"\\0073et_config\"('default_transaction_read_only', 'off', false)",
            "select pg_catalog.set_config('DEFAULT_transaction_read_only', 'off', false)",
            "prepare x as select set_config($1, $2, false)",
            "select set_config('role', 'other', false)",
        ]
        .map(str::to_owned),
    );
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    refused(&mut house, "reader", &texts).await;
    let bound = [p("s", "select set_config($1, $2, false)"), Sync];
    refused_steps(&house, "reader", &bound).await;
    passes(
        &house,
        "reader",
        &["select set_config('work_mem', '1MB', false)"],
    )
    .await;
}

#[tokio::test]
async fn row_06_an_update_of_pg_settings() {
    let mut house = House::start().await;
    let texts = [
        "update pg_settings set setting = 'off' where name = 'default_transaction_read_only'",
        "update pg_catalog.pg_settings set setting = 'off' where false",
    ];
    refused(&mut house, "reader", &texts).await;
}

#[tokio::test]
async fn row_07_resetting_everything() {
    let mut house = House::start().await;
    for text in [
        "reset all",
        "discard all",
        "reset default_transaction_read_only",
        "set default_transaction_read_only to default",
        "set session characteristics as transaction read only; reset all",
    ] {
        let mut raw = house.login("reader").await;
        raw.query(text).await.fine();
        still_reads(&mut raw).await;
        assert_eq!(raw.query("select f_write()").await.code(), Some("25006"));
        still_reads(&mut house.login("reader").await).await;
    }
    house.is_untouched().await;
}

#[tokio::test]
async fn row_08_code_that_is_out_of_sight() {
    let mut house = House::start().await;
    let texts = [
        "do $$ begin commit; set transaction read write; insert into u values (1, 'd'); end $$",
        "do $$ begin null; end $$",
        "call p_escape()",
        "call p_noop()",
    ];
    refused(&mut house, "reader", &texts).await;
    let texts = ["do $$ begin drop table u; end $$", "do 'begin null; end'"];
    refused(&mut house, "noddl", &texts).await;
}

#[tokio::test]
async fn row_09_sql_in_a_string() {
    let mut house = House::start().await;
    let inner = "select set_config(''default_transaction_read_only'', ''off'', false)";
    let texts = [
        format!("select query_to_xml('{inner}', true, false, '')"),
        format!("select query_to_xml_and_xmlschema('{inner}', true, false, '')"),
        format!("select query_to_xmlschema('{inner}', true, false, '')"),
        format!(
            "begin; declare c cursor for {}; select cursor_to_xml('c', 1, true, false, '')",
            "select 1"
        ),
        "select table_to_xml('secret', true, false, '')".into(),
        "select schema_to_xml('public', true, false, '')".into(),
        "select database_to_xml(true, false, '')".into(),
        format!("select * from ts_stat('select to_tsvector(x) from ({inner}) y(x)')"),
        format!("select ts_rewrite('a'::tsquery, '{inner}')"),
        "select dblink('dbname=acl', 'delete from u')".into(),
        "select * from crosstab('select 1') as x(a int)".into(),
        "select * from xpath_table('a', 'b', 'c', 'd', 'e') as x(a int)".into(),
    ];
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    refused(&mut house, "reader", &texts).await;
}

#[tokio::test]
async fn row_10_a_function_that_hides_set_config() {
    let mut house = House::start().await;
    // No text shows it. What it has set is reported, and ends the session; a transaction that
    // runs keeps the mode of its beginning.
    for steps in [
        &[q("select f_setcfg()"), q("select f_write()")][..],
        &[q("begin; select f_setcfg()"), q("select f_write()")],
        &[q("begin; select f_setcfg(); select f_write(); commit")],
        &[q("select f_setcfg(); select f_write()")],
    ] {
        let mut raw = house.login("reader").await;
        let answers = say(&mut raw, steps).await;
        drop(raw);
        assert!(!answers.failures().is_empty(), "{steps:?}");
        still_reads(&mut house.login("reader").await).await;
        house.is_untouched().await;
    }
}

/// What no look at the text can stop: functions that exist, and COMMIT between them. The breach
/// is noticed, the session ends, but the row is written. Only a server user without the right
/// to write stops it: `row_32_and_33_a_poor_server_user_is_the_second_lock`.
#[tokio::test]
async fn row_10_what_is_left_to_the_servers_rights() {
    let mut house = House::start().await;
    let mut raw = house.login("reader").await;
    let text = "select f_setcfg(); commit; select f_write()";
    let answers = say(&mut raw, &[q(text)]).await;
    assert!(answers.closed, "{}", answers.shape());
    assert!(house.pooler.log().contains("breach"));
    assert_eq!(house.fixture.changes().await.parts, ["rows of u"]);
    still_reads(&mut house.login("reader").await).await;
}

#[tokio::test]
async fn row_10_a_session_that_left_its_mode_ends() {
    // In session mode the server would stay with the client.
    let mut house = House::with_pool("mode = \"session\"\nsize = 1").await;
    let mut raw = house.login("reader").await;
    let answers = say(&mut raw, &[q("select f_setcfg()"), q("select f_write()")]).await;
    assert!(answers.closed, "{}", answers.shape());
    assert_eq!(answers.failures().last().unwrap().severity, "FATAL");
    assert!(house.pooler.log().contains("breach"));
    still_reads(&mut house.login("reader").await).await;
    house.is_untouched().await;
}

#[tokio::test]
async fn row_11_sequences() {
    let mut house = House::start().await;
    let texts = [
        "select nextval('sq')",
        "select setval('sq', 99)",
        "select pg_catalog.nextval('sq'::regclass)",
        "select setval('sq', 99, false) from t",
    ];
    refused(&mut house, "reader", &texts).await;
    let steps = [p("", "select nextval('sq')"), b(""), e(), Sync];
    refused_steps(&house, "reader", &steps).await;
    passes(&house, "reader", &["select last_value from sq"]).await;
    passes(&house, "noddl", &["select nextval('sq')"]).await;
}
