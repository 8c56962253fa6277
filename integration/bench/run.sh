#!/usr/bin/env bash
# pgwarden side by side with PgBouncer and with PostgreSQL itself.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

WORKLOADS=(simple-c32 extended-c32 prepared-c32 simple-c1 select1-c32 paced-4000 pipeline10
    churn copy-out copy-in)

usage() {
    cat <<END
usage: run.sh [OPTION…]
  --workload NAME       only this one (repeatable, or comma-separated); all of them:
                        ${WORKLOADS[*]}
  --target NAME=BINARY  one more pgwarden program, with the same configuration (repeatable)
  --session             session mode and a server for each client: what an old PgBouncer,
                        which cannot follow prepared statements, can be compared in
  --rules               also pgwarden with a role that has rules, as pgwarden-ruled, and with the
                        same role without them, as pgwarden-free: what judging costs
  --workers2            also pgwarden with two workers, as pgwarden-2w
  --without NAME        leave out direct, pgbouncer or pgwarden (repeatable)
  --seconds N           length of one cell, default 3 (the copies take as long as they take)
  --repeats N           rounds, default 6
  --copy-mb N           size of the copies, default 200
  --short               1 s, 1 round, 20 MB: only shows that everything works
  --out FILE            one JSON line per cell; default target/bench/TIME.jsonl

Environment: PGWARDEN (program, default target/release/pgwarden, built when missing),
PGBOUNCER, PGBIN (folder with initdb, postgres, psql, pgbench).

Progress goes to stderr, the Markdown tables to stdout. Rounds interleave the targets: compare
only within one run, and take differences under 15 % as ties. The exit status is 1 when a cell
failed, which a single failed transaction is enough for.
END
}

SECONDS_PER_CELL=3
REPEATS=6
COPY_MB=200
OUT=""
PICKED=()
EXTRA=()
WORKERS2=""
RULES=""
declare -A WITHOUT

while [ $# -gt 0 ]; do
    case $1 in
        --session) POOL_MODE=session POOL_SIZE=64 ;;
        --workers2) WORKERS2=1 ;;
        --rules) RULES=1 ;;
        --short) SECONDS_PER_CELL=1 REPEATS=1 COPY_MB=20 ;;
        -h | --help) usage && exit ;;
        --workload | --target | --without | --seconds | --repeats | --copy-mb | --out)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --workload)
                    IFS=, read -ra names <<<"$2"
                    PICKED+=("${names[@]}")
                    ;;
                --target) EXTRA+=("$2") ;;
                --without) WITHOUT[$2]=1 ;;
                --seconds) SECONDS_PER_CELL=$2 ;;
                --repeats) REPEATS=$2 ;;
                --copy-mb) COPY_MB=$2 ;;
                --out) OUT=$2 ;;
            esac
            shift
            ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

