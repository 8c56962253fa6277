#!/usr/bin/env bash
# pgwarden takes the place of a running PgBouncer, which its clients do not notice: `pgwarden -R`.
#
#   PGWARDEN=target/quick/pgwarden integration/pgbouncer/takeover.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../lib/postgres.sh
source "$here/../lib/postgres.sh"

[[ -x ${PGWARDEN:-} ]] || die "PGWARDEN must be the path of the pgwarden binary"
install_postgres
PGBOUNCER=$(install_new_pgbouncer)
python=$(python_with "$here/../postgres/requirements.txt")
trap postgres_stop EXIT
postgres_start
account=
((EUID != 0)) || account=$(postgres_account)
export PGBOUNCER PGWARDEN POSTGRES_DIR POSTGRES_PORT ALICE_PASSWORD ACCOUNT=$account
"$python" "$here/takeover.py"
