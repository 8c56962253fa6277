#!/usr/bin/env bash
# Logins with tokens: a provider from npm, libpq 18 and other drivers as clients, and Debian's
# PostgreSQL. PGWARDEN is the binary (default: it is built).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/pooler.sh
source "$here/../lib/pooler.sh"

main() {
    install_build
    install_postgres
    if [[ -z ${PGWARDEN:-} ]]; then
        say "building pgwarden"
        (cd "$INTEGRATION/.." && cargo build --quiet --locked --profile quick)
        PGWARDEN=$(cd "$INTEGRATION/.." && cargo metadata --format-version 1 --no-deps --locked \
            | grep -oE '"target_directory":"[^"]*"' | cut -d'"' -f4)/quick/pgwarden
    fi
    local python
    python=$(python_with "$here/../postgres/requirements.txt")
    NODE_PATH=$(node_modules_of "$here")
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    postgres_start ""
    PROVIDER_PORT=$(free_port)
    # Not up yet: the first test starts it.
    pooler_start 2
    pooler_client_env
    export NODE_PATH PROVIDER_PORT POOLER_DIR POOLER_PID
    export PROVIDER_KEY=$POSTGRES_DIR/server.key PROVIDER_CERTIFICATE=$POSTGRES_DIR/server.crt
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$INTEGRATION/lib "$python" "$here/tests.py"
    pooler_stop
    ! grep -m 3 'panicked at' "$POOLER_DIR/log"
}

# The tests replace everything from [auth] on.
pooler_settings() {
    cat <<-SETTINGS
	workers = $1

	[listen]
	address = "127.0.0.1"
	port = $POOLER_PORT
	unix_socket_dir = "$POOLER_DIR"

	[listen.tls]
	certificate = "pooler.crt"
	key = "pooler.key"

	[databases.shop]
	host = "127.0.0.1"
	port = $POSTGRES_PORT
	server = { user = "app_pool", password = "$APP_POOL_PASSWORD" }

	[auth]
	method = "oauth"
	users = "userlist.txt"

	[auth.oauth]
	issuer = "https://localhost:$PROVIDER_PORT"
	audience = "pgwarden"
	ca = "$POSTGRES_DIR/ca.crt"
	token_as_password = ["svc_*"]
	SETTINGS
}

clean_up() {
    pooler_stop || true
    postgres_stop
}

main
