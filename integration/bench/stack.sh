# The stack under test, sourced by run.sh and syscalls.sh: PostgreSQL and what stands before it, on
# free ports of 127.0.0.1, in a temporary folder that goes away when the script ends.
# shellcheck shell=bash

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/postgres.sh
. "$HERE/../lib/postgres.sh"
# shellcheck source=integration/bench/poolers.sh
. "$HERE/poolers.sh"

REPO=$(cd "$HERE/../.." && pwd)
BUILT=${CARGO_TARGET_DIR:-$REPO/target}/release/pgwarden
PGWARDEN=${PGWARDEN:-$BUILT}
POOL_SIZE=20
POOL_MODE=transaction
MAX_CLIENTS=20100

# By target: its port, its process (0 for none), and the words that start one like it.
declare -A PORT PID LAUNCH
TARGETS=()
AS_USER=()
WORK=""
POSTMASTER=0

fail() { die "${0##*/}: $*"; }

# ensure_tools TOOL…: PostgreSQL, and what else is named as its package is.
ensure_tools() {
    local tool missing=()
    [[ -n ${PGBIN:-} ]] || { install_postgres && PGBIN=$(debian_postgres); }
    has openssl || missing+=(openssl)
    for tool in "$@"; do
        has "$tool" || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || without_services apt_install "${missing[@]}"
    PG_VERSION=$("$PGBIN/postgres" --version | sed 's/^postgres (PostgreSQL) //')
}

ensure_pgwarden() {
    [[ -x $PGWARDEN ]] && return
    [[ $PGWARDEN = "$BUILT" ]] || fail "no pgwarden at $PGWARDEN"
    install_build
    (cd "$REPO" && cargo build --locked --release) >&2 || fail "pgwarden does not build"
}

stack_stop() {
    local status=$? name
    for name in "${!PID[@]}"; do
        [[ ${PID[$name]} = 0 ]] || end_process "${PID[$name]}"
    done
    [[ $POSTMASTER = 0 ]] || end_process "$POSTMASTER"
    [[ -z $WORK ]] || rm -rf "$WORK"
    exit "$status"
}

# At once: by SIGQUIT, as SIGTERM is no more than a wish to some; HAProxy takes SIGTERM only.
end_process() {
    local signal
    for signal in QUIT TERM KILL; do
        kill "-$signal" "$1" 2>/dev/null || break
        ! wait_until 2 has_ended "$1" || break
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

has_ended() { ! kill -0 "$1" 2>/dev/null; }

# Makes the folder and gets ready to leave no process and no file behind.
stack_begin() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/pgwarden-bench.XXXXXX")
    trap stack_stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    POSTGRES_DIR=$WORK postgres_certificates
    # PostgreSQL and the poolers refuse to run as root.
    if ((EUID == 0)); then
        AS_USER=(setpriv --reuid postgres --regid postgres --init-groups)
        chown postgres: "$WORK" "$WORK"/{server,pooler}.key
    fi
    ulimit -Sn "$(ulimit -Hn)"
    export PGHOST=127.0.0.1 PGUSER=bench PGPASSWORD=bench PGDATABASE=bench
    export PGSSLMODE=disable PGGSSENCMODE=disable
}

# start NAME COMMAND…: in its own folder under WORK, as the unprivileged user, leading a process
# group that ends with it.
start() {
    local name=$1
    shift
    (cd "$WORK/$name" && exec setsid ${AS_USER[@]+"${AS_USER[@]}"} "$@") >"$WORK/$name/log" 2>&1 </dev/null &
    PID[$name]=$!
    # bash would tell by which signal it ended.
    disown "$!"
}