for number in "$SECONDS_PER_CELL" "$REPEATS" "$COPY_MB"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || fail "not a positive whole number: $number"
done
[ ${#PICKED[@]} -gt 0 ] || PICKED=("${WORKLOADS[@]}")
for name in "${PICKED[@]}"; do
    [[ " ${WORKLOADS[*]} " == *" $name "* ]] || fail "unknown workload $name"
done
for name in "${!WITHOUT[@]}"; do
    [[ " direct pgbouncer pgwarden " == *" $name "* ]] || fail "--without $name: no such target"
done
check_extra
[ -n "${WITHOUT[pgwarden]:-}" ] && [ -z "$WORKERS2" ] || ensure_pgwarden
OUT=${OUT:-$REPO/target/bench/$(date +%Y%m%dT%H%M%S).jsonl}
mkdir -p "$(dirname "$OUT")"
: >"$OUT"

ensure_tools setpriv
stack_begin
start_postgres
write_scripts
[ -n "${WITHOUT[pgbouncer]:-}" ] || start_pgbouncer
[ -n "${WITHOUT[pgwarden]:-}" ] || start_pgwarden pgwarden "$PGWARDEN" 1
[ -z "$WORKERS2" ] || start_pgwarden pgwarden-2w "$PGWARDEN" 2
if [ -n "$RULES" ]; then
    ensure_pgwarden
    start_pgwarden pgwarden-free "$PGWARDEN" 1 free
    start_pgwarden pgwarden-ruled "$PGWARDEN" 1 ruled
fi
for pair in ${EXTRA[@]+"${EXTRA[@]}"}; do
    start_pgwarden "${pair%%=*}" "${pair#*=}" 1
done
[ -z "${WITHOUT[direct]:-}" ] || TARGETS=("${TARGETS[@]:1}")
[ ${#TARGETS[@]} -gt 0 ] || fail "no target is left"

if [[ " ${PICKED[*]} " == *" copy-"* ]]; then
    # Rows of about 200 bytes.
    psql_direct -c "create unlogged table wide as
            select g as id, repeat(md5(g::text), 6) as body
            from generate_series(1, $COPY_MB * 5000) g" \
        -c "create unlogged table sink (like wide)" \
        -c "\\copy wide to '$WORK/wide.copy'"
    COPY_BYTES=$(stat -c %s "$WORK/wide.copy")
fi
warm_up

# The command of a workload, in COMMAND.
command_of() {
    local bench=("$PGBIN/pgbench" -n -T "$SECONDS_PER_CELL")
    local psql=("$PGBIN/psql" -Xq -v ON_ERROR_STOP=1)
    case $1 in
        simple-c32) COMMAND=("${bench[@]}" -S -M simple -c 32 -j 2) ;;
        extended-c32) COMMAND=("${bench[@]}" -S -M extended -c 32 -j 2) ;;
        prepared-c32) COMMAND=("${bench[@]}" -S -M prepared -c 32 -j 2) ;;
        simple-c1) COMMAND=("${bench[@]}" -S -M simple -c 1 -j 1) ;;
        select1-c32) COMMAND=("${bench[@]}" -f "$WORK/select1.sql" -M simple -c 32 -j 2) ;;
        paced-4000) COMMAND=("${bench[@]}" -S -M simple -c 32 -j 2 -R 4000) ;;
        pipeline10) COMMAND=("${bench[@]}" -f "$WORK/pipeline10.sql" -M extended -c 8 -j 2) ;;
        churn) COMMAND=("${bench[@]}" -S -M simple -C -c 8 -j 2) ;;
        copy-out) COMMAND=("${psql[@]}" -c "\\copy wide to '/dev/null'") ;;
        copy-in) COMMAND=("${psql[@]}" -c "\\copy sink from '$WORK/wide.copy'") ;;
    esac
}

FAILED=0
run_cell() {
    local repeat=$1 workload=$2 target=$3 extra=()
    case $workload in
        copy-*) extra=(--bytes "$COPY_BYTES") ;;
    esac
    [ "$workload" != copy-in ] || psql_direct -c 'truncate sink'
    if [ "$workload/$target/$POOL_MODE" = prepared-c32/pgbouncer/transaction ] && ! pgbouncer_prepares; then
        extra=(--skip "PgBouncer $PGBOUNCER_VERSION has no prepared statements in transaction mode")
    fi
    command_of "$workload"
    PGPORT=${PORT[$target]} python3 "$HERE/cell.py" --out "$OUT" --repeat "$repeat" \
        --workload "$workload" --target "$target" --pooler "${PID[$target]}" \
        --postmaster "$POSTMASTER" --timeout $((SECONDS_PER_CELL + 60)) \
        ${extra[@]+"${extra[@]}"} -- "${COMMAND[@]}" >&2 && return
    FAILED=$((FAILED + 1))
    tail -n 5 "$WORK/$target/log" >&2
}

for repeat in $(seq "$REPEATS"); do
    for w in "${!PICKED[@]}"; do
        for t in "${!TARGETS[@]}"; do
            # Another target begins in every round.
            turn=$(((repeat + w + t) % ${#TARGETS[@]}))
            run_cell "$repeat" "${PICKED[$w]}" "${TARGETS[$turn]}"
        done
    done
done

python3 "$HERE/report.py" --title "$(stack_title); cells of $SECONDS_PER_CELL s" "$OUT"
echo "cells: $OUT" >&2
[ "$FAILED" = 0 ] || fail "cells that failed: $FAILED"
