#!/usr/bin/env bash
# shellcheck disable=SC2016 # SQL has dollars of its own
# libpq's own programs: psql, pg_dump, pg_restore. Needs PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE.
#
# More is tested where these are set: PGSSLROOTCERT (TLS), SUITE_SOCKET_DIR (Unix socket),
# SUITE_BOB_PASSWORD (a second user), SUITE_FORCED_DATABASE and SUITE_FORCED_USER (a database whose
# server user is configured). SUITE_SHORT=1 copies less.
set -euo pipefail
# shellcheck source=integration/lib/suite.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../lib/suite.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows=100000
[[ -z ${SUITE_SHORT:-} ]] || rows=20000

sql() { timeout 60 psql -XqAt -v ON_ERROR_STOP=1 "$@"; }
# The same, from standard input and past errors, as a person types.
typed() { timeout 60 psql -XqAt 2>&1; }

create_schema() {
    sql <<-'SQL'
	set client_min_messages = warning;
	drop schema if exists psql_suite cascade;
	create schema psql_suite;
	create table psql_suite.item (id int primary key, name text not null, price numeric(10, 2));
	SQL
}

values_of_many_types() {
    equals "$(sql -c "select 1, 'é''x', null, 1.50::numeric, true, '{1,2}'::int[], '{\"a\": 1}'::jsonb")" \
        "1|é'x||1.50|t|{1,2}|{\"a\": 1}"
}

several_statements_in_one_message() {
    equals "$(sql -c 'select 1; select 2; select 3')" $'1\n2\n3'
}

an_error_undoes_the_whole_message() {
    contains "$(fails sql -c 'insert into psql_suite.item values (1, $$a$$, 1); select 1/0')" "division by zero"
    equals "$(sql -c 'select count(*) from psql_suite.item where id = 1')" 0
}

an_error_has_its_sqlstate_and_position() {
    local out
    out=$(typed <<<$'select nowhere;\n\\echo :LAST_ERROR_SQLSTATE')
    contains "$out" '42703'
    contains "$out" 'LINE 1: select nowhere;'
}

a_failed_transaction_stays_failed_until_rollback() {
    local out
    out=$(typed <<-'SQL'
	begin;
	select 'before';
	select 1/0;
	select 'not run';
	\echo :LAST_ERROR_SQLSTATE
	rollback;
	select 'after';
	SQL
    )
    contains "$out" $'before\nERROR:  division by zero'
    contains "$out" 25P02
    contains "$out" after
    [[ $out != *'not run'* ]] || { echo "a statement ran in a failed transaction"; return 1; }
}

a_savepoint_saves_a_transaction() {
    local out
    out=$(typed <<-'SQL'
	\set ON_ERROR_ROLLBACK on
	begin;
	insert into psql_suite.item values (7, 'kept', 1);
	insert into psql_suite.item values (7, 'twice', 1);
	commit;
	delete from psql_suite.item where id = 7 returning name;
	SQL
    )
    contains "$out" 'duplicate key'
    contains "$out" kept
}

notices_arrive_in_order() {
    local out
    out=$(sql -c "do 'begin for i in 1..3 loop raise notice ''n%'', i; end loop; raise warning ''w''; end'" 2>&1)
    equals "$(grep -oE '(n[0-9]|w)$' <<<"$out" | tr -d '\n')" n1n2n3w
}

an_empty_query_is_answered() {
    equals "$(sql -c '' -c ';' -c 'select 1')" 1
}

a_result_is_described_without_running() {
    equals "$(sql <<<"select 1::int8 as a, 'x'::text as b \\gdesc")" $'a|bigint\nb|text'
}

copy_in_and_out() {
    seq 1 "$rows" | awk '{ printf "%d\tname %d\t%d.%02d\n", $1, $1 % 977, $1 % 100, $1 % 100 }' >"$work/in"
    sql -c "\\copy psql_suite.item from '$work/in'"
    equals "$(sql -c 'select count(*), sum(id), count(distinct name) from psql_suite.item')" \
        "$rows|$((rows * (rows + 1) / 2))|977"
    sql -c "\\copy (select * from psql_suite.item order by id) to '$work/out'"
    cmp "$work/in" "$work/out"
}

