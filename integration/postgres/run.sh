#!/usr/bin/env bash
# Runs the driver suites through pgwarden, before PostgreSQL of several versions.
#
#   run.sh [VERSION…]     default: 13 14 15 16 17 18
#
# Debian's version gets every suite in full, with one worker and with two; the others get
# catalog, psql, psycopg, tokio-postgres and pgbench in short form. PGWARDEN is the binary
# (default: it is built); PGWARDEN=none runs the suites against PostgreSQL itself, where all must
# pass too.
# SUITES="psql node" runs only those. What they print is kept in integration/.cache/results.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/pooler.sh
source "$here/../lib/pooler.sh"

FULL="catalog psql psycopg asyncpg node tokio-postgres pgbench"
SHORT="catalog psql psycopg tokio-postgres pgbench"

table="" passed=0 failed=0

main() {
    (($#)) || set -- 13 14 15 16 17 18
    local debian version workers
    install_build
    install_postgres
    debian=$(basename "$(dirname "$(debian_postgres)")")
    choose_pooler
    results=$CACHE/results
    rm -rf "$results"
    mkdir -p "$results"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    for version in "$@"; do
        postgres_start "$version"
        if [[ $version == "$debian" ]]; then
            for workers in 1 2; do
                [[ $PGWARDEN != none || $workers == 1 ]] || continue
                run_suites "$version" "$workers" "${SUITES:-$FULL}"
            done
        else
            SUITE_SHORT=1 run_suites "$version" 1 "${SUITES:-$SHORT}"
        fi
        postgres_stop
    done
    printf '\n%-11s%-9s%-16s%8s%8s%9s\n' PostgreSQL workers suite passed failed seconds
    printf '%s' "$table"
    echo
    echo "$passed passed, $failed failed"
    ((failed == 0 && passed > 0))
}

choose_pooler() {
    [[ -z ${PGWARDEN:-} ]] || return 0
    say "building pgwarden"
    (cd "$INTEGRATION/.." && cargo build --quiet --locked --profile quick)
    PGWARDEN=$(target_directory)/quick/pgwarden
}

target_directory() {
    (cd "$INTEGRATION/.." && cargo metadata --format-version 1 --no-deps --locked) \
        | grep -oE '"target_directory":"[^"]*"' | cut -d'"' -f4
}

# run_suites VERSION WORKERS "SUITE…"
run_suites() {
    local suite
    if [[ $PGWARDEN == none ]]; then
        postgres_client_env
    else
        pooler_start "$2"
        pooler_client_env
    fi
    for suite in $3; do
        run_suite "$1" "$2" "$suite"
    done
    stop_pooler "$1" "$2"
}

run_suite() {
    local log=$results/postgresql-$1-workers-$2-$3.log total started=$SECONDS good=0 bad=1
    echo "== PostgreSQL $1, workers $2: $3"
    timeout --kill-after=5 180 "$here/$3/run.sh" </dev/null >"$log" 2>&1 || true
    total=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1 || true)
    if [[ $total =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        good=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]}
        grep '^FAILED' "$log" || true
    else
        echo "FAILED - the suite ends: $(tail -1 "$log")"
    fi
    if [[ $PGWARDEN != none ]] && ! pooler_runs; then
        echo "FAILED - pgwarden lives: it ended during this suite"
        tail -5 "$POOLER_DIR/log"
        bad=$((bad + 1))
        pooler_start "$2"
        pooler_client_env
    fi
    add "$1" "$2" "$3" "$good" "$bad" $((SECONDS - started))
}

# Itself a test: pgwarden must leave when it is told to, and must not have panicked.
stop_pooler() {
    [[ $PGWARDEN != none ]] || return 0
    local good=0 bad=0 started=$SECONDS
    if pooler_stop; then good=1; else bad=1; fi
    if grep -m 3 'panicked at' "$POOLER_DIR/log"; then
        echo "FAILED - pgwarden does not panic"
        bad=$((bad + 1))
    else
        good=$((good + 1))
    fi
    cp "$POOLER_DIR/log" "$results/postgresql-$1-workers-$2-pgwarden.log"
    add "$1" "$2" "(stop)" "$good" "$bad" $((SECONDS - started))
}

add() {
    table+=$(printf '%-11s%-9s%-16s%8d%8d%9d' "$@")$'\n'
    passed=$((passed + $4))
    failed=$((failed + $5))
}

clean_up() {
    pooler_stop || true
    postgres_stop
}

main "$@"
