#!/usr/bin/env bash
# Real exporters read the console, and yield the metrics that they yield from PgBouncer.
#
#   exporter.sh           PGWARDEN is the binary (default: it is built)
#
# Debian's prometheus-pgbouncer-exporter wants columns that PgBouncer itself has not had since
# 1.8, and ends when it sees a pool; so it is asked for the lists alone. That of PyPI under the
# same name reads the tables of today.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/pooler.sh
source "$here/../lib/pooler.sh"
# shellcheck source=integration/lib/suite.sh
source "$here/../lib/suite.sh"

POOLER_PID='' BOUNCER_PID='' EXPORTER_PID=''

main() {
    install_build
    install_postgres
    install_pgbouncer
    install_pgbouncer_exporter
    if [[ -z ${PGWARDEN:-} ]]; then
        say "building pgwarden"
        (cd "$INTEGRATION/.." && cargo build --quiet --locked)
        PGWARDEN=$(cd "$INTEGRATION/.." && cargo metadata --format-version 1 --no-deps --locked \
            | grep -oE '"target_directory":"[^"]*"' | cut -d'"' -f4)/debug/pgwarden
    fi
    PYPI=$(python_with "$here/exporter.txt")
    PYPI=${PYPI%/*}
    # It wants old libraries, which do not build any more, and runs with those of today.
    [[ -x $PYPI/pgbouncer-exporter ]] || "$PYPI/pip" --quiet --disable-pip-version-check \
        install --no-deps prometheus-pgbouncer-exporter==2.1.2
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    postgres_start ""
    pooler_start 1
    bouncer_start
    warm_up "$POOLER_PORT"
    warm_up "$BOUNCER_PORT"
    check "Debian's exporter finds the same lists" debian_lists
    check "PyPI's exporter finds the same metrics" pypi_metrics
    check "no metric of the console's own has another database's name" own_rows
    finish
}

# Without passwords: Debian's exporter knows none.
pooler_settings() {
    cat <<-SETTINGS
	[listen]
	address = "127.0.0.1"
	port = $POOLER_PORT

	[databases.shop]
	host = "127.0.0.1"
	port = $POSTGRES_PORT
	server = { user = "app_pool", password = "$APP_POOL_PASSWORD" }

	[auth]
	method = "trust"

	[console]
	viewers = ["stats"]
	SETTINGS
}

# Sets BOUNCER_PORT and BOUNCER_PID.
bouncer_start() {
    BOUNCER_PORT=$(free_port)
    local folder=$POSTGRES_SOCKET_DIR
    as_postgres tee bouncer.ini >/dev/null <<-SETTINGS
	[databases]
	shop = host=127.0.0.1 port=$POSTGRES_PORT user=app_pool password=$APP_POOL_PASSWORD
	[pgbouncer]
	listen_addr = 127.0.0.1
	listen_port = $BOUNCER_PORT
	unix_socket_dir =
	auth_type = trust
	auth_file = $folder/bouncer.users
	stats_users = stats
	pool_mode = transaction
	logfile = $folder/bouncer.log
	pidfile = $folder/bouncer.pid
	SETTINGS
    as_postgres tee bouncer.users >/dev/null <<<$'"stats" ""\n"app_pool" ""'
    as_postgres /usr/sbin/pgbouncer -q -d bouncer.ini
    wait_until 10 is_open "$BOUNCER_PORT"
    BOUNCER_PID=$(as_postgres cat bouncer.pid)
}

# A pool with a server.
warm_up() {
    PGSSLMODE=disable psql -XAtq -h 127.0.0.1 -p "$1" -U app_pool -d shop -c 'select 1' >/dev/null
}

# scrape PORT COMMAND…: the metrics of an exporter that listens on PORT, without their values.
scrape() {
    local port=$1 status=0
    shift
    "$@" >"$POSTGRES_DIR/exporter.log" 2>&1 &
    EXPORTER_PID=$!
    wait_until 20 is_open "$port" || { tail -1 "$POSTGRES_DIR/exporter.log"; status=1; }
    ((status)) || curl -sSf "http://127.0.0.1:$port/metrics" >"$POSTGRES_DIR/metrics" || status=1
    kill "$EXPORTER_PID" 2>/dev/null || true
    wait "$EXPORTER_PID" 2>/dev/null || true
    ((status == 0)) || return 1
    grep -E '^pgbouncer_' "$POSTGRES_DIR/metrics"
}

# The names with their labels, but for those values that are the poolers' own affair.
names() { sed -E 's/ [^ ]+$//; s/version="[^"]*"/version/' | sort -u; }

debian_exporter() {
    local port
    port=$(free_port)
    scrape "$port" /usr/bin/python3 /usr/bin/prometheus-pgbouncer-exporter --host 127.0.0.1 \
        --port "$port" --pgbouncer-host 127.0.0.1 --pgbouncer-port "$1" --pgbouncer-user stats \
        --database none
}

debian_lists() {
    local ours theirs
    ours=$(debian_exporter "$POOLER_PORT" | names)
    theirs=$(debian_exporter "$BOUNCER_PORT" | names)
    [[ $(wc -l <<<"$theirs") == 12 ]] || { one_line "PgBouncer has other lists: $theirs"; return 1; }
    [[ $ours == "$theirs" ]] || { one_line "$(diff <(echo "$ours") <(echo "$theirs"))"; return 1; }
}

pypi_exporter() {
    local port
    port=$(free_port)
    cat >"$POSTGRES_DIR/exporter.yml" <<-SETTINGS
	exporter_host: 127.0.0.1
	exporter_port: $port
	pgbouncers:
	  - dsn: postgresql://stats:x@127.0.0.1:$1/pgbouncer?sslmode=disable
	    exclude_databases:
	      - pgbouncer
	SETTINGS
    scrape "$port" "$PYPI/pgbouncer-exporter" --config "$POSTGRES_DIR/exporter.yml"
}

pypi_metrics() {
    local ours theirs missing
    ours=$(pypi_exporter "$POOLER_PORT" | names)
    # The column reserve_pool of 1.18 is reserve_pool_size today, in PgBouncer too.
    theirs=$(pypi_exporter "$BOUNCER_PORT" | names | grep -v database_reserve_pool_size)
    [[ $(wc -l <<<"$theirs") -ge 20 ]] || { one_line "PgBouncer yields only: $theirs"; return 1; }
    missing=$(comm -13 <(echo "$ours") <(echo "$theirs"))
    [[ -z $missing ]] || { one_line "missing: $missing"; return 1; }
}

own_rows() {
    local metrics
    metrics=$(pypi_exporter "$POOLER_PORT")
    contains "$metrics" 'database="shop"'
    [[ $metrics != *'database="pgwarden"'* && $metrics != *'database="pgbouncer"'* ]]
}

clean_up() {
    [[ -z $EXPORTER_PID ]] || kill "$EXPORTER_PID" 2>/dev/null || true
    [[ -z $BOUNCER_PID ]] || as_root kill -INT "$BOUNCER_PID" 2>/dev/null || true
    pooler_stop || true
    [[ -z ${POSTGRES_DIR:-} ]] || postgres_stop
}

main
