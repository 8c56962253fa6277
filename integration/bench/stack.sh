# The stack under test, sourced by run.sh and syscalls.sh: PostgreSQL, PgBouncer and pgwarden
# on free ports of 127.0.0.1, in a temporary folder that goes away when the script ends.
# shellcheck shell=bash

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
BUILT=${CARGO_TARGET_DIR:-$REPO/target}/release/pgwarden
PGWARDEN=${PGWARDEN:-$BUILT}
POOL_SIZE=20
POOL_MODE=transaction

declare -A PORT PID
TARGETS=()
AS_USER=()
WORK=""
POSTMASTER=0

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

pg_bindir() {
    local dir
    dir=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [ -x "$dir/initdb" ] && [ -x "$dir/pgbench" ] && echo "$dir"
}

# Installs the named Debian packages without letting their services start.
install_packages() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root apt-get update -q >&2 || exit
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" >&2
)

# ensure_tools TOOL…: PostgreSQL, PgBouncer and what else is named.
ensure_tools() {
    local missing=()
    PGBIN=${PGBIN:-$(pg_bindir || true)}
    PGBOUNCER=${PGBOUNCER:-$(PATH=$PATH:/usr/sbin command -v pgbouncer || true)}
    [ -n "$PGBIN" ] || missing+=(postgresql)
    [ -n "$PGBOUNCER" ] || missing+=(pgbouncer)
    for tool in "$@"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        install_packages "${missing[@]}" || fail "cannot install: ${missing[*]}"
        PGBIN=${PGBIN:-$(pg_bindir)}
        PGBOUNCER=${PGBOUNCER:-$(PATH=$PATH:/usr/sbin command -v pgbouncer)}
    fi
    PGBOUNCER_VERSION=$("$PGBOUNCER" --version | sed -n 's/^PgBouncer //p')
    PG_VERSION=$("$PGBIN/postgres" --version | sed 's/^postgres (PostgreSQL) //')
}

ensure_pgwarden() {
    [ -x "$PGWARDEN" ] && return
    command -v cargo >/dev/null || fail "no pgwarden at $PGWARDEN, and no cargo to build it"
    [ "$PGWARDEN" = "$BUILT" ] || fail "no pgwarden at $PGWARDEN"
    (cd "$REPO" && cargo build --release) >&2 || fail "pgwarden does not build"
}

stack_stop() {
    local status=$? name
    for name in "${!PID[@]}"; do
        [ "${PID[$name]}" = 0 ] || kill "${PID[$name]}" 2>/dev/null || true
    done
    [ "$POSTMASTER" = 0 ] || kill -QUIT "$POSTMASTER" 2>/dev/null || true
    wait
    [ -z "$WORK" ] || rm -rf "$WORK"
    exit "$status"
}

# Makes the folder and gets ready to leave no process and no file behind.
stack_begin() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/pgwarden-bench.XXXXXX")
    trap stack_stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # PostgreSQL and PgBouncer refuse to run as root.
    if [ "$(id -u)" = 0 ]; then
        AS_USER=(setpriv --reuid postgres --regid postgres --init-groups)
        chown postgres: "$WORK"
    fi
    local files
    files=$(ulimit -Sn)
    [ "$files" = unlimited ] || [ "$files" -ge 4096 ] || ulimit -Sn 4096 || true
    export PGHOST=127.0.0.1 PGUSER=bench PGPASSWORD=bench PGDATABASE=bench
    export PGSSLMODE=disable PGGSSENCMODE=disable
}

# start NAME COMMAND…: in its own folder under WORK, as the unprivileged user.
start() {
    local name=$1
    shift
    (cd "$WORK/$name" && exec ${AS_USER[@]+"${AS_USER[@]}"} "$@") >"$WORK/$name/log" 2>&1 </dev/null &
    PID[$name]=$!
}

