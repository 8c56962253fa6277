#!/usr/bin/env bash
# A private PostgreSQL in a temporary folder: throw-away certificates, SCRAM, database "shop".
#
#   eval "$(postgres.sh start [VERSION])"   starts one and sets POSTGRES_… and PG… (user alice)
#   postgres.sh stop "$POSTGRES_DIR"        stops it and removes its folder
#
# Or source it, then call postgres_start, postgres_client_env and postgres_stop. VERSION is a major
# version; Debian's own is used where it fits, npm's otherwise. PostgreSQL refuses to run as root,
# so root hands the data folder to an unprivileged user.

# shellcheck source=integration/lib/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"

POSTGRES_PASSWORD=postgres-secret
ALICE_PASSWORD=alice-secret
BOB_PASSWORD=bob-secret
APP_POOL_PASSWORD=app-pool-secret

# Sets POSTGRES_DIR (certificates, userlist.txt, log), POSTGRES_PORT, POSTGRES_SOCKET_DIR.
postgres_start() {
    local bin
    bin=$(postgres_bin "${1:-}")
    POSTGRES_DIR=$(mktemp -d "${TMPDIR:-/tmp}/pgwarden-test.XXXXXX")
    POSTGRES_SOCKET_DIR=$POSTGRES_DIR/postgres
    chmod 755 "$POSTGRES_DIR"
    mkdir "$POSTGRES_SOCKET_DIR"
    postgres_certificates
    cp "$POSTGRES_DIR"/server.{crt,key} "$POSTGRES_SOCKET_DIR"
    echo "$POSTGRES_PASSWORD" >"$POSTGRES_SOCKET_DIR/superuser-password"
    ((EUID != 0)) || chown -R "$(postgres_account)" "$POSTGRES_SOCKET_DIR"

    # The account may not be allowed into the folder this checkout is in.
    if ! as_postgres test -x "$bin/initdb"; then
        cp -r "$bin/.." "$POSTGRES_DIR/native"
        bin=$POSTGRES_DIR/native/bin
    fi
    echo "$bin" >"$POSTGRES_DIR/bin"
    as_postgres "$bin/initdb" --pgdata=data --username=postgres --pwfile=superuser-password \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync >"$POSTGRES_DIR/initdb.log" 2>&1 \
        || { cat "$POSTGRES_DIR/initdb.log" >&2; postgres_stop; die "initdb failed"; }
    postgres_launch "$bin" || { postgres_stop; die "PostgreSQL did not start"; }
    postgres_populate || { postgres_stop; die "cannot fill the new cluster"; }
}

postgres_launch() {
    local _
    for _ in 1 2 3; do # another program may take the port in between
        POSTGRES_PORT=$(free_port)
        postgres_settings | as_postgres tee data/postgresql.auto.conf >/dev/null
        as_postgres "$1/pg_ctl" start -D data -w -t 60 -l log </dev/null >/dev/null 2>&1 && return
        cat "$POSTGRES_SOCKET_DIR/log" >&2
    done
    return 1
}

postgres_settings() {
    cat <<-SETTINGS
	listen_addresses = '127.0.0.1'
	port = $POSTGRES_PORT
	unix_socket_directories = '$POSTGRES_SOCKET_DIR'
	password_encryption = 'scram-sha-256'
	ssl = on
	ssl_cert_file = '$POSTGRES_SOCKET_DIR/server.crt'
	ssl_key_file = '$POSTGRES_SOCKET_DIR/server.key'
	max_connections = ${POSTGRES_MAX_CONNECTIONS:-200}
	shared_buffers = '32MB'
	fsync = off
	synchronous_commit = off
	full_page_writes = off
	autovacuum = off
	SETTINGS
}

