#!/usr/bin/env bash
# The syscalls that a pooler makes per transaction: exact figures, so they can gate a change.
set -euo pipefail
# shellcheck source=integration/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

usage() {
    cat <<END
usage: syscalls.sh [OPTION…]
  --seconds N           length of the traced window, default 2
  --without NAME        leave out pgbouncer or pgwarden (repeatable)
  --target NAME=BINARY  one more pgwarden program, with the same configuration (repeatable)
  --check               exit status 1 when pgwarden is over a gate

Environment: PGWARDEN (program, default target/release/pgwarden, built when missing),
PGBOUNCER, PGBIN (folder with initdb, postgres, psql, pgbench).

strace attaches to the running pooler after all clients are connected and leaves before they go, so
no login and no disconnect is counted; meanwhile the clients stand still, and the pooler's console
tells how many transactions there were. Tracing slows the pooler down, so that 32 clients keep it
saturated.
Needs root or kernel.yama.ptrace_scope = 0.
END
}

WINDOW=2
CHECK=()
EXTRA=()
declare -A WITHOUT
while [ $# -gt 0 ]; do
    case $1 in
        --check) CHECK=(--check) ;;
        -h | --help) usage && exit ;;
        --seconds | --without | --target)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --seconds) WINDOW=$2 ;;
                --without) WITHOUT[$2]=1 ;;
                --target) EXTRA+=("$2") ;;
            esac
            shift
            ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
[[ $WINDOW =~ ^[1-9][0-9]*$ ]] || fail "not a positive whole number: $WINDOW"
for name in "${!WITHOUT[@]}"; do
    [[ " pgbouncer pgwarden " == *" $name "* ]] || fail "--without $name: no such target"
done
check_extra
[ -n "${WITHOUT[pgwarden]:-}" ] || ensure_pgwarden

ensure_tools setpriv strace
[[ -n ${WITHOUT[pgbouncer]:-} ]] || ensure_pgbouncer
stack_begin
start_postgres
[[ -n ${WITHOUT[pgbouncer]:-} ]] || add pgbouncer start_pgbouncer
[[ -n ${WITHOUT[pgwarden]:-} ]] || add pgwarden start_pgwarden "$PGWARDEN"
for pair in ${EXTRA[@]+"${EXTRA[@]}"}; do
    add "${pair%%=*}" start_pgwarden "${pair#*=}"
done
[[ ${#TARGETS[@]} -gt 0 ]] || fail "no target is left"
write_scripts

count() {
    local target=$1 workload=$2
    shift 2
    say "$target: $workload"
    PGPORT=${PORT[$target]} python3 "$HERE/syscalls.py" count --out "$WORK/syscalls.jsonl" \
        --target "$target" --workload "$workload" --pooler "${PID[$target]}" \
        --window "$WINDOW" --psql "$PGBIN/psql" -- "$PGBIN/pgbench" -n "$@"
}

for target in "${TARGETS[@]}"; do
    for protocol in simple extended prepared; do
        count "$target" $protocol-c32 -S -M $protocol -c 32 -j 2
    done
    count "$target" simple-c1 -S -M simple -c 1 -j 1
    count "$target" pipeline10 -f "$WORK/pipeline10.sql" -M extended -c 8 -j 2
done
python3 "$HERE/syscalls.py" report --title "$(stack_title); windows of $WINDOW s" \
    ${CHECK[@]+"${CHECK[@]}"} "$WORK/syscalls.jsonl"
