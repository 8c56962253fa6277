#!/usr/bin/env bash
# The change from PgBouncer to pgwarden, as the README has it, under load: no transaction fails and
# the console says the same.
#
#   PGWARDEN=target/quick/pgwarden integration/pgbouncer/migrate.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../lib/postgres.sh
source "$here/../lib/postgres.sh"

main() {
    trap finish EXIT
    install_postgres
    PGBOUNCER=$(install_new_pgbouncer)
    python=$(python_with "$here/../postgres/requirements.txt")
    postgres_start
    folder=$POSTGRES_DIR/change
    mkdir -p "$folder"/{old,new}
    cp "$POSTGRES_DIR/userlist.txt" "$folder"
    chmod -R a+rX "$folder"
    chmod a+rwx "$folder" "$folder"/{old,new}
    port=$(free_port)
    settings >"$folder/pgbouncer.ini"

    say "== PgBouncer serves"
    unprivileged "$PGBOUNCER" -d "$folder/pgbouncer.ini"
    wait_until 10 is_open "$port"
    columns "$folder/old" >"$folder/before"
    load

    say "== pgwarden joins it on port $port, with the same file"
    "$PGWARDEN" check "$folder/pgbouncer.ini"
    unprivileged env PGWARDEN__LISTEN__UNIX_SOCKET_DIR="$folder/new" \
        PGWARDEN__PROCESS__PIDFILE="$folder/new/pid" PGWARDEN__LOG__FILE="$folder/new/log" \
        "$PGWARDEN" -d "$folder/pgbouncer.ini"
    wait_until 10 console "$folder/new" -c 'show version' >/dev/null
    work_goes_on

    say "== PgBouncer is sent away, and waits for its clients"
    local old
    old=$(<"$folder/old/pid")
    console "$folder/old" -c 'shutdown wait_for_clients' >/dev/null
    wait_until 60 is_gone "$old" || die "PgBouncer does not go"
    work_goes_on

    say "== nobody noticed"
    stop_load
    columns "$folder/new" >"$folder/after"
    python3 - "$folder/before" "$folder/after" <<-'COMPARE' || die "the console lacks columns"
	import sys
	tables = [dict(line.strip().split(": ") for line in open(path)) for path in sys.argv[1:]]
	for table, columns in tables[0].items():
	    new = iter(tables[1][table].split("|"))
	    # A newer PgBouncer has more of them; the order is that of the old one.
	    missing = [column for column in columns.split("|") if column not in new]
	    assert not missing, f"SHOW {table}: {missing}"
	COMPARE
    say "ok: $(wc -l <"$folder/transactions") transactions, none failed;" \
        "$(wc -l 2>/dev/null <"$folder/refused" || echo 0) logins came too late for PgBouncer"
}

settings() {
    cat <<-INI
	[databases]
	shop = host=127.0.0.1 port=$POSTGRES_PORT dbname=shop pool_size=5
	* = host=127.0.0.1 port=$POSTGRES_PORT

	[users]
	alice = max_user_connections=10

	[pgbouncer]
	listen_addr = 127.0.0.1
	listen_port = $port
	unix_socket_dir = $folder/old
	so_reuseport = 1
	auth_type = scram-sha-256
	auth_file = $folder/userlist.txt
	admin_users = postgres
	stats_users = alice
	pool_mode = transaction
	max_client_conn = 200
	default_pool_size = 10
	server_idle_timeout = 60
	ignore_startup_parameters = extra_float_digits
	pidfile = $folder/old/pid
	logfile = $folder/old/log
	INI
}

# Clients that stay for a second each, as those of applications do sooner or later, and pgbench.
load() {
    touch "$folder/go"
    "$python" "$here/load.py" "$port" "$folder" &
    loads=("$!")
    echo 'begin; select 1; end;' >"$folder/script"
    pgbenches &
    loads+=("$!")
    wait_until 20 has_done 100 || die "no load"
}

# pgbench gives up where PgBouncer refuses who is in the middle of logging in (see load.py).
pgbenches() {
    while [[ -e $folder/go ]]; do
        PGPASSWORD=$ALICE_PASSWORD pgbench -n -f "$folder/script" -c 4 -t 500 -h 127.0.0.1 \
            -p "$port" -U alice shop >"$folder/pgbench" 2>&1 || only_refused || return 1
    done
}

only_refused() {
    grep -q 'aborted while establishing connection$' "$folder/pgbench" \
        && grep -qE "$TOO_LATE" "$folder/pgbench" \
        && ! grep -E 'error|aborted' "$folder/pgbench" \
            | grep -vE "($TOO_LATE)\$|aborted while establishing connection\$|Run was aborted"
}
TOO_LATE='pooler is shutting down|reset by peer|closed the connection unexpectedly'

has_done() { (($(transactions) > $1)); }

is_gone() { ! kill -0 "$1" 2>/dev/null; }

transactions() { wc -l 2>/dev/null <"$folder/transactions" || echo 0; }

work_goes_on() {
    local before
    before=$(transactions)
    wait_until 30 has_done $((before + 200)) || die "the work has stopped"
}

stop_load() {
    rm "$folder/go"
    local load
    for load in "${loads[@]}"; do
        wait "$load" || die "a transaction failed: $(tail -3 "$folder/pgbench")"
    done
    loads=()
}

console() { PGPASSWORD=$POSTGRES_PASSWORD psql -XAtq -h "$1" -p "$port" -U postgres pgbouncer "${@:2}"; }

# What dashboards read: the columns of each table.
columns() {
    local table
    for table in stats pools databases lists config clients servers users version; do
        echo "$table: $(PGPASSWORD=$POSTGRES_PASSWORD psql -XAq -h "$1" -p "$port" -U postgres \
            pgbouncer -c "show $table" | head -1)"
    done
}

unprivileged() {
    if ((EUID == 0)); then setpriv --reuid="$(postgres_account)" --clear-groups "$@"; else "$@"; fi
}

finish() {
    rm -f "${folder:-/nonexistent}/go"
    local pid
    for pid in "${folder:-/nonexistent}"/{old,new}/pid; do
        [[ ! -s $pid ]] || as_root kill -QUIT "$(<"$pid")" 2>/dev/null || true
    done
    [[ -z ${loads[*]:-} ]] || kill "${loads[@]}" 2>/dev/null || true
    postgres_stop
}

main
