#!/usr/bin/env bash
# Shows pgwarden at work: a private PostgreSQL in a temporary folder, pgwarden in front of it.
#
#   demo.sh            builds, starts both, prints lines to paste, stops everything on Ctrl-C
#   demo.sh --check    goes through the tour by itself; exit status 0, or says what failed
#
# Needs Rust and an apt system; what else it needs is installed. Leaves nothing running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/pooler.sh
source "$here/lib/pooler.sh"

CLIENTS=20
export POOLER_SIZE=3
ACCESS_PASSWORD=access-secret

main() {
    case ${1:-} in
        "" | --check) ;;
        *) die "usage: demo.sh [--check]" ;;
    esac
    cd "$here/.."
    install_build
    install_postgres
    say "building pgwarden"
    cargo build --quiet --locked --profile quick
    PGWARDEN=$(cargo metadata --format-version 1 --no-deps --locked \
        | grep -oE '"target_directory":"[^"]*"' | cut -d'"' -f4)/quick/pgwarden

    trap clean_up EXIT
    trap 'exit 130' INT TERM
    postgres_start
    access_fixture
    pooler_start
    pooler_client_env
    export PSQLRC=/dev/null
    if [[ ${1:-} == --check ]]; then
        check
    else
        explain
        while pooler_runs; do sleep 1; done
        tail -5 "$POOLER_DIR/log" >&2
        die "pgwarden has ended"
    fi
}

# The roles of the README's example, and people to play them.
access_fixture() {
    postgres_superuser -d shop <<-SQL >/dev/null
	create user bi_anna password '$ACCESS_PASSWORD';
	create user oncall_olga password '$ACCESS_PASSWORD';
	create user shop_web password '$ACCESS_PASSWORD';
	create user ro_pool password '$ACCESS_PASSWORD';
	grant pg_read_all_data to ro_pool;
	revoke temporary, create on database shop from public, ro_pool;
	revoke create on schema public from public, ro_pool;
	alter role ro_pool set default_transaction_read_only = on;
	create table orders (id int primary key, amount int);
	insert into orders values (1, 100), (2, 200);
	create table secret (word text);
	grant all on orders, secret to app_pool;
	SQL
    postgres_superuser -d postgres -c "select format('\"%s\" \"%s\"', rolname, rolpassword)
        from pg_authid where rolname in ('bi_anna', 'oncall_olga', 'shop_web')" \
        >>"$POSTGRES_DIR/userlist.txt"
    export RO_POOL_PASSWORD=$ACCESS_PASSWORD
    # Read by pooler_start: what stands behind its own settings.
    POOLER_MORE_SETTINGS=$(
        cat <<-TOML
		[roles.analyst]
		server = { user = "ro_pool", password = { env = "RO_POOL_PASSWORD" } }
		pool = { size = 5 }
		read_only = true
		tables = { allow = ["public.*", "sales.orders"], deny = ["public.secret"] }
		limits = { concurrent = 4, rate = "20/s", rows = 100_000, bytes = "64MiB", time = "30s" }

		[roles.app]
		server = { user = "app_pool", password = "$APP_POOL_PASSWORD" }

		[[roles.app.deny]]
		name = "no-schema-changes"
		statements = ["ddl"]
		except = { window = "Sun 02:00-04:00 Europe/Paris" }
		hint = "Schema changes go through the migration job, Sundays 02:00-04:00."

		[[roles.app.deny]]
		name = "where-required"
		statements = ["update", "delete"]
		missing = "where"

		[roles.everything]

		[[grant]]
		role = "analyst"
		user = "bi_*"
		from = ["10.2.0.0/16", "127.0.0.0/8", "::1/128"]

		[[grant]]
		role = "analyst"
		user = "oncall_*"
		expires = "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"

		[[grant]]
		role = "app"
		user = "shop_*"

		[[grant]]
		role = "everything"
		user = ["alice", "bob", "postgres"]

		[[test]]
		role = "app"
		sql = "drop table orders"
		expect = "deny: no-schema-changes"
		at = "2026-11-24T12:00:00Z"
		TOML
    )
}

explain() {
    cat <<-TEXT

	pgwarden listens on port $POOLER_PORT, before a PostgreSQL on port $POSTGRES_PORT.
	Its settings: $POOLER_DIR/pgwarden.toml

	Paste these into another terminal. First, who you are:

	  export PGHOST=localhost PGPORT=$POOLER_PORT PGDATABASE=shop PGUSER=alice
	  export PGPASSWORD=$ALICE_PASSWORD PGSSLROOTCERT=$PGSSLROOTCERT

	$CLIENTS clients at once, no more than $POOLER_SIZE server processes among them:

	  for n in \$(seq $CLIENTS); do psql -Atc 'select pg_backend_pid()' & done | sort | uniq -c

	TLS with a verified certificate, and SCRAM bound to it:

	  psql "sslmode=verify-full channel_binding=require" -c '\\conninfo' -c 'select current_user'

	A query that is cancelled (press Ctrl-C, or wait two seconds):

	  timeout -s INT 2 psql -c 'select pg_sleep(60)'

	An analyst may read, and not everything; an application may write, and not change the schema;
	who is on call is an analyst for an hour:

	  export PGPASSWORD=$ACCESS_PASSWORD
	  PGUSER=bi_anna psql -c 'select * from orders'
	  PGUSER=bi_anna psql -c 'delete from orders'
	  PGUSER=bi_anna psql -c 'select * from secret'
	  PGUSER=shop_web psql -c 'update orders set amount = 150 where id = 1' -c 'drop table orders'
	  PGUSER=oncall_olga psql -c 'select count(*) from orders'

	Why? (RO_POOL_PASSWORD=$ACCESS_PASSWORD first.)

	  $PGWARDEN check $POOLER_DIR/pgwarden.toml --user shop_web --from 127.0.0.1 \\
	      --database shop 'update orders set amount = 0'
	  PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD psql -d pgwarden -c 'show denials' -c 'show access'

	The console:

	  PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD psql -d pgwarden -c 'show pools'
	  PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD psql -d pgwarden -c 'show servers' -c 'show stats'

	Metrics:

	  curl -s http://127.0.0.1:$POOLER_METRICS_PORT/metrics | grep ^pgwarden

	Ctrl-C here stops both and removes everything.
	TEXT
}

