#!/usr/bin/env bash
# pgwarden side by side with other poolers and with PostgreSQL itself.
set -euo pipefail
# shellcheck source=integration/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"
# shellcheck source=integration/bench/rivals.sh
. "$HERE/rivals.sh"
# shellcheck source=integration/bench/workloads.sh
. "$HERE/workloads.sh"

usage() {
    cat <<END
usage: run.sh [OPTION…]
       run.sh --report FILE [--plots FOLDER]
  --workload NAME       only this one (repeatable, or comma-separated); all of them:
$(fold -sw 60 <<<"${WORKLOADS[*]}" | sed 's/^/                        /')
  --goals               what issue 5 sets goals for and nothing else: against PgBouncer alone,
                        with --workers2 --rules --prepare-unnamed, cells of 2 s and
                        500,000 rows; takes about 25 minutes
  --without NAME        leave out direct, pgbouncer, haproxy, pgpool or pgwarden (repeatable)
  --target NAME=BINARY  one more pgwarden program, with the same configuration (repeatable)
  --rival NAME=COMMAND  one more pooler (repeatable). In COMMAND stand {config:FILE}, a template
                        of its configuration, and there and in the template {port}, {server_port},
                        {folder}, {userlist}, {certificate}, {key}, {user}, {password}, {database},
                        {pool_size}, {pool_mode}, {max_clients}. It must stay in the foreground,
                        offer SCRAM, and be readable for the account postgres. For example:
                        --rival 'odyssey=/opt/odyssey {config:odyssey.conf}'
  --prepare-unnamed     also pgwarden with prepare_unnamed, as pgwarden-pu: extended protocol
  --rules               also pgwarden with a role that has rules, as pgwarden-ruled, and with the
                        same role without them, as pgwarden-free: what judging costs
  --workers2            also pgwarden with two workers, as pgwarden-2w
  --session             session mode and a server for each client: what an old PgBouncer,
                        which cannot follow prepared statements, can be compared in
  --seconds N           length of one cell, default 3 (streams, copies and 500 clients
                        take as long as they take)
  --repeats N           rounds, default 6; ${ONCE_WORKLOADS[*]}: only the first
  --copy-mb N           size of the copies, default 200
  --stream-rows N       rows of 1 KB in a stream, default 1,000,000
  --short               one round of cells of some 600 transactions: only shows that everything
                        works. Left out: ${LONG_WORKLOADS[*]};
                        direct, haproxy, pgpool and pgwarden-2w but in
                        ${SAMPLE_WORKLOADS[*]}
  --out FILE            one JSON line per cell; default target/bench/TIME.jsonl
  --plots FOLDER        draw SVGs there
  --report FILE         no run: the tables, and with --plots the plots, of such a file

Environment: PGWARDEN (program, default target/release/pgwarden, built when missing), PGBOUNCER
(default: the newest at hand, built when missing), PGBIN (folder with initdb, postgres, psql,
pgbench). HAProxy and pgpool-II are installed from the distribution.

Progress goes to stderr, the Markdown tables to stdout. Rounds interleave the targets: compare
only within one run, and take differences under 10 % as ties. The exit status is 1 when a cell
failed, which a single failed transaction is enough for. ulimit -Hn bounds how many idle clients
there can be.
END
}

SECONDS_PER_CELL=3
REPEATS=6
COPY_MB=200
STREAM_ROWS=1000000
OUT="" SHORT="" WORKERS2="" RULES="" UNNAMED="" REPORT="" PLOTS=""
PICKED=() EXTRA=() RIVALS=()
declare -A WITHOUT

while [ $# -gt 0 ]; do
    case $1 in
        --session) POOL_MODE=session POOL_SIZE=64 ;;
        --workers2) WORKERS2=1 ;;
        --rules) RULES=1 ;;
        --prepare-unnamed) UNNAMED=1 ;;
        --short)
            SHORT=1 REPEATS=1 COPY_MB=5 STREAM_ROWS=20000 WORKERS2=1 RULES=1 UNNAMED=1
            ;;
        --goals)
            SECONDS_PER_CELL=2 STREAM_ROWS=500000 WORKERS2=1 RULES=1 UNNAMED=1
            WITHOUT[direct]=1 WITHOUT[haproxy]=1 WITHOUT[pgpool]=1
            ;;
        -h | --help) usage && exit ;;
        --*)
            [ $# -ge 2 ] || fail "$1 needs a value, or is no option (see --help)"
            case $1 in
                --workload)
                    IFS=, read -ra names <<<"$2"
                    PICKED+=("${names[@]}")
                    ;;
                --target) EXTRA+=("$2") ;;
                --rival) RIVALS+=("$2") ;;
                --without) WITHOUT[$2]=1 ;;
                --seconds) SECONDS_PER_CELL=$2 ;;
                --repeats) REPEATS=$2 ;;
                --copy-mb) COPY_MB=$2 ;;
                --stream-rows) STREAM_ROWS=$2 ;;
                --out) OUT=$2 ;;
                --plots) PLOTS=$2 ;;
                --report) REPORT=$2 ;;
                *) usage >&2 && exit 2 ;;
            esac
            shift
            ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