folder() {
    mkdir "$WORK/$1"
    [ ${#AS_USER[@]} = 0 ] || chown postgres: "$WORK/$1"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

await() {
    local name=$1
    for _ in $(seq 100); do
        PGPORT=${PORT[$name]} "$PGBIN/psql" -XAtqc 'select 1' >/dev/null 2>"$WORK/await" && return
        kill -0 "${PID[$name]}" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$WORK/$name/log" "$WORK/await" >&2
    fail "$name does not answer on port ${PORT[$name]}"
}

# psql_direct ARGS…: past the poolers.
psql_direct() {
    PGPORT=${PORT[direct]} "$PGBIN/psql" -XAtq -v ON_ERROR_STOP=1 "$@"
}

start_postgres() {
    local data=$WORK/direct/data tries
    PORT[direct]=$(free_port)
    folder direct
    echo bench >"$WORK/password"
    "${AS_USER[@]+"${AS_USER[@]}"}" "$PGBIN/initdb" -D "$data" -U bench --pwfile="$WORK/password" \
        --auth=scram-sha-256 --encoding=UTF8 --no-locale --no-sync >"$WORK/initdb.log" 2>&1 ||
        { cat "$WORK/initdb.log" >&2 && fail "initdb"; }
    cat >>"$data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = ${PORT[direct]}
unix_socket_directories = ''
max_connections = 300
shared_buffers = 256MB
ssl = off
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
    for tries in $(seq 100); do
        PGDATABASE=postgres psql_direct -c 'create database bench' 2>"$WORK/await" && break
        kill -0 "$POSTMASTER" 2>/dev/null && [ "$tries" -lt 100 ] ||
            { tail -n 20 "$WORK/direct/log" "$WORK/await" >&2 && fail "PostgreSQL does not start"; }
        sleep 0.1
    done
    PID[direct]=0
    PGPORT=${PORT[direct]} "$PGBIN/pgbench" -i -q -s 1 >"$WORK/init.log" 2>&1 ||
        { cat "$WORK/init.log" >&2 && fail "pgbench -i"; }
    # The one list of both poolers: with the server's own verifier they log in to it with the
    # keys that the client proved, so nobody holds the password.
    psql_direct -c "select format('\"%s\" \"%s\"', rolname, rolpassword) from pg_authid
        where rolname = 'bench'" >"$WORK/userlist.txt"
    TARGETS+=(direct)
}

# PgBouncer follows prepared statements in transaction mode from 1.21 on.
pgbouncer_prepares() {
    [ "$(printf '%s\n' 1.21.0 "$PGBOUNCER_VERSION" | sort -V | head -n 1)" = 1.21.0 ]
}

start_pgbouncer() {
    local name=pgbouncer prepared=""
    PORT[$name]=$(free_port)
    folder $name
    if pgbouncer_prepares; then prepared="max_prepared_statements = 200"; fi
    cat >"$WORK/$name/pgbouncer.ini" <<END
[databases]
bench = host=127.0.0.1 port=${PORT[direct]} dbname=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${PORT[$name]}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $WORK/userlist.txt
pool_mode = $POOL_MODE
default_pool_size = $POOL_SIZE
max_client_conn = 2000
client_tls_sslmode = disable
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
$prepared
END
    start $name "$PGBOUNCER" "$WORK/$name/pgbouncer.ini"
    await $name
    TARGETS+=("$name")
}

# The programs of --target, in EXTRA.
check_extra() {
    local pair
    for pair in ${EXTRA[@]+"${EXTRA[@]}"}; do
        [[ $pair =~ ^[a-zA-Z0-9._-]+=.+$ ]] || fail "--target wants NAME=BINARY, not $pair"
        [[ " direct pgbouncer pgwarden pgwarden-2w " != *" ${pair%%=*} "* ]] ||
            fail "--target: ${pair%%=*} is a target already"
        [ -x "${pair#*=}" ] || fail "no program at ${pair#*=}"
    done
}

# start_pgwarden NAME BINARY WORKERS [ROLE]; ROLE is none, free or ruled.
start_pgwarden() {
    local name=$1 binary=$2 workers=$3 role=${4:-none}
    [ -x "$binary" ] || fail "$name: no program at $binary"
    PORT[$name]=$(free_port)
    folder "$name"
    # A copy, which the unprivileged user can reach and no build replaces meanwhile.
    install -m 755 "$binary" "$WORK/$name/pgwarden"
    cat >"$WORK/$name/pgwarden.toml" <<END
workers = $workers
[listen]
address = "127.0.0.1"
port = ${PORT[$name]}
[pool]
mode = "$POOL_MODE"
size = $POOL_SIZE
[databases.bench]
host = "127.0.0.1"
port = ${PORT[direct]}
[auth]
method = "scram-sha-256"
users = "$WORK/userlist.txt"
END
    role_settings "$role" >>"$WORK/$name/pgwarden.toml"
    start "$name" "$WORK/$name/pgwarden" "$WORK/$name/pgwarden.toml"
    await "$name"
    TARGETS+=("$name")
}

# The same role without rules, or with rules of every kind that let all workloads pass.
role_settings() {
    case $1 in
        none) return ;;
        free) echo '[roles.bench]' ;;
        ruled)
            cat <<'END'
[roles.bench]
tables = { allow = ["public.*"], deny = ["public.secret"] }
[[roles.bench.deny]]
name = "no-schema-changes"
statements = ["ddl", "dcl", "role_admin"]
except = { window = "Sun 02:00-04:00 Europe/Paris" }
[[roles.bench.deny]]
name = "where-required"
statements = ["update", "delete"]
missing = "where"
[[roles.bench.deny]]
name = "no-shell"
statements = ["copy_program", "copy_file"]
functions = ["@signal", "@server_file", "@runs_sql"]
END
            ;;
    esac
    printf '[[grant]]\nrole = "bench"\n'
}

# Fills every pool, so that no measured run opens server connections.
warm_up() {
    local name
    for name in "${TARGETS[@]}"; do
        PGPORT=${PORT[$name]} "$PGBIN/pgbench" -n -S -c 32 -j 2 -t 30 >"$WORK/warm.log" 2>&1 ||
            { tail -n 20 "$WORK/warm.log" "$WORK/$name/log" >&2 && fail "warm-up of $name"; }
    done
}

# The pgbench scripts that -S does not cover.
write_scripts() {
    echo 'SELECT 1;' >"$WORK/select1.sql"
    {
        for i in $(seq 10); do echo "\\set aid$i random(1, 100000)"; done
        printf '%s\n' '\startpipeline'
        for i in $(seq 10); do echo "SELECT abalance FROM pgbench_accounts WHERE aid = :aid$i;"; done
        printf '%s\n' '\endpipeline'
    } >"$WORK/pipeline10.sql"
}

stack_title() {
    echo "PostgreSQL $PG_VERSION, PgBouncer $PGBOUNCER_VERSION, $(uname -sr), $(nproc) CPUs"
}
