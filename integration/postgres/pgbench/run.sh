#!/usr/bin/env bash
# pgbench: many clients for a few seconds in every protocol mode, and not one failed transaction.
# Needs PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE.
#
# Its own tables are made through the pooler. SUITE_SECONDS is the time of each run (default 3,
# with SUITE_SHORT=1: 1). As many threads as clients: pgbench prepares synchronously, so a thread
# that waits for a server must not hold another one's transaction open.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/suite.sh
source "$here/../../lib/suite.sh"

clients=32
seconds=3
[[ -z ${SUITE_SHORT:-} ]] || seconds=1
seconds=${SUITE_SECONDS:-$seconds}

sql() { timeout 60 psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

tables_can_be_made() {
    timeout 60 pgbench -i -s 1 -q 2>&1
    equals "$(sql -c 'select count(*), sum(abalance) from pgbench_accounts')" '100000|0'
}

# bench ARGUMENT…: runs pgbench and looks into what it says about itself.
bench() {
    local output failed processed
    output=$(timeout $((seconds + 60)) pgbench -n -c "$clients" -j "$clients" -T "$seconds" "$@" 2>&1) || {
        echo "pgbench failed: $(grep -iE 'error|abort|fatal' <<<"$output" | head -1)"
        return 1
    }
    failed=$(sed -n 's/^number of failed transactions: \([0-9]*\) .*/\1/p' <<<"$output")
    processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$output")
    equals "${failed:-0}" 0 # before PostgreSQL 15, a failure was an error
    ((${processed:-0} >= clients)) || { echo "only ${processed:-no} transactions"; return 1; }
    ! grep -iE 'error|abort|fatal' <<<"$output"
}

simple() { bench -M simple; }
extended() { bench -M extended; }
prepared() { bench -M prepared; }
reading() { bench -M "$1" -S; }
reading_simple() { reading simple; }
reading_prepared() { reading prepared; }
connecting() { bench -C -S -c 8 -j 8; }
pipelined() { bench -M extended -f "$here/pipeline.sql"; }
several_prepared() { bench -M prepared -f "$here/several.sql"; }

# TPC-B adds the same amount everywhere; a lost or doubled statement would show.
the_books_balance() {
    sql -c 'truncate pgbench_history' -c 'update pgbench_accounts set abalance = 0' \
        -c 'update pgbench_tellers set tbalance = 0' -c 'update pgbench_branches set bbalance = 0'
    local output processed
    output=$(timeout 60 pgbench -n -c "$clients" -j "$clients" -t 20 -M prepared 2>&1) \
        || { echo "pgbench failed: $(tail -1 <<<"$output")"; return 1; }
    processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$output")
    equals "$processed" $((clients * 20))
    equals "$(sql -c 'select count(*) from pgbench_history')" $((clients * 20))
    equals "$(sql -c "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
        and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)
        and (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history)")" t
}

check "the tables can be made" tables_can_be_made
check "TPC-B, simple protocol" simple
check "TPC-B, extended protocol" extended
check "TPC-B, prepared statements" prepared
check "reading, simple protocol" reading_simple
check "reading, prepared statements" reading_prepared
check "reading, a connection for every transaction" connecting
check "ten statements in a pipeline" pipelined
check "several prepared statements around a transaction" several_prepared
check "the books balance" the_books_balance
finish
