#!/usr/bin/env bash
# The syscalls that a pooler makes per transaction: exact figures, so they can gate a change.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

usage() {
    cat <<END
usage: syscalls.sh [OPTION…]
  --seconds N           length of the traced window, default 5
  --without NAME        leave out pgbouncer or pgwarden (repeatable)
  --target NAME=BINARY  one more pgwarden program, with the same configuration (repeatable)
  --check               exit status 1 when pgwarden is over a gate

Environment: PGWARDEN (program, default target/release/pgwarden, built when missing),
PGBOUNCER, PGBIN (folder with initdb, postgres, psql, pgbench).

strace attaches to the running pooler after all clients are connected and leaves before they go, so
no login and no disconnect is counted. The transactions are those that pgbench's own log dates into
that window. Tracing slows the pooler down, so that 32 clients keep it saturated.
Needs root or kernel.yama.ptrace_scope = 0.
END
}

WINDOW=5
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
stack_begin
start_postgres
TARGETS=()
write_scripts
[ -n "${WITHOUT[pgbouncer]:-}" ] || start_pgbouncer
[ -n "${WITHOUT[pgwarden]:-}" ] || start_pgwarden pgwarden "$PGWARDEN" 1
for pair in ${EXTRA[@]+"${EXTRA[@]}"}; do
    start_pgwarden "${pair%%=*}" "${pair#*=}" 1
done
[ ${#TARGETS[@]} -gt 0 ] || fail "no target is left"
warm_up

count() {
    local target=$1 workload=$2
    shift 2
    echo "$target: $workload" >&2
    PGPORT=${PORT[$target]} python3 "$HERE/syscalls.py" count --out "$WORK/syscalls.jsonl" \
        --target "$target" --workload "$workload" --pooler "${PID[$target]}" \
        --window "$WINDOW" --logs "$WORK/$target-$workload" -- "$PGBIN/pgbench" -n "$@"
}

for target in "${TARGETS[@]}"; do
    count "$target" simple-c32 -S -M simple -c 32 -j 2
    count "$target" simple-c1 -S -M simple -c 1 -j 1
    count "$target" pipeline10 -f "$WORK/pipeline10.sql" -M extended -c 8 -j 2
done
python3 "$HERE/syscalls.py" report --title "$(stack_title); windows of $WINDOW s" \
    ${CHECK[@]+"${CHECK[@]}"} "$WORK/syscalls.jsonl"