report() {
    python3 "$HERE/report.py" ${PLOTS:+--plots "$PLOTS"} "$1"
}
if [[ -n $REPORT ]]; then
    report "$REPORT"
    exit
fi

for number in "$SECONDS_PER_CELL" "$REPEATS" "$COPY_MB" "$STREAM_ROWS"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || fail "not a positive whole number: $number"
done
if [[ ${#PICKED[@]} = 0 ]]; then
    for name in "${WORKLOADS[@]}"; do
        [[ -n $SHORT ]] && one_of "$name" "${LONG_WORKLOADS[@]}" || PICKED+=("$name")
    done
fi
for name in "${PICKED[@]}"; do
    one_of "$name" "${WORKLOADS[@]}" || fail "unknown workload $name"
done
for name in "${!WITHOUT[@]}"; do
    one_of "$name" direct pgbouncer haproxy pgpool pgwarden || fail "--without $name: no such target"
done
check_extra
check_rivals

ensure_tools setpriv
[[ -n ${WITHOUT[pgwarden]:-} && -z $WORKERS2$RULES$UNNAMED ]] || ensure_pgwarden
[[ -n ${WITHOUT[pgbouncer]:-} ]] || ensure_pgbouncer
[[ -n ${WITHOUT[haproxy]:-} ]] || ensure_haproxy
[[ -n ${WITHOUT[pgpool]:-} ]] || ensure_pgpool
OUT=${OUT:-$REPO/target/bench/$(date +%Y%m%dT%H%M%S).jsonl}
mkdir -p "$(dirname "$OUT")"

stack_begin
start_postgres
[[ -n ${WITHOUT[direct]:-} ]] || TARGETS+=(direct)
[[ -n ${WITHOUT[pgbouncer]:-} ]] || add pgbouncer start_pgbouncer
[[ -n ${WITHOUT[haproxy]:-} ]] || add haproxy start_haproxy
[[ -n ${WITHOUT[pgpool]:-} ]] || add pgpool start_pgpool
[[ -n ${WITHOUT[pgwarden]:-} ]] || add pgwarden start_pgwarden "$PGWARDEN"
[[ -z $UNNAMED ]] || add pgwarden-pu start_pgwarden "$PGWARDEN" 1 unnamed
[[ -z $WORKERS2 ]] || add pgwarden-2w start_pgwarden "$PGWARDEN" 2
if [[ -n $RULES ]]; then
    add pgwarden-free start_pgwarden "$PGWARDEN" 1 free
    add pgwarden-ruled start_pgwarden "$PGWARDEN" 1 ruled
fi
for pair in ${EXTRA[@]+"${EXTRA[@]}"}; do
    add "${pair%%=*}" start_pgwarden "${pair#*=}"
done
for pair in ${RIVALS[@]+"${RIVALS[@]}"}; do
    add "${pair%%=*}" start_rival "${pair#*=}"
done
[[ ${#TARGETS[@]} -gt 0 ]] || fail "no target is left"
prepare_workloads "${PICKED[@]}"

FAILED=0
# run_cell ROUND WORKLOAD TARGET
run_cell() {
    local instance=$3 cell=(--out "$OUT" --repeat "$1" --workload "$2" --target "$3")
    [[ $1 = 1 ]] || ! one_of "$2" "${ONCE_WORKLOADS[@]}" || return 0
    if ! takes_part "$2" "$3"; then
        [[ -z $WHY_NOT || $1 != 1 ]] || python3 "$HERE/cell.py" "${cell[@]}" --skip "$WHY_NOT" >&2
        return 0
    fi
    if wants_fresh "$2" "$3"; then
        instance=$3.fresh
        launch "$3" "$instance"
    fi
    [[ $2 != copy-in ]] || psql_direct -c 'truncate sink'
    command_of "$2" "$instance"
    if ! PGPORT=${PORT[$instance]} PGSSLMODE=$SSLMODE python3 "$HERE/cell.py" "${cell[@]}" \
        --pooler "${PID[$instance]}" --postmaster "$POSTMASTER" \
        --timeout $((SECONDS_PER_CELL + 180)) "${MEASURE[@]}" -- "${COMMAND[@]}" >&2; then
        FAILED=$((FAILED + 1))
        tail -n 5 "$WORK/$instance/log" >&2
    fi
    [[ $instance = "$3" ]] || dismiss "$instance"
}

title="$(stack_title); pools of $POOL_SIZE, $POOL_MODE mode; cells of "
title+=$([[ -z $SHORT ]] && echo "$SECONDS_PER_CELL s" || echo "some 600 transactions")
printf '{"run": "%s"}\n' "$title" >"$OUT"
for repeat in $(seq "$REPEATS"); do
    for w in "${!PICKED[@]}"; do
        for t in "${!TARGETS[@]}"; do
            # Another target begins in every round.
            turn=$(((repeat + w + t) % ${#TARGETS[@]}))
            run_cell "$repeat" "${PICKED[$w]}" "${TARGETS[$turn]}"
        done
    done
done

report "$OUT"
echo "cells: $OUT" >&2
[[ $FAILED = 0 ]] || fail "cells that failed: $FAILED"