check() {
    local failures=0 pids answers text
    export PGHOST=localhost

    local log=$POSTGRES_DIR/pids
    for _ in $(seq $CLIENTS); do
        psql -XAtc 'select pg_backend_pid() from pg_sleep(0.02)' &
    done >"$log"
    wait_for_psql
    answers=$(wc -l <"$log")
    pids=$(sort -u "$log" | wc -l)
    step "$CLIENTS clients got an answer" test "$answers" -eq $CLIENTS
    step "no more than $POOLER_SIZE server processes gave them ($pids did)" \
        test "$pids" -ge 1 -a "$pids" -le $POOLER_SIZE

    text=$(psql "sslmode=verify-full channel_binding=require" -XAtc 'select current_user' 2>&1 || true)
    step "a client came in over TLS with SCRAM bound to it" test "$text" = alice

    text=$(PGPASSWORD=wrong psql -XAtc 'select 1' 2>&1 || true)
    step "a wrong password is refused" \
        contains "$text" 'password authentication failed for user "alice"'

    text=$(timeout -s INT 1 psql -XAtc 'select pg_sleep(60)' 2>&1 || true)
    step "a query was cancelled" contains "$text" "canceling statement due to user request"
    text=$(postgres_superuser -d shop -c \
        "select count(*) from pg_stat_activity where query like '%pg_sleep(60)' and state = 'active'")
    step "and no server still runs it" test "$text" -eq 0

    check_access
    export PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD
    text=$(psql -XAt -d pgwarden -c 'show pools' 2>&1 || true)
    step "the console lists the pool" contains "$text" "shop|alice"
    text=$(psql -XAt -d pgwarden -c 'reload' 2>&1 || true)
    step "the console reloads" contains "$text" RELOAD

    text=$(curl -s "http://127.0.0.1:$POOLER_METRICS_PORT/metrics" || true)
    step "metrics count the transactions" contains "$text" 'pgwarden_transactions_total'

    step "pgwarden stops when told to" pooler_stop
    echo "$((steps - failures)) passed, $failures failed"
    ((failures == 0))
}

check_access() {
    local text config=$POOLER_DIR/pgwarden.toml
    export PGPASSWORD=$ACCESS_PASSWORD
    text=$(PGUSER=bi_anna psql -XAtc 'select sum(amount) from orders' 2>&1 || true)
    step "an analyst reads" test "$text" = 300
    text=$(PGUSER=bi_anna psql -XAtc 'delete from orders' 2>&1 || true)
    step "and writes nothing" contains "$text" 'cannot execute DELETE in a read-only transaction'
    text=$(PGUSER=bi_anna psql -XAtc 'select * from secret' 2>&1 || true)
    step "nor reads what is secret" contains "$text" 'matched rule "tables.deny"'
    text=$(PGUSER=shop_web psql -XAtc 'update orders set amount = 150 where id = 1' 2>&1 || true)
    step "the application writes" test "$text" = "UPDATE 1"
    text=$(PGUSER=shop_web psql -XAtc 'update orders set amount = 0' 2>&1 || true)
    step "and not without a WHERE" contains "$text" 'matched rule "where-required"'
    text=$(PGUSER=oncall_olga psql -XAtc 'select count(*) from orders' 2>&1 || true)
    step "who is on call reads" test "$text" = 2
    text=$("$PGWARDEN" check "$config" --user oncall_olga --database shop \
        --at 2099-01-01T00:00:00Z 'select 1' 2>&1) && text="allowed: $text"
    step "and not when the grant has expired" test "${text#allowed}" = "$text"
    text=$("$PGWARDEN" check "$config" --user shop_web --database shop 'update orders set amount = 0' 2>&1 || true)
    step "pgwarden check says why" contains "$text" "where-required"
    text=$(PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD psql -XAt -d pgwarden -c 'show denials' 2>&1 || true)
    step "the console lists the refusals" contains "$text" "shop_web|app|shop"
}

steps=0

step() {
    local what=$1
    shift
    steps=$((steps + 1))
    if "$@"; then
        echo "ok - $what"
    else
        echo "FAILED - $what${text:+: $text}"
        failures=$((failures + 1))
    fi
}

contains() { [[ $1 == *"$2"* ]]; }

# Waits for the psqls in the background, but not for pgwarden.
wait_for_psql() {
    local job
    for job in $(jobs -p); do
        [[ $job == "$POOLER_PID" ]] || wait "$job" || true
    done
}

clean_up() {
    pooler_stop || true
    postgres_stop
}

main "$@"