copy_with_a_bad_row_changes_nothing() {
    sql -c 'create table psql_suite.strict (id int)'
    { seq 1 5000; echo 'not a number'; seq 1 5000; } >"$work/bad"
    contains "$(fails sql -c "\\copy psql_suite.strict from '$work/bad'")" 'line 5001'
    equals "$(typed <<<"\\copy psql_suite.strict from '$work/bad'
select 'usable', count(*) from psql_suite.strict;" | tail -1)" 'usable|0'
}

copy_from_the_script_itself() {
    equals "$(typed <<-'SQL'
	begin;
	create temporary table inline (a int, b text) on commit drop;
	copy inline from stdin;
	1	one
	2	two
	\.
	copy inline to stdout;
	commit;
	SQL
    )" $'1\tone\n2\ttwo'
}

large_objects() {
    head -c 3000000 /dev/urandom >"$work/blob"
    local oid
    oid=$(typed <<<"\\lo_import '$work/blob' 'a comment'
\\echo :LASTOID" | tail -1)
    sql -c "\\lo_export $oid '$work/blob.out'"
    sql -c "\\lo_unlink $oid"
    cmp "$work/blob" "$work/blob.out"
    contains "$(fails sql -c "\\lo_export $oid '$work/blob.gone'")" 'does not exist'
}

a_long_result_is_complete() {
    equals "$(sql -c 'select i, md5(i::text) from generate_series(1, 200000) i' | md5sum)" \
        "$(sql -v FETCH_COUNT=1000 -c 'select i, md5(i::text) from generate_series(1, 200000) i' | md5sum)"
    equals "$(sql -c 'select i from generate_series(1, 200000) i' | md5sum)" "$(seq 1 200000 | md5sum)"
}

a_value_of_many_megabytes() {
    equals "$(sql -c "select repeat('abcdefghij', 3000000)" | md5sum)" \
        "$(yes abcdefghij | head -3000000 | tr -d '\n' | sed 's/$/\n/' | md5sum)"
}

a_statement_of_many_megabytes() {
    { printf "select length('"; head -c 8000000 /dev/zero | tr '\0' x; echo "');"; } >"$work/long.sql"
    equals "$(sql -f "$work/long.sql")" 8000000
}

two_phases_of_sql_prepare_in_one_transaction() {
    equals "$(sql -c 'begin; prepare twice as select $1::int * 2; execute twice(21); deallocate twice; commit')" 42
}

a_cursor_within_a_transaction() {
    equals "$(sql <<<'begin;
declare c cursor for select i from generate_series(1, 100) i;
move 97 in c;
fetch 5 from c;
commit;')" $'98\n99\n100'
}

interrupt_cancels_the_statement() {
    local marker="cancel_me_$$"
    timeout 60 psql -XqAt >"$work/cancel" 2>&1 <<<"select '$marker', pg_sleep(50)" &
    local pid=$! waiting="select count(*) from pg_stat_activity where query like '%$marker%' and wait_event = 'PgSleep'"
    for _ in {1..100}; do
        [[ $(sql -c "$waiting") != 1 ]] || break
        sleep 0.05
    done
    pkill -INT -P "$pid" # psql is the child of timeout
    wait "$pid" || true # psql ends a script that was interrupted
    equals "$(<"$work/cancel")" $'Cancel request sent\nERROR:  canceling statement due to user request'
}

dump_and_restore() {
    local fingerprint='select count(*), sum(id), md5(string_agg(name, $$,$$ order by id)) from psql_suite.item'
    local before
    sql -c "create index item_name on psql_suite.item (name);
            create view psql_suite.cheap as select * from psql_suite.item where price < 1;
            create sequence psql_suite.counter start 42;"
    before=$(sql -c "$fingerprint")
    timeout 60 pg_dump -Fc -n psql_suite -f "$work/dump"
    sql -c 'set client_min_messages = warning' -c 'drop schema psql_suite cascade'
    timeout 60 pg_restore --exit-on-error --no-owner -j 2 -d "$PGDATABASE" "$work/dump"
    equals "$(sql -c "$fingerprint")" "$before"
    equals "$(sql -c 'select count(*) > 0 from psql_suite.cheap')" t
    equals "$(sql -c "select nextval('psql_suite.counter')")" 42
}

a_dump_leaves_no_search_path_behind() {
    for _ in {1..10}; do
        timeout 60 pg_dump -s -n psql_suite >/dev/null
        equals "$(sql -c 'show search_path')" '"$user", public'
        equals "$(sql -c 'show statement_timeout')" 0
    done
}

a_client_does_not_inherit_settings() {
    sql -c "set search_path = pg_catalog" -c "set role reader" -c "set statement_timeout = '7h'" >/dev/null
    for _ in {1..25}; do
        equals "$(sql -c "select current_user, current_setting('search_path'), current_setting('statement_timeout')")" \
            "$PGUSER|\"\$user\", public|0"
    done
}

options_of_the_connection_string_hold() {
    equals "$(PGAPPNAME='an app' PGTZ=Asia/Tokyo PGCLIENTENCODING=LATIN1 PGDATESTYLE=German sql -c \
        "select current_setting('application_name'), current_setting('TimeZone'), current_setting('client_encoding'), date '2026-02-01'")" \
        "an app|Asia/Tokyo|LATIN1|01.02.2026"
}

text_is_converted_to_the_client_encoding() {
    equals "$(PGCLIENTENCODING=LATIN1 sql -c "select chr(233)" | od -An -tx1 | tr -d ' \n')" e90a
    equals "$(PGCLIENTENCODING=UTF8 sql -c "select chr(233)" | od -An -tx1 | tr -d ' \n')" c3a90a
}

the_version_is_reported() {
    local version
    version=$(sql -c 'show server_version_num')
    ((version >= 130000))
    equals "$(sql <<<'\echo :SERVER_VERSION_NUM')" "$version"
}

a_wrong_password_is_refused() {
    contains "$(PGPASSWORD=wrong fails sql -c 'select 1')" "password authentication failed for user \"$PGUSER\""
}

an_unknown_user_looks_like_a_wrong_password() {
    contains "$(PGUSER=nobody_here fails sql -c 'select 1')" 'password authentication failed for user "nobody_here"'
}

an_unknown_database_is_refused() {
    contains "$(PGDATABASE=nowhere fails sql -c 'select 1')" 'database "nowhere" does not exist'
}

every_user_is_himself() {
    equals "$(sql -c 'select session_user, current_user')" "$PGUSER|$PGUSER"
    equals "$(PGUSER=bob PGPASSWORD=$SUITE_BOB_PASSWORD sql -c 'select session_user, current_user')" 'bob|bob'
    contains "$(PGUSER=bob PGPASSWORD=$SUITE_BOB_PASSWORD fails sql -c 'table psql_suite.item')" \
        'permission denied for schema psql_suite'
}

the_server_user_can_be_configured() {
    equals "$(PGDATABASE=$SUITE_FORCED_DATABASE sql -c 'select session_user, current_user')" \
        "$SUITE_FORCED_USER|$SUITE_FORCED_USER"
}

tls_with_channel_binding() {
    contains "$(sql "sslmode=require channel_binding=require" -c '\conninfo')" 'SSL connection (protocol: TLSv1.3'
    equals "$(sql "sslmode=require channel_binding=require" -c 'select 1')" 1
}

tls_with_the_host_verified() {
    equals "$(sql "host=localhost hostaddr=$PGHOST sslmode=verify-full" -c 'select 1')" 1
    contains "$(fails sql "host=other.example hostaddr=$PGHOST sslmode=verify-full" -c 'select 1')" \
        'does not match host name "other.example"'
}

tls_with_another_authority_is_refused_by_the_client() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/other.key" -out "$work/other.crt" \
        -subj '/CN=other CA' -days 1 2>/dev/null
    contains "$(PGSSLROOTCERT=$work/other.crt fails sql "sslmode=verify-ca" -c 'select 1')" 'certificate verify failed'
}

