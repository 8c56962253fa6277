#!/usr/bin/env bash
# pgwarden in front of the PostgreSQL that postgres.sh has started.
#
#   eval "$(PGWARDEN=target/quick/pgwarden pooler.sh start [WORKERS])"   sets POOLER_… and PG…
#   pooler.sh stop
#
# Or source it, then call pooler_start, pooler_client_env and pooler_stop. Settings, log and
# socket are in $POSTGRES_DIR/pooler. POOLER_SIZE is the pool's size (default 20),
# POOLER_MORE_SETTINGS what stands behind the other settings.

# shellcheck source=integration/lib/postgres.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres.sh"

# Sets POOLER_DIR, POOLER_PORT, POOLER_METRICS_PORT, POOLER_PID.
pooler_start() {
    [[ -x ${PGWARDEN:-} ]] || die "PGWARDEN must be the path of the pgwarden binary"
    POOLER_DIR=$POSTGRES_DIR/pooler
    mkdir -p "$POOLER_DIR"
    cp "$POSTGRES_DIR/userlist.txt" "$POOLER_DIR"
    cp "$POSTGRES_DIR"/pooler.{crt,key} "$POOLER_DIR"
    POOLER_PORT=$(free_port)
    POOLER_METRICS_PORT=$(free_port)
    pooler_settings "${1:-1}" >"$POOLER_DIR/pgwarden.toml"
    "$PGWARDEN" "$POOLER_DIR/pgwarden.toml" </dev/null >>"$POOLER_DIR/log" 2>&1 &
    POOLER_PID=$!
    echo "$POOLER_PID" >"$POOLER_DIR/pid"
    wait_until 10 pooler_answers_or_died
    if ! pooler_runs; then
        tail -20 "$POOLER_DIR/log" >&2
        die "pgwarden did not start"
    fi
}

pooler_settings() {
    cat <<-SETTINGS
	workers = $1

	[listen]
	address = "127.0.0.1"
	port = $POOLER_PORT
	unix_socket_dir = "$POOLER_DIR"

	[listen.tls]
	mode = "prefer"
	certificate = "pooler.crt"
	key = "pooler.key"

	[pool]
	mode = "transaction"
	size = ${POOLER_SIZE:-20}

	[databases.shop]
	host = "127.0.0.1"
	port = $POSTGRES_PORT
	dbname = "shop"

	[databases.shop_session]
	host = "127.0.0.1"
	port = $POSTGRES_PORT
	dbname = "shop"
	pool = { mode = "session" }

	[databases.shop_as_app]
	host = "127.0.0.1"
	port = $POSTGRES_PORT
	dbname = "shop"
	server = { user = "app_pool", password = "$APP_POOL_PASSWORD" }

	[auth]
	method = "scram-sha-256"
	users = "userlist.txt"

	[console]
	admins = ["postgres"]

	[metrics]
	address = "127.0.0.1:$POOLER_METRICS_PORT"

	${POOLER_MORE_SETTINGS:-}
	SETTINGS
}

pooler_answers_or_died() { is_open "$POOLER_PORT" || ! pooler_runs; }

pooler_runs() { kill -0 "$POOLER_PID" 2>/dev/null; }

# Asks pgwarden to stop; fails when it had to be killed.
pooler_stop() {
    [[ -n ${POOLER_PID:-} ]] || return 0
    local pid=$POOLER_PID stopped=0
    kill -TERM "$pid" 2>/dev/null || true
    if ! wait_until 15 eval '! pooler_runs'; then
        say "pgwarden did not stop within 15 seconds of SIGTERM"
        kill -KILL "$pid" 2>/dev/null || true
        stopped=1
    fi
    wait "$pid" 2>/dev/null || true
    POOLER_PID=
    return "$stopped"
}

# What libpq and the suites read, for a client that goes through pgwarden.
pooler_client_env() {
    postgres_client_env
    export PGPORT=$POOLER_PORT SUITE_SOCKET_DIR=$POOLER_DIR
    export SUITE_SESSION_DATABASE=shop_session
    export SUITE_FORCED_DATABASE=shop_as_app SUITE_FORCED_USER=app_pool
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    case ${1:-} in
        start)
            pooler_start "${2:-1}"
            pooler_client_env
            for name in "${!POOLER_@}" "${!PG@}" "${!SUITE_@}"; do
                printf 'export %s=%q\n' "$name" "${!name}"
            done
            ;;
        stop) pooler_stop ;;
        *) die "usage: pooler.sh start [WORKERS] | stop" ;;
    esac
fi