postgres_populate() {
    postgres_superuser -d postgres <<-SQL
	set password_encryption = 'scram-sha-256';
	alter user postgres password '$POSTGRES_PASSWORD';
	create user alice password '$ALICE_PASSWORD';
	create user bob password '$BOB_PASSWORD';
	create user app_pool password '$APP_POOL_PASSWORD';
	create role reader;
	grant reader to alice;
	create database shop;
	grant create on database shop to alice, bob, app_pool;
	SQL
    postgres_superuser -d shop -c 'grant all on schema public to public'
    # PgBouncer's userlist: the verifiers themselves, so that no password is needed.
    postgres_superuser -d postgres -c \
        "select format('\"%s\" \"%s\"', rolname, rolpassword) from pg_authid where rolcanlogin" \
        >"$POSTGRES_DIR/userlist.txt"
    chmod 600 "$POSTGRES_DIR/userlist.txt"
}

# psql as the superuser, past any pooler.
postgres_superuser() {
    PGPASSWORD=$POSTGRES_PASSWORD psql -X -qAt -v ON_ERROR_STOP=1 \
        -h "$POSTGRES_SOCKET_DIR" -p "$POSTGRES_PORT" -U postgres "$@"
}

# Stops the cluster of POSTGRES_DIR and removes the folder. Harmless when there is none.
postgres_stop() {
    [[ -n ${POSTGRES_DIR:-} && -d $POSTGRES_DIR ]] || return 0
    POSTGRES_SOCKET_DIR=$POSTGRES_DIR/postgres
    if [[ -e $POSTGRES_SOCKET_DIR/data/postmaster.pid ]]; then
        local mode bin
        bin=$(<"$POSTGRES_DIR/bin")
        for mode in fast immediate; do
            as_postgres "$bin/pg_ctl" stop -D data -w -t 10 -m "$mode" >/dev/null 2>&1 && break
        done
    fi
    rm -rf "$POSTGRES_DIR"
    POSTGRES_DIR=
}

# What libpq and the suites read, for a client that goes to PostgreSQL itself.
postgres_client_env() {
    export PGHOST=127.0.0.1 PGPORT=$POSTGRES_PORT PGUSER=alice PGPASSWORD=$ALICE_PASSWORD
    export PGDATABASE=shop PGSSLROOTCERT=$POSTGRES_DIR/ca.crt PGCONNECT_TIMEOUT=10
    export SUITE_SOCKET_DIR=$POSTGRES_SOCKET_DIR SUITE_BOB_PASSWORD=$BOB_PASSWORD
}

# A certificate authority, and certificates for the server and for a pooler before it: two,
# so that channel binding can tell which of them it is bound to.
postgres_certificates() (
    cd "$POSTGRES_DIR"
    local name key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
    {
        openssl req -x509 "${key[@]}" -keyout ca.key -out ca.crt -days 2 -subj "/CN=pgwarden test CA"
        for name in server pooler; do
            openssl req "${key[@]}" -keyout $name.key -out $name.csr -subj "/CN=localhost"
            openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days 2 \
                -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out $name.crt
        done
    } >openssl.log 2>&1 || { cat openssl.log >&2; exit 1; }
    chmod 600 ./*.key
)

postgres_bin() {
    local debian
    debian=$(debian_postgres || true)
    if [[ -n $debian && (-z $1 || $debian == */"$1"/bin) ]]; then
        echo "$debian"
    elif [[ -n $1 ]]; then
        install_npm_postgres "$1"
    else
        die "no PostgreSQL here: run integration/lib/install.sh postgres"
    fi
}

postgres_account() {
    if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# Runs a command in the server's folder as the server's user.
as_postgres() (
    cd "$POSTGRES_SOCKET_DIR"
    if ((EUID == 0)); then
        local account
        account=$(postgres_account)
        exec setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups \
            env HOME="$POSTGRES_SOCKET_DIR" "$@"
    fi
    exec "$@"
)

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    case ${1:-} in
        start)
            postgres_start "${2:-}"
            postgres_client_env
            for name in "${!POSTGRES_@}" "${!PG@}" "${!SUITE_@}"; do
                printf 'export %s=%q\n' "$name" "${!name}"
            done
            ;;
        stop)
            POSTGRES_DIR=$2
            postgres_stop
            ;;
        *) die "usage: postgres.sh start [VERSION] | stop DIR" ;;
    esac
fi