tls_carries_a_copy() {
    sql "sslmode=require" -c "\\copy psql_suite.item to '$work/tls'"
    equals "$(wc -l <"$work/tls")" "$rows"
}

plain_text_is_possible() {
    equals "$(sql "sslmode=disable" -c 'select 1')" 1
}

the_unix_socket() {
    equals "$(sql "host=$SUITE_SOCKET_DIR" -c 'select current_user')" "$PGUSER"
    contains "$(sql "host=$SUITE_SOCKET_DIR" -c '\conninfo')" "via socket in \"$SUITE_SOCKET_DIR\""
}

check "a schema and a table can be created" create_schema
check "values of many types" values_of_many_types
check "several statements in one message" several_statements_in_one_message
check "an error undoes the whole message" an_error_undoes_the_whole_message
check "an error has its SQLSTATE and position" an_error_has_its_sqlstate_and_position
check "a failed transaction stays failed until rollback" a_failed_transaction_stays_failed_until_rollback
check "a savepoint saves a transaction" a_savepoint_saves_a_transaction
check "notices arrive in order" notices_arrive_in_order
check "an empty query is answered" an_empty_query_is_answered
check "a result is described without running" a_result_is_described_without_running
check "COPY in and out of $rows rows" copy_in_and_out
check "COPY with a bad row changes nothing" copy_with_a_bad_row_changes_nothing
check "COPY from the script itself" copy_from_the_script_itself
check "large objects" large_objects
check "a long result is complete" a_long_result_is_complete
check "a value of many megabytes" a_value_of_many_megabytes
check "a statement of many megabytes" a_statement_of_many_megabytes
check "SQL PREPARE and EXECUTE in one transaction" two_phases_of_sql_prepare_in_one_transaction
check "a cursor within a transaction" a_cursor_within_a_transaction
check "an interrupt cancels the statement" interrupt_cancels_the_statement
# pg_dump refuses servers newer than itself.
server=$(sql -c 'show server_version_num' || true)
if (($(pg_dump --version | grep -oE '[0-9]+' | head -1) >= ${server:-0} / 10000)); then
    check "dump and restore" dump_and_restore
    check "a dump leaves no search_path behind" a_dump_leaves_no_search_path_behind