# folder NAME: a new one for what is started by that name.
folder() {
    mkdir "$WORK/$1"
    ((${#AS_USER[@]} == 0)) || chown postgres: "$WORK/$1"
}

answers_or_died() {
    PGPORT=${PORT[$1]} "$PGBIN/psql" -XAtqc 'select 1' >/dev/null 2>"$WORK/await" ||
        ! kill -0 "${PID[$1]}" 2>/dev/null
}

await() {
    local name=$1
    wait_until 20 answers_or_died "$name" && kill -0 "${PID[$name]}" 2>/dev/null && return
    tail -n 20 "$WORK/$name/log" "$WORK/await" >&2
    fail "$name does not answer on port ${PORT[$name]}"
}

# add NAME STARTER ARGS…: one more target, which `STARTER NAME ARGS…` starts.
add() {
    local name=$1
    [[ ! -v PORT[$name] ]] || fail "$name is a target already"
    shift
    printf -v "LAUNCH[$name]" '%q ' "$@"
    launch "$name" "$name"
    TARGETS+=("$name")
}

# launch TARGET INSTANCE: one like the target, with a port, a folder and a process of its own.
launch() {
    local words
    eval "words=(${LAUNCH[$1]})"
    PORT[$2]=$(free_port)
    folder "$2"
    "${words[0]}" "$2" "${words[@]:1}"
    await "$2"
    warm_up "$2"
}

# dismiss INSTANCE: ends what launch has started.
dismiss() {
    end_process "${PID[$1]}"
    rm -rf "${WORK:?}/$1"
    unset "PID[$1]" "PORT[$1]"
}

# Fills the pool, so that no measured run opens server connections.
warm_up() {
    PGPORT=${PORT[$1]} "$PGBIN/pgbench" -n -S -c 32 -j 2 -t 30 >"$WORK/warm.log" 2>&1 ||
        { tail -n 20 "$WORK/warm.log" "$WORK/$1/log" >&2 && fail "warm-up of $1"; }
}

# psql_direct ARGS…: past the poolers.
psql_direct() {
    PGPORT=${PORT[direct]} "$PGBIN/psql" -XAtq -v ON_ERROR_STOP=1 "$@"
}

start_postgres() {
    local data=$WORK/direct/data
    PORT[direct]=$(free_port)
    folder direct
    echo bench >"$WORK/password"
    "${AS_USER[@]+"${AS_USER[@]}"}" "$PGBIN/initdb" -D "$data" -U bench --pwfile="$WORK/password" \
        --auth=scram-sha-256 --encoding=UTF8 --no-locale --no-sync >"$WORK/initdb.log" 2>&1 ||
        { cat "$WORK/initdb.log" >&2 && fail "initdb"; }
    # A blind relay opens a connection for each of 500 clients.
    cat >>"$data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = ${PORT[direct]}
unix_socket_directories = ''
max_connections = 1300
shared_buffers = 256MB
ssl = on
ssl_cert_file = '$WORK/server.crt'
ssl_key_file = '$WORK/server.key'
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum = off
END
    start direct "$PGBIN/postgres" -D "$data"
    POSTMASTER=${PID[direct]}
    PGDATABASE=postgres await direct
    PID[direct]=0
    PGDATABASE=postgres psql_direct -c 'create database bench'
    PGPORT=${PORT[direct]} "$PGBIN/pgbench" -i -q -s 1 >"$WORK/init.log" 2>&1 ||
        { cat "$WORK/init.log" >&2 && fail "pgbench -i"; }
    # The one list of all poolers: with the server's own verifier they log in to it with the
    # keys that the client proved, so nobody holds the password.
    psql_direct -c "select format('\"%s\" \"%s\"', rolname, rolpassword) from pg_authid
        where rolname = 'bench'" >"$WORK/userlist.txt"
}

# The pgbench scripts that -S does not cover.
write_scripts() {
    echo 'SELECT 1;' >"$WORK/select1.sql"
    printf '%s\n' '\set aid random(1, 2000000000)' \
        'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;' >"$WORK/literals.sql"
    {
        for i in {1..10}; do echo "\\set aid$i random(1, 100000)"; done
        printf '%s\n' '\startpipeline'
        for i in {1..10}; do echo "SELECT abalance FROM pgbench_accounts WHERE aid = :aid$i;"; done
        printf '%s\n' '\endpipeline'
    } >"$WORK/pipeline10.sql"
}

stack_title() {
    echo "PostgreSQL $PG_VERSION${VERSIONS:+, $VERSIONS}, $(uname -sr), $(nproc) CPUs"
}
