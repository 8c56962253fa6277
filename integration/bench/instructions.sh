#!/usr/bin/env bash
# The instructions that pgwarden executes per transaction, by function: figures that repeat within
# a percent on any machine, where times do not.
set -euo pipefail
# shellcheck source=integration/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

# As many clients as have a server each, and one; and where twelve of 32 wait for a server.
declare -A OPTIONS=(
    [simple-c1]='-S -M simple -c 1'
    [simple-c16]='-S -M simple -c 16'
    [simple-c32]='-S -M simple -c 32'
    [extended-c16]='-S -M extended -c 16'
    [prepared-c16]='-S -M prepared -c 16'
    [pipeline10]='-f pipeline10.sql -M extended -c 8'
)
ALL=(simple-c1 simple-c16 simple-c32 extended-c16 prepared-c16 pipeline10)

usage() {
    cat <<END
usage: instructions.sh [OPTION…] [WORKLOAD…]
workloads: ${ALL[*]} (all of them by default)
  --functions N     so many functions of each, default 12; what is left is one line
  --transactions N  of all clients, default 4800; a second run has three times as many, and what it
                    needs more is what counts: neither the start nor a login is in the figures
  --variant NAME    plain (default), unnamed, free or ruled: see run.sh

Environment: PGWARDEN (program, default target/release/pgwarden, built when missing), PGBIN
(folder with initdb, postgres, psql, pgbench). valgrind is installed from the distribution. The
kernel's instructions are not counted.
END
}

FUNCTIONS=12 TRANSACTIONS=4800 VARIANT=plain
WORKLOADS=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit ;;
        --functions | --transactions | --variant)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --functions) FUNCTIONS=$2 ;;
                --transactions) TRANSACTIONS=$2 ;;
                --variant) VARIANT=$2 ;;
            esac
            shift
            ;;
        *)
            [[ -v OPTIONS[$1] ]] || { usage >&2 && exit 2; }
            WORKLOADS+=("$1")
            ;;
    esac
    shift
done
[[ "$FUNCTIONS $TRANSACTIONS" =~ ^[1-9][0-9]*\ [1-9][0-9]*$ ]] || fail "not a positive whole number"
[[ $VARIANT == @(plain|unnamed|free|ruled) ]] || fail "no such variant: $VARIANT"
((${#WORKLOADS[@]} > 0)) || WORKLOADS=("${ALL[@]}")
ensure_pgwarden
ensure_tools valgrind setpriv
stack_begin
start_postgres
write_scripts

# run OUT TRANSACTIONS OPTIONS…: pgbench through a pgwarden that callgrind counts.
run() {
    local out=$1 transactions=$2
    shift 2
    PORT[counted]=$(free_port)
    folder counted
    configure_pgwarden counted "$PGWARDEN" 1 "$VARIANT"
    start counted valgrind -q --tool=callgrind --callgrind-out-file=out --compress-strings=no \
        --compress-pos=no "$WORK/counted/pgwarden" "$WORK/counted/pgwarden.toml"
    await counted
    (cd "$WORK" && PGPORT=${PORT[counted]} "$PGBIN/pgbench" -n -t "$transactions" "$@") \
        >"$WORK/pgbench.log" 2>&1 || { tail -n 20 "$WORK/pgbench.log" >&2 && fail "pgbench"; }
    kill -QUIT "${PID[counted]}"
    wait_until 30 has_ended "${PID[counted]}" || fail "pgwarden does not end"
    mv "$WORK/counted/out" "$WORK/$out"
    rm -rf "${WORK:?}/counted"
    unset "PID[counted]" "PORT[counted]"
}

for workload in "${WORKLOADS[@]}"; do
    say "$workload"
    read -ra options <<<"${OPTIONS[$workload]}"
    clients=${options[-1]}
    each=$(((TRANSACTIONS + clients - 1) / clients))
    run few "$each" "${options[@]}"
    run many $((3 * each)) "${options[@]}"
    python3 "$HERE/instructions.py" --workload "$workload" --functions "$FUNCTIONS" \
        --transactions $((2 * each * clients)) "$WORK/few" "$WORK/many"
done
