#!/usr/bin/env bash
# Shows pgwarden at work: a private PostgreSQL in a temporary folder, pgwarden in front of it.
#
#   demo.sh            builds, starts both, prints lines to paste, stops everything on Ctrl-C
#   demo.sh --check    goes through the tour by itself; exit status 0, or says what failed
#
# Needs Rust and an apt system; what else it needs is installed. Leaves nothing running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/pooler.sh
source "$here/lib/pooler.sh"

CLIENTS=20
export POOLER_SIZE=3

main() {
    case ${1:-} in
        "" | --check) ;;
        *) die "usage: demo.sh [--check]" ;;
    esac
    cd "$here/.."
    install_build
    install_postgres
    say "building pgwarden"
    cargo build --quiet --locked --profile quick
    PGWARDEN=$(cargo metadata --format-version 1 --no-deps --locked \
        | grep -oE '"target_directory":"[^"]*"' | cut -d'"' -f4)/quick/pgwarden

    trap clean_up EXIT
    trap 'exit 130' INT TERM
    postgres_start
    pooler_start
    pooler_client_env
    export PSQLRC=/dev/null
    if [[ ${1:-} == --check ]]; then
        check
    else
        explain
        while pooler_runs; do sleep 1; done
        tail -5 "$POOLER_DIR/log" >&2
        die "pgwarden has ended"
    fi
}

explain() {
    cat <<-TEXT

	pgwarden listens on port $POOLER_PORT, before a PostgreSQL on port $POSTGRES_PORT.
	Its settings: $POOLER_DIR/pgwarden.toml

	Paste these into another terminal. First, who you are:

	  export PGHOST=localhost PGPORT=$POOLER_PORT PGDATABASE=shop PGUSER=alice
	  export PGPASSWORD=$ALICE_PASSWORD PGSSLROOTCERT=$PGSSLROOTCERT

	$CLIENTS clients at once, no more than $POOLER_SIZE server processes among them:

	  for n in \$(seq $CLIENTS); do psql -Atc 'select pg_backend_pid()' & done | sort | uniq -c

	TLS with a verified certificate, and SCRAM bound to it:

	  psql "sslmode=verify-full channel_binding=require" -c '\\conninfo' -c 'select current_user'

	A query that is cancelled (press Ctrl-C, or wait two seconds):

	  timeout -s INT 2 psql -c 'select pg_sleep(60)'

	The console:

	  PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD psql -d pgwarden -c 'show pools'
	  PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD psql -d pgwarden -c 'show servers' -c 'show stats'

	Metrics:

	  curl -s http://127.0.0.1:$POOLER_METRICS_PORT/metrics | grep ^pgwarden

	Ctrl-C here stops both and removes everything.
	TEXT
}

check() {
    local failures=0 pids answers text
    export PGHOST=localhost

    local log=$POSTGRES_DIR/pids
    for _ in $(seq $CLIENTS); do
        psql -XAtc 'select pg_backend_pid() from pg_sleep(0.02)' &
    done >"$log"
    wait_for_psql
    answers=$(wc -l <"$log")
    pids=$(sort -u "$log" | wc -l)
    step "$CLIENTS clients got an answer" test "$answers" -eq $CLIENTS
    step "no more than $POOLER_SIZE server processes gave them ($pids did)" \
        test "$pids" -ge 1 -a "$pids" -le $POOLER_SIZE

    text=$(psql "sslmode=verify-full channel_binding=require" -XAtc 'select current_user' 2>&1 || true)
    step "a client came in over TLS with SCRAM bound to it" test "$text" = alice

    text=$(PGPASSWORD=wrong psql -XAtc 'select 1' 2>&1 || true)
    step "a wrong password is refused" \
        contains "$text" 'password authentication failed for user "alice"'

    text=$(timeout -s INT 1 psql -XAtc 'select pg_sleep(60)' 2>&1 || true)
    step "a query was cancelled" contains "$text" "canceling statement due to user request"
    text=$(postgres_superuser -d shop -c \
        "select count(*) from pg_stat_activity where query like '%pg_sleep(60)' and state = 'active'")
    step "and no server still runs it" test "$text" -eq 0

    export PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD
    text=$(psql -XAt -d pgwarden -c 'show pools' 2>&1 || true)
    step "the console lists the pool" contains "$text" "shop|alice"
    text=$(psql -XAt -d pgwarden -c 'reload' 2>&1 || true)
    step "the console reloads" contains "$text" RELOAD

    text=$(curl -s "http://127.0.0.1:$POOLER_METRICS_PORT/metrics" || true)
    step "metrics count the transactions" contains "$text" 'pgwarden_transactions_total'

    step "pgwarden stops when told to" pooler_stop
    echo "$((steps - failures)) passed, $failures failed"
    ((failures == 0))
}

steps=0

step() {
    local what=$1
    shift
    steps=$((steps + 1))
    if "$@"; then
        echo "ok - $what"
    else
        echo "FAILED - $what${text:+: $text}"
        failures=$((failures + 1))
    fi
}

contains() { [[ $1 == *"$2"* ]]; }

# Waits for the psqls in the background, but not for pgwarden.
wait_for_psql() {
    local job
    for job in $(jobs -p); do
        [[ $job == "$POOLER_PID" ]] || wait "$job" || true
    done
}

clean_up() {
    pooler_stop || true
    postgres_stop
}

main "$@"