else
    skip "dump and restore" "$(pg_dump --version) is older than the server"
fi
check "a client does not inherit another's settings" a_client_does_not_inherit_settings
check "options of the connection string hold" options_of_the_connection_string_hold
check "text is converted to the client's encoding" text_is_converted_to_the_client_encoding
check "the server's version is reported" the_version_is_reported
check "a wrong password is refused" a_wrong_password_is_refused
check "an unknown user looks like a wrong password" an_unknown_user_looks_like_a_wrong_password
check "an unknown database is refused" an_unknown_database_is_refused
[[ -z ${SUITE_BOB_PASSWORD:-} ]] || check "every user is himself" every_user_is_himself
[[ -z ${SUITE_FORCED_DATABASE:-} ]] || check "the server's user can be configured" the_server_user_can_be_configured
if [[ -n ${PGSSLROOTCERT:-} ]]; then
    check "TLS with channel binding" tls_with_channel_binding
    check "TLS with the host verified" tls_with_the_host_verified
    check "TLS with another authority is refused by the client" tls_with_another_authority_is_refused_by_the_client
    check "TLS carries a COPY" tls_carries_a_copy
    check "plain text is possible where TLS is preferred" plain_text_is_possible
fi
[[ -z ${SUITE_SOCKET_DIR:-} ]] || check "the Unix socket" the_unix_socket
finish
