# How PgBouncer and pgwarden are started, with settings that mean the same. Sourced by stack.sh.
# shellcheck shell=bash

# What is printed of the poolers' versions.
VERSIONS=""

note_version() { VERSIONS=${VERSIONS:+$VERSIONS, }$1; }

# Sets PGBOUNCER to the newest at hand, unless the caller has.
ensure_pgbouncer() {
    if [[ -z ${PGBOUNCER:-} ]] && ! PGBOUNCER=$(install_new_pgbouncer); then
        say "${0##*/}: falling back to the distribution's PgBouncer"
        install_pgbouncer
        PGBOUNCER=$(PATH=$PATH:/usr/sbin command -v pgbouncer)
    fi
    [[ -x $PGBOUNCER ]] || fail "no PgBouncer at $PGBOUNCER"
    PGBOUNCER_VERSION=$("$PGBOUNCER" --version | sed -n 's/^PgBouncer //p')
    note_version "PgBouncer $PGBOUNCER_VERSION"
}

# PgBouncer follows prepared statements in transaction mode from 1.21 on.
pgbouncer_prepares() {
    [[ $(printf '%s\n' 1.21.0 "$PGBOUNCER_VERSION" | sort -V | head -n 1) = 1.21.0 ]]
}

start_pgbouncer() {
    local name=$1 prepared=""
    if pgbouncer_prepares; then prepared="max_prepared_statements = 200"; fi
    # A copy, which the unprivileged user can reach.
    install -m 755 "$PGBOUNCER" "$WORK/$name/pgbouncer"
    cat >"$WORK/$name/pgbouncer.ini" <<END
[databases]
bench = host=127.0.0.1 port=${PORT[direct]} dbname=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${PORT[$name]}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $WORK/userlist.txt
admin_users = bench
pool_mode = $POOL_MODE
default_pool_size = $POOL_SIZE
max_client_conn = $MAX_CLIENTS
client_tls_sslmode = allow
client_tls_cert_file = $WORK/pooler.crt
client_tls_key_file = $WORK/pooler.key
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
$prepared
END
    start "$name" "$WORK/$name/pgbouncer" "$WORK/$name/pgbouncer.ini"
}

# The programs of --target, in EXTRA.
check_extra() {
    local pair
    for pair in ${EXTRA[@]+"${EXTRA[@]}"}; do
        [[ $pair =~ ^[a-zA-Z0-9._-]+=.+$ ]] || fail "--target wants NAME=BINARY, not $pair"
        [[ -x ${pair#*=} ]] || fail "no program at ${pair#*=}"
    done
}

# start_pgwarden NAME BINARY [WORKERS] [VARIANT]; VARIANT is plain, unnamed, free or ruled.
start_pgwarden() {
    configure_pgwarden "$@"
    start "$1" "$WORK/$1/pgwarden" "$WORK/$1/pgwarden.toml"
}

# configure_pgwarden, as start_pgwarden: puts the program and its file into its folder.
configure_pgwarden() {
    local name=$1 binary=$2 workers=${3:-1} variant=${4:-plain} unnamed=false
    [[ -x $binary ]] || fail "$name: no program at $binary"
    [[ $variant != unnamed ]] || unnamed=true
    # A copy, which the unprivileged user can reach and no build replaces meanwhile.
    install -m 755 "$binary" "$WORK/$name/pgwarden"
    cat >"$WORK/$name/pgwarden.toml" <<END
workers = $workers
[listen]
address = "127.0.0.1"
port = ${PORT[$name]}
[listen.tls]
mode = "allow"
certificate = "$WORK/pooler.crt"
key = "$WORK/pooler.key"
[clients]
max = $MAX_CLIENTS
[pool]
mode = "$POOL_MODE"
size = $POOL_SIZE
prepare_unnamed = $unnamed
[databases.bench]
host = "127.0.0.1"
port = ${PORT[direct]}
[server_tls]
mode = "disable"
[auth]
method = "scram-sha-256"
users = "$WORK/userlist.txt"
[console]
admins = ["bench"]
[log]
connections = false
disconnections = false
END
    role_settings "$variant" >>"$WORK/$name/pgwarden.toml"
}

# The same role without rules, or with rules of every kind that let all workloads pass.
role_settings() {
    case $1 in
        plain | unnamed) return ;;
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
